"""Head office: takes batches, checks everything again with code of its own, counts once, signs receipts.

Laws of this file:
- Nothing of the terminal's own decoding, chaining or verifying is used: a shared mistake would hide.
- One record a (terminal, epoch, sequence), ever. The same again is absorbed; the same name with other content is a
  conflict, kept aside and never overwriting.
- The chain is joined as gaps fill; a record that does not fit its neighbours is refused with a reason and kept aside.
  What was kept aside still joins: its successor is not refused for it, and it is not missing.
- An entry issued again counts as the one it carries: once, whatever name that had.
- Stored before it is acknowledged.
"""

import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
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

from simulators.office_records import Rejected, carried, follows, key_of, read_batch, read_entry, ride_code_holds
from simulators.token_issuer import dumps

SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    terminal TEXT, epoch BLOB, sequence INTEGER, hash BLOB, previous BLOB, kind TEXT, data BLOB,
    follows BLOB, key INTEGER, key_epoch BLOB, counts_as BLOB, audited INTEGER DEFAULT 0);
CREATE INDEX IF NOT EXISTS record_name ON records (terminal, epoch, sequence);
CREATE TABLE IF NOT EXISTS aside (
    terminal TEXT, epoch BLOB, sequence INTEGER, hash BLOB, previous BLOB, reason TEXT, data BLOB);
CREATE INDEX IF NOT EXISTS aside_name ON aside (terminal, epoch, sequence);
CREATE TABLE IF NOT EXISTS content_keys (terminal TEXT, epoch BLOB, number INTEGER, key BLOB,
    PRIMARY KEY (terminal, epoch, number, key));
"""
HPKE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
# An epoch nothing we hold follows; of several, the one we heard of last.
NEWEST_EPOCH = """
SELECT epoch FROM records WHERE terminal = :terminal
    AND epoch NOT IN (SELECT follows FROM records WHERE terminal = :terminal AND follows IS NOT NULL)
    GROUP BY epoch ORDER BY min(rowid) DESC LIMIT 1
