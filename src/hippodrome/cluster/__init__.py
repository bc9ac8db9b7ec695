"""Starts, finds and stops whole clusters."""
