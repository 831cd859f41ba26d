"""Head office: takes batches, checks everything again with code of its own, counts once, signs receipts.

Laws of this file:
- Nothing of the terminal's own decoding, chaining or verifying is used: a shared mistake would hide.
- One record a (terminal, epoch, sequence), ever. The same again is absorbed; the same name with other content is a
  conflict, kept aside and never overwriting.
- The chain is joined as gaps fill; a record that does not fit its neighbours is refused with a reason and kept aside.
- Stored before it is acknowledged.
"""

import hashlib
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cbor2
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from simulators import issuer
from simulators.token_issuer import dumps

SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    terminal TEXT, epoch BLOB, sequence INTEGER, hash BLOB, previous BLOB, kind TEXT, data BLOB,
    audited INTEGER DEFAULT 0, PRIMARY KEY (terminal, epoch, sequence));
CREATE TABLE IF NOT EXISTS conflicts (terminal TEXT, epoch BLOB, sequence INTEGER, reason TEXT, data BLOB);
CREATE TABLE IF NOT EXISTS content_keys (terminal TEXT, epoch BLOB, number INTEGER, key BLOB,
    PRIMARY KEY (terminal, epoch, number));
"""
HPKE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class Rejected(Exception):
    """A request head office does not take; `status` is the HTTP status that says so."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


@dataclass
class Counts:
    """What head office has seen."""

    received: int = 0
    absorbed: int = 0  # repeats of what it held already
    conflicts: int = 0
    refused: int = 0
    evidence_verified: int = 0
    evidence_bad: int = 0


