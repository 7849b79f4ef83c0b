"""Runs the venue: a TLS port for each stack's market, a plain one for the benchmark's commands."""

import asyncio
import json
import ssl
import sys
import time
from pathlib import Path
from typing import Any

from aiohttp import web

from benchmarks.venue import rest, streams
from benchmarks.venue.market import Market

SETTLE_S = 2.0


class Control:
    """Carries out what the benchmark asks for."""

    def __init__(self, markets: dict[str, Market]) -> None:
        self._markets = markets

    async def climb(self, request: web.Request) -> web.Response:
        """Send prices to stacks in turn; how long their orders took.

        With more than one stack the ticks alternate: each stack gets `rate` of them per second, and
        meanwhile the others get theirs.
        """
        asked = await request.json()
        markets = [self._markets[name] for name in asked["stacks"]]
        pause_s = 1 / asked["rate"] / len(markets)
        due = time.perf_counter()
        for number in range(asked["orders"] * asked["every"]):
            for market in markets:
                await market.tick(trigger=number % asked["every"] == asked["every"] - 1)
                due += pause_s
                if (wait := due - time.perf_counter()) > 0:
                    await asyncio.sleep(wait)
        await self._settle(markets)
        return web.json_response({m.name: _latencies(m) for m in markets})

    async def flood(self, request: web.Request) -> web.Response:
        """Send prices to one stack as fast as it takes them."""
        asked = await request.json()
        market = self._markets[asked["stack"]]
        started = await streams.flood(market, asked["frames"], asked["last_bid"])
        return web.json_response({"started": started})

    async def pace(self, request: web.Request) -> web.Response:
        """Send prices to one stack evenly."""
        asked = await request.json()
        market = self._markets[asked["stack"]]
        sent = await streams.pace(market, asked["rate"], asked["seconds"])
        return web.json_response({"sent": sent})

    async def nudge(self, request: web.Request) -> web.Response:
        """Send one trade and one price that call for nothing new."""
        market = self._markets[(await request.json())["stack"]]
        await market.trade()
        await market.tick(trigger=False)
        return web.json_response({})

    async def status(self, _: web.Request) -> web.Response:
        """Who listens and what is open."""
        return web.json_response(
            {
                market.name: {
                    "streams": {name: len(who) for name, who in market.sockets.items() if who},
                    "open": len(market.open),
                    "orders": len(market.open) + len(market.ended),
                }
                for market in self._markets.values()
            }
        )

    async def _settle(self, markets: list[Market]) -> None:
        deadline = time.perf_counter() + SETTLE_S
        while time.perf_counter() < deadline:
            if all(market.sent_ns.keys() <= market.arrived_ns.keys() for market in markets):
                return
            await asyncio.sleep(0.02)


def _latencies(market: Market) -> dict[str, Any]:
    taken = [
        (sent_ns, *market.hops_ns.get(price, ()), market.arrived_ns[price])
        for price, sent_ns in market.sent_ns.items()
        if price in market.arrived_ns
    ]
    missed = len(market.sent_ns) - len(taken)
    market.sent_ns.clear()
    return {"stations_ns": taken, "missed": missed}


async def main(config: dict[str, Any], ready: Path) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(config["tls"]["certificate"], config["tls"]["key"])
    markets = {name: Market(name=name) for name in config["stacks"]}
    control = Control(markets)
    async with asyncio.TaskGroup() as tasks:
        for name, port in config["stacks"].items():
            market = markets[name]
            app = web.Application()
            on_stream, on_request = streams.handler_for(market), rest.handler_for(market)

            async def dispatch(
                request: web.Request, on_stream: Any = on_stream, on_request: Any = on_request
            ) -> web.StreamResponse:
                upgrade = request.headers.get("Upgrade", "").lower() == "websocket"
                answer: web.StreamResponse = await (on_stream if upgrade else on_request)(request)
                return answer

            app.router.add_route("*", "/{tail:.*}", dispatch)
            await _listen(app, port, context)
            tasks.create_task(streams.beat(market))
        app = web.Application()
        app.router.add_post("/climb", control.climb)
        app.router.add_post("/flood", control.flood)
        app.router.add_post("/pace", control.pace)
        app.router.add_post("/nudge", control.nudge)
        app.router.add_get("/status", control.status)
        await _listen(app, config["control"], None)
        ready.touch()


async def _listen(app: web.Application, port: int, context: ssl.SSLContext | None) -> None:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context).start()


if __name__ == "__main__":
    asyncio.run(main(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])))
