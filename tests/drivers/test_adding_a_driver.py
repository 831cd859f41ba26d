"""The worked example of docs/adding-a-driver.md is code that runs, not prose."""

import asyncio
import re
import types
from pathlib import Path
from typing import Any

import pytest

from drivers.clock import SystemClock
from terminal.ports import DeviceError

PAGE = Path(__file__).parents[2] / "docs" / "adding-a-driver.md"


def example() -> Any:
    """The page's first block of Python, as a module."""
    found = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    module = types.ModuleType("wedge")
    exec(compile(found[1], str(PAGE), "exec"), module.__dict__)  # our own page
    return module


async def test_the_worked_example_reads_codes() -> None:
    """As printed, it survives garbage, splits and glue, stamps each code, and tells of a lost line with a hint."""

    async def far_end(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in (b"noise\x03\x02half\x02ONE", b"\x03\x02TWO\x03\x02THR", b"EE\x03"):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(far_end, "127.0.0.1", 0)
    wedge = example()
    link = f"tcp:127.0.0.1:{server.sockets[0].getsockname()[1]}"
    reader = wedge.open(wedge.Settings(link=link), SystemClock())
    payloads = reader.payloads()
    codes, stamps = zip(*[await anext(payloads) for _ in range(3)], strict=True)
    with pytest.raises(DeviceError) as caught:
        await anext(payloads)
    server.close()
    await server.wait_closed()
    assert codes == (b"ONE", b"TWO", b"THREE")
    assert [at.monotonic_ns for at in stamps] == sorted(at.monotonic_ns for at in stamps)
    assert caught.value.hint
