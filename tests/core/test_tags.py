"""What stands on an item's tag: published examples, a sentence a row, every cut and every flip, and whatever else."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators import tag_content
from terminal.core.items import Content, TagFault, Usage
from terminal.core.tags import compaction, fixed, is_enough, isil, read
from terminal.core.tags.layouts import Layouts, Unreadable

OBJECTS, FIXED = tag_content.OBJECTS_DSFID, tag_content.FIXED_DSFID
# ISO 28560-2, Annex D: an identifier that is locked, an index, part 3 of 12, a shelf, an owner padded to a block.
ANNEX_D = bytes.fromhex("9100051CBE991A14 0201D0 140204B3 4607441CB6E2E335D6 830207ACC09EBAA06F6B0000")
# A tag of the Danish model, from the tests of libdanrfid.
DANISH = bytes.fromhex("11010131313232333334340000000000000000513e4445373035000000000000")


def objects(memory: str) -> Content | TagFault:
    """A tag by data elements, from hexadecimal digits."""
    return read(bytes.fromhex(memory), OBJECTS, Layouts())


class TestPublished:
    def test_the_standards_own_example(self) -> None:
        """Integer, content parameter, set, six bits, and a packed ISIL with padding."""
        expected = Content(item="123456789012", owner="US-InU-Mu", part=3, parts=12)
        assert read(ANNEX_D, OBJECTS, Layouts()) == expected
        assert compaction.expand(compaction.SIX, bytes.fromhex("441CB6E2E335D6")) == "QA268.L55"

    @pytest.mark.parametrize(
        ("packed", "text"), [("21408E16BF1F", "DE-Heu1"), ("ACC09EBAA06F6B", "US-InU-Mu")]
    )  # ISO 28560-2, Annex C
    def test_published_isils(self, packed: str, text: str) -> None:
        """Both ways, by two hands."""
        assert isil.expand(bytes.fromhex(packed)) == text
        assert tag_content.isil(text).hex().upper() == packed

    def test_a_danish_tag(self) -> None:
        """And the checksum's published word."""
        expected = Content(item="11223344", owner="DE-705", usage=Usage.CIRCULATION)
        assert read(DANISH, FIXED, Layouts()) == expected
        assert fixed.crc(b"RFID tag data model") == 0x1AEE


@pytest.mark.parametrize(
    ("memory", "expected"),
    [
        ("11 02 04D2 00", "1234"),  # an integer
        ("21 03 00123F 00", "00123"),  # digits with zeros before them
        ("31 02 08C0", "AC"),  # five bits; six zeros over
        ("51 02 C387", "aa"),  # seven bits; two ones over
        ("51 07 C3870E1C3870FF", "aaaaaaa"),  # seven ones over
        ("61 02 42B5", "Bµ"),  # Latin
        ("71 03 E4B889", "三"),  # UTF-8
        ("11 02 04D2 42 01 80", "1234"),  # an element of ours that we do not know, at the end of the tag
        ("11 02 04D2 1F 03 01 05", "1234"),  # element 18
        ("", TagFault.EMPTY),
        ("00000000", TagFault.EMPTY),
        ("FFFFFFFF", TagFault.EMPTY),
        ("01 02 04D2", TagFault.BAD_TEXT),  # an identifier in a scheme of its own
        ("11 00 00", TagFault.BAD_TEXT),  # nothing compacted
        ("21 01 1A", TagFault.BAD_TEXT),  # a nibble that is no digit
        ("31 02 0001", TagFault.BAD_TEXT),  # a code that is no letter
        ("71 02 E4B8", TagFault.BAD_TEXT),  # half a character
        ("61 01 0A", TagFault.BAD_TEXT),  # a line feed would be another message to a library system
        ("61 03 204142", TagFault.BAD_TEXT),  # a blank before it
        ("11 41" + "FF" * 65, TagFault.BAD_TEXT),  # a number longer than any barcode
        ("14 01 0C", TagFault.NO_ITEM),
        ("11", TagFault.CUT),
        ("11 05 04D2", TagFault.CUT),
        ("11 02 04D2 14", TagFault.CUT),
        ("91", TagFault.CUT),
        ("91 09 02 04D2 00", TagFault.CUT),  # more padding than tag
        ("1F", TagFault.CUT),
        ("11 82 04D2", TagFault.CUT),  # a length that no tag of a book has
        ("11 02 04D2 11 02 04D3", TagFault.TWICE),
    ],
)
def test_data_elements(memory: str, expected: str | TagFault) -> None:
    """The identifier, or why there is none."""
    found = objects(memory)
    assert (found.item if isinstance(found, Content) else found) == expected


