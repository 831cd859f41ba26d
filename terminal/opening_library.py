"""A library's kiosks from their settings.

Laws of this file:
- A key that is missing, or a pattern that is none, is the installer's: SettingsError says what to try.
- Who has no pad lends by barcode; who has one lends nothing whose security it cannot write.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from terminal.core.cards import transit_purse
from terminal.core.services import VISITS
from terminal.core.services.loan_session import Kiosk
from terminal.core.site_key import key_of
from terminal.opening import check_service, open_cards, open_device
from terminal.ports import Clock, Screen
from terminal.runtime.kiosk_entrance import KioskParts
from terminal.runtime.library_site import LibraryParts
from terminal.settings import Device, LaneSettings, LibrarySettings, Settings, SettingsError

if TYPE_CHECKING:
    from terminal.console.server import Console

SECTION = "library"


def library(
    settings: Settings, shared: LibrarySettings, clock: Clock, console: "Console | None" = None
) -> LibraryParts:
    """All kiosks of a configuration, and what they share. Raises SettingsError and DeviceError."""
    books = _pattern(settings, shared.books)
    return LibraryParts(
        system=open_device(settings, system_of(shared), clock),
        key=site_key(settings, shared),
        kiosks=[
            _kiosk(settings, shared, lane, clock, books, console) for lane in settings.lanes if lane.service in VISITS
        ],
        links=Path(shared.reader_links) if shared.reader_links else None,
        retry_s=shared.retry_s,
        patience_s=shared.patience_h * 3600,
    )


def system_of(shared: LibrarySettings) -> Device:
    """`[library.system]`."""
    options = {name: value for name, value in shared.system.items() if name != "driver"}
    return Device(section="library.system", driver=shared.system.get("driver"), board=None, options=options)


def site_key(settings: Settings, shared: LibrarySettings) -> bytes:
    """The site's own key. Raises SettingsError."""
    try:
        return key_of(Path(shared.key).read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        hint = f"make one with `terminal library new-key {shared.key}`, or copy that of the site's other kiosks"
        raise SettingsError(str(settings.file), SECTION, f"key {shared.key}: {error}", hint) from error


def _pattern(settings: Settings, text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        what = f"books {text!r}: {error}"
        raise SettingsError(str(settings.file), SECTION, what, "a regular expression, such as [0-9]{8,14}") from error


def _kiosk(
    settings: Settings,
    shared: LibrarySettings,
    lane: LaneSettings,
    clock: Clock,
    books: re.Pattern[str],
    console: "Console | None",
) -> KioskParts:
    check_service(settings, lane)
    if transit_purse.NAME in lane.cards.accepts:
        what = "a purse pays and signs nobody in"
        raise SettingsError(str(settings.file), f"lanes.{lane.name}.cards", what, "take transit_purse out of accepts")
    screens: list[Screen] = [open_device(settings, device, clock) for device in lane.screens]
    kiosk = Kiosk(
        lane=lane.name,
        privacy_s=shared.privacy_s,
        has_pad=lane.items is not None,
        language=shared.language,
        offline=shared.offline,
        listed=shared.listed,
    )
    return KioskParts(
        kiosk=kiosk,
        screens=screens if console is None else [console.kiosk(lane.name), *screens],
        readers=[open_device(settings, reader, clock) for reader in lane.readers],
        slots=open_cards(settings, lane, clock).slots,
        cards=lane.cards,
        items=None if lane.items is None else open_device(settings, lane.items, clock),
        books=books,
    )
