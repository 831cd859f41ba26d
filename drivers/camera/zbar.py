"""zbar, through pyzbar, as the last rung: it reads some of what zxing cannot.

Laws of this file:
- Binary stays binary: the option that pyzbar's enumeration does not know is set, or payloads are damaged by a guess at
  their character set.
- Only the formats that are asked for are enabled.
- libzbar is a system library: without it this rung is missing, `available()` says so, and everything else works.
"""

import functools
from collections.abc import Sequence
from ctypes import c_char_p, c_void_p, cast, string_at
from typing import Any

import numpy as np

from drivers.camera.pictures import Gray
from drivers.camera.symbols import Corners, Symbol

_FORMATS = {"QRCode": 64, "EAN13": 13, "Code39": 39, "Code128": 128, "Codabar": 38}
_NAMES = {number: name for name, number in _FORMATS.items()}
_ENABLE, _BINARY = 0, 4  # ZBAR_CFG_BINARY, since zbar 0.23.1; pyzbar calls it CFG_NUM
_Y800 = 0x30303859


@functools.cache
def _library() -> Any:
    """The wrapper of pyzbar, or None where libzbar is not installed."""
    try:
        from pyzbar import wrapper  # it loads libzbar when it is imported
    except (ImportError, OSError):
        return None
    return wrapper


def available() -> bool:
    """Whether libzbar could be loaded."""
    return _library() is not None


class Zbar:
    """Reads the given formats; without libzbar it sees nothing. One per thread."""

    def __init__(self, formats: Sequence[str]) -> None:
        self.numbers = [_FORMATS[name] for name in formats]

    def read(self, gray: Gray, rung: str) -> list[Symbol]:
        """Every symbol of the picture, with corners in its own pixels."""
        library = _library()
        if library is None or not gray.size:
            return []
        scanner, image = library.zbar_image_scanner_create(), library.zbar_image_create()
        try:
            return list(self._scan(library, scanner, image, np.ascontiguousarray(gray), rung))
        finally:
            library.zbar_image_destroy(image)
            library.zbar_image_scanner_destroy(scanner)

    def _scan(self, library: Any, scanner: Any, image: Any, gray: Gray, rung: str) -> list[Symbol]:
        configure = functools.partial(library.zbar_image_scanner_set_config, scanner)
        configure(0, _ENABLE, 0)  # 0: every symbology
        for number in self.numbers:
            configure(number, _ENABLE, 1)
        configure(_FORMATS["QRCode"], _BINARY, 1)
        pixels = gray.tobytes()  # lives until the scan is over; the image is told not to free it
        library.zbar_image_set_format(image, _Y800)
        library.zbar_image_set_size(image, gray.shape[1], gray.shape[0])
        library.zbar_image_set_data(image, cast(c_char_p(pixels), c_void_p), len(pixels), None)
        found = []
        if library.zbar_scan_image(scanner, image) > 0:
            symbol = library.zbar_image_first_symbol(image)
            while symbol:
                found.append(_symbol(library, symbol, rung))
                symbol = library.zbar_symbol_next(symbol)
        return [one for one in found if one is not None]


def _symbol(library: Any, symbol: Any, rung: str) -> Symbol | None:
    name = _NAMES.get(symbol.contents.type)
    size = library.zbar_symbol_get_loc_size(symbol)
    if name is None or not size:
        return None
    xs = [float(library.zbar_symbol_get_loc_x(symbol, index)) for index in range(size)]
    ys = [float(library.zbar_symbol_get_loc_y(symbol, index)) for index in range(size)]
    return Symbol(
        payload=string_at(library.zbar_symbol_get_data(symbol), library.zbar_symbol_get_data_length(symbol)),
        format=name,
        corners=_corners(xs, ys),
        rung=rung,
        score=0.0,  # it does not say, and what only the last rung could read was hardly readable
    )


def _corners(xs: list[float], ys: list[float]) -> Corners:
    """Four points as they are; of a linear code's many, the box around them."""
    if len(xs) == 4:
        return (xs[0], ys[0]), (xs[1], ys[1]), (xs[2], ys[2]), (xs[3], ys[3])
    left, right, top, bottom = min(xs), max(xs), min(ys), max(ys)
    return (left, top), (right, top), (right, bottom), (left, bottom)
