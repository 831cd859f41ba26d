"""Riding without a terminal: taps are judged by the real service, written as real entries, folded by the real fold."""

from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from terminal.core import accounts, history, projection
from terminal.core.entries import Decided, Entry, Fact, encode
from terminal.core.ledger import NOTHING, Ledger, Where
from terminal.core.model import (
    Credential,
    EntryName,
    Instant,
    Outcome,
    PassageMode,
    Ref,
    TimeSource,
    Use,
)
from terminal.core.parameters import ParameterSet, Tariff
from terminal.core.services import Case, judge
from tests.core.cases import credential, parameters, ref

HERE: dict[str, Any] = {"service": "fare", "lane": "front", "where": Where(vehicle="bus-1", line="example")}
TARIFFS = Path(__file__).resolve().parents[2] / "config" / "tariffs"


def published(name: str) -> Tariff:
    """A tariff as it ships."""
    return msgspec.json.decode((TARIFFS / f"{name}.json").read_bytes(), type=Tariff)


def local_ms(text: str, zone: str = "Asia/Shanghai") -> int:
    """Unix milliseconds of "2026-03-02 08:00" or "2026-03-02 08:00:30" on a clock of this zone."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


class Riding:
    """One terminal's memory, without a disk: what was tapped so far."""

    def __init__(self, tariff: Tariff, terminal: str = "T1", **changes: Any) -> None:
        self.terminal = terminal
        products = {"tariff": tariff, "versions": {"tariff": 1}, "issued_ms": 0} | changes
        self.parameters: ParameterSet = parameters(**products)
        self.entries: list[Entry] = []
        self.uses: dict[EntryName, Use] = {}
        self.ledgers: dict[Ref, Ledger] = {}
        self._codes = 0
        self.passage = PassageMode.ASSUMED

    def tap(
        self, at_ms: int, who: str = "amber", *, account: str | None = None, code: str | None = None, **more: Any
    ) -> Outcome:
        """Hold a fresh code out, unless one is named; what came of it is remembered.

        `more` is of the case (where, role, zone, service, lane, funds_fen), `asked`, or of the credential.
        """
        self._codes += 1
        asked = more.pop("asked", "")
        place = HERE | {name: more.pop(name) for name in Case.__struct_fields__ if name in more}
        held = credential(who, code or f"{who} {self._codes}", generated_ms=at_ms, **more)
        linked = None if account is None else ref(account)
        at = Instant(utc_ms=at_ms, uncertainty_ms=0, source=TimeSource.SYSTEM, monotonic_ns=0)
        case = Case(
            passage=self.passage,
            lane_busy=bool(place.pop("lane_busy", False)),
            credential=held,
            account=linked,
            history=history.gather(held, linked, self._known(held, linked, at)),
            parameters=self.parameters,
            at=at,
            ledgers=self._ledgers_of(history.parties(held, linked, str(place.get("zone", "")))),
            **place,
        )
        outcome = judge(case, asked)
        self.write(self._fact(case, outcome), at)
        return outcome

    def write(self, fact: Fact, at: Instant) -> Entry:
        """Append a fact and fold it."""
        name = EntryName(epoch=b"epoch--1", sequence=len(self.entries) + 1)
        entry = Entry(terminal=self.terminal, name=name, previous=bytes(32), at=at, fact=fact)
        self.entries.append(entry)
        begun = projection.begins(entry)
        if begun is not None:
            self.uses[name] = begun
        for effect in projection.effects(entry):
            before = self.ledgers.get(effect.party, NOTHING)
            self.ledgers[effect.party] = projection.ledger_after(before, effect, entry)
        change = projection.changes(entry)
        if change is not None:
            before_use = self.uses[change.of]
            self.uses[change.of] = after = projection.apply(before_use, change)
            grant = self.entries[change.of.sequence - 1]
            for effect in projection.effects(grant):
                corrected = projection.ledger_corrected(self.ledgers[effect.party], effect, grant, before_use, after)
                self.ledgers[effect.party] = corrected
        return entry

    def records(self) -> list[tuple[str, bytes]]:
        """What head office gets."""
        return [(self.terminal, encode(entry)) for entry in self.entries]

    @property
    def charged_fen(self) -> int:
        """Everything that stands charged."""
        return sum(use.amount_fen for use in self.uses.values() if use.persons_charged)

    def _ledgers_of(self, parties: tuple[Ref, ...]) -> dict[Ref, Ledger]:
        return {name: self.ledgers[name] for name in parties if name in self.ledgers}

    def _known(self, held: Credential, account: Ref | None, at: Instant) -> list[Use]:
        keys = set(history.keys(held, account))
        since_ms = history.horizon_ms(self.parameters, at)
        return [
            use
            for use in self.uses.values()
            if use.at_ms >= since_ms and keys & {use.code_key, use.twin_key, use.medium, use.account}
        ]

    def _fact(self, case: Case, outcome: Outcome) -> Decided:
        held, decision = case.credential, outcome.decision
        return Decided(
            lane=case.lane,
            service=case.service,
            medium=held.medium,
            format=held.format,
            issuer=held.issuer,
            verdict=decision.verdict,
            reason=decision.reason,
            evidence=decision.evidence,
            code_key=held.code_keys[0],
            twin_key=held.twin_keys[0],
            medium_ref=held.medium_refs[0],
            account_ref=case.account,
            charge=outcome.charge,
            persons=outcome.persons,
            passage=case.passage,
            repeat_of=outcome.repeat_of,
            tap=outcome.tap,
            where=outcome.where,
            effects=outcome.effects,
        )


def fen(outcome: Outcome) -> int | None:
    """What a tap cost; None where nothing was granted."""
    if outcome.charge is None:
        return 0 if outcome.decision.granted else None
    return outcome.charge.amount_fen


def channel(who: str, account: str | None = None, issuer: str = "31000001") -> Ref:
    """The party of one issuer's app."""
    return accounts.channel_refs((ref(who),), None if account is None else ref(account), issuer)[0]
