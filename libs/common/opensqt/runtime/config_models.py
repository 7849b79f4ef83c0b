"""The parts that the services' configurations are made of.

A service's own configuration derives from `ServiceConfig` (or from `ProcessConfig`, when it serves
no gRPC) and adds the sections it needs. Units are last in names. Paths are relative to the working
directory.
"""

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from opensqt.core.numbers import NotExactError, parse_decimal


def _exact(value: Any) -> Decimal:
    try:
        return parse_decimal(value)
    except NotExactError as error:
        raise ValueError(str(error).removeprefix("value: ")) from None


ExactDecimal = Annotated[Decimal, BeforeValidator(_exact, json_schema_input_type=str | int)]
"""A `Decimal` from text, a whole number or a Decimal; a binary float is refused."""

Port = Annotated[int, Field(ge=0, le=65535)]
"""A TCP port; 0 lets the system choose a free one."""


class ConfigModel(BaseModel):
    """Base of every part of a configuration: frozen, and strangers are refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )


class TlsConfig(ConfigModel):
    """The files of one identity, in PEM. They are read again when they change."""

    ca: Path
    """Certificates of the authorities that peers must be signed by."""
    certificate: Path
    """Our own certificate, followed by intermediates if any."""
    key: Path
    """The private key of `certificate`, not encrypted."""


class ServerConfig(ConfigModel):
    """How a process serves gRPC."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Port = 0
    unary_timeout_s: float = Field(default=10.0, gt=0, le=300)
    """Longest that a call with one answer may take, whatever deadline the client sets."""
    max_concurrent_calls: int = Field(default=256, ge=1, le=100_000)
    """Calls in flight, streams included; more are refused as RESOURCE_EXHAUSTED."""
    max_connection_age_s: int = Field(default=3600, ge=10)
    """Age at which a connection is renewed, so that a revoked certificate loses its access."""


class PeerConfig(ConfigModel):
    """Where another of our services answers."""

    target: str = Field(pattern=r"^[^\s/]+:[0-9]{1,5}$")
    """Host and port, such as ``127.0.0.1:50051`` or ``state:50051``."""
    timeout_s: float = Field(default=5.0, gt=0, le=300)
    """Deadline of a call with one answer, when the caller sets none."""


class NatsConfig(ConfigModel):
    """The NATS servers that carry the events."""

    url: str = Field(default="nats://127.0.0.1:4222", pattern=r"^(nats|tls)://[^\s@]+$")
    """One URL, or several with commas between. Credentials go into the fields below."""
    tls: TlsConfig | None = None
    """Needed when the servers ask for TLS."""
    user: str | None = None
    password: SecretStr | None = None
    prefix: str = Field(default="opensqt", pattern=r"^[A-Za-z0-9_-]{1,32}$")
    """First token of every subject and of every stream's name, so that runs stay apart."""
    replicas: int = Field(default=1, ge=1, le=5)
    """Copies of each JetStream stream that the cluster keeps."""


class PostgresConfig(ConfigModel):
    """The PostgreSQL server that keeps the state."""

    dsn: SecretStr
    """Connection string, such as ``postgresql://user:password@host:5432/database``."""
    pool_size: int = Field(default=8, ge=1, le=100)
    """Connections that the process keeps open at most."""
    connect_timeout_s: int = Field(default=5, ge=1, le=60)
    statement_timeout_ms: int = Field(default=5000, ge=10, le=600_000)
    """Longest that the server works on one statement of ours."""


class EndpointConfig(ConfigModel):
    """Stands in for the exchange's own hosts: the paper exchange.

    The exchange's host names then resolve to `host` and no other address is ever contacted, so a
    paper trader cannot reach the real exchange by mistake.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)]
    ca: Path
    """The authority that signed the stand-in's certificate."""


class ExchangeConfig(ConfigModel):
    """One account on one exchange."""

    name: Literal["binanceusdm"] = "binanceusdm"
    api_key: SecretStr | None = None
    api_secret: SecretStr | None = None
    endpoint: EndpointConfig | None = None
    """Where to go instead of the real exchange; None is the real one."""
    recv_window_ms: int = Field(default=5000, ge=100, le=60_000)
    """How long the exchange may take to see a signed request before it must refuse it."""
    request_timeout_ms: int = Field(default=10_000, ge=100, le=60_000)

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if (self.api_key is None) != (self.api_secret is None):
            raise ValueError("api_key and api_secret are given together or not at all")
        return self


class TelemetryConfig(ConfigModel):
    """Logs, traces and metrics of a process."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"
    metrics_host: str = "127.0.0.1"
    metrics_port: Port = 0
    """Serves /metrics, /health/live and /health/ready over HTTP."""
    otlp_endpoint: str | None = Field(default=None, pattern=r"^https?://[^\s@]+$")
    """OTLP/gRPC collector such as ``http://127.0.0.1:4317``. None sends no traces."""
    trace_file: Path | None = None
    """Writes the spans as JSON lines, for tests and benchmarks."""
    trace_ratio: float = Field(default=0.01, ge=0, le=1)
    """Share of traces begun here that are recorded; a trace begun elsewhere keeps its decision."""


class ProcessConfig(ConfigModel):
    """What every process is told."""

    telemetry: TelemetryConfig = TelemetryConfig()
    drain_timeout_s: float = Field(default=10.0, ge=0, le=600)
    """How long calls in flight may take to end once the process is told to stop."""


class ServiceConfig(ProcessConfig):
    """What every process that serves gRPC is told."""

    tls: TlsConfig
    server: ServerConfig = ServerConfig()
