"""Keeps records of tasks."""
