"""The grid: slots and their orders (`book`, `slots`), and the strategy that plans them.

`lattice` says where levels are, `book` what a grid knows at one revision, `slots` how it changes,
`strategy` what to do next, `atr` how wide the market breathes, `brain` all of it for one grid, in
memory.
"""
