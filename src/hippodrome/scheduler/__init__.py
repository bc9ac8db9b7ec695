"""Decides which engine gets a task."""
