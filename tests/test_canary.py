"""A canary held up in every way is found nowhere in the clear: not in the journal, its log, a traceback, a core.

The law: what identifies a rider leaves the terminal only sealed to head office. Real processes, real files; the rig
first finds what it must find, in terminals with a leak planted in them.
"""

import asyncio
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

import apsw
import pytest

from simulators.parameters import ParameterOffice
from simulators.phone import FAULTS, Phone
from simulators.scan_module import ScanModule
from simulators.token_issuer import text
from terminal.cli import exit_codes
from terminal.core.batch import Batch
from terminal.core.entries import Decided, Refused, entry_hash
from terminal.core.entries import decode as decode_entry
from terminal.core.parameters import BlockScope
from tests import canary, office_cases
from tests.canary import BLOCKED, HOLDER, RIDER
from tests.office_cases import TERMINAL, Keys, RawOffice

ROOT = Path(__file__).resolve().parents[1]
CONFIG = """
[terminal]
id = "{id}"
state_dir = "state"
[parameters]
driver = "parameters.directory"
path = "parameters"
[office]
driver = "office.https"
url = "https://localhost:{port}"
ca = "pki/ca.pem"
certificate = "pki/{id}.pem"
key = "pki/{id}.key"
[store]
driver = "store.sqlite"
[lanes.front]
service = "fare"
passage = "assumed"
[[lanes.front.readers]]
driver = "scan.serial"
link = "serial:{place}/ttyScan?baud=115200"
[[lanes.front.indicators]]
driver = "indicator.memory"
"""


