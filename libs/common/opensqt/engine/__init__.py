"""Engines: the loop around a pure strategy. Event, apply, plan, hand over.

`durable` runs a `bot` against the state service; `book_watch` keeps its view of the slots.
"""
