"""Framing: bytes in, payloads out, whatever happens on the line."""

import base64
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.scan.framing import FRAMINGS, LONGEST, WORK, Framing, LengthPrefixed

CODE = bytes(range(256)) + b"a real code has some three hundred bytes, among them CR \r and LF \n"
TEXT = b"NCFOXN%TS3DH$2I-T 5L"


def length16(payload: bytes) -> bytes:
    """As a module sends it: two bytes of length, most significant first."""
    return len(payload).to_bytes(2) + payload


def strong(payload: bytes) -> bytes:
    """With a start mark and CRC-16/MODBUS over length and payload, written out bit by bit here."""
    body, register = length16(payload), 0xFFFF
    for byte in body:
        register ^= byte
        for _ in range(8):
            register = (register >> 1) ^ (0xA001 if register & 1 else 0)
    return b"\x55\xaa" + body + bytes((register & 0xFF, register >> 8))


SENT: dict[str, tuple[Callable[[], Framing], Callable[[bytes], bytes], bytes]] = {
    "lines CRLF": (FRAMINGS["lines"], lambda code: code + b"\r\n", TEXT),
    "lines CR": (FRAMINGS["lines"], lambda code: code + b"\r", TEXT),
    "lines LF": (FRAMINGS["lines"], lambda code: code + b"\n", TEXT),
    "hex upper": (FRAMINGS["hex"], lambda code: code.hex().upper().encode() + b"\r\n", CODE),
    "hex lower": (FRAMINGS["hex"], lambda code: code.hex().encode() + b"\n", CODE),
    "base64": (FRAMINGS["base64"], lambda code: base64.b64encode(code) + b"\r", CODE),
    "length16": (FRAMINGS["length16"], length16, CODE),
    "length16 with mark and checksum": (lambda: LengthPrefixed(start=b"\x55\xaa", checksum="crc16"), strong, CODE),
    "gap": (FRAMINGS["gap"], lambda code: code, CODE),
}
every_framing = pytest.mark.parametrize(("make", "frame", "code"), SENT.values(), ids=list(SENT))


def read(framing: Framing, *pieces: tuple[float, bytes]) -> list[bytes]:
    """Feed pieces at their times, then let the line fall silent."""
    payloads: list[bytes] = []
    at_s = 0.0
    for at_s, data in pieces:
        payloads += framing.feed(data, at_s)
    return payloads + framing.silence(at_s + framing.gap_s)


