"""A site's configuration: TOML → frozen structs.

Laws of this file:
- An unknown or missing key names file, section and key, and what to do.
- What a driver needs is the driver's: its table stays raw here and is checked against the driver's own `Settings`.
- A relative path is relative to the configuration file.
"""

import tomllib
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from terminal.core.model import PassageMode, Value
from terminal.runtime.uploader import UploadRules

T = TypeVar("T")
PATH_KEYS = ("path", "state_dir", "ca", "certificate", "key")  # resolved against the file's directory
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


class LaneSettings(Value, frozen=True):
    """`[lanes.NAME]`"""

    name: str
    service: str
    passage: PassageMode
    when_unwritable: str
    readers: tuple[Device, ...]
    gate: Device | None
    indicators: tuple[Device, ...]


class TerminalSettings(Value, frozen=True, forbid_unknown_fields=True):
    """`[terminal]`"""

    id: str
    state_dir: str
    site: str = ""
    stop_upload_s: float = 5.0  # how long stopping may wait for head office


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


class _Lane(Value, frozen=True, forbid_unknown_fields=True):
    service: str
    passage: PassageMode
    readers: list[dict[str, Any]]
    gate: dict[str, Any] | None = None
    indicators: list[dict[str, Any]] = []
    when_unwritable: str = "shut"


class _File(Value, frozen=True, forbid_unknown_fields=True):
    terminal: TerminalSettings
    parameters: dict[str, Any]
    office: dict[str, Any]
    lanes: dict[str, _Lane]
    store: dict[str, Any] = {}
    boards: dict[str, dict[str, Any]] = {}
    power: dict[str, Any] | None = None
    upload: UploadRules = UploadRules()


def load(path: Path) -> Settings:
    """Read a configuration file. Raises SettingsError."""
    name = str(path)
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(name, "file", str(error.strerror), "name a readable TOML file") from error
    except ValueError as error:
        raise SettingsError(name, "file", str(error), "mend the TOML at that place") from error
    base = path.resolve().parent
    raw = _convert(name, "", _resolve(tables, base), _File)
    _check(name, raw)
    return Settings(
        file=path,
        terminal=raw.terminal,
        store=_device("store", {"driver": "store.sqlite"} | raw.store),
        parameters=_device("parameters", raw.parameters),
        office=_device("office", raw.office),
        boards={board: _device(f"boards.{board}", table) for board, table in raw.boards.items()},
        lanes=tuple(_lane(name, lane) for name, lane in raw.lanes.items()),
        power=None if raw.power is None else _device("power", raw.power),
        upload=raw.upload,
    )


def driver_settings(settings: Settings, device: Device, kind: type[T]) -> T:
    """A device's raw table as its driver's own Settings. Raises SettingsError naming section and key."""
    return _convert(str(settings.file), device.section, device.options, kind, strict=True)


def _lane(name: str, lane: _Lane) -> LaneSettings:
    where = f"lanes.{name}"
    return LaneSettings(
        name=name,
        service=lane.service,
        passage=lane.passage,
        when_unwritable=lane.when_unwritable,
        readers=tuple(_device(f"{where}.readers[{n}]", table) for n, table in enumerate(lane.readers)),
        gate=None if lane.gate is None else _device(f"{where}.gate", lane.gate),
        indicators=tuple(_device(f"{where}.indicators[{n}]", table) for n, table in enumerate(lane.indicators)),
    )


def _device(section: str, table: dict[str, Any]) -> Device:
    options = {key: value for key, value in table.items() if key not in ("driver", "board")}
    return Device(section=section, driver=table.get("driver"), board=table.get("board"), options=options)


def _check(file: str, raw: _File) -> None:
    for name, lane in raw.lanes.items():
        where = f"lanes.{name}"
        if lane.when_unwritable not in ("shut", "open"):
            raise SettingsError(file, where, "when_unwritable is neither shut nor open", 'write "shut" or "open"')
        if not lane.readers:
            raise SettingsError(file, where, "no readers", f"add a [[{where}.readers]] table")
        for table in (lane.gate, *lane.indicators, *lane.readers):
            _check_device(file, where, table, raw.boards)
    if not raw.lanes:
        raise SettingsError(file, "lanes", "no lanes", "add a [lanes.NAME] table")
    if raw.power is not None:
        _check_device(file, "power", raw.power, raw.boards)
    for section in ("parameters", "office"):
        if "driver" not in getattr(raw, section):
            raise SettingsError(file, section, "missing key driver", "name the driver, such as office.https")


def _check_device(file: str, where: str, table: dict[str, Any] | None, boards: dict[str, dict[str, Any]]) -> None:
    if table is None:
        return
    if ("driver" in table) == ("board" in table):
        raise SettingsError(file, where, "a device names either a driver or a board", "write one of the two")
    if "board" in table and table["board"] not in boards:
        raise SettingsError(file, where, f"no board {table['board']!r}", f"known boards: {', '.join(boards) or 'none'}")


def _convert(file: str, section: str, table: Any, kind: type[T], *, strict: bool = False) -> T:
    if strict and isinstance(table, dict):
        known = set(kind.__struct_fields__)  # type: ignore[attr-defined]  # every Settings is a Struct
        for key in table:
            if key not in known:
                raise SettingsError(file, section, f"unknown key {key}", f"known keys: {', '.join(sorted(known))}")
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
    if isinstance(value, str) and key in PATH_KEYS:
        return str(base / value)
    if isinstance(value, str) and key == "link" and value.startswith(SERIAL):
        return SERIAL + str(base / value.removeprefix(SERIAL))
    return value
