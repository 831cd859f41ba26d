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
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks import painted, peers
from benchmarks.scoring import Read, Tally, figures, tally
from drivers.camera.exhaustive import look_hard
from drivers.camera.pipeline import still
from drivers.camera.symbols import MATRIX

LIMITS = {"gate_ms_p95": 60.0, "ratio_pyzbar": 0.2}


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
            tallies[name][category].append((len(codes), tally(reader, gray, codes)))
    return {key: value for name in readers for key, value in figures(name, tallies[name]).items()} | _ratio(tallies)


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


def _ratio(tallies: dict[str, dict[str, list[tuple[int, Tally]]]]) -> dict[str, float]:
    """The median milliseconds of a gate against pyzbar's."""
    if not {"gate", "pyzbar"} <= tallies.keys():
        return {}
    ours, peer = (
        statistics.median(one.ms for ones in tallies[name].values() for _, one in ones) for name in ("gate", "pyzbar")
    )
    return {"ratio_pyzbar": ours / peer}
