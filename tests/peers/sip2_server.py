"""A small library on somebody else's SIP2 server; in an environment of its own; prints its port and what it lends."""

from typing import Any

import anyio
import pysip2 as sip2

app = sip2.SIP2Server(institution_id="city", encoding="utf-8")
LENT: dict[str, str] = {}
TITLES = {"B1": "三体", "B2": "Dream of the Red Chamber"}
TITLES |= {f"L{number}": f"Book {number}" for number in range(5000)}
TITLES |= {"B3": "城南旧事"}
READERS = {"R1", "R2", "R3"}
HELD = {"B3": "R1"}  # on the hold shelf


def person(req: Any) -> dict[str, Any]:
    """What both answers about a reader hold, a name included."""
    known = req.patron_identifier in READERS
    return {
        "patron_status": " " * 14,
        "language": req.language,
        "institution_id": req.institution_id,
        "patron_identifier": req.patron_identifier,
        "personal_name": "must not be kept",
        "valid_patron": "Y" if known else "N",
        "currency_type": "CNY",
        "fee_amount": "3.20",
        "screen_message": ("欢迎",),
    }


@app.route(sip2.PATRON_STATUS)
async def patron_status(req: Any, ctx: Any) -> Any:
    """23."""
    return sip2.PatronStatusResponse(transaction_date=ctx.now_18(), **person(req))


@app.route(sip2.PATRON_INFORMATION)
async def patron_information(req: Any, ctx: Any) -> Any:
    """63."""
    lent = tuple(barcode for barcode, who in LENT.items() if who == req.patron_identifier)
    held = tuple(barcode for barcode, who in HELD.items() if who == req.patron_identifier)
    counts = dict.fromkeys(("overdue", "fine", "recall"), "0000") | {"hold": f"{len(held):04}"}
    return sip2.PatronInformationResponse(
        transaction_date=ctx.now_18(),
        charged_items_count=f"{len(lent):04}",
        unavailable_holds_count="0000",
        charged_items=lent,
        hold_items=held,
        home_address="must not be kept either",
        **{f"{name}_items_count": count for name, count in counts.items()},
        **person(req),
    )


@app.route(sip2.ITEM_INFORMATION)
async def item_information(req: Any, ctx: Any) -> Any:
    """17."""
    return sip2.ItemInformationResponse(
        circulation_status="04" if req.item_identifier in LENT else "08" if req.item_identifier in HELD else "03",
        security_marker="02",
        fee_type="01",
        transaction_date=ctx.now_18(),
        item_identifier=req.item_identifier,
        title_identifier=TITLES.get(req.item_identifier, ""),
    )


def lending(req: Any, ctx: Any, ok: bool) -> dict[str, Any]:
    """What both answers about a loan hold."""
    return {
        "ok": "1" if ok else "0",
        "magnetic_media": "N",
        "desensitize": "Y" if ok else "N",
        "transaction_date": ctx.now_18(),
        "institution_id": req.institution_id,
        "patron_identifier": req.patron_identifier,
        "item_identifier": req.item_identifier,
        "title_identifier": TITLES.get(req.item_identifier, ""),
        "due_date": "2027-02-14",
        "screen_message": () if ok else ("不能借",),
    }


@app.route(sip2.CHECKOUT)
async def checkout(req: Any, ctx: Any) -> Any:
    """11; BI takes it back."""
    ok = req.item_identifier in TITLES and req.patron_identifier in READERS
    if req.cancel == "Y":
        LENT.pop(req.item_identifier, None)
    elif ok:
        LENT[req.item_identifier] = req.patron_identifier
        print("lent", req.item_identifier, flush=True)
    return sip2.CheckoutResponse(renewal_ok="N", **lending(req, ctx, ok))


@app.route(sip2.RENEW)
async def renew(req: Any, ctx: Any) -> Any:
    """29."""
    ok = LENT.get(req.item_identifier) == req.patron_identifier
    return sip2.RenewResponse(renewal_ok="Y" if ok else "N", **lending(req, ctx, ok))


@app.route(sip2.CHECKIN)
async def checkin(req: Any, ctx: Any) -> Any:
    """09."""
    known = req.item_identifier in TITLES
    LENT.pop(req.item_identifier, None)
    return sip2.CheckinResponse(
        ok="1" if known else "0",
        resensitize="Y" if known else "N",
        magnetic_media="N",
        alert="N",
        transaction_date=ctx.now_18(),
        institution_id=req.institution_id,
        item_identifier=req.item_identifier,
        permanent_location="main",
        sort_bin="2",
    )


@app.route(sip2.END_PATRON_SESSION)
async def end_session(req: Any, ctx: Any) -> Any:
    """35."""
    return sip2.EndSessionResponse(
        end_session="Y",
        transaction_date=ctx.now_18(),
        institution_id=req.institution_id,
        patron_identifier=req.patron_identifier,
    )


@app.route(sip2.FEE_PAID)
async def fee_paid(req: Any, ctx: Any) -> Any:
    """37."""
    return sip2.FeePaidResponse(
        payment_accepted="Y" if req.fee_amount == "3.20" else "N",
        transaction_date=ctx.now_18(),
        institution_id=req.institution_id,
        patron_identifier=req.patron_identifier,
    )


async def main() -> None:
    """Serve on loopback until the standard input ends."""
    async with app.start("127.0.0.1", 0) as listening:
        print(listening, flush=True)
        await anyio.sleep_forever()


anyio.run(main)
