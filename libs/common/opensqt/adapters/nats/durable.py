"""A durable consumer: pulls from a stream, so that every event is taken until it is acknowledged.

Pulling, because then the consumer notices by itself that the server, the stream or its own position
is gone: it asks and gets no answer, makes what is missing, and asks again.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Final

import orjson
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from opensqt.adapters.inbox import QueueInbox
from opensqt.adapters.nats.naming import Naming
from opensqt.adapters.nats.received import status_of
from opensqt.adapters.nats.streams import Streams
from opensqt.ports import DependencyError, Topic

PULL_SIZE: Final = 64
"""Events that are asked for at once, and so the most that wait here."""
EXPIRES_S: Final = 30.0
HEARTBEAT_S: Final = 5.0
SILENCE_MAX_S: Final = 2.5 * HEARTBEAT_S
ACK_WAIT_S: Final = 5
"""An event that is not acknowledged for so long is delivered again: how long the events wait that
were on their way when their consumer was killed."""
ACK_PENDING_MAX: Final = 1024
EPHEMERAL_LIFE_S: Final = 60.0
"""How long the server keeps the position of a consumer without a name that went away."""
RETRY_DELAY_S: Final = 0.5

_HEARTBEAT: Final = "100"

_log = structlog.get_logger(__name__)


class _PulledInbox(QueueInbox[Msg]):
    """Tells when something was taken, which may make room for the next request."""

    def __init__(self, on_take: Callable[[], None]) -> None:
        super().__init__()
        self._on_take = on_take

    def _take(self) -> Msg:
        message = super()._take()
        self._on_take()
        return message


class DurablePull:
    """Keeps one pull request open; its events land in `inbox`.

    Args:
        client: The connection.
        js: Its JetStream context.
        streams: Makes the stream when it is missing.
        naming: Names of subjects and streams.
        topic: What to consume.
        key: Of which key.
        durable: Name of the consumer; empty for one that begins now and is forgotten at the end.
    """

    def __init__(
        self,
        client: Client,
        js: JetStreamContext,
        streams: Streams,
        naming: Naming,
        *,
        topic: Topic[Any],
        key: str,
        durable: str,
    ) -> None:
        self.inbox: QueueInbox[Msg] = _PulledInbox(self._ask_if_due)
        self._client = client
        self._js = js
        self._streams = streams
        self._topic = topic
        self._stream = naming.stream(topic)
        self._subject = naming.subject(topic, key)
        self._durable = durable
        self._consumer = durable
        self._reply_to = client.new_inbox()
        self._due = 0
        self._asked_for_more = asyncio.Event()
        self._missing = True
        self._heard_s = 0.0

    async def run(self, opened: asyncio.Future[None]) -> None:
        """Pull until cancelled; `opened` is set once the consumer exists."""
        subscription = await self._client.subscribe(self._reply_to, cb=self._on_message)
        try:
            while True:
                try:
                    await self._pull(opened)
                except (NatsError, DependencyError, TimeoutError, OSError) as error:
                    self._missing = True
                    _log.warning("pull_failed", stream=self._stream, error=repr(error))
                    await asyncio.sleep(RETRY_DELAY_S)
        finally:
            with contextlib.suppress(NatsError):
                await subscription.unsubscribe()
                for message in self.inbox.leftovers():
                    await message.nak()  # for whoever consumes next, at once
            if not self._durable and self._consumer:
                with contextlib.suppress(NatsError, TimeoutError, OSError):
                    await self._js.delete_consumer(self._stream, self._consumer)

    def renew(self) -> None:
        """The connection is new: what was asked for before is forgotten by the server."""
        self._missing = True
        self._asked_for_more.set()

    async def _pull(self, opened: asyncio.Future[None]) -> None:
        loop = asyncio.get_running_loop()
        if self._missing:
            self._missing = False
            await self._ensure()
            if not opened.done():
                opened.set_result(None)
        self._due = PULL_SIZE
        self._asked_for_more.clear()
        self._heard_s = loop.time()
        await self._client.publish(
            f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._consumer}",
            _PULL_REQUEST,
            reply=self._reply_to,
        )
        while not self._asked_for_more.is_set():
            try:
                async with asyncio.timeout(HEARTBEAT_S):
                    await self._asked_for_more.wait()
            except TimeoutError:
                if self._due and loop.time() - self._heard_s > SILENCE_MAX_S:
                    self._missing = True
                    _log.warning("pull_unanswered", stream=self._stream, consumer=self._consumer)
                    return

    async def _ensure(self) -> None:
        await self._streams.ensure(self._topic)
        config = ConsumerConfig(
            durable_name=self._durable or None,
            deliver_policy=DeliverPolicy.ALL if self._durable else DeliverPolicy.NEW,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=ACK_WAIT_S,
            max_ack_pending=ACK_PENDING_MAX,
            filter_subject=self._subject,
            inactive_threshold=None if self._durable else EPHEMERAL_LIFE_S,
        )
        if not self._durable and self._consumer:
            with contextlib.suppress(NatsError):
                await self._js.consumer_info(self._stream, self._consumer)
                return
        info = await self._js.add_consumer(self._stream, config)
        self._consumer = info.name

    async def _on_message(self, message: Msg) -> None:
        self._heard_s = asyncio.get_running_loop().time()
        status = status_of(message)
        if status is None:
            self.inbox.put(message)
            self._due = max(0, self._due - 1)
            self._ask_if_due()
        elif status != _HEARTBEAT:
            # Expired (408) is the usual end; anything else may mean that the consumer is gone.
            self._missing = self._missing or status != "408"
            self._asked_for_more.set()

    def _ask_if_due(self) -> None:
        """Ask for more once all that was asked for is here, and half of it is taken."""
        if self._due == 0 and len(self.inbox) <= PULL_SIZE // 2:
            self._asked_for_more.set()


_PULL_REQUEST: Final = orjson.dumps(
    {
        "batch": PULL_SIZE,
        "expires": int(EXPIRES_S * 1e9),
        "idle_heartbeat": int(HEARTBEAT_S * 1e9),
    }
)
