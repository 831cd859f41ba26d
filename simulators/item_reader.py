"""A contactless reader with a tag on it, as pcscd sees the two: what stands behind a slot of the virtual reader.

Laws of this file:
- Written from PC/SC part 3 (storage cards, transparent exchange), not from the driver.
- Frames are carried to the tag inside a transparent session that was switched to ISO 15693, and nowhere else.
- Its ATR is the reader's own: PC/SC's RID, standard 0x0B (ISO 15693 part 3).
"""

from simulators.card import Left
from simulators.item_tag import SimulatedTag

OK, NO_FUNCTION, NO_DATA, NO_TAG = b"\x90\x00", b"\x6a\x81", b"\x6a\x82", b"\x64\x01"
ATR_BODY = bytes.fromhex("8F8001804F0CA0000003060B001400000000")


class TagOnReader:
    """What the virtual reader's slot holds. `transparent` False: a reader that carries no frames."""

    def __init__(self, tag: SimulatedTag, *, transparent: bool = True, uid_reversed: bool = False) -> None:
        self.tag = tag
        self.delay_s = tag.delay_s
        self._transparent = transparent
        self._uid_reversed = uid_reversed
        self._in_session = self._switched = False

    @property
    def uid(self) -> bytes:
        """As this reader gives it."""
        return self.tag.uid[::-1] if self._uid_reversed else self.tag.uid

    def power_on(self) -> bytes:
        """A session outlives the tag: it is the reader's."""
        self.tag.come()
        check = 0
        for byte in ATR_BODY:
            check ^= byte
        return b"\x3b" + ATR_BODY + bytes((check,))

    def answer(self, command: bytes) -> bytes:
        """Data ‖ status word. Raises Left."""
        if not self.tag.present:
            raise Left
        head, ins = command[:1], command[1]
        if head != b"\xff":
            return NO_FUNCTION
        if ins == 0xCA:
            return self.uid + OK
        if ins == 0xB0:
            data = self.tag.read(int.from_bytes(command[2:4]), command[4])
            return NO_DATA if data is None else data + OK
        if ins == 0xC2 and self._transparent:
            return self._objects(command[3], command[5 : 5 + command[4]])
        return NO_FUNCTION

    def _objects(self, function: int, data: bytes) -> bytes:
        if (function, data) == (0, b"\x81\x00"):
            if self._in_session:
                return NO_FUNCTION
            self._in_session, self._switched = True, False
        elif (function, data) == (0, b"\x82\x00"):
            self._in_session = self._switched = False
        elif (function, data) == (2, b"\x8f\x02\x02\x03") and self._in_session:
            self._switched = True
        elif function == 1 and data[:1] == b"\x95" and self._switched:
            return self._carry(data[2 : 2 + data[1]])
        else:
            return NO_FUNCTION
        return b"\xc0\x03\x00\x90\x00" + OK

    def _carry(self, frame: bytes) -> bytes:
        said = self.tag.answer(frame)
        if said is None:
            return b"\xc0\x03\x01" + NO_TAG + OK
        return b"\xc0\x03\x00\x90\x00\x92\x01\x00\x96\x02\x00\x00\x97" + bytes((len(said),)) + said + OK
