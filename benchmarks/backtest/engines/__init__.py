"""A script for each engine, run in its own process; `floor` is the grid with nothing around."""
