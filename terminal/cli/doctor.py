"""`terminal doctor --camera CONFIG`: what a lane's camera sees, and how well it reads, while somebody aims it.

Laws of this file:
- It runs the lane's own reader with the lane's own settings: what reads here reads there. The terminal itself must be
  stopped where the camera serves one at a time.
- A line a second for the eye; the picture goes to a file, replaced whole, for any viewer that looks again by itself.
- Nothing is decided, journalled or opened here, and no payload is shown: only that there was one, and its length.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from drivers.clock import SystemClock
from terminal.cli import exit_codes
from terminal.core.model import Reason
from terminal.opening import open_device
from terminal.ports import DeviceError
from terminal.settings import Device, Settings, SettingsError
from terminal.settings import load as load_settings

BAR = 20
DARK, BRIGHT, FLAT = 0.2, 0.85, 0.25


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The `doctor` part of the command line."""
    parser = commands.add_parser("doctor", help="look through a lane's camera while you aim it")
    parser.add_argument("--camera", type=Path, required=True, metavar="CONFIG", help="the site's configuration")
    parser.add_argument("--lane", help="which lane's camera (default: the first there is)")
    parser.add_argument("--picture", type=Path, help="keep the newest picture in this file (JPEG)")
    parser.add_argument("--seconds", type=float, help="end by itself after so long (default: until Ctrl-C)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def run(options: argparse.Namespace) -> int:
    """0 when pictures came, 3 when the configuration has no camera, 4 when there was never a picture."""
    try:
        settings = load_settings(options.camera)
        camera = next(_cameras(settings, options.lane), None)
        if camera is None:
            where = f"lane {options.lane}" if options.lane else "any lane"
            raise SettingsError(str(options.camera), "lanes", f"no camera in {where}", 'driver = "camera"')
        reader = open_device(settings, camera, SystemClock())
    except SettingsError as error:
        print(f"terminal: {error}", file=sys.stderr)
        return exit_codes.SETTINGS
    doctor = Doctor(reader, options)
    asyncio.run(doctor.run())
    return exit_codes.OK if doctor.pictures else exit_codes.DEVICE


def _cameras(settings: Settings, lane_name: str | None) -> Iterator[Device]:
    for lane in settings.lanes:
        if lane_name in (None, lane.name):
            yield from (reader for reader in lane.readers if reader.driver == "camera")


class Doctor:
    """Somebody stands before the camera with a phone and turns it by hand."""

    def __init__(self, reader: Any, options: argparse.Namespace) -> None:
        self.pictures = 0
        self._reader = reader
        self._options = options
        self._last = ""
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Look until told to stop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop.set)
        if self._options.seconds is not None:
            loop.call_later(self._options.seconds, self._stop.set)
        reading = asyncio.create_task(self._read())
        while not self._stop.is_set():
            await self._look()
            with suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    await self._stop.wait()
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)

    async def _read(self) -> None:
        while True:
            try:
                async for held_out, _ in self._reader.payloads():
                    unread = isinstance(held_out, Reason)
                    self._last = held_out.value if unread else f"a code of {len(held_out)} bytes"
            except DeviceError as error:
                self._last = f"{error.what} ({error.hint})"
            await asyncio.sleep(0.2)

    async def _look(self) -> None:
        try:
            shown = await self._reader.picture()
        except DeviceError as error:
            self._say({"what": error.what, "hint": error.hint}, f"no picture: {error.what} ({error.hint})")
            return
        self.pictures += 1
        if self._options.picture is not None:
            part = self._options.picture.with_suffix(".part")
            part.write_bytes(shown.jpeg)
            os.replace(part, self._options.picture)
        status = self._reader.status()
        figures = {
            "score": round(shown.score, 2),
            "brightness": round(shown.brightness, 2),
            "contrast": round(shown.contrast, 2),
            "sharpness": round(shown.sharpness),
            "latency_ms": status["latency_ms"].get("p50"),
            "picture_age_ms": status["picture_age_ms"],
            "last": self._last,
        }
        self._say(figures | {"advice": advice(figures)}, _line(figures))

    def _say(self, figures: dict[str, Any], line: str) -> None:
        print(json.dumps(figures, ensure_ascii=False) if self._options.json else line, flush=True)


def advice(figures: dict[str, Any]) -> str:
    """What to change first; empty when nothing is plainly wrong."""
    if figures["brightness"] < DARK:
        return "too dark: more light on the place, or a longer exposure"
    if figures["brightness"] > BRIGHT:
        return "too bright: a shorter exposure, or turn it from the lamp"
    if figures["contrast"] < FLAT:
        return "flat: is the glass clean, is the lens in focus?"
    return ""


def _line(figures: dict[str, Any]) -> str:
    """One line: how much of the last second's looks read a code, and the light."""
    full = round(figures["score"] * BAR)
    took = "" if figures["latency_ms"] is None else f"  {figures['latency_ms']:.0f} ms"
    words = [f"[{'#' * full:<{BAR}}] {figures['score']:4.0%} read"]
    words += [f"{name} {figures[name]}" for name in ("brightness", "contrast", "sharpness")]
    return "  ".join([*words, figures["last"] + took, advice(figures)]).rstrip()
