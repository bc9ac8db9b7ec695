"""Other hosts by the system's ssh: where they are, what is run there, what ssh says, tunnels."""
