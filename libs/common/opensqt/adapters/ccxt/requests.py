"""Sending REST requests: their expiry, the exchange's clock, its bans, and what became of them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import aiohttp
import ccxt
import structlog

from opensqt.adapters.ccxt.answers import Answer, classify
from opensqt.adapters.ccxt.raw_client import EXPIRY, AnswerError, Expiry, RawClient
from opensqt.core.orders import EndReason
from opensqt.ports import Clock, LimitUse
from opensqt.runtime.metrics import Metrics

NS_PER_MS: Final = 1_000_000
CLOCK_INTERVAL_S: Final = 15.0
"""The exchange's clock is compared this often."""
WARM_CONNECTIONS: Final = 4
"""Connections that are kept open, so that the orders of a decision do not wait for handshakes."""
RECV_WINDOW_MS_MAX: Final = 60_000

UNREADABLE: Final = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What reading an answer raises that is not as documented."""

Method = Callable[[dict[str, Any]], Awaitable[Any]]

_log = structlog.get_logger(__name__)


class NotSentError(Exception):
    """The request certainly never left: why."""

    def __init__(self, text: str, reason: EndReason) -> None:
        self.reason = reason
        super().__init__(text)


class NoAnswerError(Exception):
    """No answer that can be relied upon: what happened instead, without secrets."""


class Requests:
    """Sends the requests of one account, and never one of them twice.

    Args:
        client: Signs and sends.
        clock: Tells the time that requests are stamped with.
        recv_window_ms: How long the exchange may take to see a request that has no deadline.
        metrics: Where requests are counted and timed.
    """

    def __init__(
        self,
        client: RawClient,
        *,
        clock: Clock,
        recv_window_ms: int,
        metrics: Metrics,
    ) -> None:
        self._client = client
        self._exchange = client.exchange
        self._clock = clock
        self._recv_window_ms = recv_window_ms
        self._held_until_ns = 0
        self._offset_ms = 0
        self._compare_now = asyncio.Event()
        self._seconds = metrics.histogram(
            "exchange_request_seconds", "Round trips to the exchange", ["request"]
        )
        self._outcomes = metrics.counter(
            "exchange_requests", "Requests to the exchange by outcome", ["request", "outcome"]
        )
        self._unlisted = metrics.counter(
            "exchange_answers_unlisted",
            "Answers that the table does not know; they count as UNKNOWN",
            ["request"],
        )
        self._used = metrics.gauge(
            "exchange_limit_used", "What the exchange says is used of a limit", ["limit"]
        )
        self._offset = metrics.gauge(
            "exchange_clock_offset_ms", "The exchange's clock minus ours, in milliseconds"
        )
        self.used: dict[str, LimitUse] = {}
        """What the last answer said is used of each limit, such as ``ORDER-COUNT-10S``."""
        client.on_headers = self._read_limits

    @property
    def held_until_ns(self) -> int:
        """The exchange has told us to be silent until then."""
        return self._held_until_ns

    @property
    def exchange_now_ms(self) -> int:
        """The time on the exchange's clock."""
        return self._clock.now_ns() // NS_PER_MS + self._offset_ms

    async def signed(
        self,
        name: str,
        method: Method,
        params: Mapping[str, Any],
        *,
        deadline_ns: int | None = None,
    ) -> Any:
        """Send a signed request, which the exchange refuses once its deadline has passed.

        Args:
            name: What the metrics call it.
            method: The client's method.
            params: Its parameters.
            deadline_ns: When it expires, by our clock; None: after the usual window.

        Raises:
            NotSentError: Its deadline has passed, a ban is in force, or nobody could be connected.
            AnswerError: Answered, but not with success.
            NoAnswerError: Sent, perhaps, and not answered.
        """
        stamp_ms = self.exchange_now_ms
        window_ms = self._recv_window_ms
        if deadline_ns is not None:
            window_ms = deadline_ns // NS_PER_MS + self._offset_ms - stamp_ms
            if window_ms < 1:
                raise NotSentError("its deadline passed before it was sent", EndReason.TIMESTAMP)
        expiry = Expiry(stamp_ms=stamp_ms, window_ms=min(window_ms, RECV_WINDOW_MS_MAX))
        return await self.plain(name, method, {**params, EXPIRY: expiry})

    async def plain(self, name: str, method: Method, params: Mapping[str, Any]) -> Any:
        """Send a request that expires by itself or needs not; raises as `signed`."""
        if self._clock.now_ns() < self._held_until_ns:
            raise NotSentError("the exchange has banned us for a while", EndReason.RATE_LIMIT)
        outcome = "unknown"
        try:
            with self._seconds.labels(name).time():
                answer = await method(dict(params))
            outcome = "ok"
        except AnswerError as error:
            outcome = error.answer.code or str(error.answer.status)
            self._note(name, error.answer)
            raise
        except ccxt.BaseError as error:
            cause = error.__cause__
            what = type(cause or error).__name__
            # DNS, TCP or TLS was not done: no byte of the request was written.
            if isinstance(cause, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
                outcome = "not sent"
                raise NotSentError(
                    f"no connection to the exchange ({what})", EndReason.EXCHANGE_UNAVAILABLE
                ) from None
            # The text of these errors holds the signed URL, and is left out.
            raise NoAnswerError(f"no answer to {name} ({what})") from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise NoAnswerError(f"no answer to {name} ({type(error).__name__})") from None
        finally:
            self._outcomes.labels(name, outcome).inc()
        return answer

    async def keep_clock(self) -> None:
        """Compare the clocks for ever: every few seconds, and when a timestamp was refused."""
        while True:
            await self.compare_clocks()
            self._compare_now.clear()
            try:
                async with asyncio.timeout(CLOCK_INTERVAL_S):
                    await self._compare_now.wait()
            except TimeoutError:
                continue

    async def compare_clocks(self) -> None:
        """Learn how far the exchange's clock is from ours, by the quickest of some answers.

        They are asked for at once, each over a connection of its own, which so stays open.
        """
        measured = await asyncio.gather(*(self._measure() for _ in range(WARM_CONNECTIONS)))
        answered = [found for found in measured if found is not None]
        if answered:
            _, self._offset_ms = min(answered)
            self._offset.set(self._offset_ms)

    async def _measure(self) -> tuple[float, int] | None:
        """How long an answer took, and the exchange's clock minus ours, in milliseconds."""
        before_ms = self._clock.now_ns() / NS_PER_MS
        try:
            told_ms = await self.plain("time", lambda _: self._client.exchange_time_ms(), {})
        except (NotSentError, NoAnswerError, AnswerError, *UNREADABLE) as error:
            _log.warning("exchange_clock_unknown", error=str(error))
            return None
        after_ms = self._clock.now_ns() / NS_PER_MS
        return after_ms - before_ms, round(told_ms - (before_ms + after_ms) / 2)

    def _note(self, name: str, answer: Answer) -> None:
        verdict = classify(self._exchange, answer)
        if verdict.reason is EndReason.TIMESTAMP:
            self._compare_now.set()
        if verdict.hold_s is not None:
            hold_s = answer.retry_after_s or verdict.hold_s
            self._held_until_ns = self._clock.now_ns() + round(hold_s * 1e9)
            _log.error("exchange_limit_exceeded", status=answer.status, silent_s=hold_s)
        if not verdict.listed:
            self._unlisted.labels(name).inc()
            # A code that nobody has judged yet wants a person; a broken answer is a fault like any.
            report = _log.error if answer.code else _log.warning
            report(
                "exchange_answer_unlisted",
                request=name,
                status=answer.status,
                code=answer.code,
                text=answer.text,
            )

    def _read_limits(self, headers: Mapping[str, str]) -> None:
        for key, value in headers.items():
            if key.startswith(("X-MBX-", "x-mbx-")) and value.isdigit():
                limit = key[6:].upper()
                self.used[limit] = LimitUse(count=int(value), told_ns=self._clock.now_ns())
                self._used.labels(limit).set(int(value))
