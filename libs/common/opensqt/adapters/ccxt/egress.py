"""Where requests may go: the exchange's own hosts, or whatever stands in for them.

With an endpoint configured, the names of the exchange resolve to it and every other name is
refused. No URL is edited, so the way to the paper exchange is that to the real one, TLS included;
and a paper trader cannot reach the real exchange by mistake.
"""

import socket
import ssl
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from opensqt.adapters.ccxt.transport import session_options
from opensqt.runtime.config_models import EndpointConfig

BINANCE_HOSTS: Final = frozenset(
    {
        "fapi.binance.com",
        "fstream.binance.com",
        "ws-fapi.binance.com",
        "api.binance.com",
        "stream.binance.com",
        "ws-api.binance.com",
    }
)

KEEPALIVE_S: Final = 30.0
"""An idle connection is closed after this time; the exchange keeps them longer, so that a request
rarely meets a connection that is being closed, which would make its outcome unknown."""


class PinnedResolver(AbstractResolver):
    """Resolves the hosts that are stood in for, and nothing else.

    Args:
        hosts: Names that lead to the endpoint.
        endpoint: What stands in for them.
    """

    def __init__(self, hosts: frozenset[str], endpoint: EndpointConfig) -> None:
        self._hosts = hosts
        self._endpoint = endpoint
        self._inner = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, _port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The endpoint's address and port, whatever port was asked for.

        Raises:
            OSError: Another host than the pinned ones.
        """
        if host not in self._hosts:
            raise OSError(
                None,
                f"{host} is not contacted: an endpoint stands in for the exchange, and allowed "
                f"are {', '.join(sorted(self._hosts))}",
            )
        found = await self._inner.resolve(self._endpoint.host, self._endpoint.port, family)
        return [
            ResolveResult(
                hostname=host,
                host=address["host"],
                port=self._endpoint.port,
                family=address["family"],
                proto=address["proto"],
                flags=address["flags"],
            )
            for address in found
        ]

    async def close(self) -> None:
        """Release what the resolver holds."""
        await self._inner.close()


def open_session(
    endpoint: EndpointConfig | None, *, hosts: frozenset[str] = BINANCE_HOSTS
) -> aiohttp.ClientSession:
    """The HTTP session of one exchange; call it in a running event loop.

    Args:
        endpoint: What stands in for the exchange; None goes to the real one.
        hosts: Names that the endpoint stands in for.

    Raises:
        OSError: The endpoint's authority cannot be read.
    """
    if endpoint is None:
        connector = aiohttp.TCPConnector(keepalive_timeout=KEEPALIVE_S)
    else:
        connector = aiohttp.TCPConnector(
            resolver=PinnedResolver(hosts, endpoint),
            ssl=ssl.create_default_context(cafile=str(endpoint.ca)),
            keepalive_timeout=KEEPALIVE_S,
        )
    return aiohttp.ClientSession(connector=connector, **session_options())
