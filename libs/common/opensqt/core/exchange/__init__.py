"""The simulated exchange: matching, margin, funding and the books of its accounts.

The same code is the market behind paper trading, backtests and the simulation. It is modelled on
Binance USD-M futures in one-way mode with cross margin, and it is pure: time is an argument, money
is exact, there is no randomness. What goes wrong on the way to an exchange (latency, lost answers,
dropped events) is not decided here but around it.

Commands go in and events come out. `engine.SimulatedExchange` is the entrance, `events` what it
answers with, `book` the fill model, `market` what is assumed of the market, `account` the
bookkeeping, `margin` what a position has to be backed by, `rules` what an order has to satisfy.
"""