@dataclass
class HeadOffice:
    """Head office without a wire."""

    path: Path
    receipt_key: ec.EllipticCurvePrivateKey
    sealing_key: x25519.X25519PrivateKey
    deduplicates: bool = True  # False: a planted bug for the rigs to find
    counts: Counts = field(default_factory=Counts)

    def __post_init__(self) -> None:
        self.db = sqlite3.connect(self.path, isolation_level=None)
        self.db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;" + SCHEMA)

    # ----------------------------------------------------------------------- the two questions

    def receive(self, terminal: str, body: bytes) -> bytes:
        """Store a batch, durably, then sign its receipt. Raises Rejected."""
        try:
            fields = cbor2.loads(body)
            named, epoch, first, entries = fields[2], fields[3], fields[4], fields[5]
        except (cbor2.CBORError, KeyError, TypeError, ValueError) as error:
            raise Rejected(400, f"not a batch: {error}") from error
        if named != terminal:
            raise Rejected(403, "the certificate and the batch name different terminals")
        if not entries:
            raise Rejected(400, "an empty batch")
        refused: list[list[Any]] = []
        self.db.execute("BEGIN IMMEDIATE")
        for sequence, data in enumerate(entries, first):
            reason = self._store(terminal, epoch, sequence, data)
            if reason is not None:
                refused.append([sequence, reason])
        self.db.execute("COMMIT")
        last = hashlib.sha256(entries[-1]).digest()
        return self.sign(
            {0: "receipt", 1: terminal, 2: epoch, 3: first, 4: first + len(entries) - 1, 5: last, 6: refused}
        )

    def last_held(self, terminal: str) -> bytes:
        """The signed statement of the newest entry of the newest epoch."""
        row = self.db.execute(
            "SELECT epoch, sequence, hash FROM records WHERE terminal = ? AND epoch = "
            "(SELECT epoch FROM records WHERE terminal = ? ORDER BY rowid DESC LIMIT 1) ORDER BY sequence DESC LIMIT 1",
            (terminal, terminal),
        ).fetchone()
        epoch, sequence, digest = row or (b"", 0, b"")
        return self.sign({0: "last", 1: terminal, 2: epoch, 3: sequence, 4: digest})

    def sign(self, fields: dict[int, Any]) -> bytes:
        """A COSE_Sign1 by the receipt key."""
        protected, payload = dumps({1: -7, 4: b"receipt-1"}), _dumps(fields)
        message = dumps(["Signature1", protected, b"", payload])
        r, s = decode_dss_signature(self.receipt_key.sign(message, ec.ECDSA(SHA256())))
        return b"\xd2" + dumps([protected, {}, payload, r.to_bytes(32) + s.to_bytes(32)])

    # ----------------------------------------------------------------------- one record

    def _store(self, terminal: str, epoch: bytes, sequence: int, data: bytes) -> str | None:
        """Store one record; a reason when it is refused."""
        self.counts.received += 1
        digest = hashlib.sha256(data).digest()
        held = self.db.execute(
            "SELECT hash FROM records WHERE terminal = ? AND epoch = ? AND sequence = ?", (terminal, epoch, sequence)
        ).fetchone()
        if held is not None and self.deduplicates:
            if held[0] == digest:
                self.counts.absorbed += 1
                return None
            return self._aside(terminal, epoch, sequence, data, "conflict")
        try:
            entry = cbor2.loads(data)
            named = (entry["terminal"], entry["name"]["epoch"], entry["name"]["sequence"])
            previous, kind = entry["previous"], entry["fact"]["type"]
        except (cbor2.CBORError, KeyError, TypeError, ValueError):
            return self._aside(terminal, epoch, sequence, data, "unreadable")
        if named != (terminal, epoch, sequence):
            return self._aside(terminal, epoch, sequence, data, "wrong_name")
        if not self._joins(terminal, epoch, sequence, previous, digest):
            return self._aside(terminal, epoch, sequence, data, "chain_broken")
        verb = "INSERT" if self.deduplicates else "INSERT OR REPLACE"
        self.db.execute(
            f"{verb} INTO records (terminal, epoch, sequence, hash, previous, kind, data) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (terminal, epoch, sequence, digest, previous, kind, data),
        )
        if kind == "content_key":
            self._keep_content_key(terminal, epoch, entry["fact"])
        return None

    def _aside(self, terminal: str, epoch: bytes, sequence: int, data: bytes, reason: str) -> str:
        if reason == "conflict":
            self.counts.conflicts += 1
        self.counts.refused += 1
        self.db.execute("INSERT INTO conflicts VALUES (?, ?, ?, ?, ?)", (terminal, epoch, sequence, reason, data))
        return reason

    def _joins(self, terminal: str, epoch: bytes, sequence: int, previous: bytes, digest: bytes) -> bool:
        """Whether a record fits the neighbours we hold."""
        neighbours = {
            number: (own, before)
            for number, own, before in self.db.execute(
                "SELECT sequence, hash, previous FROM records WHERE terminal = ? AND epoch = ? AND sequence IN (?, ?)",
                (terminal, epoch, sequence - 1, sequence + 1),
            )
        }
        if sequence == 1 and previous != bytes(32):
            return False
        before, after = neighbours.get(sequence - 1), neighbours.get(sequence + 1)
        return (before is None or before[0] == previous) and (after is None or after[1] == digest)

    # ----------------------------------------------------------------------- evidence

    def _keep_content_key(self, terminal: str, epoch: bytes, fact: dict[str, Any]) -> None:
        info = terminal.encode() + b"\x00" + epoch + fact["number"].to_bytes(8)
        try:
            key = HPKE.decrypt(fact["sealed_key"], self.sealing_key, info=info)
        except (InvalidTag, ValueError):
            self.counts.evidence_bad += 1
            return
        self.db.execute(
            "INSERT OR REPLACE INTO content_keys VALUES (?, ?, ?, ?)", (terminal, epoch, fact["number"], key)
        )

    def audit(self, limit: int = 20) -> int:
        """Open the evidence of some records and verify the codes' signatures again. Returns how many were looked at."""
        rows = self.db.execute(
            "SELECT terminal, epoch, sequence, data FROM records WHERE audited = 0 AND kind = 'decision' LIMIT ?",
            (limit,),
        ).fetchall()
        for terminal, epoch, sequence, data in rows:
            entry = cbor2.loads(data)
            granted, sealed = entry["fact"]["verdict"] == "grant", entry.get("sealed")
            if granted and sealed is not None and entry["fact"]["format"] == "ride_code":
                code = self._open(terminal, epoch, sealed)
                good = code is not None and ride_code_holds(code)
                self.counts.evidence_verified += good
                self.counts.evidence_bad += not good
            self.db.execute(
                "UPDATE records SET audited = 1 WHERE terminal = ? AND epoch = ? AND sequence = ?",
                (terminal, epoch, sequence),
            )
        return len(rows)

    def _open(self, terminal: str, epoch: bytes, sealed: dict[str, Any]) -> bytes | None:
        row = self.db.execute(
            "SELECT key FROM content_keys WHERE terminal = ? AND epoch = ? AND number = ?",
            (terminal, epoch, sealed["key"]),
        ).fetchone()
        if row is None:
            return None
        try:
            return AESGCM(row[0]).decrypt(sealed["nonce"].to_bytes(12), sealed["data"], None)
        except InvalidTag:
            return None

    # ----------------------------------------------------------------------- what it says of itself

    def status(self) -> dict[str, Any]:
        """Counts, and per terminal how many records stand in whole chains."""
        terminals = {}
        for terminal, epochs, records, gaps in self.db.execute(
            "SELECT terminal, count(*), sum(held), sum(gaps) FROM (SELECT terminal, count(*) AS held, "
            "max(sequence) - count(*) AS gaps FROM records GROUP BY terminal, epoch) GROUP BY terminal"
        ):
            terminals[terminal] = {"epochs": epochs, "records": records, "missing": gaps}
        duplicates = self.db.execute(
            "SELECT count(*) FROM (SELECT 1 FROM records GROUP BY terminal, epoch, sequence HAVING count(*) > 1)"
        ).fetchone()[0]
        records = sum(one["records"] for one in terminals.values())
        return {"records": records, "duplicates": duplicates, **vars(self.counts), "terminals": terminals}


def ride_code_holds(code: bytes) -> bool:
    """Both signatures of a ride code under the default ID, by the independent SM2; the root's is not asked."""
    end = 198 + code[197]
    issued = issuer.verify(code[23:56], code[end + 1 : end + 65], code[3:end])
    return issued and issuer.verify(code[158:191], code[-64:], code[:-65])


def _dumps(fields: dict[int, Any]) -> bytes:
    """Like `dumps`, also for long lists of refused records."""
    head = bytes((0xA0 | len(fields),))
    return head + b"".join(cbor2.dumps(key) + cbor2.dumps(fields[key]) for key in sorted(fields))
