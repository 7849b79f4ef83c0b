"""Engines: the loop around a pure strategy. Event, apply, plan, hand over.

`durable` runs a `bot` against the state service; `book_watch` keeps its view of the slots. `simple`
runs one in its own memory: `sending` and `settling` talk to the exchange, `past` asks it what
happened, `keeping` makes checkpoints, `timing` says how long things may take.
"""
