"""Who runs a bot: a lock on a file that the operating system takes back from whoever dies.

An entry in the database would outlive a killed process, and somebody would have to decide that it
is dead. The lock holds on one machine; checkpoints do not belong on a network's file system.
"""

import fcntl
import os
from pathlib import Path
from typing import Self

from opensqt.ports.checkpoints import CheckpointError


class BotLock:
    """A bot is ours until `release`, or until this process ends."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    @classmethod
    def take(cls, checkpoints: Path, bot_id: str) -> Self:
        """Take a bot.

        Raises:
            CheckpointError: It runs already.
        """
        path = checkpoints.with_name(f"{checkpoints.name}-{bot_id}.lock")
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise CheckpointError(f"checkpoints {checkpoints}: {error}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(descriptor, 20, 0).decode(errors="replace") or "another one"
            os.close(descriptor)
            raise CheckpointError(
                f"checkpoints {checkpoints}: bot {bot_id} is run by process {owner}; "
                "stop that one first, or give this bot another name"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        return cls(path, descriptor)

    def release(self) -> None:
        """Leave it to others. The file stays: who removed it could remove that of the next one."""
        os.close(self._descriptor)
