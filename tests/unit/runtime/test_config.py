"""Loading configuration: overrides, secrets, and errors that say key, value and what is allowed."""

import contextlib
import json
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, SecretStr

from opensqt.runtime.config import ConfigError, ConfigProblem, config_schema, load_config, refuse
from opensqt.runtime.config_models import (
    ConfigModel,
    ExactDecimal,
    ExchangeConfig,
    PostgresConfig,
    ServiceConfig,
)
from opensqt.runtime.config_shape import secret_values

KEY = "k3y-that-nobody-may-see"


class Side(StrEnum):
    LONG = "long"
    SHORT = "short"


class Grid(ConfigModel):
    interval: ExactDecimal = Field(gt=0)
    levels: int = Field(default=10, ge=1, le=200)
    side: Side = Side.LONG


class Account(ConfigModel):
    name: str
    token: SecretStr | None = None


class Example(ServiceConfig):
    grid: Grid
    exchange: ExchangeConfig = ExchangeConfig()
    postgres: PostgresConfig | None = None
    symbols: tuple[str, ...] = ()
    accounts: tuple[Account, ...] = ()
    by_name: dict[str, Account] = Field(default_factory=dict)


TLS = "tls: {ca: ca.pem, certificate: a.pem, key: a.key}\n"
GOOD = TLS + "grid: {interval: 0.1}\n"


def write(directory: Path, text: str) -> Path:
    path = directory / "service.yaml"
    path.write_text(text)
    return path


def problems_of(directory: Path, text: str, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        load_config(Example, write(directory, text), environ=environ or {})
    assert KEY not in str(refused.value)
    return [str(problem) for problem in refused.value.problems]


def test_fractions_are_exact(tmp_path: Path) -> None:
    config = load_config(Example, write(tmp_path, GOOD), environ={})
    assert config.grid.interval == Decimal("0.1")


def test_a_binary_float_is_refused() -> None:
    with pytest.raises(ValueError, match="not exact"):
        Grid.model_validate({"interval": 0.1})


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    environ = {
        "OPENSQT_GRID__INTERVAL": "0.25",
        "OPENSQT_GRID__SIDE": "short",
        "OPENSQT_SYMBOLS": "[BTCUSDT, ETHUSDT]",
        "OPENSQT_EXCHANGE__API_KEY": KEY,
        "OPENSQT_EXCHANGE__API_SECRET": "[" + KEY,  # looks like a list, is a secret
        "OPENSQT_POSTGRES__DSN": f"postgresql://u:{KEY}@h/d",
        "OPENSQT_STATE_PORT_50051_TCP": "tcp://10.0.0.1:50051",  # Kubernetes puts these there
        "OPENSQT_CONSOLE__THEME": "dark",  # another process's
        "PATH": "/bin",
    }
    config = load_config(Example, write(tmp_path, GOOD), environ=environ)
    assert config.grid == Grid(interval=Decimal("0.25"), side=Side.SHORT)
    assert config.symbols == ("BTCUSDT", "ETHUSDT")
    assert config.exchange.api_key is not None
    assert config.exchange.api_key.get_secret_value() == KEY
    assert sorted(secret_values(config)) == [
        "[" + KEY,
        KEY,
        f"postgresql://u:{KEY}@h/d",
    ]
    assert KEY not in repr(config)


def test_everything_may_come_from_the_environment() -> None:
    environ = {
        "OPENSQT_TLS__CA": "a",
        "OPENSQT_TLS__CERTIFICATE": "b",
        "OPENSQT_TLS__KEY": "c",
        "OPENSQT_GRID__INTERVAL": "5",
    }
    assert load_config(Example, None, environ=environ).grid.interval == 5


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    text = TLS + "grid: {interval: -1, levls: 5, side: up}\nserver: {port: 70000}\n"
    assert problems_of(tmp_path, text) == [
        "server.port = 70000: should be less than or equal to 65535",
        "grid.interval = -1: should be greater than 0",
        "grid.side = 'up': should be 'long' or 'short'",
        "grid.levls = 5: unknown key; meant levels? Known: interval, levels, side",
    ]


@pytest.mark.parametrize("given", ["nan", ".inf", "x", "''", "1.2.3", "true", "null", "[1]"])
def test_what_is_no_decimal_is_refused(tmp_path: Path, given: str) -> None:
    (problem,) = problems_of(tmp_path, TLS + f"grid: {{interval: {given}}}\n")
    assert problem.startswith("grid.interval")


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, "postgres: {}\n")
    assert problems == [
        "tls: required, and not given",
        "grid: required, and not given",
        "postgres.dsn: required, and not given (or dsn_file)",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            f"exchange: {{api_key: {KEY}}}",
            (
                "exchange.api_key = ***: a secret is not written here; set OPENSQT_EXCHANGE__API_KEY, "
                "or name a file that holds it as api_key_file"
            ),
        ),
        (
            f"accounts: [{{name: a, token: {KEY}}}]",
            (
                "accounts[0].token = ***: a secret is not written here; set "
                "OPENSQT_ACCOUNTS__0__TOKEN, or name a file that holds it as token_file"
            ),
        ),
        (
            f"by_name: {{a: {{name: a, token: {KEY}}}}}",
            (
                "by_name.a.token = ***: a secret is not written here; set "
                "OPENSQT_BY_NAME__A__TOKEN, or name a file that holds it as token_file"
            ),
        ),
        (
            f"exchange: {{api_kee: {KEY}}}",
            (
                "exchange.api_kee = ***: unknown key; meant api_key? Known: api_key, api_secret, "
                "endpoint, name, recv_window_ms, request_timeout_ms"
            ),
        ),
    ],
)
def test_a_secret_in_the_file_is_refused_and_not_shown(
    tmp_path: Path, text: str, problem: str
) -> None:
    assert problems_of(tmp_path, GOOD + text) == [problem]


