"""Programs, their launch files, free ports, and the texts that servers are configured with."""

import json
import signal
import subprocess
import sys
from configparser import RawConfigParser
from pathlib import Path

import pytest

from opensqt.embedded.checks import wrong_packages
from opensqt.embedded.free_ports import free_ports, is_free
from opensqt.embedded.nats_server import NatsServer, find_nats_server
from opensqt.embedded.program import Program, launch_command
from opensqt.embedded.supervision import configuration, last_exit_status


def run(program: Program, directory: Path) -> subprocess.CompletedProcess[str]:
    command = launch_command(program, directory)
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


@pytest.mark.parametrize("name", ["", "a b", "../x", "a;b"])
def test_a_name_that_could_not_be_a_file_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        Program(name=name, argv=("true",))


def test_arguments_and_environment_arrive_as_they_are(tmp_path: Path) -> None:
    awkward = "a b 'c' \"d\" %s %(here)s ; # \n ü"
    code = "import os, sys; print(repr((sys.argv[1], os.environ['X'])))"
    program = Program(
        name="echo", argv=(sys.executable, "-c", code, awkward), environment={"X": awkward}
    )
    assert run(program, tmp_path).stdout == repr((awkward, awkward)) + "\n"


def test_the_launch_file_is_private(tmp_path: Path) -> None:
    launch_command(Program(name="p", argv=("true",), environment={"X": "secret"}), tmp_path)
    path = tmp_path / "p.launch.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_text())["environment"] == {"X": "secret"}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_a_program_whose_parent_is_gone_does_not_start(tmp_path: Path) -> None:
    command = launch_command(Program(name="p", argv=("echo", "on")), tmp_path, parent_pid=1)
    answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert answer.returncode != 0
    assert answer.stdout == ""


def test_supervisord_is_told_how_a_program_stops(tmp_path: Path) -> None:
    program = Program(name="p", argv=("true",), stop_signal=signal.SIGINT, stop_wait_s=7, order=3)
    text = configuration(
        [program], directory=tmp_path, socket=tmp_path / "s", log_directory=tmp_path
    )
    parser = RawConfigParser()
    parser.read_string(text)
    section = parser["program:p"]
    assert (section["stopsignal"], section["stopwaitsecs"]) == ("INT", "7")
    assert section["priority"] == "3"


def test_no_path_of_this_machine_goes_where_nothing_can_be_quoted(tmp_path: Path) -> None:
    (tmp_path / "supervisor").mkdir()
    text = configuration(
        [Program(name="p", argv=("true",))],
        directory=tmp_path / "supervisor",
        socket=tmp_path / "supervisor" / "s",
        log_directory=tmp_path / "log",
    )
    assert str(tmp_path) not in text
    assert sys.executable not in text


def test_the_last_exit_status_is_found_in_supervisords_log(tmp_path: Path) -> None:
    assert last_exit_status(tmp_path, "state") is None
    (tmp_path / "supervisord.log").write_text(
        "2026-01-01 INFO exited: state (exit status 1; not expected)\n"
        "2026-01-01 INFO exited: state2 (exit status 7; not expected)\n"
        "2026-01-01 WARN exited: state (exit status 2; not expected)\n"
    )
    assert last_exit_status(tmp_path, "state") == 2


def test_free_ports_are_different_and_can_be_listened_on() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert all(is_free(port) for port in ports)


def test_nats_accepts_its_configuration(tmp_path: Path) -> None:
    server = NatsServer(directory=tmp_path / 'a "b"', port=4999, password='pa"ss\\word')
    program = server.program()
    answer = subprocess.run(
        [find_nats_server(), "-t", *program.argv[1:]], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr


def test_a_password_is_not_shown() -> None:
    server = NatsServer(directory=Path(), port=1, password="hunter2")
    assert "hunter2" not in repr(server)
    assert "hunter2" not in server.url


@pytest.mark.parametrize(
    ("lock", "wrong"),
    [
        ("psutil==0.0.1 \\\n    --hash=sha256:00\n", 1),
        ("no-such-package==1.0 \\\n", 1),
        ("no-such-package==1.0 ; sys_platform == 'win32' \\\n", 0),
        ("", 0),
    ],
)
def test_packages_are_compared_with_the_lock(lock: str, wrong: int) -> None:
    assert len(wrong_packages(lock)) == wrong
