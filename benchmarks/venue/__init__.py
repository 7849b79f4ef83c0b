"""A stand-in exchange that does nothing but emit prices and take orders, with stopwatches.

It speaks as much of Binance's USD-M protocol as ccxt, our adapters and the bare stacks use. Each
stack trades on a market of its own, on a port of its own, in the one process, so that the time of
sending and the time of arrival are read from the same clock. It never checks a signature and never
fills an order: the paper exchange does that.
"""
