"""`terminal demo`: a bus, a park, a library and a card gate, working, with everything outside simulated.

Laws of this file:
- Each terminal, head office and the outside are processes of their own; they meet by pty, TCP and files only.
- A terminal that dies is started again with backoff, as systemd would; the demo goes on.
- The summary counts what others wrote down: the outside its openings, terminals their commits, head office its records.
"""

import argparse
import asyncio
import io
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from simulators import pki
from simulators.parameters import ParameterOffice
from terminal.cli import demo_screens, demo_summary, exit_codes
from terminal.cli.demo_library import library_files
from terminal.cli.demo_view import DemoState, LaneCount, TapLine, render
from terminal.core.parameters import Policies

DEMO = Path(__file__).parent.parent.parent / "config" / "demo.toml"
READY_S = 20.0
DRAIN_S = 10.0
NO_CAMERA = "http://127.0.0.1:18080/stream"  # what the demo's configurations say before there is one
NO_LIBRARY = "port = 16001"  # likewise
RESTART_S = (0.2, 2.0)  # first and longest wait before a dead terminal is started again


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The `demo` part of the command line."""
    parser = commands.add_parser(
        "demo", help="show a bus, a park, a library and a card gate working, with everything outside simulated"
    )
    parser.add_argument("--seconds", type=float, help="end by itself after so long (default: until Ctrl-C)")
    parser.add_argument("--json", action="store_true", help="no picture; the last line is one JSON object")
    parser.add_argument("--dir", type=Path, help="where to work and leave everything (default: a temporary directory)")
    parser.add_argument("--config", type=Path, default=DEMO, help="what to run (default: config/demo.toml)")
    parser.add_argument("--svg", type=Path, help="at the end, save the picture as SVG")


def run(options: argparse.Namespace) -> int:
    """Run the demo; 0 when nothing was lost, doubled or opened without an entry."""
    if not options.config.exists():
        print(f"terminal: {options.config} is missing; run the demo from a checkout, or name --config", file=sys.stderr)
        return exit_codes.SETTINGS
    if options.dir is not None and options.dir.exists() and any(options.dir.iterdir()):
        print(f"terminal: {options.dir} is not empty; the demo makes everything anew, name another", file=sys.stderr)
        return exit_codes.SETTINGS
    directory = options.dir or Path(tempfile.mkdtemp(prefix="onecard-demo-"))
    directory.mkdir(parents=True, exist_ok=True)
    try:
        return asyncio.run(Demo(directory.resolve(), options).run())
    finally:
        if options.dir is None:
            shutil.rmtree(directory, ignore_errors=True)


class Child:
    """One process of the demo, with its output in a file."""

    def __init__(self, name: str, directory: Path, *command: str, **environment: str) -> None:
        self.name = name
        self.environment = environment
        self.command = (sys.executable, "-m", *command)
        self.log = directory / f"{name.replace('/', '-')}.log"
        self.process: asyncio.subprocess.Process | None = None
        self.restarts = 0

    async def start(self) -> None:
        """Start it; it does not see the keyboard's Ctrl-C, only what the demo tells it."""
        with self.log.open("ab") as output:
            self.process = await asyncio.create_subprocess_exec(
                *self.command,
                stdout=asyncio.subprocess.PIPE,
                stderr=output,
                start_new_session=True,
                env=os.environ | self.environment,
            )

    async def first_line(self) -> dict[str, Any]:
        """The JSON line it prints when ready."""
        assert self.process is not None and self.process.stdout is not None
        async with asyncio.timeout(READY_S):
            line = await self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} did not start: see {self.log}")
        return dict(json.loads(line))

    async def keep_alive(self) -> None:
        """Start it again whenever it dies."""
        wait_s = RESTART_S[0]
        while True:
            assert self.process is not None
            await self.process.wait()
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, RESTART_S[1])
            self.restarts += 1
            await self.start()

    def tell(self, number: signal.Signals) -> None:
        """Send a signal, if it still lives."""
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(number)

    async def stop(self, within_s: float) -> None:
        """SIGTERM, and SIGKILL when it does not go."""
        self.tell(signal.SIGTERM)
        assert self.process is not None
        try:
            async with asyncio.timeout(within_s):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()

    def rss_mib(self) -> float:
        """Resident memory, or 0 when it is gone."""
        with suppress(OSError, AttributeError, IndexError):
            assert self.process is not None
            text = Path(f"/proc/{self.process.pid}/status").read_text()
            return int(text.split("VmRSS:")[1].split()[0]) / 1024
        return 0.0


class Tail:
    """New JSON lines of a growing file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0

    def lines(self) -> list[dict[str, Any]]:
        """Whole lines written since last asked."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._at)
                data = file.read()
        except OSError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._at += len(whole)
        found = []
        for line in whole.splitlines():
            with suppress(ValueError):
                found.append(json.loads(line))
        return [one for one in found if isinstance(one, dict)]


