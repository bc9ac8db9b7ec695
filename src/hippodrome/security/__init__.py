"""Keys, connection files, and who may connect."""
