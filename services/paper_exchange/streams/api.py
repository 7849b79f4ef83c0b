"""The WebSocket API: requests over a socket, carried out by the REST endpoints.

A request is ``{id, method, params}``. Signed ones carry ``apiKey``, ``timestamp`` and
``signature`` among their parameters; what is signed is the other parameters, sorted by name.
"""

import asyncio
from typing import Any, Final

import orjson
from aiohttp import WSMsgType, web

from services.paper_exchange.errors import ApiError
from services.paper_exchange.faults import AnswerFault
from services.paper_exchange.rest.auth import Authenticator
from services.paper_exchange.rest.endpoints import NOBODY, Call, Endpoint, Security
from services.paper_exchange.rest.limits import RateLimits
from services.paper_exchange.rest.params import Params
from services.paper_exchange.rest.server import TABLE
from services.paper_exchange.venue import Venue

PATH: Final = "/ws-fapi/v1"
_METHODS: Final[dict[str, Endpoint]] = {
    "ping": TABLE["GET", "/fapi/v1/ping"],
    "time": TABLE["GET", "/fapi/v1/time"],
    "exchangeInfo": TABLE["GET", "/fapi/v1/exchangeInfo"],
    "depth": TABLE["GET", "/fapi/v1/depth"],
    "ticker.price": TABLE["GET", "/fapi/v1/ticker/price"],
    "ticker.book": TABLE["GET", "/fapi/v1/ticker/bookTicker"],
    "order.place": TABLE["POST", "/fapi/v1/order"],
    "order.modify": TABLE["PUT", "/fapi/v1/order"],
    "order.cancel": TABLE["DELETE", "/fapi/v1/order"],
    "order.status": TABLE["GET", "/fapi/v1/order"],
    "account.status": TABLE["GET", "/fapi/v2/account"],
    "v2/account.status": TABLE["GET", "/fapi/v3/account"],
    "account.balance": TABLE["GET", "/fapi/v2/balance"],
    "v2/account.balance": TABLE["GET", "/fapi/v3/balance"],
    "account.position": TABLE["GET", "/fapi/v2/positionRisk"],
    "v2/account.position": TABLE["GET", "/fapi/v3/positionRisk"],
    "userDataStream.start": TABLE["POST", "/fapi/v1/listenKey"],
    "userDataStream.ping": TABLE["PUT", "/fapi/v1/listenKey"],
    "userDataStream.stop": TABLE["DELETE", "/fapi/v1/listenKey"],
}


class ApiServer:
    """Answers requests that come over a socket.

    Args:
        venue: The exchange.
        authenticator: Knows who asks.
        limits: Counts what is used.
    """

    def __init__(self, venue: Venue, authenticator: Authenticator, limits: RateLimits) -> None:
        self._venue = venue
        self._authenticator = authenticator
        self._limits = limits

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one connection until it ends."""
        socket = web.WebSocketResponse(heartbeat=180, compress=False)
        await socket.prepare(request)
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                continue
            latency_s = self._venue.injector.latency_s()
            if latency_s:
                await asyncio.sleep(latency_s)
            answer = self._answer(message.data, request.remote or "")
            if answer is None:
                if request.transport is not None:
                    request.transport.abort()
                break
            await socket.send_frame(orjson.dumps(answer), WSMsgType.TEXT)
        return socket

    def _answer(self, text: str, address: str) -> dict[str, Any] | None:
        """The answer, or None if it is lost and the connection with it."""
        number: Any = None
        try:
            message = _object(text)
            number = message.get("id")
            found, call = self._admit(message, address)
            result, lost = self._carry_out(found, call)
        except ApiError as error:
            return {"id": number, "status": error.status, "error": error.body}
        return None if lost else {"id": number, "status": 200, "result": result}

    def _carry_out(self, found: Endpoint, call: Call) -> tuple[Any, bool]:
        injector = self._venue.injector
        fault = injector.answer() if found.may_fail else AnswerFault.NONE
        lost = fault in (AnswerFault.LOST_REQUEST, AnswerFault.LOST_ANSWER)
        result = None
        if injector.takes_effect(fault):
            try:
                result = found.handler(call)
            except ApiError:
                if fault is AnswerFault.NONE:
                    raise
        if fault is not AnswerFault.NONE and not lost:
            raise ApiError(-1000, fault.value, status=503)
        return result, lost

    def _admit(self, message: dict[str, Any], address: str) -> tuple[Endpoint, Call]:
        found = _METHODS.get(str(message.get("method")))
        if found is None:
            raise ApiError(-1020, "This operation is not supported.")
        params = message.get("params") or {}
        if not isinstance(params, dict):
            raise ApiError(-1102, "The params are not an object.")
        self._limits.weigh(address, found.weight)
        texts = {name: _text(value) for name, value in params.items()}
        values = Params(texts)
        api_key = texts.get("apiKey")
        if found.security is Security.NONE:
            caller = NOBODY
        elif found.security is Security.KEY:
            caller = self._authenticator.key(api_key)
        else:
            signed = sorted((name, text) for name, text in texts.items() if name != "signature")
            caller = self._authenticator.signed(
                api_key,
                "&".join(f"{name}={text}" for name, text in signed),
                texts.get("signature"),
                values,
                trade=found.security is Security.TRADE,
            )
        if found.orders:
            self._limits.count_order(caller.account)
        return found, Call(venue=self._venue, caller=caller, params=values)


def _object(text: str) -> dict[str, Any]:
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise ApiError(-1102, "The request is not JSON.") from None
    if not isinstance(message, dict):
        raise ApiError(-1102, "The request is not an object.")
    return message


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
