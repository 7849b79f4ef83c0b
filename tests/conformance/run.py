"""Runs the conformance clients: each in its own environment, each against a fresh exchange.

Environments are made below ``.run/conformance`` and kept until the pinned versions change. Exit
code 0 if every check of every client holds.
"""

# ruff: noqa: T201  # what is printed is the report

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
ENVIRONMENTS = ROOT / ".run" / "conformance"
CLIENTS = ("python_binance", "nautilus_trader")
START_TIMEOUT_S = 30
CLIENT_TIMEOUT_S = 180


def environment(client: str) -> Path:
    """The client's interpreter, in an environment with its pinned versions."""
    requirements = HERE / f"{client}.txt"
    version = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    home = ENVIRONMENTS / f"{client}-{version}"
    python = home / "bin" / "python"
    if not (home / "complete").exists():
        print(f"making the environment of {client}", flush=True)
        base = os.environ.get("PYTHON") or sys.executable
        subprocess.run([base, "-m", "venv", "--clear", home], check=True)
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, "--requirement", requirements], check=True)
        (home / "complete").touch()
    return python


@contextmanager
def exchange() -> Iterator[dict[str, int]]:
    """A paper exchange with a generated market; its ports."""
    with tempfile.TemporaryDirectory() as directory:
        config, ready = Path(directory, "config.yaml"), Path(directory, "ready.json")
        config.write_text(
            "market: {source: {kind: generator, seed: 7, trades_per_s: 50}}\n"
            "listen: {plain_port: 0}\n"
            "telemetry: {log_level: warning}\n"
        )
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "services.paper_exchange"),
                *("--config", config, "--ready-file", ready),
            ],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'libs' / 'common'}{os.pathsep}{ROOT}"},
        )
        try:
            deadline = time.monotonic() + START_TIMEOUT_S
            while not ready.exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    sys.exit("the paper exchange did not start")
                time.sleep(0.05)
            yield json.loads(ready.read_text())["ports"]
        finally:
            process.terminate()
            process.wait(timeout=20)


def run(client: str) -> tuple[int, int]:
    """How many checks of a client passed and failed."""
    python = environment(client)
    with exchange() as ports:
        command = [python, HERE / f"client_{client}.py"]
        command += [f"127.0.0.1:{ports['plain']}", f"http://127.0.0.1:{ports['control']}"]
        try:
            finished = subprocess.run(
                command, stdout=subprocess.PIPE, text=True, timeout=CLIENT_TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired as timeout:
            output = timeout.stdout or b""
            print(output.decode() if isinstance(output, bytes) else output)
            print(f"  FAIL  {client}: did not end within {CLIENT_TIMEOUT_S} s")
            return 0, 1
    print(finished.stdout, end="", flush=True)
    lines = finished.stdout.strip().splitlines()
    try:
        result = json.loads(lines[-1])
        return result["passed"], result["failed"]
    except (IndexError, ValueError, KeyError, TypeError):
        print(f"  FAIL  {client}: ended with {finished.returncode} and without a result")
        return 0, 1


def main() -> None:
    """Run the clients that were named, or all."""
    wanted = sys.argv[1:] or list(CLIENTS)
    unknown = [client for client in wanted if client not in CLIENTS]
    if unknown:
        sys.exit(f"{', '.join(unknown)}: allowed are {', '.join(CLIENTS)}")
    results = {client: run(client) for client in wanted}
    for client, (passed, failed) in results.items():
        print(f"{client}: {passed} passed, {failed} failed")
    passed = sum(result[0] for result in results.values())
    failed = sum(result[1] for result in results.values())
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
