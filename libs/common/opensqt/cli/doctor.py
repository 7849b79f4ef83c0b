"""`opensqt doctor`: says what this machine is missing for `opensqt up`, and how to mend it."""

from enum import StrEnum
from pathlib import Path

import typer

from opensqt.cli.connection import RUN_ROOT
from opensqt.cli.exit_codes import ExitCode
from opensqt.cli.output import JsonOption, command
from opensqt.embedded import checks
from opensqt.embedded.checks import Finding, Verdict


class _Mark(StrEnum):
    OK = "ok"
    NOTE = "note"
    PROBLEM = "PROBLEM"


MARKS = {Verdict.OK: _Mark.OK, Verdict.NOTE: _Mark.NOTE, Verdict.PROBLEM: _Mark.PROBLEM}


def doctor(as_json: JsonOption = False) -> None:
    """Check this machine; exit code 1 when something must be mended before `opensqt up` works."""
    with command(as_json=as_json) as output:
        findings: list[Finding] = []
        for check in checks.ALL:
            finding = check(Path(RUN_ROOT))
            findings.append(finding)
            output.line(f"{MARKS[finding.verdict]:8} {finding.subject}: {finding.text}")
            if finding.mend:
                output.line(f"{'':9}{finding.mend}")
        problems = [finding for finding in findings if finding.verdict is Verdict.PROBLEM]
        if as_json:
            rows = [
                {
                    "subject": finding.subject,
                    "verdict": str(MARKS[finding.verdict]).lower(),
                    "text": finding.text,
                    "mend": finding.mend,
                }
                for finding in findings
            ]
            output.json({"healthy": not problems, "findings": rows})
        output.line(f"{len(problems)} to mend" if problems else "everything is in place")
        if problems:
            raise typer.Exit(ExitCode.FAILURE)
