"""What each part says of itself, kept in one small file.

Laws of this file:
- The status is for people and other programs; nothing decides by it.
- It names no rider: counts, ages, versions, devices and hints only.
- The file is replaced whole, so that a reader never sees half of it.
"""

import asyncio
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)


class StatusFile:
    """Writes what `collect` says to `path` every `every_s` seconds."""

    def __init__(self, path: Path, collect: Callable[[], dict[str, Any]], every_s: float = 0.5) -> None:
        self._path = path
        self._collect = collect
        self._every_s = every_s
        self._told = False

    def write(self) -> None:
        """Replace the file; a full disk is told once and stops nothing."""
        text = json.dumps(self._collect(), ensure_ascii=False, separators=(",", ":"))
        part = self._path.with_suffix(".part")
        try:
            part.write_text(text, encoding="utf-8")
            os.replace(part, self._path)
            self._told = False
        except OSError as error:
            if not self._told:
                log.warning("status file", extra={"what": str(error)})
            self._told = True

    async def run(self) -> None:
        """Write until cancelled, and once more at the end."""
        try:
            while True:
                self.write()
                await asyncio.sleep(self._every_s)
        finally:
            self.write()
