"""The house's own rules, held by a test so that nobody has to remember them.

Laws of this file:
- A rule is a pure function from source text to complaints; each is first shown text that breaks it.
- Numbers are ratchets: they may be lowered, never raised without a reason in DECISIONS.md.
"""

import ast
import importlib
import importlib.util
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import drivers
import simulators
from terminal.__main__ import COMMANDS
from terminal.core.services import SERVICES, VISITS
from terminal.core.tokens import FORMATS

ROOT = Path(__file__).resolve().parents[1]
TRACKED = [
    Path(name)
    for name in subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    if (ROOT / name).is_file()
]
SOURCES = [path for path in TRACKED if path.suffix == ".py"]
PRODUCT = [path for path in SOURCES if path.parts[0] in ("terminal", "drivers", "simulators")]

# --------------------------------------------------------------------------- floors

# What may be imported where, of this project: the longest matching floor counts.
FLOORS: dict[str, tuple[str, ...]] = {
    "terminal/core": ("terminal.core",),
    "terminal/ports.py": ("terminal.core",),
    "terminal/logs.py": (),
    "terminal/runtime": ("terminal.core", "terminal.ports", "terminal.runtime"),
    "terminal/console": (
        "terminal.core",
        "terminal.ports",
        "terminal.console",
        "terminal.runtime.status",
        "terminal.runtime.commands",
    ),
    "terminal/settings.py": (  # UploadRules is [upload], ConsoleRules is [console]
        "terminal.core",
        "terminal.ports",
        "terminal.runtime.uploader",
        "terminal.console.rules",
    ),
    "drivers": ("terminal.core", "terminal.ports", "drivers"),
    "simulators": ("terminal.core", "terminal.ports", "simulators"),
    "terminal": ("terminal", "drivers", "simulators"),  # the roof: assemble, settings, the command
}
KINDS = (
    "camera",
    "card",
    "gate",
    "indicator",
    "item",
    "library",
    "office",
    "parameters",
    "position",
    "scan",
    "screen",
    "store",
)  # drivers never import each other's kind
STANDS_ON = {("item", "card")}  # but a pad of PC/SC readers stands on what talks to pcscd
OURS = ("terminal", "drivers", "simulators", "tests", "benchmarks")
# Libraries that talk to the world, and the only places that may import them.
WORLDLY = {
    "aiohttp": ("drivers/office", "simulators/office_server.py", "terminal/console"),
    "apsw": ("drivers/store", "terminal/cli/demo_summary.py", "terminal/cli/journal.py"),  # both read a closed journal
    "pymodbus": ("drivers/gate", "simulators/gate.py"),
    "serial": ("drivers/link.py", "drivers/gate"),
    "smartcard": ("drivers/card",),
    "cv2": ("drivers/camera", "simulators/painting.py"),  # a camera's far end paints what it shows
    "numpy": ("drivers/camera", "simulators/painting.py"),
    "pyzbar": ("drivers/camera",),
    "zxingcpp": ("drivers/camera",),
    "rich": ("terminal/cli",),
    "segno": ("terminal/cli", "simulators/painting.py"),
    "looptime": ("simulators/clockwork.py",),
}
# What the core may take from outside: what computes and reaches for nothing.
PURE = {
    "base64", "binascii", "bisect", "collections", "concurrent", "ctypes", "dataclasses", "datetime", "enum",
    "functools", "hashlib", "hmac", "itertools", "json", "math", "re", "types", "typing", "zlib", "zoneinfo",
    "cbor2", "cryptography", "gmalg", "msgspec",
}  # fmt: skip
REACHING = re.compile(r"\b(time\.(time|monotonic)|datetime\.now|utcnow|open\(|os\.|socket|asyncio|threading|random\.)")


