"""python -m benchmarks.truth boofcv|zxing DIR > truth.json: what the pictures of two public sets hold, in one form.

- boofcv: the QR set of BoofCV, version 3 (`detection/CATEGORY/imageNNN.jpg`, beside each a .txt of corners).
- zxing: the samples of zxing-cpp (`qrcode-1/1.png`, beside each a .txt or .bin of what it says).

The form: {"pictures": [{"path": relative to DIR, "category": str, "codes": [{"polygon": [[x, y], ...]} or
{"payload_hex": str}]}]}, in path order. Polygons are in pixels of the picture *as stored*: an orientation in its EXIF
data is not applied, as the set's own labels have it.
"""

import json
import sys
from pathlib import Path
from typing import Any

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}
EMPTY = "falsepositives"  # zxing's folders of pictures without any code


def boofcv(picture: Path) -> list[dict[str, Any]]:
    """Four corners a code, in one line or in four."""
    lines = picture.with_suffix(".txt").read_text(encoding="utf-8").splitlines()
    numbers = [float(word) for line in lines if line and line[0] in "-.0123456789" for word in line.split()]
    points = list(zip(numbers[::2], numbers[1::2], strict=True))
    return [{"polygon": points[place : place + 4]} for place in range(0, len(points), 4)]


def zxing(picture: Path) -> list[dict[str, Any]] | None:
    """One payload a picture, or none; None: nobody says what it holds."""
    if picture.parent.name.startswith(EMPTY):
        return []
    binary, text = picture.with_suffix(".bin"), picture.with_suffix(".txt")
    said = next((one for one in (binary, text) if one.exists()), None)
    return [{"payload_hex": said.read_bytes().hex()}] if said else None


def truth(read: Any, place: Path) -> dict[str, Any]:
    """The whole folder, in path order."""
    paths = sorted(path for path in place.rglob("*") if path.suffix in SUFFIXES)
    pictures = []
    for path in paths:
        codes = read(path)
        if codes is not None:
            pictures.append({"path": path.relative_to(place).as_posix(), "category": path.parent.name, "codes": codes})
    return {"pictures": pictures}


def main() -> None:
    """Write it to standard output."""
    layout, place = sys.argv[1:]
    json.dump(truth({"boofcv": boofcv, "zxing": zxing}[layout], Path(place)), sys.stdout)


if __name__ == "__main__":
    main()
