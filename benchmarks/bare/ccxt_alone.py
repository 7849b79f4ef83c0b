"""ccxt.pro in one process: prices in, orders out, and nothing that survives a crash.

python -m benchmarks.bare.ccxt_alone CONFIG READY
"""

import asyncio
import json
import socket
import ssl
import sys
from pathlib import Path
from typing import Any

import aiohttp
import ccxt.pro
from aiohttp.abc import AbstractResolver, ResolveResult

from benchmarks.bare.take import LAST, note_last

SYMBOL = "BTC/USDT:USDT"
INTERVAL = 10


class VenueOnly(AbstractResolver):
    """Every name is the venue."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        del port, family
        entry = ResolveResult(
            hostname=host,
            host="127.0.0.1",
            port=self._port,
            family=socket.AF_INET,
            proto=0,
            flags=0,
        )
        return [entry]

    async def close(self) -> None:
        """Nothing to close."""


def exchange(config: dict[str, Any]) -> Any:
    """ccxt.pro, pointed at the venue."""
    connector = aiohttp.TCPConnector(
        resolver=VenueOnly(config["venue"]),
        ssl=ssl.create_default_context(cafile=config["tls"]["ca"]),
        keepalive_timeout=600,
    )
    return ccxt.pro.binanceusdm(
        {
            "apiKey": "key",
            "secret": "secret",
            "session": aiohttp.ClientSession(connector=connector, trust_env=False),
            "enableRateLimit": False,
            "options": {"fetchCurrencies": False},
        }
    )


async def trade(config: dict[str, Any], ready: Path) -> None:
    """Order at every level that the price climbs to."""
    venue = exchange(config)
    await venue.load_markets()
    highest = 0
    ready.touch()
    while True:
        quotes = await venue.watch_bids_asks([SYMBOL])
        level = int(quotes[SYMBOL]["bid"]) // INTERVAL * INTERVAL
        if level > highest:
            if highest:
                await venue.create_order(
                    *(SYMBOL, "limit", "buy", 0.001, level),
                    {"timeInForce": "GTX", "newClientOrderId": f"alone{level}"},
                )
            highest = level


async def watch(config: dict[str, Any], ready: Path) -> None:
    """Take prices as fast as they come; write down when each last one of a flood was seen."""
    venue = exchange(config)
    await venue.load_markets()
    ready.touch()
    seen = 0
    while True:
        quotes = await venue.watch_bids_asks([SYMBOL])
        seen += 1
        bid = quotes[SYMBOL]["bid"]
        if bid >= LAST:
            note_last(config, int(bid), seen)


ROLES = {"trade": trade, "watch": watch}

if __name__ == "__main__":
    options = json.loads(Path(sys.argv[1]).read_text())
    asyncio.run(ROLES[options["role"]](options, Path(sys.argv[2])))
