"""Turning NATS messages into events, and setting aside those that cannot be read."""

from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, Self, TypeVar

import structlog
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from opensqt.adapters.inbox import Inbox
from opensqt.adapters.nats.traffic import TopicTraffic

E = TypeVar("E")

_TRACE_KEYS: Final = ("traceparent", "tracestate")

_log = structlog.get_logger(__name__)


class NatsReceived(Generic[E]):
    """One event that came over NATS; implements `ports.Received`."""

    __slots__ = ("_message", "event")

    def __init__(self, event: E, message: Msg) -> None:
        self.event = event
        self._message = message

    @property
    def trace(self) -> Mapping[str, str]:
        """Trace context headers that travelled with it."""
        headers = self._message.headers
        if not headers:
            return {}
        return {key: headers[key] for key in _TRACE_KEYS if key in headers}

    async def ack(self) -> None:
        """Acknowledge. If that gets lost, the event comes again; its effect is idempotent."""
        if self._message.reply:
            try:
                await self._message.ack()
            except NatsError as error:
                _log.warning("acknowledgement_not_sent", error=repr(error))


class EventIterator(Generic[E]):
    """The events of a subscription.

    What cannot be decoded never blocks what comes after it: it is counted, logged, and, on a
    stream, terminated, so that the server does not deliver it again.
    """

    def __init__(
        self, inbox: Inbox[Msg], decode: Callable[[bytes], E], traffic: TopicTraffic
    ) -> None:
        self._inbox = inbox
        self._decode = decode
        self._traffic = traffic

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> NatsReceived[E]:
        while True:
            message = await anext(self._inbox)
            try:
                event = self._decode(message.data)
            except Exception as error:
                await self._set_aside(message, error)
                continue
            self._traffic.received.inc()
            return NatsReceived(event, message)

    async def _set_aside(self, message: Msg, error: Exception) -> None:
        self._traffic.undecodable.inc()
        _log.error(
            "event_not_decodable",
            subject=message.subject,
            size=len(message.data),
            begin=message.data[:32].hex(),
            error=repr(error),
        )
        if message.reply.startswith("$JS.ACK."):
            try:
                await message.term()
            except NatsError as failure:
                _log.warning("termination_not_sent", error=repr(failure))


def status_of(message: Msg) -> str | None:
    """The status code of a message that is not an event but the server's word about a request."""
    headers: dict[str, Any] | None = message.headers
    if not headers or message.data:
        return None
    status = headers.get("Status")
    return None if status is None else str(status)
