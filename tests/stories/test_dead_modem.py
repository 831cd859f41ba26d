"""A site whose modem is dead, and whose disk was damaged: what is carried to head office by hand is everything.

The law: every ride that can still be read is in the export, and counts once, whatever arrives twice later.
"""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

from drivers.store import recovery
from simulators.office_server import import_file
from terminal.__main__ import main
from terminal.core.entries import Decided, Reissued, decode
from tests.office_cases import Keys, serve
from tests.stories.test_restored_disk import Box, assert_counted_once


async def test_rides_behind_damage_are_exported_without_an_answer_of_head_office(tmp_path: Path) -> None:
    """Row 9 is damaged, the terminal starts again, nobody answers; the file has what the disk still holds."""
    keys, directory, file = Keys(tmp_path), tmp_path / "journal", tmp_path / "carried"
    box = Box(keys, directory, 1)  # nobody listens there
    await box.rides(*range(10))
    written = {data: decode(data).fact for data in await box.switch_off()}
    with closing(sqlite3.connect(directory / recovery.DATABASE)) as db:
        db.execute("UPDATE entries SET data = zeroblob(200) WHERE row = 9")
        db.commit()
    box = Box(keys, directory, 1)
    assert not await box.uploader.drain(0.5)
    on_disk = set(await box.switch_off())
    assert any(isinstance(decode(data).fact, Reissued) for data in on_disk)
    assert await asyncio.to_thread(main, ["journal", "export", str(directory), str(file)]) == 0
    server, port = await serve(keys)
    import_file(server.office, file.read_bytes())
    damaged = list(written)[8]
    whole = {data for data in written if data != damaged}
    rides = sum(isinstance(written[data], Decided) for data in whole)
    assert_counted_once(whole, server.office, rides)
    box = Box(keys, directory, port)  # a new modem
    await box.rides(10)
    await box.upload()
    assert_counted_once(whole | set(await box.switch_off()), server.office, rides + 1)
    await server.stop()
