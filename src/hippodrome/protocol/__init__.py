"""What travels between processes: messages, frames, and numbered streams of them."""
