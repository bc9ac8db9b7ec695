"""A cluster for interactive parallel Python over ZeroMQ: the public names, loaded when used."""
