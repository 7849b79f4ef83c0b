"""market_data: brings what the exchange tells onto the bus.

Needs a read-only key. One monitor for each kind of event: prices, orders, funding, candles.
"""
