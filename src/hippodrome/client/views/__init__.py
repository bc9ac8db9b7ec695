"""The ways to call functions on engines: by name, balanced, to all at once, as an executor."""
