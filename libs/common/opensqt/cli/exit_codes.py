"""What the exit codes of every command mean; scripts rely on them."""

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit code of a command."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    UNREACHABLE = 3
    REFUSED = 4


MEANING = {
    ExitCode.OK: "done",
    ExitCode.FAILURE: "failed, or found something wrong",
    ExitCode.USAGE: "bad usage or bad configuration; nothing was done",
    ExitCode.UNREACHABLE: "not running, or does not answer",
    ExitCode.REFUSED: "a service said no, with its reason",
}

EPILOG = "Exit codes: " + ", ".join(f"{code:d} {text}" for code, text in MEANING.items()) + "."
