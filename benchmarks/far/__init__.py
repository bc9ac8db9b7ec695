"""``python -m benchmarks --workloads hosts``: a cluster over several hosts, beside others.

The hosts are namespaces on this machine, which only root on Linux can make: the same lab as that of
the tests. They share files, and neither memory nor sockets.
"""
