"""The floors: the same hops as OpenSQT's, in as many processes, with nothing between them.

No types, no checks, no recovery: what is left is what NATS, gRPC, PostgreSQL, TLS and HTTP cost.
"""
