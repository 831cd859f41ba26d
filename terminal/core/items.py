"""What lies on a kiosk's pad: tags, the items they stand for, and whether the door would alarm.

Laws of this file:
- A tag is told as it was read. What cannot be understood has a `TagFault` and no identifier: it can be lent by nobody.
- An item of several parts is lent and taken back whole: every part lies on the pad, or nothing is written.
- Two tags that give themselves out as the same part of the same item are a question for a librarian, never a guess.
"""

from collections.abc import Iterable
from enum import StrEnum

from terminal.core.base import Value


class TagFault(StrEnum):
    """Why a tag's content says nothing to us."""

    EMPTY = "empty"  # nothing was ever written
    UNKNOWN_FORMAT = "unknown_format"  # neither of the layouts that the site names
    CUT = "cut"  # ends within a data element, or the tag is too small for its layout
    BAD_CHECK = "bad_check"  # the checksum does not hold
    BAD_TEXT = "bad_text"  # characters that no compaction scheme gives, or no text at all
    BAD_SET = "bad_set"  # a part that its set cannot have
    TWICE = "twice"  # a data element stands there twice
    NO_ITEM = "no_item"  # well formed, without a primary item identifier
    UNREADABLE = "unreadable"  # the tag answered wrongly, or only in part


class Usage(StrEnum):
    """Type of usage: what the library says this tag is on (ISO 28560-1)."""

    ACQUISITION = "acquisition"
    CIRCULATION = "circulation"
    NOT_FOR_CIRCULATION = "not_for_circulation"
    DISCARDED = "discarded"
    PATRON_CARD = "patron_card"
    OTHER = "other"
    UNSAID = "unsaid"


class Content(Value, frozen=True):
    """What a library wrote on a tag (ISO 28560)."""

    item: str  # primary item identifier: the item's barcode
    owner: str = ""  # ISIL of the owner library; "" where unsaid
    part: int = 1  # set information: this part …
    parts: int = 1  # … of so many
    usage: Usage = Usage.UNSAID


class Tag(Value, frozen=True):
    """One tag in the field."""

    uid: str  # 16 hexadecimal digits, most significant first (E0…)
    content: Content | TagFault
    secured: bool | None  # True: the door alarms. None: it cannot be told, or AFI and EAS disagree

    @property
    def item(self) -> str:
        """The item's barcode; "" where the tag says nothing to us."""
        return "" if isinstance(self.content, TagFault) else self.content.item


class Pad(Value, frozen=True):
    """What lies on the pad, by ascending uid: two pads with the same tags are equal."""

    tags: tuple[Tag, ...] = ()

    @property
    def items(self) -> tuple[str, ...]:
        """Barcodes of what lies there, each once."""
        return tuple(dict.fromkeys(tag.item for tag in self.tags if tag.item))


class Securing(StrEnum):
    """What came of writing the security of an item. Only DONE is done, and only what was read back makes it so."""

    DONE = "done"
    GONE = "gone"  # not on the pad, or taken away before it was read back: whether it was written is unknown
    WRITE_FAILED = "write_failed"  # the tag refused, and still says what it said before
    DIFFERS = "differs"  # the tag took it, and says something else when read back
    TWO_TAGS = "two_tags"  # two tags with one identifier that are not parts of one set; nothing was written
    PARTS_MISSING = "parts_missing"  # a set, and not all of it lies there; nothing was written


def pad_of(tags: Iterable[Tag]) -> Pad:
    """The pad on which these tags lie."""
    return Pad(tags=tuple(sorted(tags, key=lambda tag: tag.uid)))


def tags_of(pad: Pad, item: str) -> tuple[Tag, ...] | Securing:
    """Every tag of this item, by its part; or why nothing may be written to any of them."""
    found = [(tag, tag.content) for tag in pad.tags if isinstance(tag.content, Content) and tag.content.item == item]
    if not found:
        return Securing.GONE
    sets = {(content.owner, content.parts) for _, content in found}
    numbers = [content.part for _, content in found]
    if len(sets) > 1 or len(set(numbers)) < len(numbers):
        return Securing.TWO_TAGS
    if len(found) < found[0][1].parts:
        return Securing.PARTS_MISSING
    return tuple(tag for tag, _ in sorted(found, key=lambda one: one[1].part))
