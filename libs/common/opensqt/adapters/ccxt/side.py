"""What the sides of the exchange share: asking for things, and running streams."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog

from opensqt.adapters.ccxt.client import AnswerError, BinanceUsdmClient
from opensqt.adapters.ccxt.order_payloads import queried_order
from opensqt.adapters.ccxt.payloads import Payload, rows
from opensqt.adapters.ccxt.requests import Method, NoAnswerError, NotSentError, Requests
from opensqt.core.events import OrderUpdate, UpdateSource
from opensqt.core.identifiers import parse_order_id
from opensqt.ports import Clock, DependencyError
from opensqt.runtime.metrics import Metrics

EXCHANGE: Final = "binanceusdm"
"""Its name in the table of answers."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """What every side of the exchange works with."""

    account: str
    """Our name of the account that the keys belong to."""
    client: BinanceUsdmClient
    requests: Requests
    clock: Clock
    metrics: Metrics

    async def ask(
        self, name: str, method: Method, params: Mapping[str, Any], *, signed: bool = True
    ) -> Any:
        """Send a request that changes nothing.

        Raises:
            DependencyError: No answer that can be relied upon.
        """
        send = self.requests.signed if signed else self.requests.plain
        try:
            return await send(name, method, params)
        except (NotSentError, NoAnswerError, AnswerError) as error:
            raise DependencyError(f"{EXCHANGE} {name}: {error}") from None


class Side:
    """One side of the exchange."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self._client = wiring.client
        self._unreadable = wiring.metrics.counter(
            "exchange_orders_unreadable",
            "Orders of others that look-ups showed in a way that we cannot read",
            ["request"],
        )

    def _updates(self, name: str, answer: Any) -> tuple[OrderUpdate, ...]:
        """The orders of an answer. Of other people's ones those are left out that make no sense.

        An order of ours must be readable, or the answer cannot be relied upon.
        """
        found: list[OrderUpdate] = []
        for row in rows(answer):
            try:
                found.append(self._update(row, UpdateSource.QUERY))
            except (KeyError, TypeError, ValueError) as error:
                if parse_order_id(str(row.get("clientOrderId", ""))) is not None:
                    raise
                self._unreadable.labels(name).inc()
                _log.error("order_unreadable", request=name, row=row, error=repr(error))
        return tuple(found)

    def _update(self, row: Payload, source: UpdateSource) -> OrderUpdate:
        """An order as an answer shows it."""
        wiring = self._wiring
        return queried_order(
            row, account=wiring.account, source=source, receive_time_ns=wiring.clock.now_ns()
        )


@contextlib.contextmanager
def reading(what: str) -> Iterator[None]:
    """Turn whatever goes wrong with a payload into an answer that cannot be relied upon."""
    try:
        yield
    except (KeyError, TypeError, ValueError) as error:
        raise DependencyError(f"{EXCHANGE} {what}: not as documented: {error!r}") from None


@contextlib.asynccontextmanager
async def running(
    work: Callable[[], Coroutine[Any, Any, None]], close: Callable[[], None]
) -> AsyncIterator[None]:
    """Run a stream while its events are taken; its end is a fault, and is not kept secret."""
    task = asyncio.create_task(work())
    task.add_done_callback(lambda _: close())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
