"""JetStream streams: one for each topic that is stored; made when missing, mended when changed."""

from typing import Any, Final

import structlog
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import BadRequestError

from opensqt.adapters.nats.naming import ANY_KEY, Naming
from opensqt.ports import Delivery, DependencyError, Topic

STORED: Final = (Delivery.DURABLE, Delivery.LAST_VALUE)

DUPLICATE_WINDOW_S: Final = 600
"""How long a message id is remembered: a publisher repeats itself for this long without harm."""
MAX_AGE_S: Final = 7 * 24 * 3600
MAX_MESSAGES: Final = 2_000_000
"""A consumer that is behind by more than age or number has lost events; the state service is then
made whole by the order monitor's look-ups."""
_NAME_IN_USE: Final = 10058

_log = structlog.get_logger(__name__)


class Streams:
    """Makes sure that the streams exist."""

    def __init__(self, js: JetStreamContext, naming: Naming, *, replicas: int) -> None:
        self._js = js
        self._naming = naming
        self._replicas = replicas

    async def ensure(self, topic: Topic[Any]) -> None:
        """Make the topic's stream, or bring it to the wanted configuration.

        Raises:
            DependencyError: JetStream does not answer or refuses.
        """
        config = self._config(topic)
        try:
            try:
                await self._js.add_stream(config)
            except BadRequestError as error:
                if error.err_code != _NAME_IN_USE:
                    raise
                await self._js.update_stream(config)
                _log.info("stream_updated", stream=config.name)
        except (NatsError, TimeoutError, OSError) as error:
            raise DependencyError(f"JetStream, stream {config.name}: {error!r}") from error

    def _config(self, topic: Topic[Any]) -> StreamConfig:
        durable = topic.delivery is Delivery.DURABLE
        return StreamConfig(
            name=self._naming.stream(topic),
            subjects=[self._naming.subject(topic, ANY_KEY)],
            retention=RetentionPolicy.LIMITS,
            discard=DiscardPolicy.OLD,
            # Last values come again by themselves, and beats that came back from a disk would be
            # stale anyway.
            storage=StorageType.FILE if durable else StorageType.MEMORY,
            max_msgs_per_subject=-1 if durable else 1,
            max_msgs=MAX_MESSAGES if durable else -1,
            max_age=MAX_AGE_S if durable else None,
            duplicate_window=DUPLICATE_WINDOW_S if durable else 0,
            num_replicas=self._replicas,
            allow_direct=True,
        )
