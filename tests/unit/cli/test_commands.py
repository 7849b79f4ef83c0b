"""The command line's own behaviour: usage, exit codes, JSON."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from opensqt.cli.app import app
from opensqt.cli.exit_codes import ExitCode
from opensqt.cli.output import CommandError
from opensqt.cli.up import parse_duration

ROOT = Path(__file__).resolve().parents[3]
COMMANDS = (
    *(["up"], ["run"], ["status"], ["slots"], ["orders"], ["fills"], ["certs"], ["doctor"]),
    *(["quarantine"], ["bots", "halt"], ["bots", "resume"], ["diff"]),
    *(["risk", "status"], ["risk", "trip"], ["risk", "reset"]),
    *(["config", "check"], ["config", "schema"]),
)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing runs here, and nothing that runs elsewhere is found."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENSQT_CONNECTION", raising=False)
    return tmp_path


def opensqt(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_documents_itself_its_exit_codes_and_json(command: list[str]) -> None:
    answer = opensqt(*command, "--help")
    assert answer.exit_code == ExitCode.OK
    assert "Exit codes:" in answer.output
    assert "--json" in answer.output


@pytest.mark.parametrize(
    "command",
    [
        *(["status"], ["slots"], ["orders"], ["fills"], ["quarantine"]),
        *(["risk", "status"], ["risk", "trip", "why"]),
        *(["bots", "halt", "btc", "--reason", "why"], ["bots", "resume", "btc"]),
    ],
    ids=" ".join,
)
def test_without_a_run_commands_say_so(command: list[str]) -> None:
    answer = opensqt(*command, "--json")
    assert answer.exit_code == ExitCode.UNREACHABLE
    assert "make run" in json.loads(answer.stdout)["error"]


def test_errors_are_for_people_unless_a_program_asks() -> None:
    answer = opensqt("slots")
    assert answer.stdout == ""
    assert answer.stderr.startswith("error: no run")


def test_a_connection_that_is_not_usable_is_bad_usage(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("tls: {}\nstaet: {}\n")
    answer = opensqt("slots", "--connection", "c.yaml")
    assert answer.exit_code == ExitCode.USAGE
    assert "staet" in answer.stderr
    assert "meant state" in answer.stderr


def test_the_example_is_usable() -> None:
    answer = opensqt("config", "check", str(ROOT / "config" / "bot.example.yaml"))
    assert answer.exit_code == ExitCode.OK


def test_what_is_wrong_with_a_configuration_is_told_with_key_value_and_allowed(
    tmp_path: Path,
) -> None:
    (tmp_path / "bot.yaml").write_text(
        "bot_id: example\nsymbol: BTCUSDT\n"
        "grid: {direction: LONG, interval: -1, buy_levels: 1, sell_levels: 1, quantity: 0.002}\n"
    )
    answer = opensqt("config", "check", "bot.yaml", "--json")
    assert answer.exit_code == ExitCode.USAGE
    (problem,) = json.loads(answer.stdout)["problems"]
    assert problem["key"] == "grid.interval"
    assert "-1" in problem["value"]
    assert "greater than 0" in problem["allowed"]


def test_a_schema_is_json() -> None:
    schema = json.loads(opensqt("config", "schema", "bot").stdout)
    assert "grid" in schema["properties"]


def test_an_unknown_schema_names_those_that_are() -> None:
    answer = opensqt("config", "schema", "botany")
    assert answer.exit_code == ExitCode.USAGE
    assert "bot" in answer.stderr


def test_certificates_are_made_once() -> None:
    first = json.loads(opensqt("certs", "--json").stdout)
    again = json.loads(opensqt("certs", "--json").stdout)
    assert "ca" in first["made"]
    assert again["made"] == []
    assert {item["file"] for item in again["certificates"]} > {"ca.pem", "state.pem"}


def test_the_doctor_looks_at_everything() -> None:
    answer = opensqt("doctor", "--json")
    report = json.loads(answer.stdout)
    subjects = {finding["subject"] for finding in report["findings"]}
    assert {"NATS", "PostgreSQL", "packages", "disk", "ports"} <= subjects
    assert report["healthy"] == (answer.exit_code == ExitCode.OK)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--config", "none.yaml"],
        ["--speed", "0"],
        ["--speed", "fast"],
        ["--duration", "soon"],
        ["--faults", "wild"],
        ["--recording", "none.gz"],
        ["--summary", "no/such/directory/run.json"],
    ],
    ids=" ".join,
)
def test_up_refuses_what_it_cannot_use_before_it_starts_anything(
    arguments: list[str], tmp_path: Path
) -> None:
    given = {
        "--config": str(ROOT / "config" / "bot.example.yaml"),
        "--recording": str(ROOT / "recordings" / "btcusdt_usdm_20240808.jsonl.gz"),
        arguments[0]: arguments[1],
    }
    answer = opensqt("up", *(part for pair in given.items() for part in pair))
    assert answer.exit_code == ExitCode.USAGE
    assert not (tmp_path / ".run").exists()


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("1.5m", 90), ("1h", 3600), ("250ms", 0.25), ("7", 7)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "-3s", "0s", "3d", "1e3s", "3 s s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(CommandError):
        parse_duration(text)
