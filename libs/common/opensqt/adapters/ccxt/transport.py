"""The HTTP session under an exchange's client: no redirect is followed, no body without bound.

A redirect would carry a signed order to another place, or to the same one twice; an endless body
would take all memory.
"""

from types import SimpleNamespace
from typing import Any, Final

import aiohttp

from opensqt.adapters.ccxt.answers import Answer
from opensqt.adapters.ccxt.raw_client import AnswerError

BODY_MAX: Final = 64 * 2**20
"""Bytes, decompressed. The longest answer that is asked for, all instruments, has some 20 MB."""
CHUNK: Final = 2**16


class BoundedResponse(aiohttp.ClientResponse):
    """A response whose body is read up to `BODY_MAX`."""

    async def read(self) -> bytes:
        """The body.

        Raises:
            ClientPayloadError: It is longer, or ends before its announced length.
        """
        if self._body is None:
            try:
                self._body = await self._bounded()
            except BaseException:
                self.close()
                raise
        return await super().read()

    async def _bounded(self) -> bytes:
        body = bytearray()
        async for part in self.content.iter_chunked(CHUNK):
            body += part
            if len(body) > BODY_MAX:
                raise aiohttp.ClientPayloadError(f"the body is longer than {BODY_MAX} bytes")
        return bytes(body)


async def refuse_redirect(
    _session: aiohttp.ClientSession,
    _context: SimpleNamespace,
    redirect: aiohttp.TraceRequestRedirectParams,
) -> None:
    """Take the redirect itself for the answer.

    Raises:
        AnswerError: Always.
    """
    redirect.response.close()
    raise AnswerError(
        Answer(status=redirect.response.status, code="", text="redirects are not followed")
    )


def session_options() -> dict[str, Any]:
    """What every session of an exchange is made with."""
    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(refuse_redirect)
    return {
        "response_class": BoundedResponse,
        "trace_configs": [trace],
        "cookie_jar": aiohttp.DummyCookieJar(),
        "trust_env": False,
    }
