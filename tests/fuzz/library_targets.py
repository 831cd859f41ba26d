"""What a library's tags and its system may say, as functions of bytes.

Laws of this file:
- The first byte of a tag is its DSFID, the rest its memory.
- A line of a library system is garbled or a message; whatever is built from it holds no name and no address.
"""

from contextlib import suppress

from drivers.library import sip2_codec
from simulators import tag_content
from terminal.core import tags
from terminal.core.items import Content, TagFault, Usage
from terminal.core.tags.layouts import Layouts

BUILDERS = {
    "94": sip2_codec.login,
    "98": sip2_codec.system_status,
    "24": sip2_codec.patron,
    "64": sip2_codec.patron,
    "18": sip2_codec.item,
    "12": sip2_codec.loan,
    "30": sip2_codec.loan,
    "10": sip2_codec.given_back,
    "38": sip2_codec.payment,
}


def item_tag(data: bytes) -> None:
    """Content that can be asked for, or a fault; and enough, once it says that it is, stays so."""
    dsfid, memory = (data[0], data[1:]) if data else (0, b"")
    found = tags.read(memory, dsfid, Layouts())
    assert isinstance(found, Content | TagFault)
    if isinstance(found, Content):
        assert found.item.isprintable() and 1 <= found.part <= found.parts
    if tags.is_enough(memory, dsfid, Layouts()) and memory.strip(b"\x00") and memory.strip(b"\xff"):
        assert tags.read(memory + b"\x11\x01\x05", dsfid, Layouts()) == found


def sip2_line(data: bytes) -> None:
    """Garbled, or a message from which an answer is built."""
    assert sip2_codec.is_whole(data) in (True, False)
    for charset in ("utf-8", "gbk"):
        with suppress(sip2_codec.Garbled):
            message = sip2_codec.decode(data, charset)
            assert not sip2_codec.PERSONAL & {name for name, _ in message.fields}
            if message.code in BUILDERS:
                assert BUILDERS[message.code](message) is not None


def tag_seeds() -> list[bytes]:
    """Both layouts, padded and not."""
    book = Content(item="31000012345678", owner="CN-1101", part=2, parts=3, usage=Usage.CIRCULATION)
    return [
        b"\x06" + tag_content.objects(book, shelf="I247.5", aligned=frozenset({1, 3})),
        b"\x06" + tag_content.objects(Content(item="三体"), aligned=frozenset({1})),
        b"\x3e" + tag_content.fixed(book),
        b"\x00" + tag_content.fixed(Content(item="B1"), 32),
        b"\x06" + bytes.fromhex("9100051CBE991A140201D0140204B34607441CB6E2E335D6830207ACC09EBAA06F6B0000"),
    ]


def line_seeds() -> list[bytes]:
    """An answer of each kind, as a system sends them."""
    stamp = b"20270115    080000"
    return [
        b"98YYYYYN 10  3" + stamp + b"2.00AOcity|BXYYYYYYYYYYYYYYYY|AY1AZD9C5",
        b"64              019" + stamp + b"0000  0200000000    0000AOcity|AA1|AElost|BLY|CQY|BHCNY|BV12.5|AUB1|AY2AZ00",
        b"24Y             019" + stamp + b"AOcity|AA1|AElost|BLN|AY3AZ0000",
        b"18030201" + stamp + "ABB1|AJ三体|".encode(),
        b"121NNY" + stamp + b"AOcity|AA1|ABB1|AJx|AH|AY4AZ0000",
        b"101YNN" + stamp + b"AOcity|ABB1|AQmain|CL2|AFx|",
        b"36Y" + stamp + b"AOcity|AA1|",
        b"38Y" + stamp + b"AOcity|AA1|",
        b"941AY0AZFDFD",
        b"96AZFEF6",
    ]
