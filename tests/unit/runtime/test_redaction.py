"""No secret reaches the log, whoever writes it."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from opensqt.runtime.config_models import TelemetryConfig
from opensqt.runtime.logs import set_up_logging
from opensqt.runtime.redaction import Redactor

SECRET = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (
            "GET /fapi/v1/order?symbol=BTCUSDT&signature=c8db56825ae71d6d&timestamp=1",
            "GET /fapi/v1/order?symbol=BTCUSDT&signature=***&timestamp=1",
        ),
        ("headers: {'X-MBX-APIKEY': 'abc123def'}", "headers: {'X-MBX-APIKEY': '***'}"),
        ("X-MBX-APIKEY: abc123def", "X-MBX-APIKEY: ***"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ('{"listenKey": "pqia91ma19a5s61cv6a81va65s"}', '{"listenKey": "***"}'),
        ("postgresql://opensqt:hunter2@db:5432/x", "postgresql://opensqt:***@db:5432/x"),
        ("host=db password=hunter2 user=x", "host=db password=*** user=x"),
        (
            "-----BEGIN EC PRIVATE KEY-----\nMHcCAQ\n-----END EC PRIVATE KEY-----",
            "-----BEGIN EC PRIVATE KEY-----***-----END EC PRIVATE KEY-----",
        ),
        ("nothing to hide: price=61800.30", "nothing to hide: price=61800.30"),
        ("nats://127.0.0.1:4222", "nats://127.0.0.1:4222"),
        (f"echo {SECRET}!", "echo ***!"),
    ],
)
def test_text(text: str, masked: str) -> None:
    assert Redactor([SECRET]).text(text) == masked


def test_structures() -> None:
    given = {
        "apiKey": "abc",
        "secret": None,
        "params": [{"signature": "xyz", "price": 1, "note": SECRET}],
        "dsn": "postgresql://x",
        "key_count": 3,
        "deep": {"a": {"b": {"c": {"d": {"e": {"password": "hunter2"}}}}}},
    }
    masked = Redactor([SECRET]).value(given)
    assert masked["apiKey"] == "***"
    assert masked["secret"] is None
    assert masked["params"] == [{"signature": "***", "price": 1, "note": "***"}]
    assert masked["dsn"] == "***"
    assert masked["key_count"] == 3
    assert "hunter2" not in str(masked)


def test_short_values_are_not_searched_for() -> None:
    assert Redactor(["1", ""]).text("price 1") == "price 1"


STRUCTURES = st.recursive(
    st.one_of(st.none(), st.integers(), st.text(), st.text().map(lambda text: text + SECRET)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(max_size=8), inner, max_size=3),
        st.tuples(inner, inner),
    ),
    max_leaves=20,
)


@given(STRUCTURES)
def test_a_known_secret_is_found_wherever_it_hides(structure: object) -> None:
    assert SECRET not in str(Redactor([SECRET]).value({"event": structure}))


def sign() -> None:
    raise RuntimeError(f"could not sign with {SECRET}")


@pytest.fixture
def restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.usefixtures("restore_logging")
def test_every_logger_passes_through(log_format: str) -> None:
    stream = io.StringIO()
    config = TelemetryConfig.model_validate({"log_format": log_format})
    set_up_logging("execution", config, Redactor([SECRET]), stream=stream)
    structlog.get_logger("ours").info("order_sent", api_secret="hunter2", text=SECRET)
    logging.getLogger("aiohttp.client").error("failed: %s", f"https://x/?signature={SECRET}")
    try:
        sign()
    except RuntimeError:
        logging.getLogger("theirs").exception("boom")
        structlog.get_logger("ours").exception("bang", note={"x-mbx-apikey": "hunter2"})
    logging.getLogger("nats").info("chatter")
    written = stream.getvalue()
    assert SECRET not in written
    assert "hunter2" not in written
    assert "chatter" not in written
    assert "could not sign with ***" in written
    assert "order_sent" in written
    if log_format == "json":
        events = [json.loads(line) for line in written.splitlines()]
        assert [event["event"] for event in events] == [
            "order_sent",
            "failed: https://x/?signature=***",
            "boom",
            "bang",
        ]
        assert {event["service"] for event in events} == {"execution"}
        assert events[0]["logger"] == "ours"
        assert events[0]["level"] == "info"
        assert events[0]["timestamp"].endswith("Z")
