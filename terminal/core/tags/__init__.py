"""What a library writes on an item's tag: bytes → `Content`, or why they say nothing to us (ISO 28560-2 and -3)."""

from terminal.core.items import Content, TagFault
from terminal.core.tags import fixed, objects
from terminal.core.tags.layouts import Layouts, Unreadable


def read(memory: bytes, dsfid: int, layouts: Layouts) -> Content | TagFault:
    """The content of a tag's user memory, from its first byte, under its data storage format identifier."""
    if not memory.strip(b"\x00") or not memory.strip(b"\xff"):
        return TagFault.EMPTY
    try:
        if dsfid in layouts.objects:
            return objects.read(memory)
        if dsfid in layouts.fixed:
            return fixed.read(memory)
    except Unreadable as error:
        return error.fault
    return TagFault.UNKNOWN_FORMAT


def is_enough(memory: bytes, dsfid: int, layouts: Layouts) -> bool:
    """Whether these first bytes of a tag say all that the rest could: reading takes time while a book lies there."""
    if dsfid in layouts.objects:
        return objects.is_whole(memory)
    return dsfid not in layouts.fixed or len(memory) >= fixed.BLOCK
