"""The pure core: what OpenSQT decides, and nothing of how it happens.

No input or output, no clock, no randomness, no logging, no protobuf. Time and identifiers are
arguments; a function given the same arguments returns the same answer, which is what lets one
brain serve live trading, backtests and the simulation.
"""
