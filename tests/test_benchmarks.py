"""Benchmarks run and say what they promise; how fast they are is not a test's affair."""

import importlib
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import frames, pairing
from benchmarks.__main__ import NAMES, table
from simulators.pcscd import missing

ROOT = Path(__file__).resolve().parents[1]
PROMISED = {
    "verify": {"ride_code_ratio", "card_token_ratio", "gmssl_speedup"},
    "tap": {"ratio_p50", "p50_ms", "p99_ms"},
    "memory": {"rss_mib"},
    "decode": {f"{name}_{key}" for name in ("gate", "exhaustive", "zxing") for key in ("percent", "rate", "ms_p95")},
    "camera": {"clips", "clips_zxing", "clips_pyzbar", "cpu_ratio_pyzbar", "idle_percent", "idle_percent_10hz"},
    "card": {"ssc_ms", "ssc_apdus", "purchase_ms", "purchase_apdus", "vpcd_ratio"},
    "services": {"fare_per_s", "admission_per_s", "loan_per_s", "history_p50_ratio", "history_p99_ratio"},
    "screens": {"screen_p50_ms", "screen_p95_ms", "painted_p95_ms", "least_p95_ms"},
    "journal": {"single_ratio", "group_ratio", "group_flushes"},
    "load": {"p50_ms", "p99_ms", "uploaded"},
    "start": {"empty_ready_s", "backlog_ready_s"},
    "upload": {"records_per_s", "ratio"},
    "soak": {"rss_mib", "fds", "threads", "wal_mib", "taps", "uploaded"},
}


@pytest.mark.parametrize("name", [*NAMES, "soak"])
def test_a_benchmark_says_what_it_promises(name: str) -> None:
    """As its own process; the last line is one JSON object of finite figures."""
    if name == "card" and (why := missing()) is not None:
        pytest.skip(why)
    if name == "screens" and (without := frames.missing()):
        pytest.skip(without)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", name, "--json", "--quick"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures.keys() >= PROMISED[name]
    assert all(math.isfinite(value) for value in figures.values())
    assert all(figures[key] > 0 for key in PROMISED[name])
    assert importlib.import_module(f"benchmarks.{name}").LIMITS.keys() <= figures.keys()


def test_a_figure_over_its_limit_is_marked() -> None:
    """Not hidden, and not an error."""
    lines = table("one", {"ratio": 2.5, "other": 1.0}, {"ratio": 2.0, "other": 2.0})
    assert ["OVER" in line for line in lines] == [False, True, False]


def test_contenders_take_turns() -> None:
    """Every round calls each once, and begins with another."""
    calls: list[str] = []
    took = pairing.interleaved({name: lambda number, name=name: calls.append(name) for name in "ab"}, 3)  # type: ignore[misc]  # bound early
    assert calls == ["a", "b", "b", "a", "a", "b"]
    assert [len(values) for values in took.values()] == [3, 3]
    assert pairing.quantile_ms([3_000_000, 1_000_000, 2_000_000], 0.5) == 2.0
