"""Parameter sets of a synthetic head office: written whole, the manifest last.

Laws of this file:
- Every version is its own files; a reader sees the old set or the new one.
- The keys are those of simulators/issuer.py and simulators/token_issuer.py; the tariff is made up.
"""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from simulators.issuer import demo_issuer
from simulators.token_issuer import demo_token_issuers
from terminal.core import accounts
from terminal.core.model import HeldProduct, Reason, Ref
from terminal.core.parameters import (
    Block,
    BlockScope,
    Bookings,
    Cards,
    Condition,
    Deny,
    FileRow,
    Issuers,
    LinkKey,
    Links,
    Manifest,
    OfficeKeys,
    PassBack,
    PassBackScope,
    Policies,
    Product,
    PurseRules,
    SocialSecurityRules,
    Status,
    StatusList,
    Tariff,
    TripFares,
)
from terminal.core.parameters_load import load
from terminal.core.tariff import Band, FareTable, Line, Measure, Stop, TapOut

LINK_KEY = hashlib.sha256(b"onecard synthetic link key").hexdigest()
IDENTITY_PASS = (BlockScope.IDENTITY, BlockScope.PASS)

STAGES = tuple(Band(up_to=stages, fare_fen=100 + 100 * stages) for stages in range(3))
TARIFF = Tariff(
    products=(
        Product(
            id="student",
            services=("fare",),
            fare_fen=100,
            who=(Condition(card_type="02"), Condition(student=True)),
            scopes=(BlockScope.PAYMENT, BlockScope.IDENTITY),
            pass_back=PassBack(window_s=600),
        ),
        Product(
            id="senior",
            services=("fare",),
            fare_fen=0,
            fare_type="concession",
            reason=Reason.CONCESSION,
            who=(Condition(card_type="03"), Condition(age_from=65, residency=("510100",))),
            scopes=(BlockScope.IDENTITY,),
            pass_back=PassBack(window_s=600),
        ),
        Product(
            id="adult",
            services=("fare",),
            fare_fen=200,
            scopes=(BlockScope.PAYMENT,),
            pass_back=PassBack(window_s=600, companions=3, scope=PassBackScope.MEDIUM),
        ),
        Product(
            id="park-annual",
            services=("admission",),
            fare_fen=0,
            fare_type="pass",
            reason=Reason.PASS_HELD,
            who=(Condition(held="park-annual"),),
            scopes=IDENTITY_PASS,
            pass_back=PassBack(window_s=1800),
        ),
        Product(
            id="park-group",
            services=("admission",),
            fare_fen=3000,
            fare_type="group",
            reason=Reason.GROUP,
            persons=5,
            who=(Condition(held="park-group"),),
        ),
        Product(
            id="park-day",
            services=("admission",),
            fare_fen=1000,
            fare_type="day",
            reason=Reason.ADMITTED,
            who=(Condition(card_type="00"), Condition(card_type="02"), Condition(card_type="03")),
            pass_back=PassBack(window_s=60, companions=3),
        ),
    ),
    fares={"trip": FareTable(measure=Measure.STAGES, bands=STAGES, tap_out=TapOut(longest_s=4 * 3600))},
    lines={
        "7": Line(stops=tuple(Stop(id=f"{n}", stage=n, code=f"0007000{n}") for n in (1, 2, 3))),
        "12": Line(stops=tuple(Stop(id=name) for name in ("East Gate", "Museum", "Market", "North Station"))),
    },
)


# Regional bits are made up: no operator's agreement stands behind them.
CARDS = Cards(
    social_security=SocialSecurityRules(),
    purse=PurseRules(
        products=(
            Product(
                id="purse",
                services=("fare",),
                fare_fen=160,
                scopes=(BlockScope.PURSE,),
                pass_back=PassBack(window_s=600, companions=3, scope=PassBackScope.MEDIUM),
            ),
            Product(id="purse-day", services=("admission",), fare_fen=1000, scopes=(BlockScope.PURSE,)),
        ),
        trips=TripFares(
            fare="trip",
            max_fare_fen=600,
        ),
        city="5101",
        operator="0042",
        acquirer="0000000051010001",
        home_issuers=("01045100ffffffff",),
    ),
)


