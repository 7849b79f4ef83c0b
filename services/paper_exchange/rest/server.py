"""Serving REST requests: find the endpoint, count its weight, make out the caller, answer.

Everything between a request's arrival and its answer happens in one turn of the event loop, except
the injected latency: requests are carried out in the order in which they arrive.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson
from aiohttp import web

from services.paper_exchange.errors import ApiError
from services.paper_exchange.faults import AnswerFault, LostAnswer
from services.paper_exchange.rest import account, market_data, trading
from services.paper_exchange.rest.auth import Authenticator, Caller, without_signature
from services.paper_exchange.rest.endpoints import NOBODY, Call, Endpoint, Security
from services.paper_exchange.rest.limits import RateLimits
from services.paper_exchange.rest.params import Params
from services.paper_exchange.venue import Venue

TABLE: Final[Mapping[tuple[str, str], Endpoint]] = {
    (item.method, item.path): item
    for item in (*market_data.ENDPOINTS, *trading.ENDPOINTS, *account.ENDPOINTS)
}
_PATHS: Final = frozenset(path for _, path in TABLE)
_JSON: Final = "application/json"
_CODES_503: Final = {
    AnswerFault.UNKNOWN_503: -1000,
    AnswerFault.UNAVAILABLE_503: -1000,
    AnswerFault.INTERNAL_503: -1001,
}


class RestServer:
    """Answers REST requests.

    Args:
        venue: The exchange.
        authenticator: Knows who asks.
        limits: Counts what is used.
    """

    def __init__(self, venue: Venue, authenticator: Authenticator, limits: RateLimits) -> None:
        self._venue = venue
        self._authenticator = authenticator
        self._limits = limits

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        body = await request.text() if request.can_read_body else ""
        found = TABLE.get((request.method, request.path))
        if found is None:
            if request.path in _PATHS:
                return _answer({"code": -1131, "msg": "Method not supported."}, 405, {})
            return web.Response(
                status=404,
                text="<html><body><h2>404 Not found</h2></body></html>",
                content_type="text/html",
            )
        headers: dict[str, str] = {}
        latency_s = self._venue.injector.latency_s()
        if latency_s:
            await asyncio.sleep(latency_s)
        try:
            call = self._admit(found, request, body, headers)
            if found.may_fail:
                return await self._carry_out_or_fail(request, found, call, headers)
            answer = found.handler(call)
        except ApiError as error:
            return _answer(error.body, error.status, {**headers, **error.headers})
        return _answer(answer, 200, headers)

    def _admit(
        self, found: Endpoint, request: web.Request, body: str, headers: dict[str, str]
    ) -> Call:
        query = request.rel_url.raw_query_string
        values = dict(parse_qsl(query, keep_blank_values=True))
        values.update(parse_qsl(body, keep_blank_values=True))
        params = Params(values)
        weight = found.weight
        if found.weight_of_all is not None and params.text("symbol") is None:
            weight = found.weight_of_all
        used = self._limits.weigh(request.remote or "", weight)
        headers["X-MBX-USED-WEIGHT-1M"] = str(used)
        caller = self._caller(found, request, query, body, params)
        if found.orders:
            per_10s, per_minute = self._limits.count_order(
                caller.account, trading.orders_in(params)
            )
            headers["X-MBX-ORDER-COUNT-10S"] = str(per_10s)
            headers["X-MBX-ORDER-COUNT-1M"] = str(per_minute)
        return Call(venue=self._venue, caller=caller, params=params)

    def _caller(
        self, found: Endpoint, request: web.Request, query: str, body: str, params: Params
    ) -> Caller:
        if found.security is Security.NONE:
            return NOBODY
        api_key = request.headers.get("X-MBX-APIKEY")
        if found.security is Security.KEY:
            return self._authenticator.key(api_key)
        return self._authenticator.signed(
            api_key,
            without_signature(query) + without_signature(body),
            params.text("signature"),
            params,
            trade=found.security is Security.TRADE,
        )

    async def _carry_out_or_fail(
        self, request: web.Request, found: Endpoint, call: Call, headers: dict[str, str]
    ) -> web.StreamResponse:
        injector = self._venue.injector
        fault = injector.answer()
        if not injector.takes_effect(fault):
            if fault is AnswerFault.LOST_REQUEST:
                return _break_off(request)
            return _answer({"code": -1001, "msg": fault.value}, 503, headers)
        try:
            answer, status = found.handler(call), 200
        except ApiError as error:
            answer, status = error.body, error.status
        if fault is AnswerFault.NONE:
            return _answer(answer, status, headers)
        if fault is AnswerFault.UNKNOWN_503:
            return _answer({"code": _CODES_503[fault], "msg": fault.value}, 503, headers)
        return _lose(request, injector.lost_answer(), orjson.dumps(answer))


def _answer(body: Any, status: int, headers: dict[str, str]) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, headers=headers, content_type=_JSON)


def _lose(request: web.Request, how: LostAnswer, body: bytes) -> web.Response:
    if how is LostAnswer.GATEWAY_TIMEOUT:
        page = "<html><head><title>504 Gateway Time-out</title></head></html>"
        return web.Response(status=504, text=page, content_type="text/html")
    if how is LostAnswer.BACKEND_TIMEOUT:
        text = (
            "Timeout waiting for response from backend server. Send status unknown; "
            "execution status unknown."
        )
        return _answer({"code": -1007, "msg": text}, 408, {})
    if how is LostAnswer.TRUNCATED:
        return web.Response(body=body[: len(body) // 2], content_type=_JSON)
    if how is LostAnswer.EMPTY:
        return web.Response(body=b"", content_type=_JSON)
    return _break_off(request)


def _break_off(request: web.Request) -> web.Response:
    """Break the connection; what is returned never leaves."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)
