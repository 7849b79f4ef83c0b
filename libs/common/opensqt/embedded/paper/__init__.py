"""A whole OpenSQT on one machine, on paper: what `opensqt up` runs.

From a bot's configuration come the configurations of every service, the programs to supervise, an
orderly end, and a summary that compares our books with the exchange's own.
"""