def test_secrets_come_from_files(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY + "\n")
    (tmp_path / "dsn").write_text("postgresql://h/d\n")
    text = GOOD + f"exchange: {{api_key_file: {tmp_path}/key, api_secret_file: {tmp_path}/key}}"
    environ = {"OPENSQT_POSTGRES__DSN_FILE": f"{tmp_path}/dsn"}
    config = load_config(Example, write(tmp_path, text), environ=environ)
    assert config.exchange.api_secret == SecretStr(KEY)
    assert config.postgres == PostgresConfig(dsn=SecretStr("postgresql://h/d"))


@pytest.mark.parametrize(
    ("content", "environ", "problem"),
    [
        (None, {}, "exchange.api_key_file = {file}: the file cannot be read: No such file"),
        ("", {}, "exchange.api_key_file = {file}: the file is empty"),
        (KEY, {"OPENSQT_EXCHANGE__API_KEY": KEY}, "either api_key or api_key_file, not both"),
        (KEY, {}, "exchange: api_key and api_secret are given together or not at all"),
    ],
)
def test_a_secret_file_that_does_not_serve(
    tmp_path: Path, content: str | None, environ: dict[str, str], problem: str
) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_text(content)
    problems = problems_of(tmp_path, GOOD + f"exchange: {{api_key_file: {file}}}", environ)
    assert len(problems) == 1
    assert problem.format(file=file) in problems[0]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("OPENSQT_GIRD__INTERVAL", "OPENSQT_GIRD__INTERVAL: unknown section; meant grid?"),
        ("OPENSQT_GRID__INTERVL", "grid.intervl = '7': unknown key; meant interval?"),
        ("OPENSQT_GRID__INTERVAL__X", "OPENSQT_GRID__INTERVAL__X: interval is not a section"),
    ],
)
def test_a_misspelt_variable_is_refused(tmp_path: Path, name: str, problem: str) -> None:
    (told,) = problems_of(tmp_path, GOOD, {name: "7"})
    assert told.startswith(problem)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- a", "the top level must be keys: values"),
        ("a: 1\na: 2", "line 2, column 1: the key 'a' is given twice"),
    ],
)
def test_a_file_that_is_no_configuration(tmp_path: Path, text: str, problem: str) -> None:
    (told,) = problems_of(tmp_path, text)
    assert told == f"{tmp_path}/service.yaml: {problem}"


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_config(Example, tmp_path / "none.yaml", environ={})
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9")
    with pytest.raises(ConfigError, match="is not UTF-8"):
        load_config(Example, tmp_path / "latin.yaml", environ={})


def test_a_running_service_refuses_in_the_same_form() -> None:
    error = refuse("bot.symbol", "BTCUSDX", "a symbol that binanceusdm lists, such as BTCUSDT")
    assert error.problems == (
        ConfigProblem(
            key="bot.symbol",
            value="'BTCUSDX'",
            allowed="a symbol that binanceusdm lists, such as BTCUSDT",
        ),
    )


def test_the_schema_names_secret_files_instead_of_secrets() -> None:
    schema = config_schema(Example)
    postgres = schema["$defs"]["PostgresConfig"]
    assert "dsn" not in postgres["properties"]
    assert "dsn_file" in postgres["properties"]
    assert "dsn" not in postgres.get("required", [])
    assert postgres["properties"]["pool_size"]["description"].startswith("Connections")
    assert schema["$defs"]["Grid"]["additionalProperties"] is False


KEYS = st.sampled_from(
    ["tls", "grid", "exchange", "api_key", "interval", "accounts", "by_name", "x"]
)
DOCUMENTS = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)


@given(document=DOCUMENTS, variable=st.lists(KEYS, max_size=4).map("__".join))
def test_any_document_is_taken_or_refused(
    tmp_path_factory: pytest.TempPathFactory, document: object, variable: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(json.dumps(document))
    environ = {f"OPENSQT_{variable.upper()}": KEY}
    with contextlib.suppress(ConfigError):
        load_config(Example, path, environ=environ)
