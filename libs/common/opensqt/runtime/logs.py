"""Structured logs: one JSON object (or one coloured line) per event, on standard error.

Everything passes through here, the standard library's loggers included, so that what ccxt, aiohttp
or nats write has its secrets masked like our own events.
"""

import logging
import sys
from typing import Any, Final, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from opensqt.runtime.config_models import TelemetryConfig
from opensqt.runtime.redaction import Redactor
from opensqt.runtime.tracing import current_trace_id

_CHATTY: Final = ("aiohttp.access", "asyncio", "nats", "ccxt", "urllib3", "grpc", "dbos")
"""Loggers that speak about every message at debug level; their warnings are kept."""


def set_up_logging(
    service: str, config: TelemetryConfig, redactor: Redactor, *, stream: TextIO | None = None
) -> None:
    """Send structlog's and the standard library's events to one place.

    Args:
        service: Named in every event.
        config: Level and format.
        redactor: Masks the secrets in every event, exceptions included.
        stream: Where to write; by default standard error.
    """
    level = logging.getLevelNamesMapping()[config.log_level.upper()]

    def add_service(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        event["service"] = service
        return event

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_service,
        _add_trace_id,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _redaction(redactor),
            _renderer(config),
        ],
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    logging.captureWarnings(capture=True)


def _renderer(config: TelemetryConfig) -> Processor:
    if config.log_format == "json":
        return structlog.processors.JSONRenderer(serializer=_to_json)
    return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())


def _to_json(event: Any, **_: Any) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def _redaction(redactor: Redactor) -> Processor:
    def redact(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        masked: EventDict = redactor.value(event)
        return masked

    return redact


def _add_trace_id(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    trace_id = current_trace_id()
    if trace_id is not None:
        event["trace_id"] = trace_id
    return event
