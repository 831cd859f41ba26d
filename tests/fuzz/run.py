"""A campaign over every target.

    python -m tests.fuzz --seconds 60                    # a target
    python -m tests.fuzz --seconds 60 --target code --engine hypothesis
    python -m tests.fuzz --write-corpus                  # the seeds into the kept corpus

Laws of this file:
- Each target runs in a process of its own, bounded in time and memory; its first crash ends it.
- The last line is one JSON object: engine, executions and crashes by target, whether the planted crash was found.
- It exits with 1 if anything crashed, or if the planted crash was not found; what crashed is left where it says.
"""

import argparse
import hashlib
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.fuzz.targets import TARGETS, find

ROOT = Path(__file__).resolve().parents[2]
CORPUS = Path(__file__).parent / "corpus"
PLANTED_S = 5
KEPT = 40  # files of a target's corpus at most, and the longest new one
KEPT_BYTES = 600


def main() -> int:
    """Run; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="fuzz every parser")
    parser.add_argument("--seconds", type=float, default=60.0, help="for each target")
    parser.add_argument("--target", choices=sorted(TARGETS), help="only this one")
    parser.add_argument("--engine", choices=("atheris", "hypothesis"), default=best_engine())
    parser.add_argument("--keep", action="store_true", help="keep a few small inputs that reached something new")
    parser.add_argument("--write-corpus", action="store_true", help="write the seeds into the kept corpus, and end")
    options = parser.parse_args()
    if options.write_corpus:
        write_corpus()
        return 0
    if options.engine != "atheris":
        print("no atheris here: this campaign runs on hypothesis, which is not guided by coverage")
    names = [options.target] if options.target else list(TARGETS)
    found_planted = bool(campaign("planted", PLANTED_S, options.engine)["crashes"])
    found = {name: campaign(name, options.seconds, options.engine, keep=options.keep) for name in names}
    print(json.dumps({"engine": options.engine, "planted_found": found_planted, "targets": found}))
    return 0 if found_planted and not any(one["crashes"] for one in found.values()) else 1


def best_engine() -> str:
    """atheris where it can be imported."""
    return "atheris" if importlib.util.find_spec("atheris") else "hypothesis"


def campaign(name: str, seconds: float, engine: str, *, keep: bool = False) -> dict[str, int]:
    """One target; how many inputs it was given, and whether one crashed it."""
    with _places(name) as (seeds, found):
        command = [sys.executable, "-m", "tests.fuzz.one", name, "--seconds", str(seconds), "--engine", engine]
        done = subprocess.run(
            [*command, "--found", str(found), str(seeds)],
            cwd=ROOT, capture_output=True, text=True, errors="replace", timeout=seconds + 120, check=False,
        )  # fmt: skip
        crashes = sorted(path for path in found.iterdir() if path.name.startswith(("crash-", "timeout-", "oom-")))
        executions = _executions(done.stdout, done.stderr)
        if crashes:
            kept = Path(tempfile.gettempdir()) / f"onecard-fuzz-{name}"
            shutil.copy(crashes[0], kept)
            if name != "planted":
                print(f"{name}: {kept}\n{done.stderr[-3000:]}", file=sys.stderr)
        elif done.returncode or not executions:
            raise RuntimeError(f"{name}: {done.stderr[-3000:]}")
        elif keep:
            _keep(name, found)
    return {"executions": executions, "crashes": len(crashes)}


def _executions(output: str, errors: str) -> int:
    """What either engine says it ran."""
    if output.strip().startswith("{"):
        return int(json.loads(output.strip().splitlines()[-1])["executions"])
    said = re.findall(r"(?:^#|number_of_executed_units: )(\d+)", errors, re.MULTILINE)
    return max(map(int, said), default=0)


@contextmanager
def _places(name: str) -> Iterator[tuple[Path, Path]]:
    """A directory with the corpus and the seeds, and one for what is found."""
    directory = Path(tempfile.mkdtemp(prefix="onecard-fuzz-"))
    try:
        seeds, found = directory / "seeds", directory / "found"
        seeds.mkdir()
        found.mkdir()
        for data in [*kept(name), *find(name).seeds()]:
            (seeds / _name(data)).write_bytes(data)
        yield seeds, found
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def kept(name: str) -> list[bytes]:
    """The kept corpus of a target."""
    return [path.read_bytes() for path in sorted((CORPUS / name).glob("*"))]


def write_corpus() -> None:
    """The seeds of every target, each a file named by its content."""
    for name, target in TARGETS.items():
        for data in target.seeds():
            _write(name, data)


def _keep(name: str, found: Path) -> None:
    """A few of the smallest inputs that reached what the corpus did not."""
    new = sorted((path.read_bytes() for path in found.iterdir()), key=len)
    for data in [data for data in new if len(data) <= KEPT_BYTES][: max(0, KEPT - len(kept(name)))]:
        _write(name, data)


def _write(name: str, data: bytes) -> None:
    (CORPUS / name).mkdir(parents=True, exist_ok=True)
    (CORPUS / name / _name(data)).write_bytes(data)


def _name(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16] + ".bin"
