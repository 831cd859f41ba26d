"""Abuse before a camera, in front of the real terminal: cases 21 to 25 of the threat model.

Laws of this file:
- What is held out is painted, streamed, decoded by a confined process and judged by a real lane with a real journal.
- Refused: the gate stays closed, the display says why, and the next person passes.
"""

import asyncio
import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import segno

from drivers.camera.pictures import Gray
from drivers.camera.pipeline import Pipeline
from simulators.painting import Held
from simulators.phone import Phone
from terminal.core import tokens
from terminal.core.model import Reason, Refusal, Verdict
from tests.blinded.campaign import KEEPS, PLANTS, campaign
from tests.blinded.lane import HELD, CameraLane, camera_lane
from tests.core import cases
from tests.waiting import LIMIT_S

SIDE_BY_SIDE = Held(code=0.42)


async def next_person_passes(lane: CameraLane) -> None:
    """The lane is ready again."""
    before = len(lane.openings)
    following = lane.camera.hold_out(lane.code(), held=HELD)
    assert await lane.opens(before)
    following.leave()
    await following.gone.wait()


@pytest.mark.parametrize("other", ["a valid one", "an expired one", "a web page"])
async def test_case_21_two_codes_in_one_frame(other: str, tmp_path: Path) -> None:
    """Whatever the second is: ambiguous, nobody is charged, and alone each counts."""
    async with camera_lane(tmp_path, spare=False) as lane:
        second = {
            "a valid one": lane.code(),
            "an expired one": Phone("late").code(1_000_000_000),
            "a web page": b"https://example.org/",
        }[other]
        two = lane.camera.hold_out(lane.code(), second, held=SIDE_BY_SIDE, at_once=True)
        assert await lane.says(Reason.TWO_CODES)
        await asyncio.sleep(0.5)
        assert lane.openings == []
        two.vanish()
        await asyncio.sleep(0.5)
        await next_person_passes(lane)
    reasons = [(fact.verdict, fact.reason) for fact in await lane.decided()]
    assert reasons[0] == (Verdict.DENY, Reason.TWO_CODES)
    assert [verdict for verdict, _ in reasons].count(Verdict.GRANT) == 1


RUBBISH = {
    "a link": b"https://example.org/pay?to=somebody&amount=100".ljust(332, b"x"),
    "a visiting card": b"BEGIN:VCARD\r\nFN:Somebody\r\nEND:VCARD".ljust(332, b"\n"),
    "escape sequences": b"\x1b[2J\x1b]0;open\x07" * 30,
    "right to left": "\u202egate\u202c open\u2028".encode() * 12,
    "zeros": bytes(332),
    "a log line": b'\n{"event":"decided","verdict":"grant"}\n' * 8,
}


