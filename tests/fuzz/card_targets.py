"""What a card or its reader may answer, as functions of bytes: every length, every status word, any frame.

Laws of this file:
- Answers are cut from the input: a byte of length, then so many bytes; when it has run out, the card is gone.
- A conversation ends with a claim or a refusal within its budget, whatever is answered.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress

from drivers.card import hsu, pn532
from terminal.core.cards import APPLICATIONS, CardRead, read, tlv, uid_card
from terminal.core.cards.apdu import Budget, Overrun, Side
from terminal.core.model import Credential, Refusal
from tests.core.card_talk import ISSUER, PURSE, SOCIAL_SECURITY, through, visit

Answers = Callable[[bytes], bytes]
UID = bytes.fromhex("04112233445566")
ACCEPTED = (*APPLICATIONS, uid_card.NAME)


def _answers(data: bytes) -> Iterator[bytes]:
    while data:
        size, data = data[0], data[1:]
        yield data[:size]
        data = data[size:]
    while True:
        yield b""


def card_conversation(data: bytes) -> None:
    """Whatever card and secure module answer, in whatever order the applications are tried."""
    said = _answers(data[1:])
    order = ACCEPTED if data[:1] < b"\x80" else tuple(reversed(ACCEPTED))
    with suppress(Overrun):
        found = _talk(order, lambda command: next(said), lambda command: next(said))
        assert isinstance(found, CardRead)
        assert isinstance(found.claim, Credential | Refusal)


def _talk(order: tuple[str, ...], card: Answers, module: Answers) -> object:
    """Carry one conversation, as a driver does: each command to its whole answer, within one budget."""
    conversation, budget = read(order, UID, visit(PURSE, SOCIAL_SECURITY)), Budget()
    try:
        ask = next(conversation)
        while True:
            whole = module(ask.command) if ask.to is Side.MODULE else through(card, ask.command, budget)
            ask = conversation.send(whole)
    except StopIteration as end:
        return end.value


def card_tlv(data: bytes) -> None:
    """Looked for at several paths; a value is a part of what was given."""
    for path in ((0x6F,), (0x6F, 0xA5), (0x6F, 0xA5, 0x9F0C), (0x1F, 0x1F, 0x1F, 0x1F), ()):
        value = tlv.find(data, path)
        assert value is None or value in data


def pn532_frames(data: bytes) -> None:
    """Cut anywhere, the same frames come; what is held is bounded; listings are read from what is whole."""
    cut = data[0] % (len(data) + 1) if data else 0
    whole, pieces = hsu.Decoder(), hsu.Decoder()
    frames = whole.feed(data)
    assert pieces.feed(data[:cut]) + pieces.feed(data[cut:]) == frames
    assert len(whole._held) <= hsu.LONGEST + 16
    for one in [data, *(frame for frame in frames if isinstance(frame, bytes))]:
        assert all(target.uid in one for target in pn532.targets(one))


def conversation_seeds() -> list[bytes]:
    """What good cards answer, social security and purse, as inputs."""
    seeds = []
    for card in (
        ISSUER.card("amber", ISSUER.social_security("amber")),
        ISSUER.card("amber", ISSUER.purse("amber")),
        ISSUER.card("amber", ISSUER.purse("amber"), ISSUER.social_security("amber")),
        ISSUER.plain("amber"),
    ):
        said: list[bytes] = []

        def noting(answer: Answers, said: list[bytes] = said) -> Answers:
            def note(command: bytes) -> bytes:
                said.append(answer(command)[:255])
                return said[-1]

            return note

        _talk(ACCEPTED, noting(card.answer), noting(ISSUER.module().answer))
        seeds.append(b"\x00" + b"".join(bytes((len(one),)) + one for one in said))
    return seeds


def tlv_seeds() -> list[bytes]:
    """A purse's answer to SELECT, and damaged ones."""
    selected = ISSUER.purse("amber").select()
    return [selected, selected[:20], b"\x6f\x81\x03\xa5\x01\x00", b"\x6f\x84\xff\xff\xff\xff"]


def frame_seeds() -> list[bytes]:
    """Marks, a listing of one card, an extended frame."""
    listing = bytes.fromhex("4b0101004408070411223344556605787780020300")
    marks = b"".join(mark.value for mark in hsu.Mark)
    return [marks, hsu.frame(listing, hsu.FROM_MODULE), hsu.frame(bytes(260), hsu.FROM_MODULE), listing[1:]]
