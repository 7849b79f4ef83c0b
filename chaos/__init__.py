"""Chaos with the real parts: break the processes, the servers and the exchange, and hold the books.

`make chaos` starts what `opensqt up` starts (NATS, PostgreSQL, the paper exchange behind TLS, the
five services under their supervisor), lets a tight grid trade on a generated market, and then does
one thing to it at a time: a run is one fault, the wait until trading goes on, and a comparison of
the exchange's own books with the slots. One stack serves many runs.

Read on in `faults` (what is done), `books` and `referee` (what is compared), `one_run`, `series`.

Architecture Invariant: nothing here knows how OpenSQT recovers; it breaks things from outside, with
signals, files and the exchange's control endpoint, and asks for the books over the public API.
"""

import os

# gRPC's own words on broken connections and forks are for its developers; before it is loaded.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
