"""Where the ports meet the world: exchanges, NATS, PostgreSQL, gRPC.

One package for each. Nothing here decides anything about trading, and no adapter knows another.
"""
