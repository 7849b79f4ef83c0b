"""Deterministic simulation: the whole system in one process, on virtual time, under seeded faults.

The services' own composition roots run here, each as a process that can die at any await. What
lies between them (the bus, the calls, the database) and outside (the exchange, the market) stands
behind the ports that production uses, and goes wrong as the seed says. A referee holds the
exchange's books against the ledger after every event.

`world.run` carries out a `plan` and tells an `observer`. `loop` owns turns, processes and time;
`parts` and `applications` are the services; `surroundings` are what they live in (`network`,
`broker`, `database`, `exchange_world`, `market`); `bus`, `store`, `calls`, `remotes`,
`exchange_client` and `settlement` reach there from inside a process; then `faults` and `ending`.
`draw` makes plans, `referee` watches, `shrink` and `story` tell what is wrong, `runner` runs many.

Architecture Invariant: everything that happens is a function of the `Plan`; a plan is a function
of its seed. Nothing here reads a clock, a hash order or an unseeded random number.
"""
