"""BER-TLV as cards write it, read without trust.

Laws of this file:
- A length past the end, an empty tag, a tag twice in one template, nesting beyond what any card has: no value at all.
- It looks for one tag and returns its value; nothing is built up from what a card says.
"""

DEEPEST = 4


def find(data: bytes, path: tuple[int, ...]) -> bytes | None:
    """The value at a path of tags, or None where the data does not hold together on the way there."""
    if not path or len(path) > DEEPEST:
        return None
    found = None
    while data:
        tag, data = _tag(data)
        length, data = _length(data)
        if tag == 0 or length < 0 or length > len(data):
            return None
        value, data = data[:length], data[length:]
        if tag == path[0]:
            if found is not None:
                return None
            found = value
    return found if found is None or len(path) == 1 else find(found, path[1:])


def _tag(data: bytes) -> tuple[int, bytes]:
    """One- or two-byte tag; 0 where it is cut short or longer."""
    if data[0] & 0x1F != 0x1F:
        return data[0], data[1:]
    if len(data) < 2 or data[1] & 0x80:
        return 0, b""
    return int.from_bytes(data[:2]), data[2:]


def _length(data: bytes) -> tuple[int, bytes]:
    """Short form, or 81 and 82; -1 where it is cut short or of another form."""
    if not data:
        return -1, b""
    first, rest = data[0], data[1:]
    if first < 0x80:
        return first, rest
    size = first & 0x7F
    if size not in (1, 2) or len(rest) < size:
        return -1, b""
    return int.from_bytes(rest[:size]), rest[size:]