@dataclass
class ParameterOffice:
    """Writes sets into one directory; change its fields, then `publish` again."""

    directory: Path
    office: OfficeKeys
    seed: int = 0
    version: int = 0
    link_keys: dict[int, str] = field(default_factory=lambda: {1: LINK_KEY})
    blocks: list[Block] = field(default_factory=list)
    links: dict[Ref, Ref] = field(default_factory=dict)
    aliases: dict[Ref, Ref] = field(default_factory=dict)
    passes: dict[Ref, tuple[HeldProduct, ...]] = field(default_factory=dict)
    status: dict[str, StatusList] = field(default_factory=dict)
    tariff: Tariff = TARIFF
    policies: Policies = Policies(hotline="12333")
    bookings: Bookings = Bookings()
    issuers: Issuers | None = None
    cards: Cards = CARDS

    def ref(self, namespace: str, number: bytes) -> Ref:
        """The keyed hash of a number under the newest link key."""
        return accounts.refs(namespace, number, load(self.files(0)))[0]

    def block(self, ref: Ref, *scopes: BlockScope, lost: bool = False) -> None:
        """Add a row to the deny list."""
        self.blocks.append(Block(ref=ref.hex(), scopes=scopes or tuple(BlockScope), reported_lost=lost))

    def publish(self, issued_ms: int) -> int:
        """Write the next version; returns its number."""
        self.version += 1
        self.directory.mkdir(parents=True, exist_ok=True)
        files = self.files(issued_ms)
        for name, data in files.items():
            if name != "manifest.json":
                (self.directory / name).write_bytes(data)
        part = self.directory / "manifest.part"
        part.write_bytes(files["manifest.json"])
        part.replace(self.directory / "manifest.json")
        return self.version

    def files(self, issued_ms: int) -> dict[str, bytes]:
        """The files of the present version."""
        version = max(1, self.version)
        files, rows = {}, {}
        for part, value in self._parts().items():
            data = json.dumps(msgspec.to_builtins(value), indent=1, ensure_ascii=False).encode()
            name = f"{part}-{version}.json"
            files[name] = data
            rows[part] = FileRow(file=name, version=version, sha256=hashlib.sha256(data).hexdigest())
        manifest = Manifest(version=version, issued_ms=issued_ms, files=rows)
        return files | {"manifest.json": msgspec.json.encode(manifest)}

    def _parts(self) -> dict[str, Any]:
        issuers = self.issuers or Issuers(
            ride_code=(demo_issuer(self.seed).row(),),
            card_token=tuple(issuer.row() for issuer in demo_token_issuers(self.seed)),
        )
        links = Links(
            link_keys=tuple(LinkKey(version=version, key=key) for version, key in self.link_keys.items()),
            links={medium.hex(): account.hex() for medium, account in self.links.items()},
            aliases={old.hex(): new.hex() for old, new in self.aliases.items()},
            passes={name.hex(): held for name, held in self.passes.items()},
        )
        return {
            "issuers": issuers,
            "links": links,
            "tariff": self.tariff,
            "policies": self.policies,
            "deny": Deny(blocks=tuple(self.blocks)),
            "status": Status(lists=self.status),
            "office": self.office,
            "cards": _priced(self.cards, self.tariff),
            "bookings": self.bookings,
        }


def _priced(cards: Cards, tariff: Tariff) -> Cards:
    """Cards as an operator of this tariff writes them: where it has no fare for a card's trip, none is named."""
    purse = cards.purse
    if purse is None or purse.trips.fare in tariff.fares:
        return cards
    trips = msgspec.structs.replace(purse.trips, fare="")
    return msgspec.structs.replace(cards, purse=msgspec.structs.replace(purse, trips=trips))
