"""Measurements of hippodrome, each beside a yardstick taken in the same run."""
