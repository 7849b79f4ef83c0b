"""A process that serves nothing but health; what goes wrong is chosen by its configuration."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

from pydantic import SecretStr

from opensqt.runtime.authorisation import Allowlist
from opensqt.runtime.config import refuse
from opensqt.runtime.config_models import ServiceConfig
from opensqt.runtime.service import ServiceContext, run_service


class Config(ServiceConfig):
    behaviour: Literal["serve", "hang", "crash", "crash later", "refuse", "never end"] = "serve"
    api_key: SecretStr | None = None


@asynccontextmanager
async def serve(config: Config, context: ServiceContext) -> AsyncIterator[None]:
    if config.behaviour == "hang":
        print("hanging", flush=True)  # noqa: T201 - the test waits for it
        await asyncio.Event().wait()
    if config.behaviour == "crash":
        raise RuntimeError(f"boom {config.api_key.get_secret_value() if config.api_key else ''}")
    if config.behaviour == "refuse":
        raise refuse("symbol", "BTCUSDX", "a symbol that is listed")
    async with (
        context.grpc_server(config, Allowlist({})) as server,
        context.background_tasks() as tasks,
    ):
        context.announce(grpc=server.port)
        if config.behaviour == "crash later":
            tasks.start("crashing", crash_later())
        try:
            yield
        finally:
            if config.behaviour == "never end":
                await asyncio.Event().wait()


async def crash_later() -> None:
    await asyncio.sleep(0.1)
    raise RuntimeError("boom")


if __name__ == "__main__":
    sys.exit(run_service("state", Config, serve))