@pytest.mark.parametrize(
    ("memory", "expected"),
    [
        ("14 01 15", (1, 2)),  # "21": part 1 of 2
        ("14 02 04B3", (3, 12)),
        ("24 02 0201", (1, 2)),
        ("14 02 00C9", (1, 2)),  # "201": its zero was lost
        ("24 03 120003", (3, 120)),
        ("14 01 0A", (1, 1)),  # "10": no part of one: the tag stands for the whole
        ("24 01 00", (1, 1)),
        ("14 01 0C", TagFault.BAD_SET),  # "12": part 2 of 1
        ("44 02 9871", TagFault.BAD_SET),  # letters
        ("24 04 12345678", TagFault.BAD_SET),
        ("74 02 D9A3", TagFault.BAD_SET),  # a digit of another script
    ],
)
def test_sets(memory: str, expected: tuple[int, int] | TagFault) -> None:
    """This part of so many."""
    found = objects(f"11 02 04D2 {memory}")
    assert ((found.part, found.parts) if isinstance(found, Content) else found) == expected


@pytest.mark.parametrize(
    ("memory", "owner", "usage"),
    [
        ("05 01 10", "", Usage.CIRCULATION),
        ("05 01 13", "", Usage.CIRCULATION),  # "not for issue while offline" is its sub-qualifier
        ("05 01 20", "", Usage.NOT_FOR_CIRCULATION),
        ("05 01 60", "", Usage.UNSAID),
        ("05 01 70", "", Usage.DISCARDED),
        ("05 01 80", "", Usage.PATRON_CARD),
        ("05 01 90", "", Usage.OTHER),
        ("05 00", "", Usage.OTHER),
        ("15 01 10", "", Usage.OTHER),  # compacted as nobody should
        ("", "", Usage.UNSAID),
        ("63 04 434E2D31", "CN-1", Usage.UNSAID),  # an owner who is not packed
    ],
)
def test_owner_and_usage(memory: str, owner: str, usage: Usage) -> None:
    """What a kiosk must know of them."""
    found = objects(f"11 02 04D2 {memory}")
    assert isinstance(found, Content)
    assert (found.owner, found.usage) == (owner, usage)


@pytest.mark.parametrize("packed", ["", "FF", "0FFF", "F7BD", "E7"])
def test_an_isil_that_is_none(packed: str) -> None:
    """Nothing but padding, more padding than a byte, or a zero in it."""
    with pytest.raises(Unreadable):
        isil.expand(bytes.fromhex(packed))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda block: block[:31], TagFault.CUT),
        (lambda block: block[:10], TagFault.CUT),
        (lambda block: b"\x21" + block[1:], TagFault.UNKNOWN_FORMAT),  # another version
        (lambda block: block[:3] + b"\x01" + block[4:], TagFault.UNKNOWN_FORMAT),  # its identifier is elsewhere
        (lambda block: block[:3] + b"\xff" + block[4:], TagFault.BAD_TEXT),
        (lambda block: block[:3] + bytes(16) + block[19:], TagFault.NO_ITEM),
        (lambda block: block[:2] + b"\x02" + block[3:], TagFault.BAD_SET),
        (lambda block: block + b"left by somebody", None),  # a truncated block on a larger tag
    ],
)
def test_fixed_blocks(change: object, expected: TagFault | None) -> None:
    """The checksum holds in every row that is long enough."""
    assert callable(change)
    changed = change(DANISH)
    block = changed[:32].ljust(34, b"\x00")
    sealed = changed[:19] + fixed.crc(block[:19] + block[21:]).to_bytes(2, "little") + changed[21:]
    found = read(sealed[: len(changed)], FIXED, Layouts())
    assert found == expected if expected is not None else isinstance(found, Content)


def test_the_layout_is_the_dsfids_to_say() -> None:
    """And what a DSFID means is the site's."""
    assert read(DANISH, 0x06, Layouts()) != read(DANISH, 0x3E, Layouts())
    assert read(ANNEX_D, 0x46, Layouts()) is TagFault.UNKNOWN_FORMAT
    assert isinstance(read(DANISH, 0x46, Layouts(fixed=(0x46,))), Content)


