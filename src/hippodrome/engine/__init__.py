"""Runs user code in one namespace."""
