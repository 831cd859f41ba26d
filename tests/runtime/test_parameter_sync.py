"""Parameters in force, over a real directory and a real kept copy: whole, newer, told once; on a loop that jumps."""

import asyncio
import functools
import shutil
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from drivers.parameters.directory import Directory
from simulators.clockwork import SimulatedClock, new_loop
from simulators.parameters import ParameterOffice
from terminal.core.parameters import OfficeKeys, ParameterSet, Policies
from terminal.core.time import settle
from terminal.ports import DeviceError
from terminal.runtime.parameter_sync import POLL_S, ParameterSync
from tests.journal_cases import NOON_MS


def jumping(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test on a fresh jumping loop."""

    @functools.wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        loop = new_loop()
        try:
            loop.run_until_complete(test(*arguments, **named))
        finally:
            loop.close()

    return run


class Bench:
    """A parameter directory, a state directory, and what a terminal was told."""

    def __init__(self, place: Path) -> None:
        self.office = ParameterOffice(place / "parameters", OfficeKeys(keys=()))
        self.directory = place / "parameters"
        self.state = place / "state"
        self.state.mkdir()
        self.clock = SimulatedClock(NOON_MS)
        self.swaps: list[ParameterSet] = []
        self.alarms: list[str] = []
        self.details: list[str] = []

    def start(self, floor: int = 0) -> ParameterSet:
        """Start, or start again after a restart."""
        self.sync = ParameterSync(Directory(self.directory), self.state)
        self.first = self.sync.start(floor, self.alarm)
        return self.first

    def alarm(self, kind: str, detail: str) -> None:
        self.alarms.append(kind)
        self.details.append(detail)

    async def polls(self, *steps: Callable[[], object]) -> None:
        """Let the sync run; after each step it polls several times."""
        now = lambda: settle(self.clock.read(), 0)  # noqa: E731  # one line, one use
        running = asyncio.create_task(self.sync.run(self.first, self.swaps.append, self.alarm, now))
        for step in steps:
            step()
            await asyncio.sleep(POLL_S * 4)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    def publish(self, hotline: str = "1", version: int | None = None) -> None:
        """A complete set with these contents."""
        self.office.policies = Policies(hotline=hotline)
        if version is not None:
            self.office.version = version - 1
        self.office.publish(NOON_MS)

    def damage(self, part: str) -> bytes:
        """Change a part behind the manifest's back; returns what it was."""
        file = self.directory / f"{part}-{self.office.version}.json"
        good = file.read_bytes()
        file.write_bytes(good + b" ")
        return good

    def mend(self, part: str, good: bytes) -> None:
        (self.directory / f"{part}-{self.office.version}.json").write_bytes(good)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    made.publish("first")
    return made


@jumping
async def test_a_swap_is_whole_and_happens_once(bench: Bench) -> None:
    """A new version replaces every part by one call; an untouched or merely touched directory swaps nothing."""
    assert bench.start().policies.hotline == "first"
    await bench.polls(
        lambda: bench.publish("second"),
        (bench.directory / "manifest.json").touch,
    )
    assert [(one.version, one.policies.hotline) for one in bench.swaps] == [(2, "second")]
    assert set(bench.swaps[0].versions.values()) == {2}
    assert bench.alarms == []


@jumping
async def test_a_set_whose_files_come_after_its_manifest_is_taken_when_it_is_whole(bench: Bench) -> None:
    """A manifest before its files: the old set stays, one alarm, and the set is taken without a new manifest."""
    bench.start()
    kept: list[bytes] = []

    def half() -> None:
        bench.publish("second")
        kept.append(bench.damage("policies"))

    def nothing_yet() -> None:
        assert bench.swaps == [] and bench.alarms == ["parameters"]
        assert "policies" in bench.details[0]

    await bench.polls(half, nothing_yet, lambda: bench.mend("policies", kept[0]))
    assert [one.version for one in bench.swaps] == [2]
    assert bench.alarms == ["parameters"]


@jumping
async def test_a_missing_file_keeps_the_old_set_until_it_comes(bench: Bench) -> None:
    """The new manifest names a file that is not there, and the old files are gone already."""
    bench.start()
    shelf = bench.directory.parent / "shelf"

    def half() -> None:
        bench.publish("second")
        shutil.move(bench.directory / "deny-2.json", shelf)
        for old in bench.directory.glob("*-1.json"):
            old.unlink()

    await bench.polls(half, lambda: shutil.move(shelf, bench.directory / "deny-2.json"))
    assert [one.version for one in bench.swaps] == [2]
    assert bench.alarms == ["parameters"] and "deny-2.json" in bench.details[0]


@pytest.mark.parametrize(
    ("hotline", "version", "words"), [("older", 1, "older than 2"), ("other", 2, "in force with other content")]
)
def test_a_version_never_goes_back_and_names_one_content(bench: Bench, hotline: str, version: int, words: str) -> None:
    """Refused with an alarm while running, and again after a restart, where the kept copy is started from."""
    bench.publish("second")

    @jumping
    async def test() -> None:
        assert bench.start().version == 2
        await bench.polls(lambda: bench.publish(hotline, version))
        assert bench.swaps == [] and bench.alarms == ["parameters"] and words in bench.details[0]
        again = bench.start(floor=2)
        assert (again.version, again.policies.hotline) == (2, "second")
        assert bench.alarms == ["parameters"] * 2 and words in bench.details[1]

    test()


@jumping
async def test_the_last_good_set_survives_a_restart_and_an_alarm_says_so(bench: Bench) -> None:
    """A broken source at the start: the kept copy serves, one alarm tells it, and a mended source is taken."""
    bench.start()
    bench.publish("second")
    good = bench.damage("tariff")
    assert bench.start(floor=1).policies.hotline == "first"
    assert bench.alarms == ["parameters"] and "tariff" in bench.details[0]
    await bench.polls(lambda: None, lambda: bench.mend("tariff", good))
    assert [one.version for one in bench.swaps] == [2]
    assert bench.alarms == ["parameters"]


def test_without_a_source_and_without_a_copy_there_is_no_start(bench: Bench) -> None:
    """What is wrong, and what to try; a kept copy below the journal's floor does not count."""
    bench.start()
    bench.damage("deny")
    with pytest.raises(DeviceError) as caught:
        bench.start(floor=5)
    assert "deny" in caught.value.what and caught.value.hint


def test_a_kept_copy_is_never_undercut(bench: Bench) -> None:
    """The copy was written before the journal heard of it: its version is the floor all the same."""
    bench.publish("second")
    bench.start()
    bench.publish("older", version=1)
    assert bench.start(floor=0).policies.hotline == "second"


def test_a_file_that_is_no_text_is_kept_as_it_is(bench: Bench) -> None:
    """A manifest may name files besides the parts; bytes that are no UTF-8 neither stop a start nor spoil the copy."""
    import hashlib

    import msgspec

    manifest = msgspec.json.decode((bench.directory / "manifest.json").read_bytes())
    logo = b"\xff\xfe\x00logo"
    manifest["files"]["logo"] = {"file": "logo.bin", "version": 1, "sha256": hashlib.sha256(logo).hexdigest()}
    (bench.directory / "logo.bin").write_bytes(logo)
    (bench.directory / "manifest.json").write_bytes(msgspec.json.encode(manifest))
    bench.start()
    (bench.directory / "manifest.json").unlink()
    assert bench.start(floor=1).policies.hotline == "first"


@jumping
async def test_stale_parameters_are_told_once_until_new_ones_come(bench: Bench) -> None:
    """Once per staleness, by the terminal's own clock, and not while that clock may be wrong by as much."""
    bench.start()
    limit_ms = bench.first.policies.stale_after_s * 1000

    def unsure() -> None:
        bench.clock.error_ms = limit_ms + 1000
        bench.clock.uncertainty_ms = 60_000

    def sure() -> None:
        assert bench.alarms == []
        bench.clock.uncertainty_ms = 0

    def fresh() -> None:
        assert bench.alarms == ["parameters_stale"]
        bench.office.publish(NOON_MS + limit_ms)

    def again() -> None:
        assert bench.alarms == ["parameters_stale"]
        bench.clock.error_ms = 2 * limit_ms + 1000

    await bench.polls(lambda: None, unsure, sure, fresh, again)
    assert bench.alarms == ["parameters_stale"] * 2 and "version 2" in bench.details[1]
