"""What integration tests need: real processes, and the counting of what they leave behind."""
