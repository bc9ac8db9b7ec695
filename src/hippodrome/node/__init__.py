"""The supervisor of a host's engines."""
