"""Where the large buffers of records are, up to so many bytes of them."""
