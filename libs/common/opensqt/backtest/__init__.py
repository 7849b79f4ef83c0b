"""Backtests: the bots that trade live, on recorded markets, with every assumption priced.

`case` says what is run and what is assumed, `tape` is a market as columns, `result` is what came of
it as columns. Four engines run a case, and all of them give the same result, order by order and
fill by fill: one that shows every event to everything, one that looks at every event and acts on
those that can change something, one that finds those by vectors, and one that computes the
ordinary life of a grid in whole numbers.
"""
