"""Who asks: API keys, signatures and timestamps, checked as Binance does.

The signature is the HMAC-SHA256 of the query string followed by the body, without the signature
itself, under the key's secret.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Final

from opensqt.ports import Clock
from services.paper_exchange.config import AccountConfig
from services.paper_exchange.errors import ApiError
from services.paper_exchange.rest.params import Params

DEFAULT_WINDOW_MS: Final = 5_000
WINDOW_MS_MAX: Final = 60_000
AHEAD_MS_MAX: Final = 1_000
_SIGNATURE: Final = re.compile(r"(^|&)signature=[^&]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The account behind a key, and what the key may do."""

    account: str
    trade: bool


class Authenticator:
    """Knows the accounts' keys.

    Args:
        accounts: The accounts with their keys.
        clock: The wall clock that timestamps are compared with.
    """

    def __init__(self, accounts: tuple[AccountConfig, ...], clock: Clock) -> None:
        self._clock = clock
        self._callers = {
            key.api_key: Caller(account=account.name, trade=key.trade)
            for account in accounts
            for key in account.keys
        }
        self._secrets = {
            key.api_key: key.api_secret.get_secret_value().encode()
            for account in accounts
            for key in account.keys
        }

    def key(self, api_key: str | None, *, trade: bool = False) -> Caller:
        """The caller behind an API key.

        Raises:
            ApiError: -2014 without a key, -2015 for an unknown one or one that may not trade.
        """
        if not api_key:
            raise ApiError(-2014, "API-key format invalid.", status=401)
        caller = self._callers.get(api_key)
        if caller is None or (trade and not caller.trade):
            raise ApiError(-2015, "Invalid API-key, IP, or permissions for action.", status=401)
        return caller

    def signed(
        self,
        api_key: str | None,
        payload: str,
        signature: str | None,
        params: Params,
        *,
        trade: bool,
    ) -> Caller:
        """The caller behind a signed request.

        Args:
            api_key: As sent.
            payload: What was signed.
            signature: As sent, in hexadecimal.
            params: The request's parameters, for its timestamp.
            trade: The key has to be one that may trade.

        Raises:
            ApiError: -2014, -2015, -1102, -1022 or -1021.
        """
        caller = self.key(api_key, trade=trade)
        assert api_key is not None
        timestamp = params.need_integer("timestamp")
        if not signature:
            raise ApiError(
                -1102,
                "Mandatory parameter 'signature' was not sent, was empty/null, or malformed.",
            )
        expected = hmac.new(self._secrets[api_key], payload.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected, signature.lower()):
            raise ApiError(-1022, "Signature for this request is not valid.")
        self._check_time(timestamp, params.integer("recvWindow"))
        return caller

    def _check_time(self, timestamp: int, window: int | None) -> None:
        window = DEFAULT_WINDOW_MS if window is None else window
        if window > WINDOW_MS_MAX:
            raise ApiError(-1131, "recvWindow must be less than 60000")
        now = self._clock.now_ns() // 1_000_000
        if timestamp > now + AHEAD_MS_MAX:
            raise ApiError(
                -1021, "Timestamp for this request was 1000ms ahead of the server's time."
            )
        if now - timestamp > window:
            raise ApiError(-1021, "Timestamp for this request is outside of the recvWindow.")


def without_signature(text: str) -> str:
    """A query string or form body without its signature parameter."""
    return _SIGNATURE.sub("", text, count=1).removeprefix("&")
