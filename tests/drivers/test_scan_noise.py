"""Noise on a real line: told now and then, never line by line."""

import asyncio
import logging
from pathlib import Path
from random import Random

import pytest

from tests.contracts.test_code_reader import CODE, on_a_pty


async def test_garbage_without_end_is_told_now_and_then(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Three seconds of garbage at line rate: at most one line a second, and the code behind it is read."""
    caplog.set_level(logging.INFO)
    async with on_a_pty(tmp_path) as (far_end, heard):
        random, began_s = Random(8), asyncio.get_running_loop().time()
        while asyncio.get_running_loop().time() < began_s + 3.0:
            await far_end.wire.send(random.randbytes(2000))
        await asyncio.sleep(0.3)
        heard.payloads.clear()
        await far_end.show(CODE)
        assert (await heard.next())[0] == CODE
        assert not heard.errors
        seconds = asyncio.get_running_loop().time() - began_s
    told = [record for record in caplog.records if record.getMessage() == "scan noise"]
    assert 1 <= len(told) <= seconds + 1
