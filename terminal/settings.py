"""A site's configuration: TOML → frozen structs.

Laws of this file:
- An unknown or missing key names file, section and key, and what to do; a lane's section names its device too.
- What a driver needs is the driver's: its table stays raw here and is checked against the driver's own `Settings`.
- A relative path is relative to the configuration file.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from terminal.console.rules import ConsoleRules
from terminal.core.card import CardPlace, CardRules, Stage
from terminal.core.fares.trips import Role
from terminal.core.model import PassageMode, Value
from terminal.core.retention import LEAST_DAYS, RetentionRules
from terminal.core.screen import Language
from terminal.core.services import VISITS
from terminal.core.services.loan_rules import OfflinePolicy
from terminal.runtime.uploader import UploadRules

T = TypeVar("T", bound=msgspec.Struct)
PATH_KEYS = (
    "path",
    "state_dir",
    "ca",
    "certificate",
    "key",
    "voices",
    "reader_links",
)  # resolved against the file's directory
SERIAL = "serial:"


class SettingsError(Exception):
    """A configuration that cannot be used; the installer acts."""

    def __init__(self, file: str, section: str, what: str, hint: str) -> None:
        super().__init__(f"{file}: [{section}]: {what} ({hint})")
        self.file, self.section, self.what, self.hint = file, section, what, hint


class Device(Value, frozen=True):
    """One device: a driver's name and its raw table, or a board's name and the wiring on it."""

    section: str
    driver: str | None
    board: str | None
    options: dict[str, Any]


FourDigits = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{4}$")]  # hexadecimal


class CardSettings(Value, frozen=True, forbid_unknown_fields=True):
    """`[lanes.NAME.cards]`"""

    accepts: tuple[str, ...] = ()  # applications, likeliest first: transit_purse, social_security_card, uid_card
    stage: Stage = Stage.RIDE  # what a purse's tap is here: ride, both, entry or exit
    line: FourDigits = "0000"  # as cards keep them
    station: FourDigits = "0000"
    two_cards: Literal["refuse", "in_turn"] = "refuse"

    def rules(self) -> CardRules:
        """As a lane takes them."""
        place = CardPlace(stage=self.stage, line=self.line, station=self.station)
        return CardRules(accepts=self.accepts, place=place, two_cards=self.two_cards)


class LaneSettings(Value, frozen=True):
    """`[lanes.NAME]`"""

    name: str
    service: str
    passage: PassageMode
    when_unwritable: str
    role: Role
    zone: str
    readers: tuple[Device, ...]
    gate: Device | None
    indicators: tuple[Device, ...]
    slots: tuple[Device, ...] = ()  # card readers
    module: Device | None = None  # the PSAM
    cards: CardRules = CardRules()
    items: Device | None = None  # a kiosk's pad
    screens: tuple[Device, ...] = ()  # a kiosk's, besides those of [console]


class TerminalSettings(Value, frozen=True, forbid_unknown_fields=True):
    """`[terminal]`"""

    id: str
    state_dir: str
    site: str = ""
    stop_upload_s: float = 5.0  # how long stopping may wait for head office


class VehicleSettings(Value, frozen=True, forbid_unknown_fields=True):
    """`[vehicle]`: a vehicle, or a place of a line that never moves."""

    id: str = ""  # "": a station's gates
    line: str = ""
    direction: str = ""
    stop: str = ""
    radius_m: int = 60  # a position so near reaches a stop
    position: dict[str, Any] | None = None


class LibrarySettings(Value, frozen=True, forbid_unknown_fields=True):
    """`[library]`: what a library's kiosks share."""

    system: dict[str, Any]
    key: str  # file with the site's own key: 64 hexadecimal digits
    reader_links: str = ""  # which reader a card belongs to; made at the desk, sealed
    books: str = "[0-9]{6,20}"  # what a book's barcode looks like; whatever else is scanned is somebody's code
    language: Language = Language.ZH
    privacy_s: Annotated[float, msgspec.Meta(ge=5)] = 30.0
    listed: Annotated[int, msgspec.Meta(ge=1, le=100)] = 20  # loans of an account that are looked up one by one
    retry_s: Annotated[float, msgspec.Meta(ge=0.1)] = 5.0
    patience_h: Annotated[float, msgspec.Meta(ge=0)] = 24.0
    offline: OfflinePolicy = OfflinePolicy()


class PanelSettings(Value, frozen=True, forbid_unknown_fields=True):
    """`[panel]`: a local socket for commands."""

    path: str = ""  # "": panel.sock in state_dir


