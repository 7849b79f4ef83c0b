"""What is made of a ccxt client so that its answers are raw and its requests expire when we say.

ccxt signs, sends and dials. Its retries, its limiter and its opinions on answers are taken out:
what is not a plain success is raised as it came. Which body is an error, and how a request is made
to expire, differs by exchange and is filled in by the client of each.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import aiohttp
import orjson

from opensqt.adapters.ccxt.answers import TEXT_MAX, Answer

PING_INTERVAL_MS: Final = 4000
"""Sockets are pinged this often; two pongs missing, and the connection counts as lost."""

EXPIRY: Final = "opensqt-expiry"
"""Key of the expiry among a request's parameters; it never leaves the process."""

Headers = Callable[[Mapping[str, str]], None]
Params = dict[str, Any]


class AnswerError(Exception):
    """The exchange answered, and it was not a plain success."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        super().__init__(f"HTTP {answer.status}, code {answer.code or 'none'}: {answer.text}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiry:
    """Until when the exchange may carry out a request, by its own clock."""

    stamp_ms: int
    """When it was made."""
    window_ms: int
    """For how long it is good."""

    @property
    def until_ms(self) -> int:
        """From then on it must be refused."""
        return self.stamp_ms + self.window_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What a body says went wrong."""

    code: str
    text: str


class RawClient:
    """Comes before a ccxt client among the bases of an exchange's client.

    Args:
        session: Carries all requests and sockets; stays open when the client is closed.
        api_key: Public requests only when empty.
        api_secret: Of the key.
        password: Of the key, at exchanges that want one.
        timeout_ms: Longest that a request may take.
        on_headers: Told the headers of every answer.
    """

    exchange: ClassVar[str]
    """Its name in the tables of answers."""
    hosts: ClassVar[frozenset[str]]
    """The names that it contacts."""

    timeout_on_exit = 0

    def __init__(
        self,
        *,
        session: aiohttp.ClientSession,
        api_key: str,
        api_secret: str,
        timeout_ms: int,
        password: str = "",
        on_headers: Headers = lambda _: None,
    ) -> None:
        super().__init__(
            {  # type: ignore[call-arg]  # goes to ccxt's client, which has no types
                "session": session,
                "apiKey": api_key,
                "secret": api_secret,
                "password": password,
                "timeout": timeout_ms,
                "enableRateLimit": False,  # limits are the executor's, by account
                "maxRetriesOnFailure": 0,  # an order that is sent twice is two orders
                "options": {
                    "maxRetriesOnFailure": 0,
                    "fetchCurrencies": False,
                    "ws": {"keepAlive": PING_INTERVAL_MS, "compress": 0},
                },
            }
        )
        self.on_headers = on_headers
        self._stamp_ms: int | None = None

    # --- what differs by exchange ----------------------------------------------------------------

    @abstractmethod
    def fault_in(self, body: Any) -> Fault | None:
        """What a body, read as JSON, says went wrong; None: nothing.

        A body without the marks of a success is a fault without a code.
        """

    @abstractmethod
    async def exchange_time_ms(self) -> int:
        """Ask for the time on the exchange's clock.

        Raises:
            AnswerError, ccxt.BaseError: Not answered.
            LookupError, TypeError, ValueError: Not answered with a time.
        """

    def stamp_of(self, expiry: Expiry) -> int:
        """The time that the request is stamped with, in milliseconds."""
        return expiry.stamp_ms

    def expiring_params(self, params: Params, _expiry: Expiry) -> Params:
        """The request's parameters, with its expiry where it belongs among them."""
        return params

    def expiring_headers(self, _expiry: Expiry) -> Mapping[str, str]:
        """Headers that make the request expire."""
        return {}

    # --- what ccxt calls -------------------------------------------------------------------------

    def handle_errors(self, code: int, reason: str, *rest: Any) -> None:
        """Let plain successes pass, and raise everything else as it came.

        Raises:
            AnswerError: Another status than 2xx, an error in the body, or a body that is not JSON
                (HTML, empty or cut short).
        """
        headers, body, response = rest[2:5]
        self.on_headers(headers)
        fault = self.fault_in(response) if isinstance(response, dict | list) else None
        if 200 <= code < 300 and fault is None and isinstance(response, dict | list):
            return
        raise AnswerError(
            Answer(
                status=code,
                code=fault.code if fault else "",
                text=((fault.text if fault else "") or str(body or reason or ""))[:TEXT_MAX],
                retry_after_s=_seconds(headers.get("Retry-After")),
            )
        )

    def on_json_response(self, body: str) -> Any:
        """Read JSON.

        Raises:
            ValueError: It is none, or is nested so deep that reading it would be an attack.
        """
        return orjson.loads(body)

    def sign(
        self,
        path: str,
        api: Any = "public",
        method: str = "GET",
        params: Mapping[str, Any] | None = None,
        *rest: Any,
    ) -> dict[str, Any]:
        """Sign a request, and make it expire."""
        own: Params = dict(params or {})
        expiry: Expiry | None = own.pop(EXPIRY, None)
        if expiry is None:
            return self._signed(path, api, method, own, *rest)
        # ccxt asks for the time in the middle of signing, which never waits for anything.
        self._stamp_ms = self.stamp_of(expiry)
        try:
            request = self._signed(path, api, method, self.expiring_params(own, expiry), *rest)
        finally:
            self._stamp_ms = None
        headers = {**(request.get("headers") or {}), **self.expiring_headers(expiry)}
        return {**request, "headers": headers}

    def nonce(self) -> int:
        """The time that a request is stamped with, in milliseconds."""
        if self._stamp_ms is not None:
            return self._stamp_ms
        return int(super().nonce())  # type: ignore[misc]  # ccxt has no types

    def _signed(self, *request: Any) -> dict[str, Any]:
        signed: dict[str, Any] = super().sign(*request)  # type: ignore[misc]  # ccxt has no types
        return signed


def text_of(value: Any) -> str:
    """A code as text, whether the exchange writes it as text or as a number."""
    return "" if value is None else str(value)


def _seconds(text: str | None) -> float | None:
    try:
        return None if text is None else max(0.0, float(text))
    except ValueError:
        return None
