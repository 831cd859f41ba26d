"""The ItemReader port, over a pad in memory, and over two PC/SC readers: pcscd, a virtual reader, tags behind it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Protocol

import pytest

from drivers.clock import SystemClock
from simulators.item_pad import MemoryPad
from simulators.item_reader import TagOnReader
from simulators.item_tag import SimulatedTag, Trouble, tag_of
from simulators.pcscd import GO, KILL, READER, Pcscd
from simulators.virtual_reader import VirtualSlot
from terminal.core.items import Content, Pad, Securing, TagFault
from terminal.ports import DeviceError, ItemReader
from tests.card_stands import service

KINDS = ("memory", "pcsc")
LIMIT_S = 10.0
BOOK = Content(item="31000012345678", owner="CN-1101")


class Stand(Protocol):
    """A pad and the hand above it."""

    @property
    def pad(self) -> ItemReader:
        """What is asked."""

    def lay(self, *tags: SimulatedTag) -> None:
        """Lay books down."""

    async def take(self, tag: SimulatedTag) -> None:
        """Take one away."""

    def unplug(self) -> None:
        """The reader is gone."""

    def plug(self) -> None:
        """It is back."""


class MemoryStand:
    """In process."""

    def __init__(self) -> None:
        self.pad = MemoryPad(SystemClock())

    def lay(self, *tags: SimulatedTag) -> None:
        """See Stand."""
        self.pad.put(*tags)

    async def take(self, tag: SimulatedTag) -> None:
        """See Stand."""
        self.pad.take(tag)

    def unplug(self) -> None:
        """See Stand."""
        self.pad.plug(False)

    def plug(self) -> None:
        """See Stand."""
        self.pad.plug(True)


class PcscStand:
    """Two slots of the virtual reader, as a pad for sets of two."""

    def __init__(self, pcscd: Pcscd) -> None:
        from drivers.item import pcsc15693  # needs pyscard

        self.pcscd = pcscd
        self.slots = [VirtualSlot(pcscd, 0), VirtualSlot(pcscd, 1)]
        names = (f"{READER} 00 00", f"{READER} 00 01")
        self.pad = pcsc15693.PcscPad(pcsc15693.Settings(readers=names, look_ms=50), SystemClock())
        self._where: dict[str, VirtualSlot] = {}

    def lay(self, *tags: SimulatedTag) -> None:
        """See Stand. Each on a reader of its own."""
        free = [slot for slot in self.slots if not slot.occupied]
        for tag, slot in zip(tags, free, strict=False):
            self._where[tag.name] = slot
            slot.insert(TagOnReader(tag))

    async def take(self, tag: SimulatedTag) -> None:
        """See Stand."""
        await self._where.pop(tag.name).remove()

    def unplug(self) -> None:
        """See Stand: with pcscd every reader is gone; it is started again by itself."""
        self.pcscd.signal(KILL)

    def plug(self) -> None:
        """See Stand."""


class Watcher:
    """Whoever asks a pad what lies there, again after each DeviceError, as the supervisor does."""

    def __init__(self, pad: ItemReader) -> None:
        self.pads: list[Pad] = []
        self.errors: list[DeviceError] = []
        self._news = asyncio.Condition()
        self._task = asyncio.create_task(self._watch(pad))

    async def _watch(self, pad: ItemReader) -> None:
        while True:
            try:
                async for seen, _ in pad.pads():
                    async with self._news:
                        self.pads.append(seen)
                        self._news.notify_all()
            except DeviceError as error:
                error.__cause__ = error.__context__ = error.__traceback__ = None
                async with self._news:
                    self.errors.append(error)
                    self._news.notify_all()
            await asyncio.sleep(0.1)

    async def until(self, fits: Callable[[Pad], bool]) -> Pad:
        """The newest pad, once it fits."""
        async with asyncio.timeout(LIMIT_S), self._news:
            await self._news.wait_for(lambda: bool(self.pads) and fits(self.pads[-1]))
            return self.pads[-1]

    async def failed(self) -> DeviceError:
        """The first error, once there is one."""
        async with asyncio.timeout(LIMIT_S), self._news:
            await self._news.wait_for(lambda: bool(self.errors))
            return self.errors[0]

    async def close(self) -> None:
        """Stop."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