class Demo:
    """Everything `make run` shows."""

    def __init__(self, directory: Path, options: argparse.Namespace) -> None:
        self.directory = directory
        self.options = options
        self.settings = tomllib.loads(options.config.read_text(encoding="utf-8"))
        self._files: list[str] = [*self.settings["terminals"], self.settings["card_terminal"]]
        self.state = DemoState()
        self.events: list[dict[str, Any]] = []
        self.decisions: list[dict[str, Any]] = []
        self.terminals: dict[str, Child] = {}
        self.ready_ms = 0.0
        self.screens = ""  # the address of the page that links every screen
        self.rss_mib = 0.0
        self._who: dict[str, list[tuple[int, str]]] = {}  # lane → (last byte, who), in order
        self._began = time.monotonic()

    async def run(self) -> int:
        """Start everything, watch, end everything, sum up."""
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        self._prepare()
        office = Child("office", self.directory, *self._office_command())
        await office.start()
        port = (await office.first_line())["port"]
        site = Child("site", self.directory, *self._site_command())
        await site.start()
        there = await site.first_line()
        if there["camera"] is None:
            self._say(
                "OpenCV is not installed: nobody comes to the lane with the camera (tools/setup base installs it)"
            )
        if there["no_cards"] is not None:
            self._say(f"no card gate: {there['no_cards']}")
            self._files.remove(self.settings["card_terminal"])
        written = {"18443": str(port), NO_CAMERA: there["camera"] or NO_CAMERA, NO_LIBRARY: f"port = {there['sip2']}"}
        await self._start_terminals(written, there["pcscd"] or "")
        keepers = [asyncio.create_task(child.keep_alive()) for child in self.terminals.values()]
        await self._watch(stop)
        site.tell(signal.SIGUSR1)
        await asyncio.sleep(0.5)
        drained_s = await self._drain()
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*(child.stop(DRAIN_S) for child in self.terminals.values()))
        await site.stop(3.0)
        await asyncio.sleep(0.6)  # head office writes its status twice a second
        await office.stop(3.0)
        self._collect()
        return self._sum_up(drained_s)

    def _say(self, note: str) -> None:
        """What is left out, and why: on the screen, and in the picture."""
        print(f"terminal: {note}", file=sys.stderr)
        self.state.notes.append(note)

    # ----------------------------------------------------------------------- preparing

    def _prepare(self) -> None:
        authority = pki.Authority(self.directory / "pki")
        authority.issue("office", server=True)
        keys = pki.write_office_keys(self.directory / "office-keys")
        policies = Policies(hotline="12333", passage_s=self.settings["passage_s"])
        parameters = ParameterOffice(self.directory / "parameters", keys, policies=policies)
        lost = parameters.ref("ssc", b"synthetic identification code")
        parameters.block(lost, lost=True)
        parameters.publish(time.time_ns() // 1_000_000)
        (self.directory / "people.json").write_text(json.dumps({"lost": lost.hex()}))
        library_files(self.directory, parameters.ref)
        for name in self._files:
            text = (self.options.config.parent / name).read_text(encoding="utf-8")
            authority.issue(tomllib.loads(text)["terminal"]["id"])

    def _office_command(self) -> tuple[str, ...]:
        trouble, seed = self.settings["office_trouble"], self.settings["seed"]
        return (
            "simulators.office_server",
            "--dir",
            str(self.directory),
            "--trouble",
            str(trouble),
            "--seed",
            str(seed),
        )

    def _site_command(self) -> tuple[str, ...]:
        seed, passage_s = self.settings["seed"], self.settings["passage_s"]
        return ("simulators.site", "--dir", str(self.directory), "--seed", str(seed), "--passage-s", str(passage_s))

    async def _start_terminals(self, written: dict[str, str], pcscd: str) -> None:
        began = time.monotonic()
        texts = {name: (self.options.config.parent / name).read_text(encoding="utf-8") for name in self._files}
        sections, self.screens = demo_screens.sections(texts, self.settings["console_port"])
        self._say(f"screens: {self.screens}")
        for name, text in texts.items():
            for before, after in written.items():
                text = text.replace(before, after)
            text += sections[name]
            config = self.directory / Path(name).name
            config.write_text(text, encoding="utf-8")
            settings = tomllib.loads(text)
            command = ("terminal", "run", str(config))
            child = Child(settings["terminal"]["id"], self.directory, *command, PCSCLITE_CSOCK_NAME=pcscd)
            await child.start()
            self.terminals[settings["terminal"]["state_dir"]] = child
            for lane in settings["lanes"]:
                self.state.lanes[lane] = LaneCount()
        async with asyncio.timeout(READY_S):
            while not all(self._status(name).get("ready") for name in self.terminals):  # noqa: ASYNC110  # another process
                await asyncio.sleep(0.02)
        self.ready_ms = (time.monotonic() - began) * 1000

    def _status(self, name: str) -> dict[str, Any]:
        with suppress(OSError, ValueError):
            return dict(json.loads((self.directory / name / "status.json").read_text()))
        return {}

    def _office_status(self) -> dict[str, Any]:
        with suppress(OSError, ValueError):
            return dict(json.loads((self.directory / "office.json").read_text()))
        return {}

    # ----------------------------------------------------------------------- watching

    async def _watch(self, stop: asyncio.Event) -> None:
        self._tails = [Tail(self.directory / "events.jsonl"), *(Tail(child.log) for child in self.terminals.values())]
        until = None if self.options.seconds is None else time.monotonic() + self.options.seconds
        console = Console(stderr=self.options.json)
        live = None if self.options.json or not console.is_terminal else Live(console=console, auto_refresh=False)
        if live is not None:
            live.start()
        try:
            while not stop.is_set() and (until is None or time.monotonic() < until):
                self._collect()
                if live is not None:
                    live.update(render(self.state), refresh=True)
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.25):
                        await stop.wait()
        finally:
            if live is not None:
                live.stop()

    def _collect(self) -> None:
        events, *logs = self._tails
        for event in events.lines():
            self._event(event)
        for log in logs:
            for line in log.lines():
                self._line(line)
        office = self._office_status()
        statuses = {name: self._status(name) for name in self.terminals}
        journals = [status["journal"] for status in statuses.values() if "journal" in status]
        self.state.elapsed_s = time.monotonic() - self._began
        self.state.entries = sum(journal["row"] for journal in journals)
        self.state.unsent = sum(journal["unsent"] for journal in journals)
        self.state.office_records = office.get("records", 0)
        self.state.office_absorbed = office.get("absorbed", 0)
        self.state.restarts = sum(child.restarts for child in self.terminals.values())
        self.rss_mib = max([self.rss_mib, *(child.rss_mib() for child in self.terminals.values())])
        self.state.processes = {
            child.name: f"pid {child.process.pid}, {child.rss_mib():.0f} MiB"
            for child in self.terminals.values()
            if child.process is not None
        }

    def _event(self, event: dict[str, Any]) -> None:
        self.events.append(event)
        lane = self.state.lanes.get(event.get("lane", ""), LaneCount())
        match event["kind"]:
            case "presented":
                lane.presented += 1
                self._who.setdefault(event["lane"], []).append((event["last_byte_ns"], event["who"]))
            case "opened":
                lane.openings += 1
            case "walked":
                lane.walked += 1
            case "unplugged":
                self.state.unplugs += 1
                self.state.notes.append(f"the reader of {event['lane']} was unplugged")
            case "plugged":
                self.state.notes.append(f"the reader of {event['lane']} was plugged in again")

    def _line(self, line: dict[str, Any]) -> None:
        if line.get("event") != "decided":
            return
        self.decisions.append(line)
        lane = self.state.lanes[line["lane"]]
        if line["verdict"] == "grant":
            lane.granted += 1
        else:
            lane.denied[line["reason"]] += 1
        self.state.taps.append(
            TapLine(
                at=time.strftime("%H:%M:%S", time.localtime(line["t"])),
                lane=line["lane"],
                who=self._who_stood(line["lane"], line["at_ns"]),
                verdict=line["verdict"],
                reason=line["reason"],
                words=" · ".join(line["says"]),
                took_ms=(line["committed_ns"] - line["at_ns"]) / 1e6,
            )
        )

    def _who_stood(self, lane: str, at_ns: int) -> str:
        """Who had shown something last when the reader read."""
        return next((who for shown_ns, who in reversed(self._who.get(lane, [])) if shown_ns <= at_ns), "")

    # ----------------------------------------------------------------------- ending

    async def _drain(self) -> float:
        """Wait until head office holds everything; seconds it took."""
        began = time.monotonic()
        while time.monotonic() - began < DRAIN_S:
            self._collect()
            statuses = [self._status(name) for name in self.terminals]
            told = all(not status.get("library", {}).get("waiting") for status in statuses)
            if told and all(status.get("journal", {}).get("unsent") == 0 for status in statuses):
                break
            await asyncio.sleep(0.1)
        return time.monotonic() - began

    def _sum_up(self, drained_s: float) -> int:
        summary = demo_summary.summary(self.directory, list(self.terminals), self.events, self.decisions)
        summary |= {
            "unplugs": self.state.unplugs,
            "restarts": self.state.restarts,
            "rss_mib": round(self.rss_mib, 1),
            "ready_ms": round(self.ready_ms),
            "drained_s": round(drained_s, 1),
            "screens": self.screens,
            "processes": len(self.terminals) + 3,  # with head office, the outside, and this one
            "seconds": round(time.monotonic() - self._began, 1),
        }
        if self.options.svg is not None:
            console = Console(record=True, width=118, file=io.StringIO())  # recorded, not shown
            console.print(render(self.state))
            console.save_svg(str(self.options.svg), title="make run")
        if self.options.json:
            print(json.dumps(summary, ensure_ascii=False), flush=True)
        else:
            Console().print(demo_summary.table(summary))
        whole = not any(summary[name] for name in demo_summary.NEVER)
        return exit_codes.OK if whole else exit_codes.NO
