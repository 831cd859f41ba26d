"""Log lines: one JSON object each, no rider in them, and never more than a disk can bear."""

import io
import json
import logging
import time
from collections.abc import Iterator

import pytest

from simulators.phone import Phone
from terminal import logs
from tests.journal_cases import NOON_MS

CODE = Phone().code(NOON_MS // 1000)


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """What a process that called `set_up` writes."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    text = io.StringIO()
    root.handlers = []  # pytest's own must stay open
    logs.set_up(text)
    yield text
    root.handlers, root.level = handlers, level


def test_one_event_is_one_line_whatever_is_in_it(stream: io.StringIO) -> None:
    """Line ends, quotes and other scripts cannot forge a line; extras stand beside the event."""
    logging.getLogger("x").warning('a\n{"event":"forged"}', extra={"detail": "\r\n\u2028公园", "count": 3})
    (line,) = stream.getvalue().splitlines()
    found = json.loads(line)
    assert found["event"].startswith("a\n") and found["detail"] == "\r\n\u2028公园" and found["count"] == 3
    assert (found["level"], found["from"]) == ("warning", "x") and found["t"] > 0


def test_a_code_never_reaches_the_log(stream: io.StringIO) -> None:
    """Neither as an extra nor by an exception that carries it: of bytes their number, of errors kind and place."""
    log = logging.getLogger("x")
    log.info("read", extra={"payload": CODE, "view": memoryview(CODE), "nested": [CODE]})
    try:
        raise ValueError(CODE)
    except ValueError:
        log.exception("bug")
    text = stream.getvalue()
    first, second = map(json.loads, text.splitlines())
    assert first["payload"] == first["view"] == f"{len(CODE)} bytes"
    assert second["error"] == "ValueError" and "test_logs.py" in second["where"][0]
    for form in (CODE[100:120].hex(), repr(CODE[100:104])[2:-1]):
        assert form not in text and form.upper() not in text


def test_a_source_that_shouts_is_capped_and_counted_and_errors_pass(
    stream: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The burst is written, the rest counted in the next line that passes."""
    now = time.monotonic()
    monkeypatch.setattr("terminal.logs.time.monotonic", lambda: now)
    logging.getLogger().handlers[0].filters[0]._at = now  # type: ignore[union-attr]  # the bucket's last look
    log = logging.getLogger("x")
    for _ in range(int(logs.BURST) + 70):
        log.info("noise")
    log.error("fault")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(lines) == logs.BURST + 1
    assert lines[-1]["event"] == "fault" and lines[-1]["dropped"] == 70
