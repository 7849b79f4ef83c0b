"""A whole process: arguments, signals, exit codes, the ready file, probes."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from opensqt.runtime.certificates import tls_config_of
from opensqt.runtime.config_models import PeerConfig
from opensqt.runtime.grpc_channel import open_channel

ROOT = Path(__file__).parents[3]
PROGRAM = Path(__file__).with_name("service_under_test.py")
SECRET = "k3y-that-nobody-may-see"

pytestmark = pytest.mark.integration

Start = Callable[..., Awaitable[Process]]


@pytest.fixture
def config(certificates: Path, tmp_path: Path) -> Path:
    path = tmp_path / "state.yaml"
    path.write_text(
        f"tls: {{ca: {certificates}/ca.pem, certificate: {certificates}/state.pem, "
        f"key: {certificates}/state.key}}\ndrain_timeout_s: 0.1\n"
    )
    return path


@pytest.fixture
async def start(config: Path, tmp_path: Path) -> AsyncIterator[Start]:
    started: list[Process] = []

    async def run(*arguments: str, **environ: str) -> Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(PROGRAM),
            *(arguments or ("--config", str(config), "--ready-file", str(tmp_path / "ready"))),
            stdout=PIPE,
            stderr=PIPE,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(ROOT / "libs/common"),
                "OPENSQT_API_KEY": SECRET,
                **environ,
            },
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def ended(process: Process) -> tuple[int | None, str, list[dict[str, Any]]]:
    async with asyncio.timeout(20):
        output, errors = await process.communicate()
    assert SECRET.encode() not in output + errors
    lines = errors.decode().splitlines()
    events = [json.loads(line) for line in lines if line.startswith("{")]
    return process.returncode, output.decode() + errors.decode(), events


async def ready(tmp_path: Path) -> dict[str, Any]:
    async with asyncio.timeout(20):
        while not (tmp_path / "ready").exists():
            await asyncio.sleep(0.02)
    content: dict[str, Any] = json.loads((tmp_path / "ready").read_text())
    return content


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_serves_until_told_to_stop(
    start: Start, tmp_path: Path, number: signal.Signals
) -> None:
    process = await start()
    content = await ready(tmp_path)
    assert content["pid"] == process.pid
    assert content["service"] == "state"
    assert set(content["ports"]) == {"grpc", "metrics"}
    url = f"http://127.0.0.1:{content['ports']['metrics']}"
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{url}/health/live") as answer:
            assert (answer.status, await answer.json()) == (200, {"live": True})
        async with session.get(f"{url}/health/ready") as answer:
            assert (answer.status, await answer.json()) == (200, {"ready": True, "problems": {}})
        async with session.get(f"{url}/metrics") as answer:
            assert "opensqt_tls_certificate_expiry_seconds" in await answer.text()
    process.send_signal(number)
    code, _, events = await ended(process)
    assert code == 0
    assert [event["event"] for event in events][-3:] == ["stopping", "grpc_stopped", "stopped"]
    assert not (tmp_path / "ready").exists()


async def test_a_start_that_hangs_can_be_stopped(start: Start, tmp_path: Path) -> None:
    process = await start(OPENSQT_BEHAVIOUR="hang")
    assert process.stdout is not None
    assert await process.stdout.readline() == b"hanging\n"
    process.terminate()
    code, _, events = await ended(process)
    assert code == 0
    assert events[-1]["event"] == "stopped_while_starting"
    assert not (tmp_path / "ready").exists()


@pytest.mark.parametrize(
    ("behaviour", "code", "event"),
    [
        ("crash", 1, "crashed"),
        ("crash later", 1, "background_task_crashed"),
        ("refuse", 2, "configuration_not_usable"),
    ],
)
async def test_what_goes_wrong_ends_the_process_loudly(
    start: Start, behaviour: str, code: int, event: str
) -> None:
    told, _, events = await ended(await start(OPENSQT_BEHAVIOUR=behaviour))
    assert told == code
    assert event in [one["event"] for one in events]


async def test_a_drain_that_never_ends_is_ended(start: Start, tmp_path: Path) -> None:
    process = await start(OPENSQT_BEHAVIOUR="never end")
    await ready(tmp_path)
    process.terminate()
    code, _, events = await ended(process)
    assert code == 1
    assert "drain_timed_out" in [event["event"] for event in events]


async def test_a_bad_configuration_is_told_and_nothing_starts(start: Start) -> None:
    code, output, events = await ended(await start(OPENSQT_SERVER__PORT="-1"))
    assert code == 2
    assert "server.port = '-1': should be greater than or equal to 0" in output
    assert events == []


async def test_certificates_that_do_not_serve_are_told(
    start: Start, config: Path, tmp_path: Path
) -> None:
    code, output, _ = await ended(await start(OPENSQT_TLS__KEY=str(tmp_path / "none.key")))
    assert code == 2
    assert "none.key cannot be read: No such file" in output


async def test_a_metrics_port_that_is_taken_is_told(start: Start, tmp_path: Path) -> None:
    await start()
    port = (await ready(tmp_path))["ports"]["metrics"]
    code, output, _ = await ended(await start(OPENSQT_TELEMETRY__METRICS_PORT=str(port)))
    assert code == 2
    assert "telemetry.metrics_port" in output


async def test_check_and_schema(start: Start, config: Path) -> None:
    code, output, _ = await ended(await start("--check", "--config", str(config)))
    assert (code, output) == (0, f"state: {config} is usable\n")
    code, output, _ = await ended(await start("--schema"))
    assert code == 0
    assert "api_key_file" in json.loads(output)["properties"]


async def test_spans_are_written_with_their_callers_trace(
    start: Start, certificates: Path, tmp_path: Path
) -> None:
    file = tmp_path / "spans.jsonl"
    process = await start(OPENSQT_TELEMETRY__TRACE_FILE=str(file))
    port = (await ready(tmp_path))["ports"]["grpc"]
    caller = SpanContext(
        trace_id=0x0AF7651916CD43DD8448EB211C80319C,
        span_id=0xB7AD6B7169203331,
        is_remote=False,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )
    async with open_channel(
        PeerConfig(target=f"127.0.0.1:{port}"),
        identity="state",
        tls=tls_config_of(certificates, "cli"),
    ) as channel:
        with trace.use_span(NonRecordingSpan(caller)):
            await HealthStub(channel).Check(HealthCheckRequest())
    process.terminate()
    await ended(process)
    (span,) = [json.loads(line) for line in file.read_text().splitlines()]
    assert span["name"] == "/grpc.health.v1.Health/Check"
    assert span["kind"] == "SpanKind.SERVER"
    assert span["context"]["trace_id"] == "0x0af7651916cd43dd8448eb211c80319c"
    assert span["parent_id"] == "0xb7ad6b7169203331"
    assert span["resource"]["attributes"]["service.name"] == "state"
