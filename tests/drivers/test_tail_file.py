"""The tail file: what was acknowledged stands in it, whatever is torn behind it, and nothing older counts again."""

import errno
import fcntl
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.store.tail_file import BLOCK, LENGTH, TailFile, behind, frame, strewn
from terminal.core.entries import NO_HASH, Commanded, Draft, Head, advance, link
from terminal.core.model import EntryName
from tests.journal_cases import at

START = Head(name=EntryName(epoch=b"epoch--1", sequence=0), hash=NO_HASH, floor_ms=0, unsent=0, row=0)
SECTOR = 512


class Link(msgspec.Struct):
    """One frame, and where the chain ends with it."""

    frame: bytes
    end: Head


def chain(count: int, size: int = 300) -> list[Link]:
    """A chain from its beginning."""
    links, end = [], START
    for _ in range(count):
        draft = Draft(fact=Commanded(who="a", what="b" * size), at=at())
        entry, data, digest = link(draft, "T1", end.name, end.hash)
        end = advance(end, entry, digest)
        links.append(Link(frame(end.row, data, digest), end))
    return links


def together(links: Sequence[Link]) -> bytes:
    return b"".join(one.frame for one in links)


def rows(file: bytes, end: Head = START) -> list[int]:
    """The rows that count behind `end`."""
    return [one.end.row for one in behind(file, end)]


def padded(frames: bytes) -> bytes:
    return frames + bytes(-len(frames) % BLOCK)


def test_commits_stand_behind_each_other(tmp_path: Path) -> None:
    """Each in blocks of its own; the next process goes on behind them."""
    links, path = chain(8), tmp_path / "t"
    file = TailFile(path)
    for commit in (links[:1], links[1:4], links[4:5]):
        assert file.write(together(commit))
    file.close()
    data = path.read_bytes()
    assert len(data) == LENGTH and rows(data) == [1, 2, 3, 4, 5]
    assert [data.index(links[row].frame) for row in (0, 1, 4)] == [0, BLOCK, 2 * BLOCK]
    again = TailFile(path)
    assert [one.end for one in again.recover(links[1].end)] == [one.end for one in links[2:5]]
    assert again.write(together(links[5:])) and rows(path.read_bytes()) == [*range(1, 9)]
    again.close()


def test_what_is_older_counts_no_more(tmp_path: Path) -> None:
    """The file begins again: what stands behind the new frame is the database's, and a database without it is told."""
    links, path = chain(6), tmp_path / "t"
    file = TailFile(path)
    for one in links[:5]:
        assert file.write(one.frame)
    file.begin_again()
    assert file.write(links[5].frame)
    data = path.read_bytes()
    assert rows(data, links[4].end) == [6]
    assert rows(data, links[5].end) == [] and rows(data) == [] and rows(data, links[1].end) == []
    assert [stored.row for stored in strewn(data)] == [6, 2, 3, 4, 5], "mending finds each of them"
    file.close()


def test_another_chain_is_not_gone_on_with(tmp_path: Path) -> None:
    """Neither another journal's frames, nor one with a changed byte anywhere."""
    links, others = chain(3), chain(3, size=301)
    assert rows(together(others), links[0].end) == []
    assert rows(together(others[:1]) + together(links[1:])) == [1]
    whole = together(links)
    for place in range(0, len(whole), 7):
        flipped = bytearray(whole)
        flipped[place] ^= 4
        assert len(rows(bytes(flipped))) <= place // len(links[0].frame)
        assert len(list(strewn(bytes(flipped)))) in (2, 3), "a row's number is no part of the entry's hash"


@given(before=st.integers(0, 3), group=st.integers(1, 12), size=st.integers(1, 900), data=st.data())
def test_a_torn_commit_takes_nothing_along(before: int, group: int, size: int, data: st.DataObject) -> None:
    """Any of its sectors on the disk, in any order, over zeros or over older frames: what was acknowledged counts."""
    links = chain(before + group, size)
    standing = b"".join(padded(one.frame) for one in links[:before])
    torn = padded(together(links[before:]))
    older = data.draw(st.sampled_from([bytes(len(torn)), padded(together(chain(group, size + 1)))[: len(torn)]]))
    written = bytearray(older.ljust(len(torn), b"\0"))
    for sector in data.draw(st.sets(st.integers(0, len(torn) // SECTOR - 1))):
        written[sector * SECTOR : (sector + 1) * SECTOR] = torn[sector * SECTOR : (sector + 1) * SECTOR]
    found = rows(standing + written)
    assert found == [*range(1, len(found) + 1)] and len(found) >= before


def test_without_room_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is as long as it is; and a file system may need room even there."""
    big = chain(3, size=LENGTH // 2)
    file = TailFile(tmp_path / "t")
    assert file.write(big[0].frame) and not file.write(big[1].frame)
    small = chain(2)
    file.begin_again()

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    for fault in (full, lambda *_: BLOCK - 1):
        with monkeypatch.context() as patched:
            patched.setattr(os, "pwrite", fault)
            assert not file.write(small[0].frame)
    assert file.write(small[0].frame) and rows((tmp_path / "t").read_bytes()) == [1]

    def broken(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", broken)
        with pytest.raises(OSError, match="Input/output"):
            file.write(small[1].frame)
    file.close()
    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        none = TailFile(tmp_path / "none")
    assert not none.write(small[0].frame) and (tmp_path / "none").stat().st_size == 0
    none.close()


def test_a_file_system_that_knows_no_direct_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may take the flag and refuse the transfer; a write is durable when it returns all the same."""

    def refuses(*_: object) -> int:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "preadv", refuses)
    file = TailFile(tmp_path / "t")
    flags = fcntl.fcntl(file._fd, fcntl.F_GETFL)
    assert flags & os.O_DSYNC and not flags & os.O_DIRECT
    one = chain(1)[0]
    assert file.write(one.frame) and rows((tmp_path / "t").read_bytes()) == [1]
    file.close()
