"""Launchers: start controllers and engine sets."""
