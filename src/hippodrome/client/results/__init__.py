"""Results that a client hands out at once and fills in later, of one task or many."""
