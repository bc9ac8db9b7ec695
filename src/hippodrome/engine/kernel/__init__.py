"""Jupyter frontends that attach to an engine."""
