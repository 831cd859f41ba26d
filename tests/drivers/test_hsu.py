"""Frames of a PN532's line: known bytes of the manual, any cut of the stream, any damage."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.card.hsu import LONGEST, TO_MODULE, Decoder, Mark, frame

GET_VERSION = bytes.fromhex("0000ff02fed4022a00")  # UM0701-02, 7.2.2
VERSION = bytes.fromhex("0000ff06fad50332010607e800")


def test_the_manuals_own_frames() -> None:
    """A command as the manual prints it, and its answer."""
    assert frame(b"\x02") == GET_VERSION
    assert Decoder().feed(VERSION) == [bytes.fromhex("0332010607")]
    assert Decoder(TO_MODULE).feed(GET_VERSION) == [b"\x02"]


@pytest.mark.parametrize("mark", [Mark.ACK, Mark.NACK, Mark.ERROR])
def test_marks(mark: Mark) -> None:
    """Frames without data are told apart."""
    assert Decoder().feed(mark.value) == [mark]


@given(st.lists(st.binary(max_size=LONGEST - 1), max_size=4), st.randoms(use_true_random=False))
def test_cuts_change_nothing(datas: list[bytes], random: Random) -> None:
    """However the stream is cut, the same frames come out; normal and extended."""
    stream = b"".join(frame(data) for data in datas)
    decoder, found = Decoder(TO_MODULE), []
    while stream:
        size = random.randint(1, 40)
        found += decoder.feed(stream[:size])
        stream = stream[size:]
    assert found == datas
    assert decoder.dropped == 0


@given(st.binary(max_size=60), st.binary(min_size=1, max_size=60), st.data())
def test_damage_is_never_data(before: bytes, data: bytes, draw: st.DataObject) -> None:
    """One flipped bit: no other data comes out, and the next frame does."""
    whole = bytearray(frame(data))
    at = draw.draw(st.integers(0, len(whole) * 8 - 1))
    whole[at // 8] ^= 1 << at % 8
    found = Decoder(TO_MODULE).feed(bytes(whole) + bytes(300) + frame(b"next"))
    assert [one for one in found if isinstance(one, bytes) and one not in (data, b"next")] == []
    assert found[-1] == b"next"


@given(st.binary(max_size=2000))
def test_garbage_is_stepped_over(garbage: bytes) -> None:
    """Bounded, and after a silence of zeros a frame is read."""
    decoder = Decoder()
    decoder.feed(garbage)
    assert len(decoder._held) <= LONGEST + 10
    assert decoder.feed(bytes(300) + VERSION)[-1] == bytes.fromhex("0332010607")


def test_too_long_for_a_frame() -> None:
    """A command that no frame holds is our mistake."""
    with pytest.raises(ValueError, match="do not fit"):
        frame(bytes(LONGEST))
