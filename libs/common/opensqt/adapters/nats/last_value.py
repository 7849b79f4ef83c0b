"""Last values: live events over core NATS, and before them what the stream kept of each key."""

import asyncio
import contextlib
from typing import Any, Final

import orjson
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from opensqt.adapters.inbox import LatestInbox
from opensqt.adapters.nats.naming import Naming
from opensqt.adapters.nats.received import status_of
from opensqt.adapters.nats.streams import Streams
from opensqt.ports import DependencyError, Topic

ANSWER_TIMEOUT_S: Final = 2.0
RETRY_DELAY_S: Final = 0.5

_END_OF_BATCH: Final = "204"
_NOTHING_STORED: Final = "404"

_log = structlog.get_logger(__name__)


class LastValues:
    """Merges the stored last values of a topic with the live ones; they land in `inbox`.

    Live events do not take the way through the stream, so they are as fast as any. After every
    connection the stored values are read again, since something may have been missed; one that a
    live event has overtaken, or that is already known, is left out.
    """

    def __init__(
        self, client: Client, streams: Streams, naming: Naming, *, topic: Topic[Any], key: str
    ) -> None:
        self.inbox: LatestInbox[Msg] = LatestInbox()
        self._client = client
        self._streams = streams
        self._topic = topic
        self._stream = naming.stream(topic)
        self._subject = naming.subject(topic, key)
        self._reply_to = client.new_inbox()
        self._live: set[str] = set()
        self._known: dict[str, bytes] = {}
        self._stale = asyncio.Event()
        self._answered = asyncio.Event()
        self._refused = ""

    async def run(self, opened: asyncio.Future[None]) -> None:
        """Receive until cancelled; `opened` is set once the stored values are in the inbox."""
        live = await self._client.subscribe(self._subject, cb=self._on_live)
        stored = await self._client.subscribe(self._reply_to, cb=self._on_stored)
        try:
            while True:
                self._stale.clear()
                try:
                    await self._read_stored()
                except (NatsError, DependencyError, TimeoutError, OSError) as error:
                    _log.warning("last_values_not_read", stream=self._stream, error=repr(error))
                    await asyncio.sleep(RETRY_DELAY_S)
                    continue
                if not opened.done():
                    opened.set_result(None)
                await self._stale.wait()
        finally:
            for subscription in (live, stored):
                with contextlib.suppress(NatsError):
                    await subscription.unsubscribe()

    def renew(self) -> None:
        """The connection is new: values may have been missed."""
        self._live.clear()
        self._stale.set()

    async def _read_stored(self) -> None:
        await self._streams.ensure(self._topic)
        self._answered.clear()
        self._refused = ""
        await self._client.publish(
            f"$JS.API.DIRECT.GET.{self._stream}",
            orjson.dumps({"multi_last": [self._subject]}),
            reply=self._reply_to,
        )
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            await self._answered.wait()
        if self._refused:
            raise DependencyError(f"stream {self._stream} answered with status {self._refused}")

    async def _on_live(self, message: Msg) -> None:
        self._live.add(message.subject)
        self._known[message.subject] = message.data
        self.inbox.put(message.subject, message)

    async def _on_stored(self, message: Msg) -> None:
        status = status_of(message)
        if status is not None:
            if status not in (_END_OF_BATCH, _NOTHING_STORED):
                self._refused = status
            self._answered.set()
            return
        subject = (message.headers or {}).get("Nats-Subject", "")
        if subject in self._live or self._known.get(subject) == message.data:
            return
        self._known[subject] = message.data
        self.inbox.put(subject, message)
