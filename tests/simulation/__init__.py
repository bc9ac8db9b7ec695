"""The whole cluster in one process, over a fake network and a virtual clock, from one seed."""
