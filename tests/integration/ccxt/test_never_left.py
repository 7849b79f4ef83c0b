"""What never left, proven from below HTTP; and what comes back that is no HTTP at all."""

import asyncio
from pathlib import Path
from typing import Final

import pytest

from opensqt.core.orders import EndReason, Order, OrderStatus
from opensqt.ports import CancelOutcome, DependencyError
from opensqt.runtime.config_models import EndpointConfig
from tests.integration.ccxt.answering import EXCHANGES, HOSTS, connect, raw_server
from tests.integration.ccxt.bodies import success
from tests.integration.ccxt.known_answers import REFUSED_FOR_MARGIN
from tests.integration.ccxt.test_orders import order
from tests.integration.ccxt.tls import Identity, make_identity

pytestmark = pytest.mark.integration


async def never_left(exchange: str, endpoint: EndpointConfig) -> None:
    # What fails at once must not look like silence when the machine is busy.
    async with connect(exchange, endpoint, timeout_ms=10_000) as connection:
        placed = await connection.venue.place(order())
        assert placed.status is OrderStatus.NOT_PLACED
        assert placed.end_reason is EndReason.EXCHANGE_UNAVAILABLE
        assert (await connection.venue.cancel(order())).outcome is CancelOutcome.REFUSED
        with pytest.raises(DependencyError):
            await connection.venue.find_order("BTCUSDT", "gb0001")


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_without_an_address_nothing_left(all_exchanges: Identity, exchange: str) -> None:
    await never_left(
        exchange,
        EndpointConfig(host="no-such-host.invalid", port=1, ca=all_exchanges.certificate),
    )


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_without_a_listener_nothing_left(
    all_exchanges: Identity, exchange: str, unused_tcp_port: int
) -> None:
    await never_left(exchange, EndpointConfig(port=unused_tcp_port, ca=all_exchanges.certificate))


@pytest.mark.parametrize("exchange", EXCHANGES)
@pytest.mark.invariant(60)
async def test_to_whom_cannot_prove_its_name_nothing_is_sent(
    all_exchanges: Identity, exchange: str, tmp_path: Path
) -> None:
    stranger = make_identity(tmp_path, HOSTS)
    wrong_name = tmp_path / "wrong"
    wrong_name.mkdir()
    other = make_identity(wrong_name, frozenset({"example.com"}))
    for served, trusted in ((stranger, all_exchanges), (other, other)):
        async with raw_server(served, lambda _: b"") as (port, heard):
            await never_left(exchange, EndpointConfig(port=port, ca=trusted.certificate))
            assert not heard


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_reset_before_tls_nothing_left(all_exchanges: Identity, exchange: str) -> None:
    async def reset(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    server = await asyncio.start_server(reset, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        await never_left(exchange, EndpointConfig(port=port, ca=all_exchanges.certificate))


@pytest.mark.parametrize("exchange", EXCHANGES)
@pytest.mark.invariant(60)
async def test_plain_text_instead_of_tls_nothing_left(
    all_exchanges: Identity, exchange: str
) -> None:
    async def speak(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        await never_left(exchange, EndpointConfig(port=port, ca=all_exchanges.certificate))


NO_HTTP: Final = {
    "nothing": b"",
    "noise": b"\x00\x01\x02 noise\r\n\r\n",
    "a status line alone": b"HTTP/1.1 400\r\n",
    "a status that is no number": b"HTTP/1.1 abc Oh\r\n\r\n",
    "a header without end": b"HTTP/1.1 400 Bad\r\nX-Long: " + b"a" * 100_000,
    "two lengths": b"HTTP/1.1 400 Bad\r\nContent-Length: 2\r\nContent-Length: 5\r\n\r\n{}",
    "a length that is no number": b"HTTP/1.1 400 Bad\r\nContent-Length: x\r\n\r\n{}",
    "broken chunks": b"HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_what_is_no_http_proves_nothing(all_exchanges: Identity, exchange: str) -> None:
    for name, answer in NO_HTTP.items():
        async with (
            raw_server(all_exchanges, lambda _, answer=answer: answer) as (port, heard),
            connect(
                exchange, EndpointConfig(port=port, ca=all_exchanges.certificate)
            ) as connection,
        ):
            placed = await connection.venue.place(order())
            assert placed.status is OrderStatus.UNKNOWN, name
            assert len(orders(heard)) == 1, f"{name}: never sent twice"


async def test_an_answer_that_comes_twice_is_not_that_of_the_next_order(
    all_exchanges: Identity,
) -> None:
    def twice(sent: Order) -> bytes:
        body = REFUSED_FOR_MARGIN["binanceusdm"]
        refusal = b"HTTP/1.1 400 Bad\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        body = success("binanceusdm", sent)
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body) + refusal

    async with (
        raw_server(all_exchanges, lambda _: twice(order()), keep=True) as (port, heard),
        connect(
            "binanceusdm", EndpointConfig(port=port, ca=all_exchanges.certificate)
        ) as connection,
    ):
        first = await connection.venue.place(order())
        assert first.status is OrderStatus.NEW
        await asyncio.sleep(0.05)
        second = await connection.venue.place(order())
        assert second.status is OrderStatus.NEW, "not the refusal that was left over"
        assert len(orders(heard)) == 2


def orders(heard: list[bytes]) -> list[bytes]:
    return [head for head in heard if head.startswith(b"POST")]