def test_when_enough_was_read() -> None:
    """A basic block; or everything up to the terminator."""
    assert [is_enough(DANISH.ljust(size, b"\0"), FIXED, Layouts()) for size in (32, 33, 34)] == [False, False, True]
    whole = ANNEX_D + b"\x00"
    assert [size for size in range(len(whole) + 1) if is_enough(whole[:size], OBJECTS, Layouts())] == [len(whole)]
    assert is_enough(b"", 0x77, Layouts())


# --------------------------------------------------------------------------- whatever is written is read

BARCODES = st.one_of(
    st.from_regex(r"[0-9]{1,16}", fullmatch=True),
    st.from_regex(r"[A-Z]{1,16}", fullmatch=True),
    st.from_regex(r"[A-Z0-9./-]{1,16}", fullmatch=True),
    st.text(string.ascii_letters + string.digits + "-_.", min_size=1, max_size=16),
)
OWNERS = st.one_of(st.just(""), st.from_regex(r"[A-Z]{2}-[A-Za-z0-9][A-Za-z0-9:/-]{0,10}", fullmatch=True))
SETS = st.integers(1, 255).flatmap(lambda parts: st.tuples(st.integers(1, parts), st.just(parts)))


@st.composite
def contents(draw: st.DrawFn, barcodes: st.SearchStrategy[str] = BARCODES) -> Content:
    """Whatever a library may write."""
    part, parts = draw(SETS | st.just((1, 1)))
    usage = draw(st.sampled_from(Usage))
    return Content(item=draw(barcodes), owner=draw(OWNERS), part=part, parts=parts, usage=usage)


@given(content=contents(BARCODES | st.text("三体红楼梦Éé", min_size=1, max_size=9)), aligned=st.sets(st.integers(1, 6)))
def test_what_is_written_by_elements_is_read(content: Content, aligned: set[int]) -> None:
    """Every scheme, padded to blocks or not."""
    memory = tag_content.objects(content, aligned=frozenset(aligned), shelf="I247.5")
    assert read(memory, OBJECTS, Layouts()) == content


@given(content=contents(), size=st.sampled_from([32, 34]))
def test_what_is_written_in_a_block_is_read(content: Content, size: int) -> None:
    """Truncated or whole."""
    if len(content.owner) > size - 20:
        size = 34
    assert read(tag_content.fixed(content, size).ljust(112, b"\x00"), FIXED, Layouts()) == content


@given(memory=st.binary(max_size=300), dsfid=st.sampled_from([OBJECTS, FIXED, 0x00, 0x77]))
def test_whatever_a_tag_holds_is_content_or_a_fault(memory: bytes, dsfid: int) -> None:
    """Never an exception, never a barcode that a library system could not be asked."""
    found = read(memory, dsfid, Layouts())
    if isinstance(found, Content):
        assert found.item.isprintable() and 1 <= found.part <= found.parts
    else:
        assert isinstance(found, TagFault)


SAMPLES = [
    (OBJECTS, ANNEX_D),
    (OBJECTS, tag_content.objects(Content(item="B000123", owner="CN-110108-Q", usage=Usage.CIRCULATION))),
    (OBJECTS, tag_content.objects(Content(item="0012345", parts=3, part=2), aligned=frozenset({1, 4}))),
    (FIXED, tag_content.fixed(Content(item="31000012345678", owner="CN-1101", usage=Usage.CIRCULATION))),
]


@pytest.mark.parametrize(("dsfid", "memory"), SAMPLES)
def test_every_cut_and_every_flip(dsfid: int, memory: bytes) -> None:
    """A closed answer for each; and a block with a checksum never becomes another book."""
    good = read(memory, dsfid, Layouts())
    assert isinstance(good, Content)
    for size in range(len(memory)):
        assert isinstance(read(memory[:size], dsfid, Layouts()), Content | TagFault)
    for bit in range(len(memory) * 8):
        flipped = bytearray(memory)
        flipped[bit // 8] ^= 1 << bit % 8
        found = read(bytes(flipped), dsfid, Layouts())
        assert isinstance(found, Content | TagFault)
        assert dsfid == OBJECTS or found in (TagFault.BAD_CHECK, good)
