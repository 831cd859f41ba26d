"""What is installed is what was locked: exact versions, with hashes, from wherever pip looks; and we may ship it.

Laws of this file:
- The lock names everything: setup installs it without resolving.
- A licence is read from the installed package; odd metadata is named in one table with its reason.
"""

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.markers import Marker

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ("base", "dev", "cards", "camera", "fuzz")
PINNED = re.compile(r"^([A-Za-z0-9_.-]+)(\[[a-z,]+\])?==([^ ;\\]+)(?: ; ([^\\]+))?")
FREE = re.compile(
    r"\b(MIT|BSD|Apache|ISC|PSF|Python Software Foundation|MPL|zlib|0BSD|Unlicense|Public Domain)", re.IGNORECASE
)
# Distributions whose metadata does not say it in words we know.
KNOWN = {"apsw": "any OSI-approved licence, by its own words"}


def locked(name: str) -> dict[str, str]:
    """Distribution → version of one lock, of those lines that hold for the Python that runs."""
    lines = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    found = [PINNED.match(line) for line in lines]
    return {
        match[1].lower(): match[3] for match in found if match and (not match[4] or Marker(match[4].strip()).evaluate())
    }


@pytest.mark.parametrize("name", [*LOCKS, "peer-sip2", "peer-invenio-sip2"])
def test_every_line_is_exact_and_hashed(name: str) -> None:
    """No address, no range, at least one hash each."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    blocks = re.split(r"\n(?=[^ #\n])", text.strip())
    assert "://" not in text
    assert not re.search(r"^-", text, re.MULTILINE)
    assert [block for block in blocks if not (PINNED.match(block) and "--hash=sha256:" in block)] == []


def test_the_locks_agree_with_each_other() -> None:
    """One version of a thing, whichever lock names it."""
    versions: dict[str, set[str]] = {}
    for name in LOCKS:
        for distribution, version in locked(name).items():
            versions.setdefault(distribution, set()).add(version)
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


def test_the_locks_hold_what_the_project_asks_for() -> None:
    """Dependencies, and each extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    names = {re.split(r"[\[<>=!~; ]", one)[0].lower() for one in asked}
    held = {name for lock in LOCKS for name in locked(lock)}
    assert names - held == set()


def test_what_is_installed_is_what_was_locked() -> None:
    """And nothing it needs is missing from the lock."""
    installed = {one.metadata["Name"].lower(): one.version for one in metadata.distributions()}
    lock = locked("dev")
    assert {name: version for name, version in lock.items() if installed.get(name, version) != version} == {}
    needed = {
        re.split(r"[\[<>=!~;( ]", need)[0].lower()
        for name in lock
        if name in installed
        for need in metadata.requires(name) or ()
        if ";" not in need
    }
    assert {name.replace("_", "-") for name in needed} - {name.replace("_", "-") for name in lock} == set()


def test_we_may_ship_what_the_product_needs() -> None:
    """A licence that goes with Apache-2.0."""
    odd = []
    for name in locked("base"):
        try:
            about = metadata.metadata(name)
        except metadata.PackageNotFoundError:
            continue  # for another platform
        said = (about.get_all(field) or [] for field in ("License-Expression", "License", "Classifier"))
        words = " ".join(one for field in said for one in field)
        if not FREE.search(words) and name not in KNOWN:
            odd.append(f"{name}: {words[:80]}")
    assert odd == []
