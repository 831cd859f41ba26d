"""What both layouts of a tag share.

Laws of this file:
- Which layout a tag has is said by its DSFID and by nothing else; which DSFID means which layout is the site's to say,
  because tags older than the standard often carry 00.
- Text from a tag is text: no control characters, no blanks around it. It goes to a library system as it is.
"""

from terminal.core.base import Value
from terminal.core.items import Content, TagFault, Usage

USAGES = {
    0x0: Usage.ACQUISITION,
    0x1: Usage.CIRCULATION,
    0x2: Usage.NOT_FOR_CIRCULATION,
    0x6: Usage.UNSAID,  # "no information about usage on the tag"
    0x7: Usage.DISCARDED,
    0x8: Usage.PATRON_CARD,
}
LONGEST_ITEM = 64  # characters of a barcode; more is none


class Layouts(Value, frozen=True):
    """DSFID → layout."""

    objects: tuple[int, ...] = (0x06,)  # ISO 28560-2: data format 6, access method no-directory
    fixed: tuple[int, ...] = (0x3E, 0x00)  # ISO 28560-3, and the Danish model before it


class Unreadable(Exception):
    """A tag that says nothing to us."""

    def __init__(self, fault: TagFault) -> None:
        super().__init__(fault.value)
        self.fault = fault


def content(item: str, owner: str, parts: int, part: int, usage: Usage) -> Content:
    """A tag's content, if it can be one. Raises Unreadable.

    No part, or none of so many, is what is written where one tag stands for the whole.
    """
    if not item:
        raise Unreadable(TagFault.NO_ITEM)
    if not all(_is_text(text) for text in (item, owner)) or len(item) > LONGEST_ITEM:
        raise Unreadable(TagFault.BAD_TEXT)
    if part == 0 or parts == 0:
        part = parts = 1
    if part > parts:
        raise Unreadable(TagFault.BAD_SET)
    return Content(item=item, owner=owner, part=part, parts=parts, usage=usage)


def usage_of(nibble: int) -> Usage:
    """Type of usage by its main category (ISO 28560-1)."""
    return USAGES.get(nibble, Usage.OTHER)


def _is_text(text: str) -> bool:
    return text.isprintable() and text == text.strip()
