"""Times as a person types and reads them: UTC."""

from datetime import UTC, datetime

from opensqt.cli.exit_codes import ExitCode
from opensqt.cli.output import CommandError


def parse_time(text: str, option: str) -> int:
    """A day or a time such as ``2025-05-04`` or ``2025-05-04T15:30``, UTC, in nanoseconds.

    Raises:
        CommandError: It is none.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(
            f"{option} {text}: allowed is a day or a time in UTC, such as 2025-05-04 or "
            "2025-05-04T15:30",
            ExitCode.USAGE,
        ) from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1_000


def time_text(time_ns: int | None) -> str | None:
    """A time for people, to the second."""
    if time_ns is None:
        return None
    return datetime.fromtimestamp(time_ns // 1_000_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")
