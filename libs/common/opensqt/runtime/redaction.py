"""Keeping secrets out of logs: by the name of a key, by the look of text, and by known values."""

import functools
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

MASK: Final = "***"

SECRET_LENGTH_MIN: Final = 6
"""Shorter known values are not searched for: masking every ``1`` would ruin the log."""

_DEPTH_MAX: Final = 6

_SECRET_NAME: Final = re.compile(
    r"secret|passw|token|signature|authorization|credential|cookie|dsn"
    r"|(?:api|private|access)[-_]?key|mbx-apikey|listen_?key",
    re.IGNORECASE,
)
_SECRET_TEXT: Final = (
    # Signed URLs and listen keys, also inside a path such as /ws/<listenKey>.
    re.compile(r"(?i)((?:signature|listenkey|api_?key|api_?secret|password|passwd)=)[^&\s\"']+"),
    re.compile(
        r"(?i)((?:x-mbx-apikey|authorization)['\"]?\s*[:=]\s*['\"]?(?:bearer\s+)?)[^\s'\",}]+"
    ),
    re.compile(
        r"(?i)(['\"](?:api_?key|secret|api_?secret|signature|listenkey|password)['\"]\s*:\s*['\"])[^'\"]+"
    ),
    # user:password@ in connection strings.
    re.compile(r"([a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s/@]+(?=@)"),
    re.compile(r"(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(?=-----END|\Z)", re.DOTALL),
)


@functools.lru_cache(maxsize=1024)
def looks_secret(name: str) -> bool:
    """Tell whether a key of this name usually holds a secret."""
    return _SECRET_NAME.search(name) is not None


class Redactor:
    """Masks secrets in text and in structures.

    Args:
        known: Values that must never appear, such as the API keys of the configuration.
    """

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._known: frozenset[str] = frozenset()
        self._known_pattern: re.Pattern[str] | None = None
        self.learn(known)

    def learn(self, known: Iterable[str]) -> None:
        """Mask these values from now on as well."""
        self._known |= {value for value in known if len(value) >= SECRET_LENGTH_MIN}
        if self._known:
            longest_first = sorted(self._known, key=lambda value: (-len(value), value))
            self._known_pattern = re.compile("|".join(map(re.escape, longest_first)))

    def text(self, text: str) -> str:
        """The text with its secrets masked."""
        if self._known_pattern is not None:
            text = self._known_pattern.sub(MASK, text)
        if "=" not in text and ":" not in text and "-----" not in text:
            return text  # none of the patterns can match, and most values are such
        for pattern in _SECRET_TEXT:
            text = pattern.sub(rf"\g<1>{MASK}", text)
        return text

    def value(self, value: Any, *, depth: int = 0) -> Any:
        """A copy of the value with the secrets inside it masked.

        Beyond a few levels a structure is turned into text, so that nothing goes unseen.
        """
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, str):
            return self.text(value)
        if depth < _DEPTH_MAX:
            if isinstance(value, Mapping):
                return {
                    key: MASK
                    if looks_secret(str(key)) and item not in (None, "")
                    else self.value(item, depth=depth + 1)
                    for key, item in value.items()
                }
            if isinstance(value, list | tuple | set | frozenset):
                return [self.value(item, depth=depth + 1) for item in value]
        return self.text(str(value))
