"""`terminal doctor --camera`: what somebody who aims a camera sees."""

import asyncio
import json
import sys
from pathlib import Path
from random import Random

import pytest

from simulators.camera import Camera
from simulators.painting import Held
from terminal.cli import exit_codes
from terminal.cli.doctor import advice

ROOT = Path(__file__).resolve().parents[2]


def config(place: Path, source: str) -> Path:
    """The park's configuration with this camera."""
    text = (ROOT / "config" / "park-turnstile.toml").read_text(encoding="utf-8")
    head, _, rest = text.partition('driver = "camera"\nsource = "')
    file = place / "site.toml"
    file.write_text(f'{head}driver = "camera"\nsource = "{source}{rest[rest.index(chr(34)) :]}', encoding="utf-8")
    return file


async def doctor(*arguments: str) -> tuple[int, list[dict[str, object]], str]:
    """Exit code, the objects it printed, and what it said to standard error."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "terminal", "doctor", *arguments, "--json", cwd=ROOT,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, errors = await process.communicate()
    assert b"Traceback" not in errors
    return process.returncode or 0, [json.loads(line) for line in out.splitlines()], errors.decode()


async def test_it_shows_what_the_camera_sees(tmp_path: Path) -> None:
    """A score that follows the phone, the light, and a picture for any viewer; no payload is shown."""
    camera = Camera(width=640, height=480, rate=20, seed=1)
    site, code = config(tmp_path, await camera.serve()), Random(2).randbytes(300)
    camera.hold_out(code, held=Held(code=0.8))
    ended, lines, _ = await doctor("--camera", str(site), "--picture", str(tmp_path / "now.jpg"), "--seconds", "4")
    await camera.close()
    assert ended == exit_codes.OK
    seen = [line for line in lines if "score" in line]
    assert max(line["score"] for line in seen) > 0.2 and seen[-1]["last"] == "a code of 300 bytes"  # type: ignore[type-var, operator]  # numbers
    assert (tmp_path / "now.jpg").read_bytes().startswith(b"\xff\xd8")
    assert code.hex()[:16] not in json.dumps(lines)


async def test_no_camera_is_told(tmp_path: Path) -> None:
    """Why, and what to try."""
    ended, lines, _ = await doctor("--camera", str(config(tmp_path, "http://127.0.0.1:1/")), "--seconds", "3")
    assert ended == exit_codes.DEVICE
    assert all(line["hint"] for line in lines)


async def test_a_configuration_without_a_camera_is_told() -> None:
    """With the documented exit code."""
    bus = ROOT / "config" / "bus-gate.toml"
    assert (await doctor("--camera", str(bus)))[0] == exit_codes.SETTINGS


@pytest.mark.parametrize(
    ("figures", "word"),
    [
        ({"brightness": 0.1, "contrast": 0.5}, "dark"),
        ({"brightness": 0.9, "contrast": 0.5}, "bright"),
        ({"brightness": 0.5, "contrast": 0.1}, "flat"),
        ({"brightness": 0.5, "contrast": 0.5}, ""),
    ],
)
def test_advice(figures: dict[str, float], word: str) -> None:
    """The first thing to change."""
    assert word in advice(figures)
    assert bool(word) == bool(advice(figures))
