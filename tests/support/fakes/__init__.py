"""Stand-ins for batch systems that are not to be had here: programs on PATH, jobs that really run.

Each speaks the formats of the real one, and is as strict: what a real one refuses is refused.
"""
