"""A small library on yet another SIP2 server (invenio-sip2); runs in an environment of its own, prints its port
and what it lends.

    python invenio_sip2_server.py CHARSET

What the server keeps of its clients it keeps in a redis by default; here in this process, which its settings allow.
Its web pages for an administrator are not served, so who may see them (`invenio_access`, and a database behind it) is
left out.
"""

import logging
import os
import sys
from types import ModuleType
from typing import Any, ClassVar

left_out: Any = ModuleType("invenio_access.permissions")
left_out.Permission = left_out.SystemRoleNeed = str
sys.modules["invenio_access"], sys.modules["invenio_access.permissions"] = ModuleType("invenio_access"), left_out

# ruff: noqa: E402  # what is left out must be so before they are imported
from flask import Flask
from invenio_sip2 import models
from invenio_sip2.datastore import Datastore
from invenio_sip2.ext import InvenioSIP2
from invenio_sip2.server import SocketServer

LENT: dict[str, str] = {}
TITLES = {"B1": "三体", "B2": "Dream of the Red Chamber"}
TITLES |= {f"L{number}": f"Book {number}" for number in range(5000)}
TITLES |= {"B3": "城南旧事"}
READERS = {"R1", "R2", "R3"}
HELD = {"B3": "R1"}  # on the hold shelf
HERE = "invenio_sip2_server"


class Memory(Datastore):
    """Its datastore's port, over a dictionary."""

    kept: ClassVar[dict[str, Any]] = {}

    def __init__(self, app: Any = None, **options: Any) -> None:
        super().__init__()

    def get(self, id_: str, record_type: str = "") -> Any:
        """One by its number."""
        return self.kept.get(f"{record_type}:{id_}")

    def add(self, record: Any, id_: str = "", **options: Any) -> None:
        """Keep."""
        self.kept[record.get_key()] = record.dumps()

    def update(self, record: Any, **options: Any) -> None:
        """Keep again."""
        self.add(record)

    def delete(self, record: Any, record_type: str = "") -> None:
        """Forget."""
        self.kept.pop(record.get_key(), None)

    def flush(self) -> None:
        """Forget all."""
        self.kept.clear()

    def all(self, record_type: str = "") -> Any:
        """Every one of a kind."""
        return [value for key, value in self.kept.items() if key.startswith(f"{record_type}:")]

    def search(self, query: str = "*", index_type: str = "", filter_query: str = "") -> Any:
        """By kind; names are not asked for here."""
        return [value for value in self.all(index_type) if filter_query in str(value)]


def login(user: str, password: str, **said: Any) -> Any:
    """93."""
    if (user, password) != ("kiosk", "secret"):
        return {}
    return {
        "authenticated": True,
        "terminal": "kiosk",
        "transaction_user_id": "1",
        "institution_id": "city",
        "library_name": "City",
        "library_language": "chi",
    }


def status(user: str, **said: Any) -> Any:
    """99."""
    return {}


def validate(reader: str, **said: Any) -> bool:
    """Part of 25."""
    return reader in READERS


def authorize(reader: str, password: str, **said: Any) -> bool:
    """Part of 63."""
    return True


def person() -> dict[str, Any]:
    """What both answers about a reader hold, a name included."""
    return {
        "patron_name": "must not be kept",
        "language": "chi",
        "currency_type": "CNY",
        "fee_amount": "3.20",
        "home_address": "must not be kept either",
    }


def patron_status(reader: str, institution_id: str = "", **said: Any) -> Any:
    """23."""
    found = models.SelfcheckPatronStatus(patron_id=reader, institution_id=institution_id, **person())
    found["valid_patron"] = reader in READERS
    return found


def account(reader: str, institution_id: str = "", **said: Any) -> Any:
    """63."""
    found = models.SelfcheckPatronInformation(patron_id=reader, institution_id=institution_id, **person())
    found["valid_patron"] = reader in READERS
    found["hold_items"] = [barcode for barcode, who in HELD.items() if who == reader]
    found["charged_items"] = [barcode for barcode, who in LENT.items() if who == reader]
    return found


def item(barcode: str, **said: Any) -> Any:
    """17."""
    on_shelf = "WAITING_ON_HOLD_SHELF" if barcode in HELD else "AVAILABLE"
    return models.SelfcheckItemInformation(
        item_id=barcode,
        title_id=TITLES.get(barcode),
        circulation_status="CHARGED" if barcode in LENT else on_shelf,
        security_marker="TATTLE_TAPE_SECURITY_STRIP",
    )


def checkout(user: str, barcode: str, reader: str, **said: Any) -> Any:
    """11."""
    ok = barcode in TITLES and reader in READERS and LENT.get(barcode, reader) == reader
    if ok:
        LENT[barcode] = reader
        print("lent", barcode, flush=True)
    answer = models.SelfcheckCheckout(
        title_id=TITLES.get(barcode, ""), checkout=ok, desensitize=ok, due_date="20270214    235959"
    )
    answer["screen_messages"] = [] if ok else ["不能借"]
    return answer


def renew(user: str, barcode: str, patron_id: str = "", **said: Any) -> Any:
    """29."""
    ok = LENT.get(barcode) == patron_id
    return models.SelfcheckRenew(title_id=TITLES.get(barcode, ""), success=ok, renewal=ok, desensitize=ok)


def checkin(user: str, barcode: str, **said: Any) -> Any:
    """09."""
    ok = barcode in TITLES
    LENT.pop(barcode, None)
    return models.SelfcheckCheckin(permanent_location="main", checkin=ok, resensitize=ok, sort_bin="2")


def fee_paid(user: str, reader: str, kind: str, way: str, currency: str, amount: str, **said: Any) -> Any:
    """37."""
    return models.SelfcheckFeePaid(accepted=amount == "3.20")


HANDLERS = {
    "city": {
        "login_handler": f"{HERE}:login",
        "system_status_handler": f"{HERE}:status",
        "patron_handlers": {
            "validate_patron": f"{HERE}:validate",
            "authorize_patron": f"{HERE}:authorize",
            "patron_status": f"{HERE}:patron_status",
            "account": f"{HERE}:account",
        },
        "item_handlers": {"item": f"{HERE}:item"},
        "circulation_handlers": {name: f"{HERE}:{name}" for name in ("checkout", "checkin", "renew")},
        "fee_paid_handler": f"{HERE}:fee_paid",
    }
}


def main() -> None:
    """Serve on loopback until killed."""
    sys.modules[HERE] = sys.modules["__main__"]
    app = Flask(HERE)
    app.config.update(
        SIP2_DATASTORE_HANDLER=Memory,
        SIP2_REMOTE_ACTION_HANDLERS=HANDLERS,
        SIP2_TEXT_ENCODING=sys.argv[1],
        SIP2_LOGGING_CONSOLE_LEVEL=logging.ERROR,
    )
    InvenioSIP2(app)
    with app.app_context():
        server = SocketServer(name="tests", host="127.0.0.1", port=0, remote="city", process_id=os.getpid())
        (listening,) = (key.fileobj for key in server.selector.get_map().values())
        print(listening.getsockname()[1], flush=True)
        server.run()


if __name__ == "__main__":
    main()
