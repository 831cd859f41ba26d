"""Codes drawn in ways no phone draws them: the same token comes out, or none; never another one."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
import segno

from drivers.camera.exhaustive import look_hard
from drivers.camera.pipeline import Pipeline, still
from simulators.phone import Phone
from simulators.token_issuer import Wallet, text
from terminal.core import tokens
from terminal.core.model import Credential
from tests.core.cases import instant
from tests.core.test_hostile_codes import KNOWN, NOW_S
from tests.drivers.test_camera_decoding import QR, painted, placed

RIDE, TOKEN = Phone().code(NOW_S), text(Wallet().code(NOW_S))


def drawn(code: Any) -> Any:
    """A code of segno's, four pixels a module, with its quiet zone."""
    bits = np.array([list(row) for row in code.matrix_iter(border=4)], np.uint8)
    return np.kron(np.where(bits, 0, 255), np.ones((4, 4))).astype(np.uint8)


def parts(payload: bytes) -> Any:
    """The first of three codes that belong together (structured append)."""
    return drawn(segno.make_sequence(payload, symbol_count=3, mode="byte")[0])


def tagged(payload: bytes) -> Any:
    """A code that names a character set before its bytes (ECI)."""
    return drawn(segno.make_qr(payload.decode("latin-1"), encoding="utf-8", eci=True, mode="byte", error="l"))


ODD: dict[str, Callable[[bytes], Any]] = {
    "as it should be": painted,
    "inverted": lambda payload: 255 - painted(payload),
    "mirrored": lambda payload: np.ascontiguousarray(painted(payload)[:, ::-1]),
    "upside down": lambda payload: cv2.rotate(painted(payload), cv2.ROTATE_180),
    "part of a sequence": parts,
    "tagged with a character set": tagged,
}


def named(payload: bytes) -> tuple[str, int] | None:
    """Whose use of which second a payload is, or None."""
    claim = tokens.verify(payload, KNOWN, instant())
    return (claim.issuer, claim.generated_ms) if isinstance(claim, Credential) else None


@pytest.mark.parametrize("payload", [RIDE, TOKEN], ids=["ride code", "card token"])
@pytest.mark.parametrize("what", ODD)
def test_an_odd_code_is_the_same_token_or_none(what: str, payload: bytes) -> None:
    """However it is looked at."""
    frame = placed((ODD[what](payload), 60, 60), size=(720, 1280), level=200)
    reads = (Pipeline(QR).look(frame, 0.0), look_hard(frame, QR), still(frame, QR))
    found = {named(symbol.payload) for read in reads for symbol in read} - {None}
    assert found <= {named(payload)}
    assert found or what != "as it should be"