class Cage:
    """A terminal in a directory of its own, a scan module, and a head office that refuses every decision."""

    def __init__(self, place: Path, plant: str = "") -> None:
        self.place, self.plant = place, plant
        self.keys = Keys(place)
        self.scan = ScanModule(place / "ttyScan")
        self.wanted = canary.secrets()
        self.raw = RawOffice(office_cases.through(self.keys.head_office(), self._refuse))
        self.process: asyncio.subprocess.Process | None = None

    def _refuse(self, batch: Batch) -> bytes | None:
        """A receipt that refuses what is a decision: the terminal quarantines it."""
        numbered = enumerate(batch.entries, batch.first)
        refused = [Refused(sequence=n, reason="unwanted") for n, data in numbered if _is_decision(data)]
        fields = {0: "receipt", 1: batch.terminal, 2: batch.epoch, 3: batch.first, 4: batch.last}
        fields |= {5: entry_hash(batch.entries[-1]), 6: [[one.sequence, one.reason] for one in refused[:20]]}
        return office_cases.response(200, self.keys.head_office().sign(fields), office_cases.COSE_HEADERS)

    async def open(self) -> None:
        """Far ends and configuration."""
        parameters = ParameterOffice(self.place / "parameters", self.keys.office)
        parameters.block(parameters.ref("tu", BLOCKED.account), BlockScope.PAYMENT)
        parameters.publish(time.time_ns() // 1_000_000)
        port = await self.raw.start(self.keys.pki)
        config = CONFIG.format(id=TERMINAL, port=port, place=self.place)
        (self.place / "terminal.toml").write_text(config, encoding="utf-8")
        self.scan.wire.plug()

    async def start(self) -> None:
        """The terminal; it may write as large a core as it likes, into its own directory."""
        with (self.place / "log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.canary_end", str(self.place / "terminal.toml"), self.plant,
                cwd=self.place, stdout=log, stderr=log, env=os.environ | {"PYTHONPATH": str(ROOT)},
                preexec_fn=_cores_wanted,  # one thread here
            )  # fmt: skip
        await self.until(lambda: (self.place / "log").read_bytes().count(b'"event":"ready"') > 0)
        await self.until(self.scan.wire.is_open)  # the reader's line is opened after that
        await asyncio.sleep(0.3)  # and emptied: nothing tells

    async def close(self) -> None:
        """Whatever is left."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        self.scan.wire.unplug()
        await self.raw.stop()

    async def show(self, *codes: bytes, pause_s: float = 0.05) -> None:
        """Hold out codes, one after the other."""
        for code in codes:
            self.wanted |= canary.of_code(code)
            await self.scan.show(code)
            await asyncio.sleep(pause_s)

    async def end(self, number: signal.Signals) -> int:
        """Send a signal; the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        async with asyncio.timeout(60):
            return await self.process.wait()

    def lines(self) -> list[dict[str, Any]]:
        """The log."""
        return [json.loads(line) for line in (self.place / "log").read_text().splitlines() if line.startswith("{")]

    def hits(self) -> dict[str, set[str]]:
        """Files, and what was sent to head office, with what was found in them."""
        found = canary.search([self.place / "state"], self.wanted)
        for path in (*self.place.glob("core*"), self.place / "log"):
            found |= {path.name: told} if (told := canary.hits(path.read_bytes(), canary.secrets())) else {}
        sent = canary.hits(b"".join(self.raw.requests), self.wanted)
        return found | ({"sent": sent} if sent else {})

    async def until(self, holds: Any) -> None:
        async with asyncio.timeout(60):
            while True:
                try:
                    if holds():
                        return
                except OSError:
                    pass  # not there yet
                assert self.process is not None and self.process.returncode is None, (self.place / "log").read_text()
                await asyncio.sleep(0.02)


def _cores_wanted() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def _is_decision(data: bytes) -> bool:
    return isinstance(decode_entry(data).fact, Decided)


def every_way(now_s: int) -> list[bytes]:
    """Good, shown again, bad, malformed, denied, in both formats."""
    good, token = RIDER.code(now_s), HOLDER.code(now_s)
    bad = [
        FAULTS[kind](RIDER, now_s + n) for n, kind in enumerate(("forged user signature", "expired code", "negated s"))
    ]
    malformed = [good[:-1], good[:150] + b"\xff" + good[151:], good + good[:200], token[:-1], text(token)[:-1]]
    return [good, good, token, text(token), BLOCKED.code(now_s), *bad, *malformed, b"\x80" + good[1:]]


@pytest.fixture
async def cage(tmp_path: Path, request: pytest.FixtureRequest) -> Any:
    """A running terminal, with a plant where the test asks for one."""
    made = Cage(tmp_path, getattr(request, "param", ""))
    await made.open()
    try:
        await made.start()
        yield made
    finally:
        await made.close()


async def test_a_canary_is_found_nowhere(cage: Cage) -> None:
    """After every way of holding it up, a flood, quarantine, a crash in the middle of a tap, and a clean stop."""
    now_s = int(time.time())
    await cage.show(*every_way(now_s))
    await cage.show(*(FAULTS["forged user signature"](RIDER, now_s + n) for n in range(30)), pause_s=0)
    journal = cage.place / "state" / "journal"
    db = apsw.Connection(str(journal / "journal.db"), flags=apsw.SQLITE_OPEN_READONLY)
    await cage.until(lambda: len(db.execute("SELECT row FROM quarantine").fetchall()) > 10)
    db.close()
    wanted = {"paid", "already_paid", "blocked", "holder_signature_bad", "length_wrong"}
    await cage.until(lambda: {line["reason"] for line in cage.lines() if line["event"] == "decided"} >= wanted)
    assert (journal / "journal.db-wal").stat().st_size > 0
    await cage.show(Phone(RIDER.name).code(now_s - 20), pause_s=0.003)
    assert await cage.end(signal.SIGABRT) == -signal.SIGABRT
    assert cage.hits() == {}
    assert list(cage.place.glob("core*")) == []
    (cage.place / "log").rename(cage.place / "state" / "log of the crash")
    await cage.start()
    assert await cage.end(signal.SIGTERM) == exit_codes.OK
    assert cage.hits() == {}


@pytest.mark.parametrize("cage", ["bug"], indirect=True)
async def test_a_traceback_names_nobody(cage: Cage) -> None:
    """A bug that carries the whole presentation in its exception: the log says where, and nothing of what."""
    await cage.show(RIDER.code(int(time.time())))
    assert cage.process is not None
    async with asyncio.timeout(60):
        assert await cage.process.wait() == exit_codes.BUG
    log = (cage.place / "log").read_bytes()
    assert b'"error":"ValueError"' in log and b"canary_end.py" in log
    assert cage.hits() == {}


@pytest.mark.parametrize("cage", ["payload logged", "evidence not sealed"], indirect=True)
async def test_a_planted_leak_is_found(cage: Cage) -> None:
    """In the log, or in the journal and what was sent: in the clear, or in another form."""
    await cage.show(*every_way(int(time.time())))
    await cage.until(lambda: len(cage.hits()) > (cage.plant != "payload logged"))
    await cage.end(signal.SIGABRT)
    found = cage.hits()
    if cage.plant == "payload logged":
        assert set(found) == {"log"} and any("(hex)" in told for told in found["log"])
    else:
        assert {"journal.db-wal", "sent"} <= set(found)
        assert any("(raw)" in told for told in found["journal.db-wal"])


@pytest.mark.parametrize("cage", ["core allowed"], indirect=True)
async def test_a_core_would_hold_the_canary(cage: Cage) -> None:
    """Why no core is written: without that, a crash leaves the code in use on the disk."""
    if Path("/proc/sys/kernel/core_pattern").read_text().startswith("|"):
        pytest.skip("this machine gives cores to a program: none would be seen here")
    await cage.show(RIDER.code(int(time.time())))
    await cage.end(signal.SIGABRT)
    (core,) = cage.place.glob("core*")
    assert core.stat().st_size > 1 << 20
    assert any(name.startswith("core") for name in cage.hits())


@pytest.mark.parametrize("form", canary.forms(b"a secret of some bytes"))
def test_the_search_knows_the_form(form: str) -> None:
    """A form among other bytes, at any place, is found."""
    secret = RIDER.account + RIDER.key.public
    for shift in range(6):
        data = bytes(shift) + canary.forms(secret)[form] + bytes(7)
        assert any(f"({form})" in told for told in canary.hits(data, {"canary": secret}))
