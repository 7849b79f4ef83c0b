"""ccxt's Binance client, with its own opinions taken out of the way.

It signs, sends and dials. Answers that are not plain successes are raised as they came; frames are
handed over raw, by the URL of their socket.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import aiohttp
import ccxt.pro

from opensqt.adapters.ccxt.answers import TEXT_MAX, Answer

PING_INTERVAL_MS: Final = 4000
"""Sockets are pinged this often; two pongs missing, and the connection counts as lost."""

Frame = Callable[[Any], None]
Headers = Callable[[Mapping[str, str]], None]


class AnswerError(Exception):
    """The exchange answered, and it was not a plain success."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        super().__init__(f"HTTP {answer.status}, code {answer.code or 'none'}: {answer.text}")


class BinanceUsdmClient(ccxt.pro.binanceusdm):  # type: ignore[misc]  # ccxt has no types
    """A ccxt client whose answers and frames are raw.

    Args:
        session: Carries all requests and sockets; stays open when the client is closed.
        api_key: Public requests only when empty.
        api_secret: Of the key.
        timeout_ms: Longest that a request may take.
        on_headers: Told the headers of every answer.
    """

    timeout_on_exit = 0

    def __init__(
        self,
        *,
        session: aiohttp.ClientSession,
        api_key: str,
        api_secret: str,
        timeout_ms: int,
        on_headers: Headers = lambda _: None,
    ) -> None:
        super().__init__(
            {
                "session": session,
                "apiKey": api_key,
                "secret": api_secret,
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
        self.sinks: dict[str, Frame] = {}
        """Who takes the frames of a socket, by its URL."""
        self.on_headers = on_headers

    def handle_errors(self, code: int, reason: str, *rest: Any) -> None:
        """Let plain successes pass, and raise everything else as it came.

        Raises:
            AnswerError: Another status than 2xx, an error code in the body, or a body that is not
                JSON (HTML, empty or cut short).
        """
        headers, body, response = rest[2:5]
        self.on_headers(headers)
        error = response.get("code") if isinstance(response, dict) else None
        if 200 <= code < 300 and isinstance(response, dict | list) and error in (None, 200, "200"):
            return
        text = response.get("msg") if isinstance(response, dict) else body
        raise AnswerError(
            Answer(
                status=code,
                code="" if error is None else str(error),
                text=str(text or reason or "")[:TEXT_MAX],
                retry_after_s=_seconds(headers.get("Retry-After")),
            )
        )

    def handle_message(self, client: Any, message: Any) -> None:
        """Hand a frame to the taker of its socket, which must not raise."""
        sink = self.sinks.get(client.url)
        if sink is not None:
            sink(message)

    def ws_dial_delay(self, _url: str) -> float:
        """How long to wait before dialling: whoever dials has waited already."""
        return 0.0


def _seconds(text: str | None) -> float | None:
    try:
        return None if text is None else max(0.0, float(text))
    except ValueError:
        return None
