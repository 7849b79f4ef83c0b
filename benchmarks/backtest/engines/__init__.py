"""A script for each engine, run in a process of its own; `floor` is the grid with nothing around."""
