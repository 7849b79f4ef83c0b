"""Search for settings: which ones would have done well, and whether that holds out of sample.

`space` is the lattice of settings that may be tried, `goals` says what is better, `samplers`
chooses what to try next, `evaluation` runs one backtest and `workers` many at once, here or on a
`cluster`. `study` remembers every trial on disk; `walk` cuts the history into windows to choose on
and windows to judge on; `searching` is the loop over all of it.

What a search finds depends on its files and its seed alone: not on how many workers there were, in
which order they finished, or how often the search was interrupted.
"""
