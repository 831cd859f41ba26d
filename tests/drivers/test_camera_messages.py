"""The pipe from the process that sees: it is untrusted, so what it says is read strictly, or not at all."""

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from drivers.camera import messages
from drivers.camera.messages import Beat, Failed, Inbox, Look, Message, Nonsense, Picture, Seen, encode

LOOK = Look(arrived_ns=5, symbols=(Seen(payload=bytes(range(256)), score=0.5),))
SHOWN = Picture(arrived_ns=5, jpeg=b"\xff\xd8", brightness=0.5, contrast=0.5, sharpness=12.0, score=1.0)
ALL: list[Message] = [LOOK, Look(arrived_ns=6), Beat(at_ns=7, arrived_ns=6), SHOWN, Failed(what="no camera")]


@given(st.integers(1, 300))
def test_messages_come_whole_however_the_pipe_cuts_them(step: int) -> None:
    """Every kind, bit for bit."""
    data, inbox, heard = b"".join(map(encode, ALL)), Inbox(), []
    for at in range(0, len(data), step):
        heard += list(inbox.feed(data[at : at + step]))
    assert heard == ALL


def packed(value: object) -> bytes:
    """A message nobody would send."""
    body = msgspec.msgpack.encode(value)
    return len(body).to_bytes(4) + body


NONSENSE = {
    "longer than any message": (messages.LONGEST + 1).to_bytes(4),
    "four gibibytes": b"\xff\xff\xff\xff",
    "no MessagePack": b"\x00\x00\x00\x03\xc1\xc1\xc1",
    "an empty message": bytes(4),
    "another kind": packed({"type": "Open", "gate": 1}),
    "a field too many": packed({"type": "Look", "arrived_ns": 1, "open": True}),
    "a field too few": packed({"type": "Look"}),
    "a moment before the beginning": packed({"type": "Look", "arrived_ns": -1}),
    "a moment in another age": packed({"type": "Look", "arrived_ns": 2**63}),
    "a payload longer than any code": encode(Look(arrived_ns=1, symbols=(Seen(payload=bytes(2954), score=1.0),))),
    "more codes than a picture holds": encode(Look(arrived_ns=1, symbols=(Seen(payload=b"a", score=1.0),) * 9)),
    "a score that is none": packed({"type": "Look", "arrived_ns": 1, "symbols": [{"payload": b"a", "score": 2.0}]}),
    "not a number": packed({"type": "Look", "arrived_ns": 1, "symbols": [{"payload": b"a", "score": float("nan")}]}),
    "a sharpness without end": encode(msgspec.structs.replace(SHOWN, sharpness=float("inf"))),
    "a name that is no text": b"\x00\x00\x00\x0d\x81\xa4\x80\xff\xff\xff\xa4Look\xc0\xc0",
    "words without end": encode(Failed(what="x" * 201)),
    "two in one": packed([1, 2]),
    "deeper than anybody reads": (5000).to_bytes(4) + b"\x91" * 5000,
}


@pytest.mark.parametrize("data", NONSENSE.values(), ids=NONSENSE)
def test_nonsense_is_told_as_such(data: bytes) -> None:
    """And what came before it was heard."""
    inbox = Inbox()
    heard = inbox.feed(encode(LOOK) + data)
    assert next(heard) == LOOK
    with pytest.raises(Nonsense):
        next(heard)


@given(st.binary(max_size=400))
@example(b"\x00\x00\x00\x00")
def test_no_bytes_do_anything_else(data: bytes) -> None:
    """Messages, nothing yet, or nonsense."""
    inbox = Inbox()
    try:
        heard = list(inbox.feed(data))
    except Nonsense:
        return
    assert all(isinstance(one, Look | Beat | Picture | Failed) for one in heard)


def test_what_is_held_is_bounded() -> None:
    """A long message that never ends costs no more than one."""
    inbox = Inbox()
    assert list(inbox.feed(messages.LONGEST.to_bytes(4) + bytes(messages.LONGEST - 1))) == []
    assert len(inbox._held) <= messages.LONGEST + 4