"""


# Evidence may come before its content key: fresh records go first.
KEY_HELD = """EXISTS (SELECT 1 FROM content_keys AS k
    WHERE k.terminal = r.terminal AND k.epoch = r.key_epoch AND k.number = r.key)"""

# Epochs of one terminal that follow the same one, or none: two boards under one key, or a disk that was wiped.
FORKS = """(SELECT 1 FROM records WHERE kind = 'epoch' GROUP BY terminal, follows
    HAVING count(DISTINCT epoch) > 1)"""


@dataclass
class Counts:
    """What head office has seen."""

    received: int = 0
    absorbed: int = 0  # repeats of what it held already
    conflicts: int = 0  # the same name with other content
    refused: int = 0  # kept aside, conflicts included
    evidence_verified: int = 0
    evidence_bad: int = 0
    late: int = 0  # rides that came after they should have been paid


@dataclass
class HeadOffice:
    """Head office without a wire."""

    path: Path
    receipt_key: ec.EllipticCurvePrivateKey
    sealing_key: x25519.X25519PrivateKey
    deduplicates: bool = True  # False: a planted bug for the rigs to find
    now_ms: Callable[[], int] | None = None  # its clock, where it tells terminals the time
    counts: Counts = field(default_factory=Counts)

    def __post_init__(self) -> None:
        self.db = sqlite3.connect(self.path, isolation_level=None)
        self.db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;" + SCHEMA)

    # ----------------------------------------------------------------------- the two questions

    def receive(self, terminal: str, body: bytes) -> bytes:
        """Store a batch, durably, then sign its receipt. Raises Rejected."""
        named, epoch, first, entries = read_batch(body)
        if named != terminal:
            raise Rejected(403, "the certificate and the batch name different terminals")
        refused: list[list[Any]] = []
        with self._transaction():
            for sequence, data in enumerate(entries, first):
                reason = self._store(terminal, epoch, sequence, data)
                if reason is not None:
                    refused.append([sequence, reason])
        last = hashlib.sha256(entries[-1]).digest()
        return self.sign(
            {0: "receipt", 1: terminal, 2: epoch, 3: first, 4: first + len(entries) - 1, 5: last, 6: refused}
        )

    def last_held(self, terminal: str) -> bytes:
        """The signed statement of the newest entry of the newest epoch."""
        row = self.db.execute(
            f"SELECT epoch, sequence, hash FROM records WHERE terminal = :terminal AND epoch = ({NEWEST_EPOCH}) "
            "ORDER BY sequence DESC LIMIT 1",
            {"terminal": terminal},
        ).fetchone()
        epoch, sequence, digest = row or (b"", 0, b"")
        told = {} if self.now_ms is None else {5: self.now_ms()}
        return self.sign({0: "last", 1: terminal, 2: epoch, 3: sequence, 4: digest} | told)

    def sign(self, fields: dict[int, Any]) -> bytes:
        """A COSE_Sign1 by the receipt key."""
        protected, payload = dumps({1: -7, 4: b"receipt-1"}), _dumps(fields)
        message = dumps(["Signature1", protected, b"", payload])
        r, s = decode_dss_signature(self.receipt_key.sign(message, ec.ECDSA(SHA256())))
        return b"\xd2" + dumps([protected, {}, payload, r.to_bytes(32) + s.to_bytes(32)])

    # ----------------------------------------------------------------------- one record

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

    def _store(self, terminal: str, epoch: bytes, sequence: int, data: bytes) -> str | None:
        """Store one record; a reason when it is refused."""
        self.counts.received += 1
        name, digest = (terminal, epoch, sequence), hashlib.sha256(data).digest()
        held = self._held("records", name)
        if self.deduplicates and any(digest == own for own, _ in held):
            self.counts.absorbed += 1
            return None
        entry = read_entry(data)
        reason = None
        if entry is None:
            reason = "unreadable"
        elif (entry["terminal"], entry["name"]["epoch"], entry["name"]["sequence"]) != name:
            reason = "wrong_name"
        elif held and self.deduplicates:
            reason = "conflict"
        elif not self._joins(name, entry["previous"], digest):
            reason = "chain_broken"
        elif carried(entry) is None:
            reason = "unreadable"
        if reason is not None or entry is None:
            return self._aside(name, digest, entry, data, reason or "unreadable")
        self._keep(name, digest, entry, data)
        return None

    def _keep(self, name: tuple[str, bytes, int], digest: bytes, entry: dict[str, Any], data: bytes) -> None:
        """A record, under its name; what it says is what it carries, where it was issued again."""
        own = carried(entry)
        assert own is not None
        fact, own_epoch = own["fact"], own["name"]["epoch"]
        counts_as = digest if own is entry else hashlib.sha256(entry["fact"]["data"]).digest()
        said = (fact["type"], data, follows(entry["fact"]), key_of(own), own_epoch, counts_as)
        self.db.execute(
            "INSERT INTO records (terminal, epoch, sequence, hash, previous, kind, data, follows, key, key_epoch, "
            "counts_as) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*name, digest, entry["previous"], *said),
        )
        pay_by_ms = fact.get("pay_by_ms")
        if self.now_ms is not None and isinstance(pay_by_ms, int):
            self.counts.late += pay_by_ms < self.now_ms()
        if fact["type"] == "content_key":
            self._keep_content_key(name[0], own_epoch, fact)

    def _aside(
        self, name: tuple[str, bytes, int], digest: bytes, entry: dict[str, Any] | None, data: bytes, reason: str
    ) -> str:
        """Refuse, and keep what was refused, once."""
        if any(digest == own for own, _ in self._held("aside", name)):
            self.counts.absorbed += 1
            return reason
        self.counts.conflicts += reason == "conflict"
        self.counts.refused += 1
        previous = None if entry is None else entry["previous"]
        self.db.execute("INSERT INTO aside VALUES (?, ?, ?, ?, ?, ?, ?)", (*name, digest, previous, reason, data))
        return reason

    def _held(self, table: str, name: tuple[str, bytes, int]) -> list[tuple[bytes, bytes | None]]:
        """(hash, previous hash) of everything under a name."""
        return self.db.execute(
            f"SELECT hash, previous FROM {table} WHERE terminal = ? AND epoch = ? AND sequence = ?", name
        ).fetchall()

    def _joins(self, name: tuple[str, bytes, int], previous: bytes, digest: bytes) -> bool:
        """Whether a record fits the neighbours we hold, or kept aside."""
        terminal, epoch, sequence = name
        if sequence == 1:
            before_fits = previous == bytes(32)
        else:
            before = self._neighbours((terminal, epoch, sequence - 1))
            before_fits = not before or any(own == previous for own, _ in before)
        after = [link for _, link in self._neighbours((terminal, epoch, sequence + 1)) if link is not None]
        return before_fits and (not after or digest in after)

    def _neighbours(self, name: tuple[str, bytes, int]) -> list[tuple[bytes, bytes | None]]:
        return self._held("records", name) + self._held("aside", name)

    # ----------------------------------------------------------------------- evidence

    def _keep_content_key(self, terminal: str, epoch: bytes, fact: dict[str, Any]) -> None:
        try:
            info = terminal.encode() + b"\x00" + epoch + fact["number"].to_bytes(8)
            key = HPKE.decrypt(fact["sealed_key"], self.sealing_key, info=info)
        except (InvalidTag, ValueError, KeyError, TypeError, AttributeError, OverflowError):
            self.counts.evidence_bad += 1
            return
        self.db.execute(
            "INSERT OR REPLACE INTO content_keys VALUES (?, ?, ?, ?)", (terminal, epoch, fact["number"], key)
        )

    def audit(self, limit: int = 20) -> int:
        """Open the evidence of some records and verify the codes' signatures again. Returns how many were looked at."""
        rows = self.db.execute(
            f"SELECT terminal, epoch, sequence, data FROM records AS r WHERE audited = 0 AND kind = 'decision' "
            f"AND (key IS NULL OR {KEY_HELD}) LIMIT ?",
            (limit,),
        ).fetchall()
        for terminal, epoch, sequence, data in rows:
            entry = carried(cbor2.loads(data))
            assert entry is not None
            fact, sealed = entry["fact"], entry.get("sealed")
            if fact.get("verdict") == "grant" and fact.get("format") == "ride_code" and sealed is not None:
                code = self._open(terminal, entry["name"]["epoch"], sealed)
                good = code is not None and ride_code_holds(code)
                self.counts.evidence_verified += good
                self.counts.evidence_bad += not good
            self.db.execute(
                "UPDATE records SET audited = 1 WHERE terminal = ? AND epoch = ? AND sequence = ?",
                (terminal, epoch, sequence),
            )
        return len(rows)

    def _open(self, terminal: str, epoch: bytes, sealed: dict[str, Any]) -> bytes | None:
        if key_of({"sealed": sealed}) is None:
            return None
        keys = self.db.execute(  # two of one number where an old disk came back
            "SELECT key FROM content_keys WHERE terminal = ? AND epoch = ? AND number = ?",
            (terminal, epoch, sealed["key"]),
        ).fetchall()
        for (key,) in keys:
            with suppress(InvalidTag, ValueError, OverflowError):
                return AESGCM(key).decrypt(sealed["nonce"].to_bytes(12), sealed["data"], None)
        return None

    # ----------------------------------------------------------------------- what it says of itself

    def status(self) -> dict[str, Any]:
        """Counts, and per terminal how many records stand in whole chains."""
        terminals = {}
        for terminal, epochs, records, gaps in self.db.execute(
            "SELECT terminal, count(*), sum(held), sum(gaps) FROM (SELECT terminal, sum(held) AS held, "
            "max(sequence) - count(DISTINCT sequence) AS gaps FROM ("
            "SELECT terminal, epoch, sequence, 1 AS held FROM records UNION ALL "
            "SELECT terminal, epoch, sequence, 0 FROM aside) GROUP BY terminal, epoch) GROUP BY terminal"
        ):
            terminals[terminal] = {"epochs": epochs, "records": records, "missing": gaps}
        return {
            "records": sum(one["records"] for one in terminals.values()),
            "duplicates": self._count("(SELECT terminal, epoch, sequence FROM records)")
            - self._count("(SELECT DISTINCT terminal, epoch, sequence FROM records)"),
            "aside": self._count("aside"),
            "forks": self._count(FORKS),
            "counted": self._count("(SELECT DISTINCT terminal, counts_as FROM records)"),
            "evidence_waiting": self._count(f"records AS r WHERE key IS NOT NULL AND NOT {KEY_HELD}"),
            **vars(self.counts),
            "terminals": terminals,
        }

    def _count(self, of: str) -> int:
        return int(self.db.execute(f"SELECT count(*) FROM {of}").fetchone()[0])


def _dumps(fields: dict[int, Any]) -> bytes:
    """Like `dumps`, also for long lists of refused records."""
    head = bytes((0xA0 | len(fields),))
    return head + b"".join(cbor2.dumps(key) + cbor2.dumps(fields[key]) for key in sorted(fields))
