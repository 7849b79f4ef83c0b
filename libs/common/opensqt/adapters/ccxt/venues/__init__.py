"""Sending orders to exchanges beyond Binance USD-M, as far as their answers can be judged.

Each exchange has a client, which says how a request is made to expire and which body is an error,
and a desk, which places, cancels and looks up. Streams and accounts are not here.
"""

from opensqt.adapters.ccxt.venues.binance_spot import BinanceSpotDesk
from opensqt.adapters.ccxt.venues.bitget import BitgetClient, BitgetDesk
from opensqt.adapters.ccxt.venues.bybit import BybitClient, BybitDesk
from opensqt.adapters.ccxt.venues.desk import Desk, Sighting
from opensqt.adapters.ccxt.venues.gate import GateClient, GateDesk
from opensqt.adapters.ccxt.venues.okx import OkxClient, OkxDesk

__all__ = [
    "BinanceSpotDesk",
    "BitgetClient",
    "BitgetDesk",
    "BybitClient",
    "BybitDesk",
    "Desk",
    "GateClient",
    "GateDesk",
    "OkxClient",
    "OkxDesk",
    "Sighting",
]
