"""Exchanges through ccxt.pro.

ccxt carries the connections: URLs, signatures, sockets that are dialled again. What an answer or an
event means is decided here, from raw payloads: ccxt coalesces fills, maps futures errors by URL,
turns prices into floats, and returns orders without id where nothing is known.
"""

from opensqt.adapters.ccxt.binance_usdm import BinanceUsdmExchange, open_binance_usdm

__all__ = ["BinanceUsdmExchange", "open_binance_usdm"]
