"""What lies on a pad, and which tags are one item: a sentence a row."""

import pytest

from terminal.core.items import Content, Pad, Securing, Tag, TagFault, pad_of, tags_of


def tag(uid: str, item: str = "B1", part: int = 1, parts: int = 1, owner: str = "CN-1") -> Tag:
    """A tag that can be read."""
    return Tag(uid=uid, content=Content(item=item, owner=owner, part=part, parts=parts), secured=True)


UNREAD = Tag(uid="E0FF", content=TagFault.BAD_CHECK, secured=None)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ([tag("E01")], ["E01"]),  # one book, one tag
        ([tag("E01"), tag("E02", "B2")], ["E01"]),  # another book beside it
        ([tag("E01"), UNREAD], ["E01"]),  # a tag of somebody else's beside it
        ([tag("E01", part=2, parts=2), tag("E02", part=1, parts=2)], ["E02", "E01"]),  # a book and its disc, in order
        ([], Securing.GONE),
        ([tag("E02", "B2")], Securing.GONE),
        ([UNREAD], Securing.GONE),
        ([tag("E01"), tag("E02")], Securing.TWO_TAGS),  # a tag was printed twice
        ([tag("E01", part=1, parts=2), tag("E02", part=1, parts=2)], Securing.TWO_TAGS),
        ([tag("E01"), tag("E02", part=1, parts=2)], Securing.TWO_TAGS),  # they disagree about the set
        ([tag("E01"), tag("E02", owner="CN-2")], Securing.TWO_TAGS),  # two libraries, one barcode
        ([tag("E01", part=1, parts=2)], Securing.PARTS_MISSING),  # the disc was forgotten
    ],
)
def test_which_tags_are_the_item(tags: list[Tag], expected: list[str] | Securing) -> None:
    """Whole sets only, and never a guess."""
    found = tags_of(pad_of(tags), "B1")
    assert (found if isinstance(found, Securing) else [one.uid for one in found]) == expected


def test_a_pad_is_what_lies_there() -> None:
    """In any order; an unread tag is told, and is no item."""
    one, two = tag("E01", part=1, parts=2), tag("E02", part=2, parts=2)
    assert pad_of([two, UNREAD, one]) == pad_of([one, two, UNREAD])
    assert pad_of([one, two, UNREAD]).items == ("B1",)
    assert Pad().items == ()
