"""What card readers' drivers decide without a reader."""

import pytest

from drivers.card.apdu import t0_command
from drivers.card.pn532 import targets
from terminal.ports import DeviceError

NAMES = ["ACS ACR1281 1S Dual Reader 00 00", "ACS ACR1281 1S Dual Reader 00 01", "OMNIKEY 5022 CL 01 00"]


@pytest.mark.parametrize(
    ("command", "sent", "why"),
    [
        ("00b2072c0b", "00b2072c0b", "a length alone is kept"),
        ("00a4040002aabb00", "00a4040002aabb", "behind data it is not sent"),
        ("00a4040002aabb", "00a4040002aabb", "there is none"),
        ("00840000", "00840000", "nothing but a header"),
        ("8050030201000f", "805003020100", "data of one byte and a length"),
    ],
)
def test_commands_as_t0_carries_them(command: str, sent: str, why: str) -> None:
    """ISO/IEC 7816-3, 12.2."""
    assert t0_command(bytes.fromhex(command)).hex() == sent, why


@pytest.mark.parametrize(
    ("answer", "found", "why"),
    [
        ("00", [], "nobody"),
        ("01010004200411223344" + "0578807002", [(1, "11223344", "0578807002", True)], "one that speaks commands"),
        ("01010004080411223344", [(1, "11223344", "", True)], "one that speaks none"),
        (
            "02010004200411223344" + "0578807002" + "020044200711223344556677" + "0178",
            [(1, "11223344", "0578807002", False), (2, "11223344556677", "01", False)],
            "two",
        ),
        ("0101000420041122", [], "cut short"),
        ("", [], "empty"),
    ],
)
def test_listings(answer: str, found: list[tuple[int, str, str, bool]], why: str) -> None:
    """UM0701-02, 7.3.5."""
    listed = [(one.number, one.uid.hex(), one.ats.hex(), one.alone) for one in targets(bytes.fromhex(answer))]
    assert listed == found, why


def test_a_reader_is_named_by_how_its_name_begins() -> None:
    """One that fits is taken; none, or more than one, is told with what there is."""
    connection = pytest.importorskip("drivers.card.connection", exc_type=ImportError)
    assert connection.choose("OMNIKEY", NAMES) == NAMES[2]
    assert connection.choose(NAMES[1], NAMES) == NAMES[1]
    for wanted, told in (("ACS", "which of"), ("Feitian", "there is: ACS"), ("", "which of")):
        with pytest.raises(DeviceError, match=told):
            connection.choose(wanted, NAMES)
