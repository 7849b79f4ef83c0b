"""Names on the NATS server: subjects, streams, consumers."""

import re
from dataclasses import dataclass
from typing import Any, Final

from opensqt.ports import Topic

_KEY: Final = re.compile(r"[A-Za-z0-9_:/=-]{1,64}")
ANY_KEY: Final = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """The names of one deployment; two with different prefixes never meet."""

    prefix: str

    def subject(self, topic: Topic[Any], key: str) -> str:
        """Where the events of a key are published: ``opensqt.v1.price.BTCUSDT``.

        Raises:
            ValueError: The key would be more than one token of a subject, or none.
        """
        if key != ANY_KEY and not _KEY.fullmatch(key):
            raise ValueError(f"key {key!r}: allowed are 1 to 64 of A-Z a-z 0-9 _ : / = -, or '*'")
        return f"{self.prefix}.v1.{topic.name}.{key}"

    def stream(self, topic: Topic[Any]) -> str:
        """The stream that stores a topic."""
        return f"{self.prefix}_v1_{topic.name}"
