"""A pad of PC/SC readers that see ISO 15693 tags.

Laws of this file:
- One thread a reader with a context of its own; a look, or a write, is one job on it: take the tag, talk, let go of it.
- Nothing is believed to lie there still: each look asks anew. A tag is gone when two looks in a row did not see it, so
  that one weak answer takes no book from the screen.
- A reader that is gone, or a thread that is stuck, is told with a hint; everything begins anew.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypeVar

from drivers.card import scard
from drivers.card.apdu import t0_command
from drivers.card.connection import DEAF_S, Connection, reader_named
from drivers.card.worker import Stuck
from drivers.item.talk import NoTransparentExchange, Rules, Seen, Talk, look, secure
from terminal.core.items import Pad, Securing, Tag, pad_of, tags_of
from terminal.core.model import Reading, Value
from terminal.ports import Clock, DeviceError, ItemReader

LOOKS = 5  # for a reader that is not there, before it is told
MISSES = 2  # looks that do not see a tag, before it is gone

T = TypeVar("T")
log = logging.getLogger(__name__)


class Settings(Value, frozen=True):
    """`[lanes.NAME.items]` with `driver = "item.pcsc15693"`. A reader shows one tag: a pad for sets has several."""

    readers: tuple[str, ...] = ("",)  # names, or how they begin; "": the only one there is
    look_ms: int = 200  # between two looks
    rules: Rules = Rules()


def open(settings: Settings, clock: Clock) -> ItemReader:
    """A pad; pcscd is asked when it is looked at."""
    return PcscPad(settings, clock)


class PcscPad:
    """The ItemReader port over PC/SC readers."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.on_alive: Callable[[], None] = lambda: None
        self.deaf = 0  # how often a reader, or pcscd, did not answer in time
        self.failed: dict[str, int] = dict.fromkeys(Securing, 0)  # what came of writing
        self._settings = settings
        self._clock = clock
        self._places: list[_Place] = []
        self._turn = asyncio.Lock()  # a look, or a write

    def status(self) -> dict[str, Any]:
        """What lies there, and how often what went wrong."""
        return {"tags": len(self._pad().tags), "deaf": self.deaf, "secured": dict(self.failed)}

    async def pads(self) -> AsyncIterator[tuple[Pad, Reading]]:
        """See the port."""
        for place in self._places:
            if not await place.ended():
                hint = "take the books away; replug the reader; restart pcscd"
                raise DeviceError(f"reader {place.name!r}: stuck", hint=hint)
        told: Pad | None = None
        self._places = [_Place(name, self._settings.rules) for name in self._settings.readers]
        try:
            while True:
                pad, at = await self._look()
                self.on_alive()
                if pad != told:
                    told = pad
                    yield pad, at
                await asyncio.sleep(self._settings.look_ms / 1000)
        finally:
            for place in self._places:
                place.close()

    async def secure(self, item: str, on: bool) -> Securing:
        """See the port."""
        async with self._turn:
            outcome = await self._secure(item, on)
        self.failed[outcome] += 1
        return outcome

    async def _look(self) -> tuple[Pad, Reading]:
        async with self._turn:
            for place in self._places:
                with self._told(place):
                    await place.look()
            return self._pad(), self._clock.read()

    async def _secure(self, item: str, on: bool) -> Securing:
        tags = tags_of(self._pad(), item)
        if isinstance(tags, Securing):
            return tags
        for number, tag in enumerate(tags):
            try:
                outcome = await self._write(tag, on)
            except DeviceError:
                for changed in tags[:number]:
                    with contextlib.suppress(DeviceError):
                        await self._write(changed, not on)
                raise
            if outcome is not Securing.DONE:
                for changed in tags[: number + 1]:
                    await self._write(changed, not on)
                return outcome
        return Securing.DONE

    async def _write(self, tag: Tag, on: bool) -> Securing:
        place = next((place for place in self._places if place.tag is not None and place.tag.uid == tag.uid), None)
        if place is None:
            return Securing.GONE
        with self._told(place):
            return await place.secure(tag.uid, on)
        raise AssertionError("told, or returned")

    def _pad(self) -> Pad:
        return pad_of({place.tag.uid: place.tag for place in self._places if place.tag is not None}.values())

    @contextlib.contextmanager
    def _told(self, place: "_Place") -> Iterator[None]:
        """Whatever goes wrong with a reader, as the technician is told."""
        where = f"reader {place.name!r}"
        try:
            yield
        except Stuck as error:
            self.deaf += 1
            log.warning("deaf item reader", extra={"reader": place.name, "times": self.deaf})
            hint = "replug the reader; restart pcscd"
            raise DeviceError(f"{where}: no answer in {DEAF_S:g} s", hint=hint) from error
        except scard.PcscError as error:
            raise error.as_device_error(where) from error
        except NoTransparentExchange as error:
            hint = "it must carry ISO 15693 frames (PC/SC part 3, transparent exchange); look for newer firmware"
            raise DeviceError(f"{where}: no transparent exchange ({error})", hint=hint) from error


class _Place:
    """One reader, from its beginning to its loss. Its calls raise what `PcscPad._told` tells."""

    def __init__(self, name: str, rules: Rules) -> None:
        self.name = name
        self._rules = rules
        self._connection = Connection("item-reader")
        self._reader: str | None = None
        self._seen: Seen | None = None
        self._misses = 0

    @property
    def tag(self) -> Tag | None:
        """What lies there."""
        return None if self._seen is None else self._seen.tag

    async def look(self) -> None:
        """See who lies there now."""
        seen = await self._talk(look(self._rules, self._seen))
        if seen is None and self._seen is not None and self._misses + 1 < MISSES:
            self._misses += 1
            return
        self._seen, self._misses = seen, 0

    async def secure(self, uid: str, on: bool) -> Securing:
        """Write, read back."""
        outcome = await self._talk(secure(self._rules, uid, on))
        return Securing.GONE if outcome is None else outcome

    async def _talk(self, talk: Talk[T]) -> T | None:
        """One conversation; None where nobody lies there, or who did has left."""
        if self._reader is None:
            await self._connection.open()
            self._reader = await reader_named(self.name, self._connection, LOOKS)
        given_up = threading.Event()
        try:
            return await self._connection.ask(_carry, self._reader, talk, given_up)
        except BaseException:
            given_up.set()
            raise

    def close(self) -> None:
        """Let go as soon as the thread is free."""
        self._connection.close()

    async def ended(self) -> bool:
        """Whether the thread of a closed place has ended."""
        return await self._connection.ended()


def _carry(context: int, reader: str, talk: Talk[T], given_up: threading.Event) -> T | None:
    """On the reader's thread: take the tag, carry the conversation, let go."""
    try:
        handle = scard.connect(context, reader, scard.ANY_PROTOCOL)
    except scard.PcscError as error:
        if error.is_the_cards:
            return None
        raise
    try:
        command = next(talk)
        while not given_up.is_set():
            command = talk.send(scard.transmit(handle, t0_command(command) if handle.protocol == scard.T0 else command))
        return None  # nothing more is written for nobody
    except StopIteration as end:
        found: T = end.value
        return found
    except scard.NoAnswer:
        return None
    except scard.PcscError as error:
        if error.is_the_cards:
            return None
        raise
    finally:
        talk.close()
        scard.disconnect(handle)