class Settings(Value, frozen=True):
    """One configuration file."""

    file: Path
    terminal: TerminalSettings
    store: Device
    parameters: Device
    office: Device
    boards: dict[str, Device]
    lanes: tuple[LaneSettings, ...]
    power: Device | None
    upload: UploadRules
    journal: RetentionRules
    vehicle: VehicleSettings = VehicleSettings()
    position: Device | None = None
    panel: Path | None = None
    library: LibrarySettings | None = None
    console: ConsoleRules | None = None
    box: Device | None = None


class _Lane(Value, frozen=True, forbid_unknown_fields=True):
    service: str
    passage: PassageMode
    readers: list[dict[str, Any]] = []
    slots: list[dict[str, Any]] = []
    module: dict[str, Any] | None = None
    cards: dict[str, Any] = {}
    gate: dict[str, Any] | None = None
    indicators: list[dict[str, Any]] = []
    when_unwritable: str = "shut"
    role: Role = Role.ANY
    zone: str = ""
    items: dict[str, Any] | None = None
    screens: list[dict[str, Any]] = []


class _File(Value, frozen=True, forbid_unknown_fields=True):
    terminal: dict[str, Any]
    parameters: dict[str, Any]
    office: dict[str, Any]
    lanes: dict[str, dict[str, Any]]
    store: dict[str, Any] = {}
    boards: dict[str, dict[str, Any]] = {}
    power: dict[str, Any] | None = None
    box: dict[str, Any] | None = None
    upload: dict[str, Any] = {}
    journal: dict[str, Any] = {}
    vehicle: dict[str, Any] = {}
    panel: dict[str, Any] | None = None
    library: dict[str, Any] | None = None
    console: dict[str, Any] | None = None


def load(path: Path) -> Settings:
    """Read a configuration file. Raises SettingsError."""
    name = str(path)
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(name, "file", str(error.strerror), "name a readable TOML file") from error
    except (ValueError, RecursionError) as error:
        raise SettingsError(name, "file", str(error), "mend the TOML at that place") from error
    base = path.resolve().parent
    raw = _convert(name, "", _resolve(tables, base), _File)
    terminal = _convert(name, "terminal", raw.terminal, TerminalSettings)
    vehicle = _convert(name, "vehicle", raw.vehicle, VehicleSettings)
    settings = Settings(
        file=path,
        terminal=terminal,
        store=_device("store", {"driver": "store.sqlite"} | raw.store),
        parameters=_device("parameters", raw.parameters),
        office=_device("office", raw.office),
        boards={board: _device(f"boards.{board}", table) for board, table in raw.boards.items()},
        lanes=tuple(_lane(lane, _convert(name, f"lanes.{lane}", table, _Lane)) for lane, table in raw.lanes.items()),
        power=None if raw.power is None else _device("power", raw.power),
        box=None if raw.box is None else _device("box", raw.box),
        upload=_convert(name, "upload", raw.upload, UploadRules),
        journal=_convert(name, "journal", raw.journal, RetentionRules),
        vehicle=vehicle,
        position=None if vehicle.position is None else _device("vehicle.position", vehicle.position),
        panel=None if raw.panel is None else _panel(name, raw.panel, terminal),
        library=None if raw.library is None else _convert(name, "library", raw.library, LibrarySettings),
        console=None if raw.console is None else _convert(name, "console", raw.console, ConsoleRules),
    )
    _check(name, settings)
    return settings


def driver_settings(settings: Settings, device: Device, kind: type[T]) -> T:
    """A device's raw table as its driver's own Settings. Raises SettingsError naming section and key."""
    return _convert(str(settings.file), device.section, device.options, kind)


def _lane(name: str, lane: _Lane) -> LaneSettings:
    where = f"lanes.{name}"
    return LaneSettings(
        name=name,
        service=lane.service,
        passage=lane.passage,
        when_unwritable=lane.when_unwritable,
        role=lane.role,
        zone=lane.zone,
        readers=tuple(_device(f"{where}.readers[{n}]", table) for n, table in enumerate(lane.readers)),
        gate=None if lane.gate is None else _device(f"{where}.gate", lane.gate),
        indicators=tuple(_device(f"{where}.indicators[{n}]", table) for n, table in enumerate(lane.indicators)),
        slots=tuple(_device(f"{where}.slots[{n}]", table) for n, table in enumerate(lane.slots)),
        module=None if lane.module is None else _device(f"{where}.module", lane.module),
        cards=_convert(name, f"{where}.cards", lane.cards, CardSettings).rules(),
        items=None if lane.items is None else _device(f"{where}.items", lane.items),
        screens=tuple(_device(f"{where}.screens[{n}]", table) for n, table in enumerate(lane.screens)),
    )


