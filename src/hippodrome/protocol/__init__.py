"""Messages, frames and numbered streams travel between processes in these forms."""
