"""`opensqt certs`: makes and shows the development certificates."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from opensqt.cli.connection import RUN_ROOT
from opensqt.cli.exit_codes import ExitCode
from opensqt.cli.output import CommandError, JsonOption, command
from opensqt.embedded.run_directory import RunRoot
from opensqt.runtime.certificates import (
    CertificateInfo,
    ensure_development_certificates,
    inspect_directory,
)

COLUMNS = ("file", "identity", "expires", "days left ")


def certs(
    directory: Annotated[
        Path | None, typer.Option(help="Where they are; by default those that runs here use.")
    ] = None,
    show: Annotated[
        bool, typer.Option("--show", help="Only show what is there; make nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make the development authority and certificates that are missing or expire; show them all.

    For production use your cluster's authority: `deploy/` and the documentation say how.
    """
    with command(as_json=as_json) as output:
        place = directory or RunRoot(Path(RUN_ROOT)).certificates
        now = datetime.now(UTC)
        try:
            made = () if show else ensure_development_certificates(place, now=now)
            found = inspect_directory(place)
        except (OSError, ValueError) as error:
            raise CommandError(f"{place}: {error}", ExitCode.FAILURE) from error
        if as_json:
            output.json({"made": made, "certificates": [_row(info, now) for info in found]})
            return
        rows = [_row(info, now) for info in found]
        output.table(
            COLUMNS,
            [[row["file"], row["identity"], row["expires"], row["days_left"]] for row in rows],
        )
        output.line(f"{place}: made {', '.join(made)}" if made else f"{place}: nothing to make")


def _row(info: CertificateInfo, now: datetime) -> dict[str, object]:
    return {
        "file": info.path.name,
        "identity": ", ".join(info.uris) or info.subject,
        "expires": f"{info.not_after:%Y-%m-%d %H:%M}",
        "days_left": info.days_left(now),
        "names": ", ".join((*info.dns_names, *info.ip_addresses)),
        "sha256": info.sha256,
    }
