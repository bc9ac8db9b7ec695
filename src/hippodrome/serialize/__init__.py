"""Objects to buffers and back."""
