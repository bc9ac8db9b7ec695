"""The client's end of the connection: what it waits for, and the thread that owns its sockets."""
