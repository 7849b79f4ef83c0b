"""The strategy service: runs the pure strategies. No keys, no state of its own.

`app` has an engine for each bot and brings it what it listens to; `check` refuses bots that the
exchange's rules or their own past make impossible.
"""
