"""Servers that tests and benchmarks start as child processes and stop afterwards.

milvus         a Milvus server from the PyPI package ``milvus``
postgres       a PostgreSQL server from its installed binaries
slow_network   a TCP proxy before such a server, with delays, lost bytes and cut connections
ports          free ports for servers
"""
