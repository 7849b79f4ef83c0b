"""What `opensqt up` tells every service is what that service accepts."""

from importlib import import_module
from pathlib import Path

import pytest
import yaml

from opensqt.embedded.paper.configurations import connection, write_configurations
from opensqt.embedded.paper.settings import PORT_NAMES, SERVICES, PaperSettings
from opensqt.runtime.bot_config import BotConfig
from opensqt.runtime.certificates import ensure_development_certificates
from opensqt.runtime.config import load_config

ROOT = Path(__file__).resolve().parents[3]
RECORDING = ROOT / "recordings" / "btcusdt_usdm_20240808.jsonl.gz"
DATABASES = {name: f"postgresql://{name}:secret-{name}@h/{name}" for name in SERVICES}


@pytest.fixture
def settings(tmp_path: Path) -> PaperSettings:
    certificates = tmp_path / "certificates"
    ensure_development_certificates(certificates)
    return PaperSettings(
        bot=load_config(BotConfig, ROOT / "config" / "bot.example.yaml", environ={}),
        source={"kind": "recording", "path": str(RECORDING)},
        speed=20,
        faults="none",
        ports={name: 20_000 + number for number, name in enumerate(PORT_NAMES)},
        certificates=certificates,
        directory=tmp_path,
    )


@pytest.mark.parametrize("name", [*SERVICES, "paper_exchange"])
def test_a_service_accepts_its_configuration(settings: PaperSettings, name: str) -> None:
    module = import_module(f"services.{name}.config")
    model = getattr(module, "".join(part.title() for part in name.split("_")) + "Config")
    written = write_configurations(settings, DATABASES)[name]
    config = load_config(
        model, settings.configuration_path(name), environ=dict(written.environment)
    )
    assert config.telemetry.metrics_port == settings.ports[f"{name}_metrics"]


def test_no_secret_is_written_into_a_configuration(settings: PaperSettings) -> None:
    written = write_configurations(settings, DATABASES)
    secrets = {
        *(key.secret for key in (settings.trading_key, settings.reading_key)),
        *(DATABASES[name] for name in SERVICES),
        settings.nats_password,
    }
    for name in written:
        text = settings.configuration_path(name).read_text()
        assert not [secret for secret in secrets if secret in text]


def test_only_execution_gets_the_trading_key(settings: PaperSettings) -> None:
    written = write_configurations(settings, DATABASES)
    holders = [
        name
        for name, configuration in written.items()
        if settings.trading_key.secret in configuration.environment.values()
    ]
    assert holders == ["execution"]


def test_files_are_private(settings: PaperSettings) -> None:
    write_configurations(settings, DATABASES)
    modes = {path.stat().st_mode & 0o777 for path in settings.configurations.iterdir()}
    assert modes == {0o600}


def test_the_command_line_finds_every_service(settings: PaperSettings) -> None:
    write_configurations(settings, DATABASES)
    assert yaml.safe_load((settings.directory / "cli.yaml").read_text()) == connection(settings)
    assert set(SERVICES) < connection(settings).keys()