@every_framing
class TestEveryFraming:
    """What holds however a module frames."""

    def test_one_code(self, make: Callable[[], Framing], frame: Callable[[bytes], bytes], code: bytes) -> None:
        """A frame is one payload, and nothing is left."""
        framing = make()
        assert read(framing, (0.0, frame(code))) == [code]
        assert not framing.pending()

    def test_byte_by_byte(self, make: Callable[[], Framing], frame: Callable[[bytes], bytes], code: bytes) -> None:
        """A frame that dribbles in byte by byte is the same one payload, once."""
        framing = make()
        step_s = framing.gap_s * 0.8
        pieces = [(number * step_s, bytes((byte,))) for number, byte in enumerate(frame(code))]
        assert read(framing, *pieces) == [code]

    def test_half_a_frame_never_swallows_the_next(
        self, make: Callable[[], Framing], frame: Callable[[bytes], bytes], code: bytes
    ) -> None:
        """A frame cut off in the middle is gone after the silence; the next one is read."""
        framing = make()
        got = read(framing, (0.0, frame(code)[: len(code) // 2]), (framing.gap_s, frame(code)))
        assert got[-1] == code
        assert len(got) == (2 if make is FRAMINGS["gap"] else 1)

    def test_garbage_then_a_frame(
        self, make: Callable[[], Framing], frame: Callable[[bytes], bytes], code: bytes
    ) -> None:
        """After any amount of garbage and a silence, the next frame is read."""
        for seed in range(20):
            framing = make()
            noise = Random(seed).randbytes(5000)
            framing.feed(noise, 0.0)
            framing.silence(framing.gap_s)
            assert read(framing, (framing.gap_s, frame(code))) == [code]

    def test_buffers_are_bounded(
        self, make: Callable[[], Framing], frame: Callable[[bytes], bytes], code: bytes
    ) -> None:
        """However long garbage goes on without a pause, little is held."""
        for noise in (Random(1).randbytes(200_000), b"A" * 200_000, b"\xff" * 200_000, b"\x55\xaa" * 100_000):
            framing = make()
            for start in range(0, len(noise), 997):
                framing.feed(noise[start : start + 997], 0.0)
                assert len(framing._held) <= 4 * LONGEST  # type: ignore[attr-defined]  # the bound itself

    @given(data=st.data())
    def test_cuts_change_nothing(
        self, make: Callable[[], Framing], frame: Callable[[bytes], bytes], code: bytes, data: st.DataObject
    ) -> None:
        """However the same bytes are cut into reads, the same payloads come and the same is dropped."""
        pieces = data.draw(st.lists(st.one_of(st.binary(max_size=40), st.just(frame(code)), st.just(b"\r\n\x00\x05"))))
        stream = b"".join(pieces)
        cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
        whole, cut = make(), make()
        expected = read(whole, (0.0, stream))
        got = read(cut, *((0.0, stream[a:b]) for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)))
        assert (got, cut.dropped) == (expected, whole.dropped)


@pytest.mark.parametrize("name", [name for name in SENT if name != "gap"])
def test_glued_frames_are_each_read_once(name: str) -> None:
    """Two frames in one read are two payloads, each once, in order."""
    make, frame, code = SENT[name]
    assert read(make(), (0.0, frame(code) + frame(code[:-1]))) == [code, code[:-1]]


@given(noise=st.binary(max_size=300), code=st.binary(min_size=1, max_size=60))
def test_with_mark_and_checksum_no_silence_is_needed(noise: bytes, code: bytes) -> None:
    """With a mark and a checksum a frame glued to garbage is found; a false start delays it, never loses it."""
    framing = LengthPrefixed(start=b"\x55\xaa", checksum="crc16")
    assert read(framing, (0.0, noise + strong(code)))[-1:] == [code]


def test_unmarked_frame_glued_to_garbage_is_found_at_the_silence() -> None:
    """Adrift after an impossible length, the frame that ends where the line falls silent is read."""
    framing = FRAMINGS["length16"]()
    assert framing.feed(b"\xff\xff\xfe\xfd" + length16(CODE), 0.0) == []
    assert framing.silence(framing.gap_s) == [CODE]


def test_frame_swallowed_by_a_false_length_is_found_at_the_silence() -> None:
    """A plausible but false length holds the next frame back until the silence, no longer."""
    framing = FRAMINGS["length16"]()
    assert framing.feed(b"\x03\xe8" + length16(TEXT), 0.0) == []
    assert framing.silence(framing.gap_s) == [TEXT]


def test_length_65535_and_silence_frees_the_buffer() -> None:
    """A length field of 65535 followed by silence: nothing is held, and the next frame is read."""
    framing = FRAMINGS["length16"]()
    assert framing.feed(b"\xff\xff", 0.0) == []
    assert framing.silence(framing.gap_s) == []
    assert not framing.pending()
    assert framing.feed(length16(CODE), 1.0) == [CODE]


@pytest.mark.parametrize(("name", "line"), [("hex", b"ABC"), ("hex", b"XY"), ("base64", b"A"), ("base64", b"!!!!")])
def test_line_that_is_no_encoding_is_dropped_and_counted(name: str, line: bytes) -> None:
    """A line that is not the encoding it should be is no payload, is counted, and harms no other."""
    framing = FRAMINGS[name]()
    good = b"41\r\n" if name == "hex" else b"QQ==\r\n"
    assert framing.feed(line + b"\r\n" + good, 0.0) == [b"A"]
    assert framing.dropped == len(line)


def test_overlong_line_is_dropped_whole() -> None:
    """A line longer than any code is noise to its end; the next line is read."""
    framing = FRAMINGS["lines"](longest=100)
    assert framing.feed(b"A" * 101 + b"\n" + b"B" * 100 + b"\n", 0.0) == [b"B" * 100]


def test_noise_before_a_line_of_text() -> None:
    """Control bytes on a text line: what came before them is noise, what follows is the code."""
    framing = FRAMINGS["lines"]()
    assert framing.feed(b"\x9a\x01z\x00" + TEXT + b"\r\n", 0.0) == [TEXT]


def test_any_wrong_bit_is_refused_by_the_checksum() -> None:
    """One flipped bit anywhere in a checked frame: no payload."""
    good = strong(TEXT)
    for bit in range(len(good) * 8):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        assert read(LengthPrefixed(start=b"\x55\xaa", checksum="crc16"), (0.0, bytes(bad))) == []


@pytest.mark.parametrize("noise", [b"\x55\xaa\x03\xff", b"\x55", b"\x55\xaa", b"\x55\xaa\x00\x01\x00"])
def test_false_starts_without_end_are_bounded_work(noise: bytes) -> None:
    """A megabyte of marks and plausible lengths: little of it is checked; after a silence the next frame is read."""
    framing, checked = LengthPrefixed(start=b"\x55\xaa", checksum="crc16"), list[int]()
    check = framing._check

    def counted(data: bytes) -> bytes:
        checked.append(len(data))
        return check(data)

    framing._check = counted
    for _ in range(4):
        assert framing.feed(noise * (262_144 // len(noise)), 0.0) == []
    framing.silence(1.0)
    assert sum(checked) < 20 * WORK
    assert read(framing, (1.0, strong(CODE))) == [CODE]


@pytest.mark.parametrize("noise", [b"\x00\x01\x00", b"\x00\x01", b"\x00", b"\x00\x02\x00\x01"])
def test_what_a_silence_ends_is_looked_at_once(noise: bytes) -> None:
    """Adrift among frames of one byte, each place is asked once where a run could begin."""
    framing, asked = LengthPrefixed(), list[int]()
    size = framing._size

    def counted(position: int) -> int:
        asked.append(position)
        return size(position)

    framing._size = counted  # type: ignore[method-assign]  # counts
    framing.feed(b"\xff\xff" + noise * 2000 + b"\xff", 0.0)
    asked.clear()
    framing.silence(1.0)
    assert len(asked) <= 3 * (LONGEST + 8)
