"""What the demo shows: a live table on a screen, plain lines where there is none.

Laws of this file:
- It draws what it is given and knows nothing else: `DemoState` in, a picture out.
- Every number shown was counted by a process of its own: terminals, far ends, head office.
"""

from collections import Counter, deque
from dataclasses import dataclass, field

from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

STYLE_OF_VERDICT = {"grant": "green", "grant_in_doubt": "yellow", "deny": "red", "refer": "cyan"}


@dataclass
class TapLine:
    """One decision as a person at the lane saw it."""

    at: str
    lane: str
    who: str
    verdict: str
    reason: str
    words: str
    took_ms: float | None


@dataclass
class LaneCount:
    """One lane's counters."""

    presented: int = 0
    granted: int = 0
    denied: Counter[str] = field(default_factory=Counter)
    openings: int = 0
    walked: int = 0


@dataclass
class DemoState:
    """Everything the view draws."""

    elapsed_s: float = 0.0
    lanes: dict[str, LaneCount] = field(default_factory=dict)
    taps: deque[TapLine] = field(default_factory=lambda: deque(maxlen=12))
    entries: int = 0
    unsent: int = 0
    office_records: int = 0
    office_absorbed: int = 0
    restarts: int = 0
    unplugs: int = 0
    notes: deque[str] = field(default_factory=lambda: deque(maxlen=4))
    processes: dict[str, str] = field(default_factory=dict)


def render(state: DemoState) -> Group:
    """The whole screen."""
    return Group(_lanes(state), _taps(state), _flow(state), _notes(state))


def _lanes(state: DemoState) -> Table:
    table = Table(title=f"onecard-terminal · {state.elapsed_s:.0f} s", expand=True, title_style="bold")
    for name, justify in (
        ("lane", "left"),
        ("presented", "right"),
        ("admitted", "right"),
        ("refused, by reason", "left"),
    ):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]  # rich's own literal type
    table.add_column("gate opened", justify="right")
    table.add_column("walked", justify="right")
    for name, count in sorted(state.lanes.items()):
        refused = ", ".join(f"{reason} {number}" for reason, number in count.denied.most_common())
        table.add_row(
            name, str(count.presented), str(count.granted), refused or "–", str(count.openings), str(count.walked)
        )
    return table


def _taps(state: DemoState) -> Table:
    table = Table(expand=True, show_edge=False)
    for name in ("time", "lane", "who", "answer", "what the display says", "ms"):
        table.add_column(name, no_wrap=True, justify="right" if name == "ms" else "left")
    for tap in state.taps:
        took = "" if tap.took_ms is None else f"{tap.took_ms:.1f}"
        answer = Text(tap.reason, style=STYLE_OF_VERDICT.get(tap.verdict, ""))
        table.add_row(tap.at, tap.lane, tap.who, answer, tap.words, took)
    return table


def _flow(state: DemoState) -> Panel:
    text = (
        f"journal {state.entries} entries, {state.unsent} waiting  →  head office {state.office_records} records, "
        f"{state.office_absorbed} repeats absorbed   ·   unplugged {state.unplugs}×   restarted {state.restarts}×"
    )
    return Panel(Text(text, justify="center"), title="written down, then sent")


def _notes(state: DemoState) -> Panel:
    lines = [f"{name}: {what}" for name, what in state.processes.items()]
    return Panel("\n".join((*lines, *state.notes)), title="processes")
