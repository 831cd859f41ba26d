"""One target in a process of its own, for so many seconds.

    python -m tests.fuzz.one TARGET --seconds S --engine atheris|hypothesis --found DIR CORPUS...

hypothesis prints {"executions": n, "crash": hex or null} as its last line; atheris is libFuzzer, and says it its
own way on standard error, with the input that crashed as DIR/crash-….
"""

import argparse
import importlib
import json
import random
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

LONGEST = 4096  # bytes: more than any code, answer or file of the seeds
EXAMPLES = 500  # a round; between two the time is looked at


def main() -> None:
    """Run one target."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.one")
    parser.add_argument("target")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--engine", choices=("atheris", "hypothesis"), required=True)
    parser.add_argument("--found", type=Path, required=True)
    parser.add_argument("corpus", type=Path, nargs="+")
    options = parser.parse_args()
    (by_coverage if options.engine == "atheris" else by_chance)(options)


def by_coverage(options: argparse.Namespace) -> None:
    """libFuzzer over our own code, instrumented; it ends the process."""
    import atheris  # type: ignore[import-untyped, import-not-found, unused-ignore]  # an extra: where there is no wheel, nobody comes here

    with atheris.instrument_imports(include=["terminal", "drivers", "tests.fuzz"]):
        targets = importlib.import_module("tests.fuzz.targets")
    run = targets.find(options.target).run
    bounds = ["-timeout=2", "-rss_limit_mb=1024", f"-max_len={LONGEST}", "-print_final_stats=1"]
    places = [f"-artifact_prefix={options.found}/", str(options.found), *map(str, options.corpus)]
    atheris.Setup([sys.argv[0], f"-max_total_time={int(options.seconds)}", *bounds, *places], run)
    atheris.Fuzz()


def by_chance(options: argparse.Namespace) -> None:
    """hypothesis: bytes of any kind, and good inputs with something done to them."""
    targets = importlib.import_module("tests.fuzz.targets")
    run: Callable[[bytes], object] = targets.find(options.target).run
    files = [path.read_bytes() for place in options.corpus for path in sorted(place.iterdir())]
    until_s, executions, crash = time.monotonic() + options.seconds, 0, None
    while time.monotonic() < until_s and crash is None:
        count, crash = one_round(run, files, random.randrange(1 << 30), EXAMPLES)
        executions += count
    if crash is not None:
        (options.found / "crash-hypothesis").write_bytes(crash)
    print(json.dumps({"executions": executions, "crash": None if crash is None else crash.hex()}))


def one_round(
    run: Callable[[bytes], object], files: list[bytes], number: int, examples: int
) -> tuple[int, bytes | None]:
    """So many examples; how many were run, and the smallest input that crashed."""
    count, crashed = 0, list[bytes]()

    @seed(number)
    @settings(
        max_examples=examples, deadline=None, database=None, phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck), print_blob=False,
    )  # fmt: skip
    @given(inputs(files))
    def fed(data: bytes) -> None:
        nonlocal count
        count += 1
        try:
            run(data)
        except Exception:
            crashed.append(data)
            raise

    try:
        fed()
    except Exception:
        traceback.print_exc()
    return count, min(crashed, key=len, default=None)


def inputs(files: list[bytes]) -> st.SearchStrategy[bytes]:
    """Any bytes; or a file with pieces overwritten, cut, doubled or taken from another."""
    anything = st.binary(max_size=LONGEST)
    if not files:
        return anything
    file = st.sampled_from(files)
    place = st.integers(0, max(map(len, files)))
    changed = st.builds(
        lambda data, at, piece: data[:at] + piece + data[at + len(piece) :], file, place, st.binary(max_size=9)
    )
    inserted = st.builds(lambda data, at, piece: data[:at] + piece + data[at:], file, place, st.binary(max_size=40))
    joined = st.builds(lambda one, at, other: one[:at] + other[at:], file, place, file)
    doubled = st.builds(lambda data, at, size: data[:at] + data[at : at + size] + data[at:], file, place, place)
    cut = st.builds(lambda data, at: data[:at], file, place)
    return st.one_of(changed, inserted, joined, doubled, cut, st.binary(max_size=64), anything)


if __name__ == "__main__":
    main()
