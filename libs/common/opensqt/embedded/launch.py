"""Becomes the program that a launch file describes, tied to the life of its parent.

A script of its own, using the standard library alone: it stands between a supervisor and every
process, so it must start in milliseconds. It drops root if it is told to, asks the kernel for a
signal when the parent dies (Linux; elsewhere a killed supervisor leaves its programs behind), and
replaces itself with the program.
"""

import ctypes
import json
import os
import pwd
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1


def become(user: str) -> None:
    """Drop root for `user`; the order matters, since each step needs what the last one gives up."""
    entry = pwd.getpwnam(user)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    os.environ.update(USER=user, LOGNAME=user, HOME=entry.pw_dir)


def die_with_parent(orphan_signal: int, parent_pid: int) -> None:
    """Have the kernel send `orphan_signal` once the parent is gone; exit if it already is.

    Comes after the change of user, which clears the wish.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, orphan_signal, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent_pid:
        sys.exit("the parent is gone")


def main() -> None:
    """Read the launch file named by the first argument and become its program."""
    parent_pid = os.getppid()
    launch = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    if launch["directory"]:
        os.chdir(launch["directory"])
    if launch["user"] and os.geteuid() == 0:
        become(launch["user"])
    die_with_parent(launch["orphan_signal"], launch["parent_pid"] or parent_pid)
    argv = launch["argv"]
    os.execvpe(argv[0], argv, {**os.environ, **launch["environment"]})  # noqa: S606


if __name__ == "__main__":
    main()
