"""GNSS sentences: what is read, what is not, and that no stream of bytes stops the next good one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.position.sentences import LONGEST, Sentences, checksum
from simulators.route import Receiver, Route, _gga, _rmc, _sentence

GOOD = _sentence(_rmc((30_572_815, 104_066_801)))


def line(body: str) -> bytes:
    return f"${body}*{checksum(body.encode()):02X}\r\n".encode()


CHENGDU, MUNICH = [(30_572_815, 104_066_801)], [(48_117_300, 11_516_666)]
PLACE = "3034.3689,N,10404.0081,E"


@pytest.mark.parametrize(
    ("sentence", "data", "expected"),
    [
        # Two sentences with their checksums as the format's manuals print them.
        ("RMC", b"$GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W*6A\r\n", MUNICH),
        ("GGA", b"$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47\r\n", MUNICH),
        ("BeiDou's own talker", line(f"BDRMC,080000,A,{PLACE},0,0,020326,,,A"), CHENGDU),
        ("south and west", line("GNRMC,1,A,3034.3689,S,10404.0081,W,0,0,1,,,A"), [(-30_572_815, -104_066_801)]),
        ("no fix in RMC", line("GNRMC,080000,V,,,,,,,020326,,,N"), []),
        ("no fix in GGA", line("GNGGA,080000,,,,,0,00,99.9,,M,,M,,"), []),
        ("a wrong checksum", GOOD[:-4] + b"00\r\n", []),
        ("no checksum", f"$GNRMC,080000,A,{PLACE},0,0,020326,,,A\r\n".encode(), []),
        ("another sentence", line("GNVTG,0,T,,M,0,N,0,K"), []),
        ("a sentence cut short", line("GNRMC,080000,A,3034"), []),
        ("91 degrees north", line("GNRMC,1,A,9134.3689,N,10404.0081,E,0"), []),
        ("north and what?", line("GNRMC,1,A,3034.3689,X,10404.0081,E,0"), []),
        ("letters for numbers", line("GNRMC,1,A,30ab.3689,N,10404.0081,E,0"), []),
        ("rubbish before the dollar", b"\x00\xff$GN" + GOOD, CHENGDU),
    ],
)
def test_sentences(sentence: str, data: bytes, expected: list[tuple[int, int]]) -> None:
    """A position counts with its checksum, where the receiver says it is valid."""
    assert Sentences().feed(data) == expected, sentence


@given(st.lists(st.binary(max_size=300), max_size=6))
def test_whatever_came_before_the_next_good_sentence_is_read(noise: list[bytes]) -> None:
    """Rubbish costs itself, and at most the line it stands in."""
    sentences = Sentences()
    for data in noise:
        sentences.feed(data)
        assert len(sentences._rest) <= LONGEST
    sentences.feed(b"\r\n")
    assert sentences.feed(GOOD) == [(30_572_815, 104_066_801)]


@given(st.integers(-90_000_000, 90_000_000), st.integers(-180_000_000, 180_000_000), st.integers(1, 40))
def test_the_simulated_receiver_is_understood_in_any_pieces(lat: int, lon: int, piece: int) -> None:
    """To within a tenth of a metre, however the line cuts it."""
    data = _sentence(_rmc((lat, lon))) + _sentence(_gga((lat, lon)))
    sentences = Sentences()
    heard = [place for at in range(0, len(data), piece) for place in sentences.feed(data[at : at + piece])]
    assert len(heard) == 2
    assert all(abs(place[0] - lat) <= 1 and abs(place[1] - lon) <= 1 for place in heard)


def test_a_route_is_driven_up_and_down() -> None:
    """It stands, drives straight, and turns round at the end."""
    route = Route(((0, 0), (100, 0), (100, 100)), stand_s=10, drive_s=10)
    assert [route.at(t) for t in (0, 10, 15, 20, 39.9, 40, 55, 80)] == [
        (0, 0),
        (0, 0),
        (50, 0),
        (100, 0),
        (100, 99),
        (100, 100),
        (100, 50),
        (0, 0),
    ]
    assert Route(((7, 8),)).at(1000) == (7, 8)


def test_a_receiver_without_a_fix_says_so() -> None:
    """Both sentences are read as no position."""
    assert Sentences().feed(_sentence(_rmc(None)) + _sentence(_gga(None))) == []
    assert Receiver.__doc__
