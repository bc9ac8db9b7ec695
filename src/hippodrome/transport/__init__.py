"""Sockets as all processes open them: who listens, who connects, what watches over them."""
