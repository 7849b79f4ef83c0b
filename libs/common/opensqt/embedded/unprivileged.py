"""PostgreSQL refuses to run as root: who runs it then, and what that user can reach."""

import os
import pwd
import subprocess
from pathlib import Path

CANDIDATES = ("postgres", "nobody")
"""Users that machines have already; none is ever created."""


CANNOT_RUN = 126


class NoUnprivilegedUserError(Exception):
    """Run as root on a machine without any user that could run PostgreSQL."""


def unprivileged_user() -> str | None:
    """Return the user that PostgreSQL runs as; None means the current one will do.

    Raises:
        NoUnprivilegedUserError: There is none.
    """
    if os.geteuid() != 0:
        return None
    # With sudo, the project most likely belongs to the one who called it.
    for name in (os.environ.get("SUDO_USER"), *CANDIDATES):
        try:
            if name and pwd.getpwnam(name).pw_uid != 0:
                return name
        except KeyError:
            continue
    raise NoUnprivilegedUserError(
        f"PostgreSQL does not run as root, and none of {', '.join(CANDIDATES)} exists here; "
        "run as another user, or add one: useradd --system postgres"
    )


def run_as(
    user: str | None, *argv: str | Path, directory: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end as `user`; the result holds its output.

    A command that this user cannot run at all ends with `CANNOT_RUN`, as in a shell.
    """
    entry = pwd.getpwnam(user) if user is not None and os.geteuid() == 0 else None
    command = [str(part) for part in argv]
    try:
        return subprocess.run(  # noqa: S603 - callers name fixed programs
            command,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            cwd=directory or "/",  # the current one may be one that this user must not see
            timeout=120,
            user=entry.pw_uid if entry else None,
            group=entry.pw_gid if entry else None,
            extra_groups=[] if entry else None,
        )
    except OSError as error:
        return subprocess.CompletedProcess(command, CANNOT_RUN, "", str(error))


def can_use_directory(user: str | None, directory: Path) -> bool:
    """Whether `user` gets into `directory`, all the way from the root."""
    return run_as(user, "/bin/sh", "-c", 'cd "$0"', directory).returncode == 0
