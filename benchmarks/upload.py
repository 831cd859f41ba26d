"""How fast does a backlog reach head office?

- records_per_s: the product's uploader and its HTTPS driver empty a journal: read, cut, compress, send, verify the
  signed receipt, mark, durably.
- ratio: against posting the same batches with bare aiohttp over the same kind of connection to the same kind of head
  office, new for each, which verifies and stores them all the same; in turn, on one machine.
"""

import asyncio
import json
import ssl
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from benchmarks.backlog import fill
from benchmarks.bus import start
from drivers.clock import SystemClock
from drivers.office import https
from drivers.store.sqlite import SqliteStore
from simulators import pki
from terminal.core import batch as batches
from terminal.core.model import Instant
from terminal.core.parameters import OfficeKeys
from terminal.core.time import settle
from terminal.runtime.journal import Journal
from terminal.runtime.uploader import Uploader, UploadRules

LIMITS: dict[str, float] = {}
TERMINAL, RECORDS, ROUNDS, WITHIN_S = "t-0001", 10_000, 3, 120.0


def run(*, quick: bool = False) -> dict[str, float]:
    """Measure on the disk the working directory stands on."""
    return asyncio.run(_measure(*((300, 1) if quick else (RECORDS, ROUNDS))))


async def _measure(records: int, rounds: int) -> dict[str, float]:
    ours: list[float] = []
    bare: list[float] = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as name:
            place = Path(name)
            await asyncio.to_thread(fill, place / "journal", TERMINAL, records)
            keys = _papers(place)
            posted = _batches(place / "journal")
            async with _office(place, "bare") as url:
                bare.append(await _post(place, url, posted))
            async with _office(place, "ours") as url:
                ours.append(await _drain(place, url, keys))
    took, limit = statistics.median(ours), statistics.median(bare)
    return {
        "records_per_s": (records + 1) / took,
        "bare_records_per_s": (records + 1) / limit,
        "ratio": took / limit,
    }


def _papers(place: Path) -> OfficeKeys:
    authority = pki.Authority(place / "pki")
    authority.issue("office", server=True)
    authority.issue(TERMINAL)
    return pki.write_office_keys(place / "office-keys")


@asynccontextmanager
async def _office(place: Path, name: str) -> AsyncIterator[str]:
    """A new head office, with the papers of `place`."""
    folder = place / name
    folder.mkdir()
    for papers in ("pki", "office-keys"):
        (folder / papers).symlink_to(place / papers)
    office = await start(folder, "simulators.office_server", "--dir", str(folder))
    assert office.stdout is not None
    try:
        yield f"https://localhost:{json.loads(await office.stdout.readline())['port']}"
    finally:
        office.terminate()
        await office.wait()


def _batches(journal: Path) -> list[bytes]:
    """What the uploader will send, as it would cut it."""
    store, rules = _open(journal), UploadRules()
    posted, row = [], 0
    while run := store.unsent(row, rules.batch_entries, rules.batch_bytes):
        posted.append(batches.encode(batches.cut(TERMINAL, run)))
        row = run[-1].row + 1
    asyncio.get_running_loop().create_task(store.close())
    return posted


def _open(journal: Path) -> SqliteStore:
    store = SqliteStore(journal, SystemClock())
    store.open(TERMINAL, _now())
    return store


def _now() -> Instant:
    return settle(SystemClock().read(), 0)


async def _drain(place: Path, url: str, keys: OfficeKeys) -> float:
    clock, store = SystemClock(), _open(place / "journal")
    papers = https.Settings(
        url=url,
        ca=str(place / "pki/ca.pem"),
        certificate=str(place / f"pki/{TERMINAL}.pem"),
        key=str(place / f"pki/{TERMINAL}.key"),
    )
    office = https.open(papers, clock)
    uploader = Uploader(Journal(store, clock, TERMINAL), office, clock, keys=lambda: keys, now=_now)
    began = time.perf_counter()
    assert await uploader.drain(WITHIN_S), uploader.status()
    took = time.perf_counter() - began
    await office.close()
    await store.close()
    return took


async def _post(place: Path, url: str, posted: list[bytes]) -> float:
    trust = ssl.create_default_context(cafile=str(place / "pki/ca.pem"))
    trust.load_cert_chain(place / f"pki/{TERMINAL}.pem", place / f"pki/{TERMINAL}.key")
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as session:
        began = time.perf_counter()
        for batch in posted:
            kind = {"Content-Type": "application/cbor"}
            async with session.post(f"{url}/v1/batches", data=batch, headers=kind) as answer:
                assert answer.status == 200, await answer.text()
                await answer.read()
        return time.perf_counter() - began