def imports(text: str) -> Iterator[str]:
    """Every module named by an import, wherever it stands."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            module = node.module or ""
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names if module in OURS)


def floor_complaints(path: Path, text: str) -> list[str]:
    """Imports that go upward or sideways, and libraries out of their place."""
    name = path.as_posix()
    floor = max((floor for floor in FLOORS if name == floor or name.startswith(floor + "/")), key=len, default=None)
    complaints = []
    for module in imports(text):
        top = module.split(".")[0]
        if top in OURS and floor is not None and not _under(module, FLOORS[floor]):
            complaints.append(f"{name} imports {module}")
        if top in WORLDLY and path.parts[0] not in ("tests", "benchmarks") and not _inside(name, WORLDLY[top]):
            complaints.append(f"{name} imports {module}, which talks to the world")
        if floor == "drivers" and module.startswith("drivers.") and _other_kind(path, module):
            complaints.append(f"{name} imports {module}, another kind of driver")
        if floor == "terminal/core" and top not in OURS and top not in PURE:
            complaints.append(f"{name} imports {module}, which is not pure")
    return complaints


def reaching_complaints(path: Path, text: str) -> list[str]:
    """Calls in the core that reach for a clock, a file or the system."""
    if not path.as_posix().startswith("terminal/core/"):
        return []
    lines = [ast.unparse(node) for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    return [f"{path}: {line[:60]}" for line in lines if REACHING.match(line)]


def _under(module: str, allowed: tuple[str, ...]) -> bool:
    return any(module == one or module.startswith(one + ".") for one in allowed)


def _inside(name: str, places: tuple[str, ...]) -> bool:
    return any(name == place or name.startswith(place + "/") for place in places)


def _other_kind(path: Path, module: str) -> bool:
    kind, other = path.parts[1], module.split(".")[1]
    return kind in KINDS and other in KINDS and kind != other and (kind, other) not in STANDS_ON


# --------------------------------------------------------------------------- size and style

LONGEST_FILE = {"terminal": 430, "drivers": 375, "simulators": 345, "benchmarks": 145, "tests": 935}
LONGEST_FUNCTION = 37
# Files without laws: they hold nothing that could break one.
LAWLESS = {
    "terminal/__main__.py", "terminal/cli/exit_codes.py", "terminal/cli/run.py", "terminal/core/services/admission.py",
    "terminal/core/services/fare.py",
}  # fmt: skip


def style_complaints(path: Path, text: str) -> list[str]:
    """Files without a docstring or laws, and what has grown too long."""
    tree, complaints = ast.parse(text), []
    doc = ast.get_docstring(tree)
    if not doc:
        complaints.append(f"{path} does not say what it is")
    needs_laws = path.parts[0] in ("terminal", "drivers", "simulators") and path.name != "__init__.py"
    if needs_laws and path.as_posix() not in LAWLESS and "Laws of this file:" not in (doc or ""):
        complaints.append(f"{path} does not state its laws")
    length = len(text.splitlines())
    if length > LONGEST_FILE.get(path.parts[0], 400):
        complaints.append(f"{path} has {length} lines")
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > LONGEST_FUNCTION:
                complaints.append(f"{path}: {node.name} has {lines} lines")
    return complaints


# --------------------------------------------------------------------------- the repository speaks of itself

FORBIDDEN = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"/" + r"work/(main|shared|\.)", r"/" + r"opt/(pypi|wheels)", r"files\.python" + r"hosted",
        r"\bpypi\." + r"org",
        r"\bchat" + r"gpt\b", r"\bclau" + r"de\b", r"\bco" + r"pilot\b", r"language " + r"model", r"\bAI " + r"assist",
        r"issue" + r" #?\d", r"\bfarm-" + r"(bench|studio)", r"sub" + r"agent",
    )
]  # fmt: skip


def speech_complaints(path: Path, text: str) -> list[str]:
    """Words that speak of how it was made, of one machine, or of a registry's host."""
    return [f"{path}: {found.group()}" for pattern in FORBIDDEN for found in pattern.finditer(text)]


def left_out() -> set[str]:
    """Drivers whose library this machine has not: pyscard is built from source, where it can be."""
    return set() if importlib.util.find_spec("smartcard") else {"card.pcsc", "secure_module.pcsc", "item.pcsc15693"}


# --------------------------------------------------------------------------- the tests


def _text(path: Path) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


@pytest.mark.parametrize("rule", [floor_complaints, reaching_complaints, style_complaints])
def test_the_house_keeps_its_rules(rule: object) -> None:
    """Every source file, every rule."""
    assert callable(rule)
    assert [complaint for path in SOURCES for complaint in rule(path, _text(path))] == []


