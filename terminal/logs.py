"""Log lines: JSON, one a line, bounded in number, naming no rider.

Laws of this file:
- One event is one line; control characters are escaped by JSON, so nothing held out can forge a line.
- A source that shouts is capped; what was dropped is counted in the next line.
- Bytes are never written, only how many: they may be what a rider held out.
- A traceback shows where, never with what: no locals, no payload.
"""

import json
import logging
import sys
import time
import traceback
from typing import Any, TextIO

LINES_PER_S = 50.0
BURST = 200.0
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class JsonFormatter(logging.Formatter):
    """Each record as one JSON object: time, level, where, what, and the extras it was given."""

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON."""
        line: dict[str, Any] = {
            "t": round(record.created, 3),
            "level": record.levelname.lower(),
            "from": record.name,
            "event": record.getMessage(),
        }
        line.update((key, value) for key, value in vars(record).items() if key not in _STANDARD)
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
            line["where"] = [f"{f.filename}:{f.lineno}" for f in traceback.extract_tb(record.exc_info[2])]
        return json.dumps(line, ensure_ascii=True, default=_plain, separators=(",", ":"))


def _plain(value: object) -> str:
    return f"{len(value)} bytes" if isinstance(value, bytes | bytearray | memoryview) else str(value)


class RateLimit(logging.Filter):
    """A token bucket over all lines; errors always pass."""

    def __init__(self) -> None:
        super().__init__()
        self._tokens = BURST
        self._at = time.monotonic()
        self.dropped = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this line may be written."""
        now = time.monotonic()
        self._tokens = min(BURST, self._tokens + (now - self._at) * LINES_PER_S)
        self._at = now
        if self._tokens < 1 and record.levelno < logging.ERROR:
            self.dropped += 1
            return False
        self._tokens = max(0.0, self._tokens - 1)
        if self.dropped:
            record.dropped, self.dropped = self.dropped, 0
        return True


def set_up(stream: TextIO = sys.stderr, level: int = logging.INFO) -> None:
    """Send every log line of this process to `stream`."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    handler.addFilter(RateLimit())
    logging.basicConfig(handlers=[handler], level=level, force=True)
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)  # we say it ourselves, once and with a hint
