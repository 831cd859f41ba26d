"""A serial cable: a pty whose slave end the terminal opens, paced at a baud rate, that can be pulled out.

Laws of this file:
- A pty has no speed, so whatever is sent here is released byte by byte at ten bits a byte.
- Pulling the plug closes the pty and removes its name: the terminal sees what it sees when a USB plug leaves.
  Plugging in makes a new pty under the same name.
"""

import asyncio
import contextlib
import os
import pty
import select
import tty
from collections.abc import Callable
from pathlib import Path

CHUNK = 4096


class Wire:
    """One end of a serial cable; the other end is the path."""

    def __init__(self, path: Path, baud: int = 115_200) -> None:
        self.path = path
        self._byte_s = 10 / baud
        self._master = -1
        self._receive: Callable[[bytes], None] | None = None
        self._free_s = 0.0  # loop time at which the line is free again
        self._lent = False  # somebody else reads what comes
        self.plugged = False

    def plug(self) -> None:
        """Make the pty and give it its name."""
        self._master, slave = pty.openpty()
        tty.setraw(slave)
        os.set_blocking(self._master, False)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        name = os.ttyname(slave)
        os.close(slave)
        temporary = self.path.with_name(self.path.name + ".new")
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(name)
        temporary.replace(self.path)
        self.plugged = True
        asyncio.get_running_loop().add_reader(self._master, self._readable)

    def unplug(self) -> None:
        """Pull the plug: the name goes first, then the line."""
        if not self.plugged:
            return
        self.plugged = False
        self.path.unlink(missing_ok=True)
        asyncio.get_running_loop().remove_reader(self._master)
        os.close(self._master)

    def is_open(self) -> bool:
        """Whether the terminal has opened its end: what is sent before falls on the floor."""
        if not self.plugged:
            return False
        poll = select.poll()
        poll.register(self._master, 0)
        return not any(event & select.POLLHUP for _, event in poll.poll(0))

    def on_bytes(self, receive: Callable[[bytes], None]) -> None:
        """Where the terminal's bytes go."""
        self._receive = receive

    def lend(self) -> int:
        """The descriptor, for somebody who reads it in the loop's place as long as the plug is in."""
        self._lent = True
        asyncio.get_running_loop().remove_reader(self._master)
        return self._master

    async def send(self, data: bytes) -> int:
        """Send at the line's speed; returns the CLOCK_MONOTONIC nanoseconds of the last byte."""
        loop = asyncio.get_running_loop()
        start_s = max(loop.time(), self._free_s)
        self._free_s = start_s + len(data) * self._byte_s
        if len(data) > 1:
            await asyncio.sleep(self._free_s - self._byte_s - loop.time())
            self._write(data[:-1])
        await asyncio.sleep(self._free_s - loop.time())
        last_byte_ns = round(loop.time() * 1e9)  # before the write: the reader may run before we look again
        self._write(data[-1:])
        return last_byte_ns

    def send_now(self, data: bytes) -> None:
        """Send without waiting for the line's speed."""
        self._write(data)

    def _write(self, data: bytes) -> None:
        if self.plugged:
            with contextlib.suppress(BlockingIOError, OSError):  # nobody listens: bytes fall on the floor
                os.write(self._master, data)

    def _readable(self) -> None:
        try:
            data = os.read(self._master, CHUNK)
        except BlockingIOError:
            return
        except OSError:  # EIO: the terminal has not opened its end, or has closed it
            self._pause()
            return
        if self._receive is not None:
            self._receive(data)

    def _pause(self) -> None:
        """A pty without an opener reports EIO all the time: look again a little later."""
        loop, master = asyncio.get_running_loop(), self._master
        loop.remove_reader(master)

        def again() -> None:
            if self.plugged and self._master == master and not self._lent:
                loop.add_reader(master, self._readable)

        loop.call_later(0.02, again)