@contextlib.asynccontextmanager
async def watching(kind: str) -> AsyncIterator[tuple[Stand, Watcher]]:
    """A stand, and somebody who watches it, who has seen that nothing lies there."""
    stand: Stand = MemoryStand() if kind == "memory" else PcscStand(service())
    watcher = Watcher(stand.pad)
    try:
        await watcher.until(lambda pad: not pad.tags)
        yield stand, watcher
    finally:
        await watcher.close()
        if isinstance(stand, PcscStand):
            stand.pcscd.signal(GO)
            for slot in stand.slots:
                await slot.remove()


@pytest.mark.parametrize("kind", KINDS)
class TestItemReader:
    """What every pad does."""

    async def test_a_book_is_lent_and_comes_back(self, kind: str) -> None:
        """Seen, made silent for the door, taken away, laid down again, made to alarm."""
        async with watching(kind) as (stand, watcher):
            tag = tag_of(7, BOOK)
            stand.lay(tag)
            (seen,) = (await watcher.until(lambda pad: pad.items == (BOOK.item,))).tags
            assert (seen.uid, seen.content, seen.secured) == (tag.name, BOOK, True)
            assert await stand.pad.secure(BOOK.item, on=False) is Securing.DONE
            assert tag.afi == 0xC2
            await watcher.until(lambda pad: pad.tags[0].secured is False)
            await stand.take(tag)
            await watcher.until(lambda pad: not pad.tags)
            assert await stand.pad.secure(BOOK.item, on=True) is Securing.GONE
            stand.lay(tag)
            await watcher.until(lambda pad: pad.items == (BOOK.item,))
            assert await stand.pad.secure(BOOK.item, on=True) is Securing.DONE
            assert (tag.afi, tag.writes, watcher.errors) == (0x07, 2, [])

    async def test_a_set_is_lent_whole(self, kind: str) -> None:
        """A book without its disc is not; with it, both are silent."""
        async with watching(kind) as (stand, watcher):
            book, disc = (
                tag_of(number, Content(item="B7", owner="CN-1101", part=number, parts=2)) for number in (1, 2)
            )
            stand.lay(book)
            await watcher.until(lambda pad: len(pad.tags) == 1)
            assert await stand.pad.secure("B7", on=False) is Securing.PARTS_MISSING
            stand.lay(disc)
            await watcher.until(lambda pad: len(pad.tags) == 2)
            assert await stand.pad.secure("B7", on=False) is Securing.DONE
            assert (book.afi, disc.afi) == (0xC2, 0xC2)

    async def test_a_set_of_which_one_part_refuses_is_put_back(self, kind: str) -> None:
        """Nothing is half lent."""
        async with watching(kind) as (stand, watcher):
            book, disc = (tag_of(number, Content(item="B7", part=number, parts=2)) for number in (1, 2))
            disc.trouble = Trouble.LOCKED
            stand.lay(book, disc)
            await watcher.until(lambda pad: len(pad.tags) == 2)
            assert await stand.pad.secure("B7", on=False) is Securing.WRITE_FAILED
            assert (book.afi, disc.afi) == (0x07, 0x07)

    async def test_two_tags_with_one_identifier(self, kind: str) -> None:
        """A label was printed twice: neither is written."""
        async with watching(kind) as (stand, watcher):
            one, other = tag_of(1, BOOK), tag_of(2, BOOK)
            stand.lay(one, other)
            await watcher.until(lambda pad: len(pad.tags) == 2)
            assert await stand.pad.secure(BOOK.item, on=False) is Securing.TWO_TAGS
            assert (one.writes, other.writes) == (0, 0)

    @pytest.mark.parametrize(
        ("trouble", "expected"),
        [
            (Trouble.LEAVES_BEFORE, Securing.GONE),
            (Trouble.LEAVES_AFTER, Securing.GONE),
            (Trouble.LEAVES_READING, Securing.GONE),
            (Trouble.LOCKED, Securing.WRITE_FAILED),
            (Trouble.DEAF, Securing.WRITE_FAILED),
            (Trouble.MUMBLES, Securing.DONE),
            (Trouble.LIES, Securing.DIFFERS),
        ],
    )
    async def test_a_write_that_goes_wrong_has_a_name(self, kind: str, trouble: Trouble, expected: Securing) -> None:
        """And the next book is served."""
        async with watching(kind) as (stand, watcher):
            bad, good = tag_of(1, BOOK), tag_of(2, Content(item="B2"))
            bad.trouble = trouble
            stand.lay(bad, good)
            await watcher.until(lambda pad: len(pad.tags) == 2)
            assert await stand.pad.secure(BOOK.item, on=False) is expected
            assert await stand.pad.secure("B2", on=False) is Securing.DONE
            if expected is Securing.GONE:
                await watcher.until(lambda pad: pad.items == ("B2",))
            assert watcher.errors == []

    async def test_another_book_in_its_place(self, kind: str) -> None:
        """Exchanged by a quick hand: the book that was there is gone, the one that is there is not touched."""
        async with watching(kind) as (stand, watcher):
            first, second = tag_of(1, BOOK), tag_of(2, Content(item="B2"))
            stand.lay(first)
            await watcher.until(lambda pad: pad.items == (BOOK.item,))
            await stand.take(first)
            stand.lay(second)
            assert await stand.pad.secure(BOOK.item, on=False) is Securing.GONE
            await watcher.until(lambda pad: pad.items == ("B2",))
            assert (first.writes, second.writes) == (0, 0)

    async def test_a_tag_that_says_nothing_is_told(self, kind: str) -> None:
        """By its fault; nothing can be lent by it."""
        async with watching(kind) as (stand, watcher):
            blank, damaged = tag_of(1, BOOK), tag_of(2, BOOK, fixed=True)
            blank.memory = bytes(112)
            damaged.memory = damaged.memory[:5] + b"?" + damaged.memory[6:]
            stand.lay(blank, damaged)
            pad = await watcher.until(lambda pad: len(pad.tags) == 2)
            assert [tag.content for tag in pad.tags] == [TagFault.EMPTY, TagFault.BAD_CHECK]
            assert pad.items == ()
            assert await stand.pad.secure("", on=False) is Securing.GONE

    async def test_unplugged_and_plugged_in_again(self, kind: str) -> None:
        """The technician is told; books are seen again afterwards."""
        async with watching(kind) as (stand, watcher):
            tag = tag_of(7, BOOK)
            stand.unplug()
            assert (await watcher.failed()).hint
            stand.plug()
            stand.lay(tag)
            await watcher.until(lambda pad: pad.items == (BOOK.item,))
            assert await stand.pad.secure(BOOK.item, on=False) is Securing.DONE


