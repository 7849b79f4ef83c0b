"""Counts the messages of a NATS server without decoding them, on one plain socket."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.stage import Stage

CHUNK_BYTES = 1 << 18


class Tap:
    """What went by.

    Args:
        mark: What every message of interest has in its head, such as ``MSG opensqt.price``.
    """

    def __init__(self, mark: str) -> None:
        self._mark = mark.encode()
        self._tail = b""
        self.count = 0
        self.seen_at: dict[str, float] = {}
        """When a watched text went by first; `perf_counter`."""
        self.watched: set[str] = set()

    def take(self, chunk: bytes) -> None:
        """Count in what came."""
        text = self._tail + chunk
        # What may have been cut in two is looked at again; what was counted is not.
        keep = max(len(self._mark), 32) - 1
        self.count += text.count(self._mark) - self._tail.count(self._mark)
        for wanted in tuple(self.watched):
            if wanted.encode() in text:
                self.seen_at[wanted] = time.perf_counter()
                self.watched.discard(wanted)
        self._tail = text[-keep:]


@asynccontextmanager
async def open_tap(stage: Stage, subject: str, mark: str) -> AsyncIterator[Tap]:
    """Subscribe to `subject` and count until the context is left."""
    options = stage.nats_options
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.nats.port, limit=CHUNK_BYTES)
    await reader.readline()
    login = {"user": options["user"], "pass": options["password"], "verbose": False}
    login |= {"headers": True, "lang": "python", "version": "0", "protocol": 1}
    writer.write(f"CONNECT {json.dumps(login)}\r\nSUB {subject} 1\r\n".encode())
    tap = Tap(mark)

    async def read() -> None:
        while chunk := await reader.read(CHUNK_BYTES):
            if b"PING\r\n" in chunk:
                writer.write(b"PONG\r\n")
            tap.take(chunk)

    task = asyncio.create_task(read())
    try:
        yield tap
    finally:
        task.cancel()
        writer.close()
