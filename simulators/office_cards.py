"""Head office's view of purse debits: what was intended, what became of it, and whether the card's certificate holds.

Laws of this file:
- Nothing of the terminal's own folding is used: entries are read as they arrived, in whatever order.
- An intention without an ending is unknown; head office gives nothing back by itself.
- A TAC is computed again under the issuer's master key, from the sealed number and what the intention says.
"""

from dataclasses import dataclass, field
from typing import Any

import cbor2

from simulators.office import HeadOffice
from simulators.purse_keys import Algorithm, tac
from simulators.secure_module import debit_key

Name = tuple[bytes, int]


@dataclass
class Debit:
    """One intended debit."""

    name: Name
    fact: dict[str, Any]
    state: str = "open"  # until anybody says more: done, not_done, unknown
    granted: bool = False
    tac: bytes | None = None
    passes: list[Name] = field(default_factory=list)  # decisions that stand on it

    @property
    def amount_fen(self) -> int:
        """What was asked for."""
        return int(self.fact["debit"]["amount_fen"])


STRENGTH = {"open": 0, "unknown": 1, "not_done": 2, "done": 2}  # what is known is not made unknown again


def debits(office: HeadOffice, terminal: str) -> list[Debit]:
    """Every debit this terminal intended, oldest first."""
    rows = office.db.execute(
        "SELECT epoch, sequence, data FROM records WHERE terminal = ? ORDER BY rowid", (terminal,)
    ).fetchall()
    facts = [((epoch, sequence), cbor2.loads(data)["fact"]) for epoch, sequence, data in rows]
    found = {name: Debit(name, fact) for name, fact in facts if fact["type"] == "debit_intended"}
    for name, fact in facts:
        if fact["type"] == "debit_settled":
            _end(found, fact["of"], fact["state"], fact.get("proof"))
        elif fact["type"] == "decision" and fact.get("debit"):
            debit = _end(found, fact["debit"]["of"], "done", fact["debit"].get("proof"))
            if debit is not None:
                debit.granted = True
                debit.passes.append(name)
    return sorted(found.values(), key=lambda debit: debit.name[1])


def _end(found: dict[Name, Debit], of: dict[str, Any], state: str, proof: dict[str, Any] | None) -> Debit | None:
    debit = found.get((of["epoch"], of["sequence"]))
    if debit is None:
        return None
    if STRENGTH[state] >= STRENGTH[debit.state]:
        debit.state = state
    if proof and proof.get("tac"):
        debit.tac = proof["tac"]
    return debit


def tac_holds(debit: Debit, master: bytes, public_file: bytes) -> bool:
    """Whether the card's certificate is what the issuer's key makes of this debit; `public_file` is EF15, unsealed."""
    said = debit.fact["debit"]
    algorithm = Algorithm(said["algorithm"])
    key = debit_key(algorithm, master, public_file[12:20], public_file[:8])
    amount, kind = said["amount_fen"].to_bytes(4), bytes((said["type"],))
    signed = amount + kind + said["terminal"] + said["transaction"] + said["when"]
    return debit.tac == tac(algorithm, key, signed)