async def test_case_22_codes_that_are_something_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Refused; nothing of them reaches the display or the log."""
    caplog.set_level(logging.DEBUG)
    async with camera_lane(tmp_path, spare=False) as lane:
        for payload in RUBBISH.values():
            lane.indicator.shown = None
            held = lane.camera.hold_out(payload, held=HELD)
            for _ in range(1000):
                if lane.indicator.shown is not None:
                    break
                await asyncio.sleep(0.01)
            assert lane.indicator.shown is not None
            shown = lane.indicator.shown.zh + lane.indicator.shown.en
            assert shown.isprintable() and "example" not in shown
            held.vanish()
            await held.gone.wait()
            await asyncio.sleep(0.4)
        assert lane.openings == []
        await next_person_passes(lane)
    told = "\n".join(record.getMessage() + str(record.__dict__) for record in caplog.records)
    assert not any(text in told for text in ("example.org", "VCARD", "\x1b", "\u202e", "\\x1b", "2028"))


def square(payload: bytes, **options: Any) -> Gray:
    """A code filling a picture."""
    return modules(segno.make(payload, micro=False, error="m", boost_error=False, **{"mode": "byte"} | options))


def modules(code: segno.QRCode) -> Gray:
    """Six pixels a module, with its quiet zone."""
    bits = np.array([[bit == 0 for bit in row] for row in code.matrix_iter(scale=1, border=4)], np.uint8) * 255
    return np.asarray(cv2.resize(bits, None, fx=6, fy=6, interpolation=cv2.INTER_NEAREST), np.uint8)


CODE = Phone("case 23").code(1_800_000_000)
TEXT = "票 No. 5 für Gäste"
STRANGE = {
    "plain": (square(CODE), CODE),
    "inverted": (np.asarray(255 - square(CODE), np.uint8), CODE),
    "mirrored": (np.ascontiguousarray(square(CODE)[:, ::-1]), CODE),
    "upside down": (np.ascontiguousarray(square(CODE)[::-1, ::-1]), CODE),
    "tagged as UTF-8": (square(TEXT.encode(), encoding="utf-8", eci=True), TEXT.encode()),
    "tagged as Latin-1": (square(CODE, encoding="iso-8859-1", eci=True), CODE),
}


@pytest.mark.parametrize("kind", STRANGE)
def test_case_23_strange_codes_are_the_same_or_nothing(kind: str) -> None:
    """Inverted, mirrored, tagged: read identically, or not at all; never as something else."""
    picture, payload = STRANGE[kind]
    frame = np.full((720, 1280), 128, np.uint8)
    frame[20 : 20 + picture.shape[0], 40 : 40 + picture.shape[1]] = picture
    pipeline = Pipeline(("QRCode",))
    found = {one.payload for number in range(12) for one in pipeline.look(frame, 1000 + number / 30)}
    assert found in ({payload}, set())
    assert found or kind != "plain"


def test_case_23_a_part_of_a_longer_message_is_no_token() -> None:
    """Structured append: a part read alone is refused by its content."""
    parts = segno.make_sequence(CODE, version=8, error="m", mode="byte", boost_error=False)
    assert len(parts) > 1
    for part in parts:
        for one in Pipeline(("QRCode",)).look(modules(part), 1000.0):
            assert one.payload != CODE
            assert isinstance(tokens.verify(one.payload, cases.parameters(), cases.instant()), Refusal)


FLOOD = """
import os, sys, time
from drivers.camera.messages import Beat, Look, Seen, encode
sys.stdin.readline()
number = 0
while True:
    now, number = time.monotonic_ns(), number + 1
    os.write(1, encode(Look(arrived_ns=now, symbols=(Seen(payload=b"invalid code %d" % number, score=1.0),))))
    os.write(1, encode(Beat(at_ns=now, arrived_ns=now, pictures=number)))
    time.sleep(0.01)
"""


async def test_case_24_a_hundred_invalid_codes_a_second(tmp_path: Path) -> None:
    """Memory and journal stay bounded, and a passenger at the scan module passes."""
    async with camera_lane(tmp_path, command=(sys.executable, "-c", FLOOD), spare=False, mode="kiosk") as lane:
        began_s = time.monotonic()
        await asyncio.sleep(2.0)
        for _ in range(3):
            before = len(lane.openings)
            lane.other.show(lane.code())
            assert await lane.opens(before)
        assert lane.reader._watch is not None
        assert len(lane.reader._watch._queue) <= 16
        assert len(lane.reader._watch.presence._held) <= 64
        assert lane.reader.endings.total() == 0
    seconds = time.monotonic() - began_s
    denied = [fact for fact in await lane.decided() if fact.verdict is Verdict.DENY]
    assert len(denied) > 5  # it was a flood
    assert len(denied) <= 6 * (seconds + 3)  # five a second one by one, the rest in sums; it began before


async def test_case_25_what_sees_is_killed_hung_and_bombed(tmp_path: Path) -> None:
    """In mid-frame: no wrong opening, sight returns within a second, counted. The long run is `make blind`."""
    figures = await campaign(tmp_path, 3, "none", seed=1, other_s=LIMIT_S)
    assert figures["endings"] == {"crashed": 1, "hung": 1, "out_of_memory": 1}
    assert figures["openings"] == 6
    assert [wrong for wrong in figures["wrong"] if "returned" not in wrong] == []  # how fast: the long run says


@pytest.mark.parametrize("plant", [plant for plant in PLANTS if plant not in ("none", KEEPS)])
async def test_case_25_the_rig_finds_a_planted_bug(plant: str, tmp_path: Path) -> None:
    """Nobody watches what sees; nobody remembers what was handed over."""
    told = (await campaign(tmp_path, 2, plant, seed=1))["wrong"]
    assert [wrong for wrong in told if "grew" not in wrong]


async def test_case_25_the_rig_finds_what_grows() -> None:
    """Somebody keeps what he needs no more: in a process of its own, where no earlier test has left room for it."""
    command = (sys.executable, "-m", "tests.blinded", "--rounds", "3", "--plant", KEEPS)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    told = json.loads(said.splitlines()[-1])["wrong"]
    assert process.returncode == 1 and [wrong for wrong in told if "grew" in wrong]
