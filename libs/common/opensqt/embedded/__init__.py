"""The embedded default: what a machine with nothing but Python needs to run OpenSQT.

The real NATS and PostgreSQL servers, out of their wheels, and the supervision of every process of
`opensqt up`. Production knows nothing of this room: there the servers are given by configuration.
It starts programs and watches them; it never knows what a service does.
"""
