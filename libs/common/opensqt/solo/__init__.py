"""Bots and simulated exchanges in one process, on the time of a recording: `opensqt run`.

`market` is the exchange and its clock, `exchange` the bot's way to it, `request_log` how it comes
back after a crash, `run` plays it, `books` compares the two, `record` tells what happened as a run
file. `apart` and `playing` are for several bots at once.

Nothing here depends on how fast it is played, or on how often it was interrupted.
"""
