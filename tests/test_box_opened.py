"""A box is opened, its key is marked and then refused, and not one record is lost for it.

The law: the terminal tells, head office marks; what was signed for stays signed for, and what was not is carried by
hand. Real processes, boards, files and TLS: only the screwdriver is missing.
"""

import json
import re
import ssl
import sys
from asyncio import create_subprocess_exec
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from simulators.office_findings import boxes_opened
from terminal.cli import exit_codes
from tests import office_cases
from tests.rigs.outside import TERMINAL, Outside, TerminalProcess
from tests.waiting import until

LID = 5  # the board's input: closed while the lid is on


@pytest.fixture
async def outside(tmp_path: Path) -> AsyncIterator[Outside]:
    """A bus whose front board has the lid's contact on one of its inputs."""
    made = Outside(tmp_path, tmp_path / "state")
    config = await made.build()
    text = config.read_text(encoding="utf-8")
    text = text.replace("[boards.front]\n", f"[boards.front]\ninverted_inputs = [{LID}]\n")
    config.write_text(text + f'\n[box]\nboard = "front"\ninput = {LID}\n', encoding="utf-8")
    made.doors[0].board.inputs[LID] = True
    try:
        yield made
    finally:
        await made.close()


async def said(*command: str) -> str:
    """What a command of ours prints."""
    process = await create_subprocess_exec(sys.executable, "-m", *command, stdout=PIPE)
    out, _ = await process.communicate()
    assert process.returncode == exit_codes.OK, out
    return out.decode()


class Case:
    """The bus, and its terminal from day to day."""

    def __init__(self, outside: Outside) -> None:
        self.outside, self.door = outside, outside.doors[0]
        self.config, self.journal = outside.directory / "bus.toml", outside.state_dir / "journal"
        self.terminal = TerminalProcess(self.config, outside.state_dir, outside.directory / "terminal.log")

    async def start(self) -> None:
        """Switch it on."""
        await self.terminal.start()
        assert await self.terminal.ready()

    async def rides(self) -> None:
        """Somebody new is let on."""
        assert await self.outside.let_on(self.door)

    async def alarms(self) -> list[str]:
        """The kinds of what was told, sorted."""
        shown = await said("terminal", "journal", "show", "--json", str(self.journal))
        facts = [json.loads(line)["fact"] for line in shown.splitlines()]
        return sorted(fact["kind"] for fact in facts if fact["type"] == "alarm")

    async def refused(self) -> None:
        """A day at a head office that has revoked the certificate."""
        with office_cases.refusing(self.config.parent / "pki", self._revoke) as port:
            config = self.config.read_text(encoding="utf-8")
            self.config.write_text(re.sub(r"localhost:\d+", f"localhost:{port}", config), encoding="utf-8")
            await self.start()
            await self.rides()
            await until(lambda: "does not take our certificate" in self.terminal.status()["upload"]["last_error"])
            assert await self.terminal.stop() == exit_codes.OK

    def _revoke(self, context: ssl.SSLContext) -> None:
        context.load_verify_locations(self.outside.authority.revoke(TERMINAL))
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF

    async def close(self) -> None:
        """Whatever is left."""
        if self.terminal.process is not None and self.terminal.process.returncode is None:
            self.terminal.kill()
            await self.terminal.gone()


@pytest.fixture
async def bus(outside: Outside) -> AsyncIterator[Case]:
    """Not yet switched on."""
    made = Case(outside)
    try:
        yield made
    finally:
        await made.close()


async def test_opened_told_marked_revoked_and_carried_by_hand(bus: Case, tmp_path: Path) -> None:
    """Head office hears; the key is revoked: taps go on, nothing is sent; exported, head office holds it all."""
    head_office, terminal = bus.outside.office.office, bus.terminal
    await bus.start()
    await bus.rides()
    assert await terminal.uploaded()
    assert terminal.status()["box"] == "shut" and boxes_opened(head_office.db) == ()
    bus.door.board.inputs[LID] = False
    await until(lambda: terminal.status()["box"] == "open")
    await until(lambda: boxes_opened(head_office.db) == (TERMINAL,))
    assert await terminal.stop() == exit_codes.OK
    signed = head_office.status()["records"]
    await bus.refused()
    assert await bus.alarms() == ["box_opened", "box_opened", "office_refuses_us"]
    assert head_office.status()["records"] == signed

    carried = tmp_path / "carried"
    assert TERMINAL in await said("terminal", "journal", "export", str(bus.journal), str(carried))
    counts = json.loads(await said("simulators.office_server", "--dir", str(tmp_path), "--import", str(carried)))
    entries = json.loads(await said("terminal", "journal", "verify", "--json", str(bus.journal)))["entries"]
    status = head_office.status()
    assert (counts["refused"], status["duplicates"], status["aside"]) == (0, 0, 0)
    assert status["records"] == entries == signed + counts["received"]
    assert status["terminals"][TERMINAL]["missing"] == 0 and counts["received"] > 0
