"""A pad of readers whose tags go while they are written: what was begun is put back, and nothing comes late."""

import threading
from collections.abc import Generator
from types import SimpleNamespace

import pytest

from drivers.card import scard
from drivers.card.worker import Stuck
from drivers.clock import SystemClock
from drivers.item import pcsc15693
from drivers.item.talk import Rules
from terminal.core.items import Securing
from terminal.ports import DeviceError
from tests.waiting import until


class _Shelf:
    """One reader of a pad, with a tag that is written or not."""

    def __init__(self, uid: str, *, gone: bool = False) -> None:
        self.name, self.tag, self.on, self.gone = uid, SimpleNamespace(uid=uid), True, gone

    async def secure(self, uid: str, on: bool) -> Securing:
        """As the pad asks it."""
        if self.gone:
            raise Stuck
        self.on = on
        return Securing.DONE


async def test_a_set_is_put_back_when_a_reader_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of its parts leaves unseen while the others cannot be written."""
    pad = pcsc15693.PcscPad(pcsc15693.Settings(readers=("a", "b")), SystemClock())
    here, gone = _Shelf("A"), _Shelf("B", gone=True)
    monkeypatch.setattr(pad, "_places", [here, gone])
    monkeypatch.setattr(pcsc15693, "tags_of", lambda *asked: (here.tag, gone.tag))
    with pytest.raises(DeviceError):
        await pad.secure("1", False)
    assert here.on


async def test_nothing_is_written_once_a_write_was_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waited has called the book back by then."""
    sent, let_go = list[bytes](), threading.Event()

    def transmit(handle: object, command: bytes) -> bytes:
        sent.append(command)
        let_go.wait(10)
        return b"\x90\x00"

    def talk() -> Generator[bytes, bytes, Securing]:
        yield b"STATE"
        yield b"WRITE_AFI"
        return Securing.DONE

    monkeypatch.setattr("drivers.card.connection.DEAF_S", 0.2)
    monkeypatch.setattr(scard, "connect", lambda *asked: SimpleNamespace(protocol=0))
    monkeypatch.setattr(scard, "disconnect", lambda handle: None)
    monkeypatch.setattr(scard, "transmit", transmit)
    place = pcsc15693._Place("x", Rules())
    place._reader = "x"
    with pytest.raises(Stuck):
        await place._talk(talk())
    place.close()
    let_go.set()
    await until(lambda: not place._connection.worker.alive)
    assert sent == [b"STATE"]
