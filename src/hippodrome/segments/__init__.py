"""Large buffers in memory that processes of one host share, in place of frames."""
