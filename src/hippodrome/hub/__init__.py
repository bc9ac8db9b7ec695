"""Owns membership, observes tasks, answers queries."""
