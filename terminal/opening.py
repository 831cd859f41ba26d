"""One device from its settings: a driver's name and table in, a port out.

Laws of this file:
- A name nobody knows is the installer's: SettingsError names file and section.
- A device is of its own, or wired to a board that is open already.
- What stands in a section is of its kind: KINDS says which port, and a store is no reader.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import drivers
from terminal.core.cards import APPLICATIONS, transit_purse, uid_card
from terminal.core.services import SERVICES, VISITS
from terminal.ports import (
    BoxSwitch,
    CardSlot,
    Clock,
    CodeReader,
    Gate,
    Indicator,
    ItemReader,
    LibrarySystem,
    Office,
    ParameterSource,
    Positions,
    PowerInput,
    Screen,
    SecureModule,
    Store,
)
from terminal.runtime.card_path import CardParts
from terminal.settings import Device, LaneSettings, Settings, SettingsError, driver_settings


class Kind(NamedTuple):
    """What belongs into a section."""

    port: type[Any]
    called: str
    such_as: str


KINDS: dict[str, Kind] = {
    "store": Kind(Store, "store", "store.sqlite"),
    "parameters": Kind(ParameterSource, "source of parameters", "parameters.directory"),
    "office": Kind(Office, "head office", "office.https"),
    "position": Kind(Positions, "receiver of positions", "position.nmea"),
    "power": Kind(PowerInput, "power input", 'a board: board = "NAME"'),
    "box": Kind(BoxSwitch, "box switch", 'a board: board = "NAME"'),
    "readers": Kind(CodeReader, "code reader", "scan.serial or camera; card readers stand under slots"),
    "slots": Kind(CardSlot, "card reader", "card.pcsc or card.pn532; code readers stand under readers"),
    "module": Kind(SecureModule, "secure module", "secure_module.pcsc"),
    "gate": Kind(Gate, "gate", 'gate.none, or a board: board = "NAME"'),
    "items": Kind(ItemReader, "pad", "item.pcsc15693"),
    "screens": Kind(Screen, "kiosk's screen", "screen.socket"),
    "system": Kind(LibrarySystem, "library system", "library.sip2"),
    "indicators": Kind(Indicator, "indicator", 'indicator.memory, or a board: board = "NAME"'),
}


def open_device(settings: Settings, device: Device, clock: Clock) -> Any:
    """Open a device by its driver's name. Raises SettingsError, also when it is not what its section is for."""
    try:
        driver = drivers.find(device.driver or "")
    except drivers.UnknownDriver as error:
        raise SettingsError(str(settings.file), device.section, str(error), "see docs/running-a-site.md") from error
    opened = driver.open(driver_settings(settings, device, driver.settings), clock)
    kind = None if device.section.startswith("boards.") else KINDS.get(_word(device.section))
    if kind is not None and not isinstance(opened, kind.port):
        what = f"driver {device.driver!r} is no {kind.called}"
        raise SettingsError(str(settings.file), device.section, what, f"such as {kind.such_as}")
    return opened


def _word(section: str) -> str:
    """The last word of a section: of lanes.front.readers[0], readers."""
    return section.rpartition(".")[2].partition("[")[0]


def open_board(settings: Settings, device: Device, clock: Clock) -> Any:
    """Open a board: a device that others are wired to."""
    board = open_device(settings, device, clock)
    if not hasattr(board, "WIRINGS"):
        raise SettingsError(
            str(settings.file), device.section, f"driver {device.driver!r} is no board", "such as board.modbus"
        )
    return board


def open_wired(settings: Settings, device: Device, boards: Mapping[str, Any], clock: Clock, what: str) -> Any:
    """A device of its own, or one wired to a board: the board knows its wirings by what they are."""
    if device.board is None:
        return open_device(settings, device, clock)
    board = boards[device.board]
    return getattr(board, what)(driver_settings(settings, device, board.WIRINGS[what]))


def check_service(settings: Settings, lane: LaneSettings) -> None:
    """Raises SettingsError for a service nobody knows."""
    if lane.service not in SERVICES and lane.service not in VISITS:
        known = ", ".join((*SERVICES, *VISITS))
        raise SettingsError(str(settings.file), f"lanes.{lane.name}", f"no service {lane.service!r}", f"known: {known}")


def gate_of(lane: LaneSettings) -> Device:
    """The lane's gate; one that opens nothing where none is named."""
    return lane.gate or Device(section=f"lanes.{lane.name}.gate", driver="gate.none", board=None, options={})


def open_cards(settings: Settings, lane: LaneSettings, clock: Clock) -> CardParts:
    """The card slots of a lane, with what it takes and its secure module."""
    module = None if lane.module is None else open_device(settings, lane.module, clock)
    cards, where = lane.cards, f"lanes.{lane.name}.cards"
    known = (*APPLICATIONS, uid_card.NAME)
    unknown = [name for name in cards.accepts if name not in known]
    if unknown:
        raise SettingsError(str(settings.file), where, f"no application {unknown[0]!r}", f"known: {', '.join(known)}")
    if transit_purse.NAME in cards.accepts and module is None:
        hint = f"add a [lanes.{lane.name}.module] table: a purse is never debited without its secure module"
        raise SettingsError(str(settings.file), where, "a purse without a secure module", hint)
    slots = [open_device(settings, slot, clock) for slot in lane.slots]
    return CardParts(slots=slots, module=module, rules=cards)