@pytest.mark.parametrize(
    ("rule", "path", "text"),
    [
        (floor_complaints, "terminal/core/x.py", "import asyncio"),
        (floor_complaints, "terminal/core/x.py", "from terminal.ports import Clock"),
        (floor_complaints, "terminal/runtime/x.py", "from drivers import clock"),
        (floor_complaints, "drivers/gate/x.py", "from terminal.runtime import lane"),
        (floor_complaints, "drivers/gate/x.py", "from drivers.store import tables"),
        (floor_complaints, "simulators/x.py", "import drivers.clock"),
        (floor_complaints, "terminal/settings.py", "import aiohttp"),
        (floor_complaints, "terminal/console/x.py", "from terminal.runtime import lane"),
        (floor_complaints, "terminal/runtime/x.py", "from terminal.console import screens"),
        (floor_complaints, "terminal/runtime/x.py", "def f():\n    import apsw"),
        (reaching_complaints, "terminal/core/x.py", "import time\ntime.time()"),
        (reaching_complaints, "terminal/core/x.py", "open('x')"),
        (style_complaints, "drivers/x.py", "x = 1"),
        (style_complaints, "drivers/x.py", '"""A file."""\n'),
        (style_complaints, "tests/x.py", '"""A test."""\ndef f():\n' + "    x = 1\n" * 60),
        (style_complaints, "simulators/x.py", '"""Laws of this file:"""\n' + "x = 1\n" * 400),
        (speech_complaints, "README.md", "see /" + "work/main/README.md"),
        (speech_complaints, "README.md", "written with Chat" + "GPT"),
    ],
)
def test_each_rule_catches_what_breaks_it(rule: object, path: str, text: str) -> None:
    """A rule that cannot fail proves nothing."""
    assert callable(rule)
    assert rule(Path(path), text)


def test_the_repository_speaks_of_itself_alone() -> None:
    """No machine, no host, no tool that it was made with."""
    texts = [
        path
        for path in TRACKED
        if path.suffix in (".py", ".md", ".toml", ".in", ".yaml", "") and path != Path("LICENSE")
    ]
    assert [complaint for path in texts for complaint in speech_complaints(path, _text(path))] == []


def test_every_registered_name_resolves() -> None:
    """Drivers, simulators, formats, services, commands."""
    for name in drivers.REGISTRY.keys() - left_out():
        assert drivers.find(name).settings.__doc__, name
    for name in simulators.REGISTRY:
        assert name.startswith("sim.") and callable(simulators.load(name))
    assert len({one.name for one in FORMATS}) == len(FORMATS)
    assert all(callable(service) for service in (*SERVICES.values(), *VISITS.values()))
    for command in COMMANDS:
        assert importlib.import_module(f"terminal.cli.{command}")


def test_every_kind_of_driver_has_something_to_stand_against() -> None:
    """A far end behind the wire, or a simulator at the port."""
    stands = {
        "camera": "simulators/camera.py", "scan": "simulators/scan_module.py", "board": "simulators/gate.py",
        "gate": "simulators/memory.py",
        "indicator": "simulators/memory.py", "store": "simulators/store.py", "office": "simulators/office_server.py",
        "parameters": "simulators/parameters.py",
        "position": "simulators/route.py", "card": "simulators/pn532.py",
        "secure_module": "simulators/virtual_reader.py",
        "library": "simulators/library.py", "item": "simulators/item_reader.py", "screen": "simulators/screen.py",
    }  # fmt: skip
    assert {name.split(".")[0] for name in drivers.REGISTRY} == set(stands)
    assert all((ROOT / path).exists() for path in stands.values())


@pytest.mark.parametrize(("page", "heading"), [("README.md", "## The map"), ("README.zh-CN.md", "## 地图")])
def test_the_map_is_the_tree(page: str, heading: str) -> None:
    """What is drawn exists, and what stands at the top or is a package of the product is drawn."""
    drawn = set(_map(_text(Path(page)), heading))
    assert drawn
    assert [path for path in drawn if not (ROOT / path).exists()] == []
    top = {path.parts[0] for path in TRACKED if not path.parts[0].startswith(".")} - {page}
    packages = {path.parent.as_posix() for path in PRODUCT if path.name == "__init__.py"}
    assert (top | packages) - drawn == set()


def test_the_map_test_sees_what_is_missing() -> None:
    """A path that is drawn wrongly is found."""
    assert list(_map("## The map\n\n```\na/   x\n  b/   y\n    c.py  z\nd   w\n```\n", "## The map")) == [
        "a", "a/b", "a/b/c.py", "d",
    ]  # fmt: skip


def _map(text: str, heading: str) -> Iterator[str]:
    """Paths of the indented tree under a heading: two spaces a level, a directory ends with a slash."""
    block = text.split(heading, 1)[1].split("```")[1]
    stack: list[str] = []
    for line in block.strip("\n").splitlines():
        found = re.match(r"( *)(\S+)", line)
        assert found is not None, line
        del stack[len(found[1]) // 2 :]
        stack.append(found[2].rstrip("/"))
        yield "/".join(stack)


def test_every_link_of_the_pages_leads_somewhere() -> None:
    """Links to files of this repository."""
    lost = []
    for path in TRACKED:
        if path.suffix == ".md":
            for target in re.findall(r"\]\(([^)#]+)", _text(path)):
                if "://" not in target and not (ROOT / path.parent / target).exists():
                    lost.append(f"{path}: {target}")
    assert lost == []
