"""The rivals' environments: each its own, from its own lock with hashes, made when first needed."""

import asyncio
import sys
import zlib
from pathlib import Path

from benchmarks.report import DIRECTORY

LOCKS = Path(__file__).parent
MAKING_S = 600


class NoEnvironmentError(Exception):
    """A rival could not be installed; it is left out, and this says why."""


async def interpreter_of(rival: str) -> Path:
    """The Python that has a rival installed.

    Raises:
        NoEnvironmentError: With the last words of what went wrong.
    """
    lock = LOCKS / f"requirements-{rival}.txt"
    made_of = lock.read_bytes() + sys.version.encode()
    place = DIRECTORY / "envs" / f"{rival}-{zlib.crc32(made_of):08x}"
    python, complete = place / "bin/python", place / "complete"
    if not complete.exists():
        print(f"Making {place} ...")
        await _call(sys.executable, "-m", "venv", "--clear", str(place))
        await _call(
            *(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--require-hashes", "--only-binary", ":all:", "-r", str(lock)),
        )
        complete.touch()
    return python.absolute()


async def _call(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        said, _ = await asyncio.wait_for(process.communicate(), MAKING_S)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise NoEnvironmentError(f"{command[2]} took more than {MAKING_S} s") from None
    if process.returncode:
        raise NoEnvironmentError(said.decode(errors="replace").strip()[-500:])
