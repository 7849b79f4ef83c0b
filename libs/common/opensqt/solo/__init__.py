"""A bot and a simulated exchange in one process, on the time of a recording: `opensqt run`.

`market` is the exchange and its clock, `exchange` the bot's way to it, `request_log` how it comes
back after a crash, `minutes` the candles of its trades, `run` plays it, `books` compares the two.

Nothing here depends on how fast it is played, or on how often it was interrupted.
"""