class TestPcsc:
    """What only PC/SC can do to us."""

    async def test_a_reader_that_carries_no_frames_is_told(self) -> None:
        """As the technician's affair, with what to look for."""
        async with watching("pcsc") as (stand, watcher):
            assert isinstance(stand, PcscStand)
            stand.slots[0].insert(TagOnReader(tag_of(7, BOOK), transparent=False))
            assert "transparent exchange" in (await watcher.failed()).what

    async def test_a_reader_that_is_not_there_is_told(self) -> None:
        """By its name, with those that are."""
        service()
        from drivers.item import pcsc15693  # needs pyscard

        pad = pcsc15693.PcscPad(pcsc15693.Settings(readers=("Nobody's",)), SystemClock())
        with pytest.raises(DeviceError, match="Nobody's"):
            async for _ in pad.pads():
                pass

    async def test_a_deaf_pcscd_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The loop goes on; when pcscd does, books are seen."""
        monkeypatch.setattr("drivers.card.connection.DEAF_S", 1.0)
        async with watching("pcsc") as (stand, watcher):
            assert isinstance(stand, PcscStand)
            stand.pcscd.signal(b"S")
            assert "no answer" in (await watcher.failed()).what
            stand.pcscd.signal(GO)
            stand.lay(tag_of(7, BOOK))
            await watcher.until(lambda pad: pad.items == (BOOK.item,))
            assert stand.pad.status()["deaf"] >= 1
