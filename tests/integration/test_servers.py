"""The servers that the other tests stand on."""

import nats
import psycopg
import pytest

from opensqt.testing.servers import NatsEndpoint

pytestmark = pytest.mark.integration


async def test_nats_keeps_a_stream(nats_server: NatsEndpoint, nats_prefix: str) -> None:
    client = await nats.connect(nats_server.url)
    try:
        stream = client.jetstream()
        await stream.add_stream(name=nats_prefix, subjects=[f"{nats_prefix}.>"])
        acknowledgement = await stream.publish(f"{nats_prefix}.order", b"filled")
        assert acknowledgement.seq == 1
    finally:
        await client.close()


@pytest.mark.parametrize("turn", [1, 2])
async def test_every_test_gets_an_empty_database(database: str, turn: int) -> None:
    async with await psycopg.AsyncConnection.connect(database) as session:
        await session.execute("CREATE TABLE slot (price numeric)")
        answer = await session.execute("SELECT current_setting('server_version_num')::int / 10000")
        assert await answer.fetchone() == (18,)
