"""How much do we read of a folder of pictures, beside what each decoder reads alone, and for how many milliseconds?

`python -m benchmarks decode --images DIR --truth FILE --json`; `benchmarks/truth.py` makes FILE from two public sets,
docs/camera-decoding.md says where they are. Without --images it reads pictures painted here, to see that it runs.

- gate: the ladder of a gate's pipeline, all rungs at once, as if the picture stayed; `exhaustive`: what a kiosk may do.
- zxing, pyzbar, opencv: each alone, as its own documentation shows it, for QR codes (or the bars that are asked for).
- A code counts as read when a symbol's centre lies in its polygon, or its payload is what the picture says (in some
  character set, since the truth is text). `rate` is the share of codes that were read, the mean over categories.
- `wrong`: pictures of which only other payloads were read than they say; `unsaid`: symbols that the truth does not
  name, right ones beside them or not. Milliseconds are the thread's own CPU time.
"""

import argparse
import json
import re
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from benchmarks import painted, peers
from drivers.camera.exhaustive import look_hard
from drivers.camera.pipeline import still
from drivers.camera.symbols import MATRIX

LIMITS = {"gate_ms_p95": 60.0, "ratio_pyzbar": 0.2}
CHARSETS = ("utf-8", "latin-1", "shift_jis", "gb18030", "big5", "euc_kr", "iso8859-5", "utf-16-be", "cp437")
Read = Callable[[Any], list[tuple[tuple[float, float], bytes]]]  # gray picture -> centres and payloads


class Tally(NamedTuple):
    """What one decoder did with one picture."""

    read: int
    wrong: bool
    unsaid: int
    ms: float


def options(parser: argparse.ArgumentParser) -> None:
    """What it may be asked."""
    parser.add_argument("--images", type=Path, help="a folder of pictures")
    parser.add_argument("--truth", type=Path, help="what they hold; see benchmarks/truth.py")
    parser.add_argument("--only", default="", help="only paths that this regular expression is found in")
    parser.add_argument("--longest", type=int, default=0, help="shrink pictures to this longest side; 0: native size")
    parser.add_argument("--every", type=int, default=1, help="only one picture in so many, in path order")
    parser.add_argument("--from", dest="first", type=int, default=0, help="the position of the first, from 0")
    parser.add_argument("--formats", default="QRCode", help="QRCode,EAN13,Code39,Code128,Codabar")
    parser.add_argument("--modes", default="gate,zxing,pyzbar,opencv", help="of these and exhaustive, which")


def run(*, quick: bool = False, asked: argparse.Namespace | None = None) -> dict[str, float]:
    """Every decoder over every picture, in turn."""
    if asked is None or asked.images is None:
        pictures, modes, formats = painted.pictures(4 if quick else 40), "gate,exhaustive,zxing,pyzbar,opencv", MATRIX
    else:
        pictures, modes, formats = _folder(asked), asked.modes, tuple(asked.formats.split(","))
    readers = {name: make(formats) for name, make in READERS.items() if name in modes.split(",")}
    tallies: dict[str, dict[str, list[tuple[int, Tally]]]] = {name: defaultdict(list) for name in readers}
    for category, codes, gray in pictures:
        for name, reader in readers.items():
            tallies[name][category].append((len(codes), _tally(reader, gray, codes)))
    return {key: value for name in readers for key, value in _figures(name, tallies[name]).items()} | _ratio(tallies)


def _ours(look: Callable[..., Any]) -> Callable[[Sequence[str]], Read]:
    return lambda formats: lambda gray: [(one.centre, one.payload) for one in look(gray, formats)]


READERS: dict[str, Callable[[Sequence[str]], Read]] = {
    "gate": _ours(still), "exhaustive": _ours(look_hard), "zxing": peers.zxing, "pyzbar": peers.pyzbar,
    "opencv": peers.opencv,
}  # fmt: skip


def _folder(asked: argparse.Namespace) -> Iterator[tuple[str, list[Any], Any]]:
    """Category, codes and gray picture; polygons scaled with it."""
    entries = sorted(json.loads(asked.truth.read_text(encoding="utf-8"))["pictures"], key=lambda one: one["path"])
    entries = [entry for entry in entries if re.search(asked.only, entry["path"])]
    for entry in entries[asked.first :: asked.every]:
        flags = cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION
        gray = cv2.imread(str(asked.images / entry["path"]), flags)
        if gray is None:
            print(f"not a picture that OpenCV reads: {entry['path']}", file=sys.stderr)
            continue
        scale = min(1.0, asked.longest / max(gray.shape)) if asked.longest else 1.0
        if scale < 1:
            size = round(gray.shape[1] * scale), round(gray.shape[0] * scale)
            gray = cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
        yield entry["category"], [_scaled(code, scale) for code in entry["codes"]], gray


def _scaled(code: dict[str, Any], scale: float) -> dict[str, Any]:
    if "polygon" not in code:
        return code
    return code | {"hull": cv2.convexHull((np.array(code["polygon"]) * scale).astype(np.float32))}


def _tally(reader: Read, gray: Any, codes: list[Any]) -> Tally:
    began = time.thread_time()
    symbols = reader(gray)
    ms = (time.thread_time() - began) * 1000
    read = sum(any(_is(code, centre, payload) for centre, payload in symbols) for code in codes)
    said = [code for code in codes if "payload_hex" in code]
    told = bool(said) or not codes
    unsaid = sum(not any(_is(code, *one) for code in said) for one in symbols) if told else 0
    return Tally(read, bool(unsaid) and not read, unsaid, ms)


def _is(code: dict[str, Any], centre: tuple[float, float], payload: bytes) -> bool:
    if "hull" in code:
        return cv2.pointPolygonTest(code["hull"], centre, False) >= 0  # its third argument has no name
    said = bytes.fromhex(code["payload_hex"])
    if payload == said:
        return True
    try:
        text = said.decode()
    except UnicodeDecodeError:
        return False
    return any(text.encode(charset, "replace") == payload for charset in CHARSETS)


def _figures(name: str, found: dict[str, list[tuple[int, Tally]]]) -> dict[str, float]:
    every = [one for category in found.values() for one in category]
    with_codes = {category: [one for one in ones if one[0]] for category, ones in found.items()}
    rates = {
        category: 100 * sum(tally.read for _, tally in ones) / sum(codes for codes, _ in ones)
        for category, ones in with_codes.items()
        if ones
    }
    ms = sorted(tally.ms for _, tally in every)
    return {
        f"{name}_pictures": len(every),
        f"{name}_read": sum(tally.read > 0 for _, tally in every),
        f"{name}_wrong": sum(tally.wrong for _, tally in every),
        f"{name}_unsaid": sum(tally.unsaid for _, tally in every),
        f"{name}_percent": 100 * sum(tally.read > 0 for _, tally in every) / len(every),
        f"{name}_rate": statistics.fmean(rates.values()) if rates else 0.0,
        f"{name}_ms_p50": statistics.median(ms),
        f"{name}_ms_p95": ms[min(len(ms) - 1, int(0.95 * len(ms)))],
    } | {f"{name}_rate_{category}": rate for category, rate in rates.items()}


def _ratio(tallies: dict[str, dict[str, list[tuple[int, Tally]]]]) -> dict[str, float]:
    """The median milliseconds of a gate against pyzbar's."""
    if not {"gate", "pyzbar"} <= tallies.keys():
        return {}
    ours, peer = (
        statistics.median(tally.ms for ones in tallies[name].values() for _, tally in ones)
        for name in ("gate", "pyzbar")
    )
    return {"ratio_pyzbar": ours / peer}