def _panel(file: str, table: dict[str, Any], terminal: TerminalSettings) -> Path:
    path = _convert(file, "panel", table, PanelSettings).path
    return Path(path) if path else Path(terminal.state_dir) / "panel.sock"


def _device(section: str, table: dict[str, Any]) -> Device:
    options = {key: value for key, value in table.items() if key not in ("driver", "board")}
    return Device(section=section, driver=table.get("driver"), board=table.get("board"), options=options)


def _check(file: str, settings: Settings) -> None:
    if settings.journal.keep_days < LEAST_DAYS:
        what = f"keep_days is below {LEAST_DAYS}"
        raise SettingsError(file, "journal", what, f"write {LEAST_DAYS} or more; largest_mib bounds the size instead")
    if not settings.lanes:
        raise SettingsError(file, "lanes", "no lanes", "add a [lanes.NAME] table")
    for lane in settings.lanes:
        where = f"lanes.{lane.name}"
        if lane.when_unwritable not in ("shut", "open"):
            raise SettingsError(file, where, "when_unwritable is neither shut nor open", 'write "shut" or "open"')
        if not lane.readers and not lane.slots:
            raise SettingsError(file, where, "no readers", f"add a [[{where}.readers]] or [[{where}.slots]] table")
        for device in (lane.gate, *lane.indicators, *lane.readers, *lane.slots, lane.module):
            _check_wired(file, device, settings.boards)
        _check_kiosk(file, lane, settings.library)
    for device in (settings.power, settings.box):
        _check_wired(file, device, settings.boards)
    own = (settings.store, settings.parameters, settings.office, *settings.boards.values())
    for device in own if settings.position is None else (*own, settings.position):
        if device.driver is None:
            raise SettingsError(file, device.section, "missing key driver", "name the driver, such as office.https")
        _check_name(file, device, "driver", device.driver)


def _check_kiosk(file: str, lane: LaneSettings, library: LibrarySettings | None) -> None:
    """A library's kiosk, and nothing else, has a pad and screens of its own."""
    where, is_kiosk = f"lanes.{lane.name}", lane.service in VISITS
    if is_kiosk and library is None:
        raise SettingsError(file, where, f"{lane.service} without a library", "add a [library] table")
    if not is_kiosk and (lane.items is not None or lane.screens):
        raise SettingsError(file, where, f"{lane.service} has no items and no screens", "those are a kiosk's")
    for device in (lane.items, *lane.screens):
        if device is not None and device.driver is None:
            raise SettingsError(file, device.section, "missing key driver", "name the driver, such as item.pcsc15693")


def _check_wired(file: str, device: Device | None, boards: dict[str, Device]) -> None:
    """A device of a lane, the power input or the lid: of its own, or wired to a board that is there."""
    if device is None:
        return
    if (device.driver is None) == (device.board is None):
        what = "a device names either a driver or a board"
        raise SettingsError(file, device.section, what, "write one of the two")
    _check_name(file, device, "driver", device.driver)
    _check_name(file, device, "board", device.board)
    if device.board is not None and device.board not in boards:
        what = f"no board {device.board!r}"
        raise SettingsError(file, device.section, what, f"known boards: {', '.join(boards) or 'none'}")


def _check_name(file: str, device: Device, key: str, value: object) -> None:
    if value is not None and not isinstance(value, str):
        raise SettingsError(file, device.section, f"{key} is {value!r}, not a name", f'write {key} = "NAME"')


def _convert(file: str, section: str, table: Any, kind: type[T]) -> T:
    if isinstance(table, dict):
        known = {field.name: field for field in msgspec.structs.fields(kind)}
        for key in table:
            if key not in known:
                raise SettingsError(
                    file, section or key, f"unknown key {key}", f"known keys: {', '.join(sorted(known))}"
                )
        for key, field in known.items():
            if field.required and key not in table:
                what = f"missing key {key}"
                raise SettingsError(file, section or key, what, f"add {key}; see the comments in config/*.toml")
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        what, _, at = str(error).partition(" - at `$")
        place = ".".join(part for part in (section, at.rstrip("`").strip(".")) if part)
        raise SettingsError(file, place or "file", what, "see the comments in config/*.toml") from error


def _resolve(value: Any, base: Path, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _resolve(item, base, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_resolve(item, base, key) for item in value]
    if isinstance(value, str) and key in PATH_KEYS and value:
        return str(base / value)
    if isinstance(value, str) and key == "link" and value.startswith(SERIAL):
        return SERIAL + str(base / value.removeprefix(SERIAL))
    return value
