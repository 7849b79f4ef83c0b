"""The HTTP port of a process for those who watch it: Prometheus and the cluster's probes.

Plain HTTP, on loopback unless configured otherwise. It shows metrics and readiness, nothing else,
and changes nothing.
"""

from types import TracebackType
from typing import Self

import orjson
from aiohttp import web

from opensqt.runtime.health import Readiness
from opensqt.runtime.metrics import Metrics


class ObservabilityServer:
    """Serves ``/metrics``, ``/health/live`` and ``/health/ready`` until its context is left."""

    def __init__(self, *, host: str, port: int, metrics: Metrics, readiness: Readiness) -> None:
        self._host = host
        self._wanted_port = port
        self._metrics = metrics
        self._readiness = readiness
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def __aenter__(self) -> Self:
        """Start listening.

        Raises:
            OSError: The address cannot be listened on.
        """
        app = web.Application()
        app.router.add_get("/metrics", self._show_metrics)
        app.router.add_get("/health/live", self._show_live)
        app.router.add_get("/health/ready", self._show_ready)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._wanted_port).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _show_metrics(self, _: web.Request) -> web.Response:
        return web.Response(
            body=self._metrics.render(),
            headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
        )

    async def _show_live(self, _: web.Request) -> web.Response:
        """Answering at all means that the event loop turns."""
        return web.json_response({"live": True})

    async def _show_ready(self, _: web.Request) -> web.Response:
        problems = dict(self._readiness.problems)
        body = orjson.dumps({"ready": not problems, "problems": problems})
        return web.Response(
            body=body, status=503 if problems else 200, content_type="application/json"
        )
