"""The owner library's ISIL as ISO 28560-2 packs it: three character sets, latched and shifted between.

Laws of this file:
- It begins in capitals. A latch lasts, a shift is for one character.
- What is left over at the end is ones and fewer than eight: a shift that shifts nothing is padding.
"""

from terminal.core.items import TagFault
from terminal.core.tags.layouts import Unreadable

UPPER, LOWER, NUMERIC = range(3)
# Character set → its letters by code, and what the codes behind them do: (set, whether it lasts).
LETTERS = {
    UPPER: "-ABCDEFGHIJKLMNOPQRSTUVWXYZ:",
    LOWER: "-abcdefghijklmnopqrstuvwxyz/",
    NUMERIC: "0123456789-:",
}
CONTROLS = {
    UPPER: ((LOWER, True), (LOWER, False), (NUMERIC, True), (NUMERIC, False)),
    LOWER: ((UPPER, True), (UPPER, False), (NUMERIC, True), (NUMERIC, False)),
    NUMERIC: ((UPPER, True), (UPPER, False), (LOWER, True), (LOWER, False)),
}
WIDTH = {UPPER: 5, LOWER: 5, NUMERIC: 4}
LONGEST_PADDING = 7


def expand(data: bytes) -> str:
    """The ISIL of packed bytes. Raises Unreadable."""
    whole = "".join(f"{byte:08b}" for byte in data)
    text, latched, now, at, trailing = "", UPPER, UPPER, 0, 0
    while at + WIDTH[now] <= len(whole):
        code = int(whole[at : at + WIDTH[now]], 2)
        at += WIDTH[now]
        if code < len(LETTERS[now]):
            text += LETTERS[now][code]
            now, trailing = latched, at
            continue
        now, lasts = CONTROLS[now][code - len(LETTERS[now])]
        latched = now if lasts else latched
    padding = whole[trailing:]
    if not text or len(padding) > LONGEST_PADDING or "0" in padding:
        raise Unreadable(TagFault.BAD_TEXT)
    return text
