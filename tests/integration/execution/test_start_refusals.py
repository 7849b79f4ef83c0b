"""The execution service as a process that must not start."""

import asyncio
import os
import sys
from pathlib import Path

import pytest
import yaml

from opensqt.runtime.certificates import ensure_development_certificates, tls_config_of
from opensqt.testing.servers import NatsEndpoint
from tests.integration.execution.test_execution_process import ROOT, paper_exchange

pytestmark = pytest.mark.integration


async def test_a_key_that_may_not_trade(
    tmp_path: Path, nats_server: NatsEndpoint, nats_prefix: str
) -> None:
    ensure_development_certificates(tmp_path)
    async with paper_exchange(tmp_path) as exchange:
        config = tmp_path / "execution.yaml"
        config.write_text(
            yaml.safe_dump(
                {
                    "tls": tls_config_of(tmp_path, "execution").model_dump(mode="json"),
                    "nats": {"url": nats_server.url, "prefix": nats_prefix},
                    "state": {"target": "127.0.0.1:1"},
                    "exchange": {
                        "endpoint": {
                            "port": exchange.ports["tls"],
                            "ca": str(tmp_path / "ca.pem"),
                        }
                    },
                }
            )
        )
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.execution", "--config", str(config),
            stderr=asyncio.subprocess.PIPE, cwd=ROOT,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": f"{ROOT / 'libs/common'}:{ROOT}",
                "OPENSQT_SETTLEMENT__POSTGRES__DSN": "postgresql://nobody@127.0.0.1:1/none",
                "OPENSQT_EXCHANGE__API_KEY": "paper-read",
                "OPENSQT_EXCHANGE__API_SECRET": "paper-read-secret",
            },
        )  # fmt: skip
        try:
            async with asyncio.timeout(30):
                _, said = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        text = said.decode()
        assert process.returncode == 2, text
        assert "exchange.api_key" in text
        assert "-2015" in text
        assert "paper-read-secret" not in text
