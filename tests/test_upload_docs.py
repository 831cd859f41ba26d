"""The upload's two documents say what the code does: statuses, media types, alarms, and bytes that can be read."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from openapi_spec_validator import OpenAPIV31SpecValidator

from drivers.office import https
from simulators.office_records import Rejected
from simulators.office_server import _status
from terminal.core import batch as batches
from terminal.core.batch import EXPORT_MARK, LONGEST_BATCH, LONGEST_RECEIPT, Batch
from terminal.core.entries import NO_HASH, StoredEntry, check_link, decode, entry_hash
from terminal.core.model import EntryName
from terminal.core.parameters import OfficeKey, OfficeKeys
from terminal.ports import OfficeError
from terminal.runtime.uploader import UploadRules
from tests.office_cases import COSE_HEADERS, TERMINAL, Keys, RawOffice, decoded, response, saying, serve

ROOT = Path(__file__).parent.parent
API: dict[str, Any] = yaml.safe_load((ROOT / "docs/upload.openapi.yaml").read_text(encoding="utf-8"))
PROTOCOL = (ROOT / "docs/upload-protocol.md").read_text(encoding="utf-8")
WAYS = {("GET", "/v1/last"), ("POST", "/v1/batches")}


def operations() -> dict[tuple[str, str], dict[str, Any]]:
    """(method, path) → operation."""
    return {(method.upper(), path): one for path, item in API["paths"].items() for method, one in item.items()}


def followed(node: dict[str, Any]) -> dict[str, Any]:
    """What a $ref points to."""
    while "$ref" in node:
        found: Any = API
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node


ANSWERS = [
    (way, int(status), followed(answer))
    for way, operation in operations().items()
    for status, answer in operation["responses"].items()
]


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path)


# --------------------------------------------------------------------------- openapi


def test_it_is_valid_openapi() -> None:
    """3.1, by its own rules."""
    assert API["openapi"].startswith("3.1")
    assert [error.message for error in OpenAPIV31SpecValidator(API).iter_errors()] == []


async def test_the_paths_are_those_the_driver_asks_and_the_simulator_serves(keys: Keys) -> None:
    """Neither one more nor one less."""
    raw = RawOffice(saying(response(200, b"", COSE_HEADERS)))
    driver = keys.driver(await raw.start(keys.pki))
    await driver.last_held()
    await driver.send(b"a batch")
    asked = {tuple(request.split(b" ", 2)[:2]) for request in raw.requests}
    assert {(method.decode(), path.decode()) for method, path in asked} == operations().keys() == WAYS
    await driver.close()
    await raw.stop()
    server, _ = await serve(keys)
    assert server._runner is not None
    served = {
        (route.method, route.resource.canonical) for route in server._runner.app.router.routes() if route.resource
    }
    assert {way for way in served if way[0] != "HEAD"} == WAYS
    await server.stop()


@pytest.mark.parametrize(("way", "status", "answer"), ANSWERS, ids=[f"{way[0]} {code}" for way, code, _ in ANSWERS])
async def test_each_answer_is_taken_as_the_document_says(
    keys: Keys, way: tuple[str, str], status: int, answer: dict[str, Any]
) -> None:
    """Read, an alarm, too large, a wait: what `x-terminal` names and nothing else."""
    said = answer["x-terminal"]
    headers = (COSE_HEADERS if said["body"] == "read" else {}) | {"Retry-After": "7"}
    raw = RawOffice(saying(response(status, b"a body", headers)))
    driver = keys.driver(await raw.start(keys.pki))
    ask = driver.last_held() if way[0] == "GET" else driver.send(b"a batch")
    try:
        if said["body"] == "read":
            assert await ask == b"a body"
        else:
            with pytest.raises(OfficeError) as error:
                await ask
            assert (error.value.alarm, error.value.too_large) == (said.get("alarm"), said.get("too_large", False))
            assert error.value.retry_after_s == (None if error.value.too_large else 7)
    finally:
        await driver.close()
        await raw.stop()
    assert ("Retry-After" in answer.get("headers", {})) == said.get("retry_after", False)


def test_every_status_is_documented() -> None:
    """What was agreed on, and everything the simulator rejects with."""
    statuses = {way: {code for one, code, _ in ANSWERS if one == way} for way in operations()}
    assert statuses["GET", "/v1/last"] == {200, 401, 403, 429, 503}
    assert statuses["POST", "/v1/batches"] == {200, 400, 401, 403, 413, 415, 429, 503}
    for status in (400, 403, 413, 415):
        assert _status(Rejected(status, "why")).status == status


def test_media_types_and_bounds_are_the_codes_own() -> None:
    """COSE in, CBOR out; the longest of each."""
    types = {kind for _, _, answer in ANSWERS for kind in answer.get("content", {})}
    assert types == {https.COSE}
    assert set(operations()["POST", "/v1/batches"]["requestBody"]["content"]) == {https.CBOR}
    schemas = API["components"]["schemas"]
    assert {name: one["contentMediaType"] for name, one in schemas.items()} == {
        "Batch": https.CBOR,
        "Receipt": https.COSE,
        "Statement": https.COSE,
    }
    assert schemas["Batch"]["maxLength"] == LONGEST_BATCH
    assert schemas["Receipt"]["maxLength"] == schemas["Statement"]["maxLength"] == LONGEST_RECEIPT
    assert API["security"] == [{"mutualTLS": []}]
    assert API["components"]["securitySchemes"]["mutualTLS"]["type"] == "mutualTLS"


# --------------------------------------------------------------------------- protocol


def block(name: str) -> str:
    """A fenced block of the protocol."""
    found = re.search(rf"^```{name}\n(.*?)^```$", PROTOCOL, re.MULTILINE | re.DOTALL)
    assert found is not None, name
    return found.group(1)


def example(name: str) -> bytes:
    """A fenced block of hexadecimal."""
    return bytes.fromhex(block(name))


KEYS = OfficeKeys(
    keys=(OfficeKey(key_id="receipt-1", use="receipt", suite="ES256", public_key=block("receipt-key").strip()),)
)


def example_batch() -> Batch:
    """The example's batch, with its hash."""
    batch = decoded(example("batch"))
    return msgspec.structs.replace(batch, hash=entry_hash(batch.entries[-1]))


def test_the_examples_are_read_by_the_terminal() -> None:
    """Batch, receipt, both statements and the export file, byte for byte."""
    batch = example_batch()
    assert batches.encode(batch) == example("batch")
    entry = decode(batch.entries[0])
    assert (entry.terminal, entry.name) == (TERMINAL, EntryName(epoch=b"epoch--1", sequence=1))
    receipt = batches.read_receipt(example("receipt"), KEYS, batch)
    assert (receipt.first, receipt.last, receipt.refused) == (1, 1, ())
    assert batches.read_statement(example("statement-before"), KEYS, TERMINAL).name is None
    held = batches.read_statement(example("statement-after"), KEYS, TERMINAL)
    assert (held.name, held.hash) == (entry.name, batch.hash)
    assert list(batches.iter_export(example("export"))) == [example("batch")]
    assert example("export").startswith(EXPORT_MARK)


def test_the_examples_are_taken_by_head_office(keys: Keys) -> None:
    """And what it answers differs from the example by its key and signature only."""
    office = keys.head_office()
    receipt = office.receive(TERMINAL, example("batch"))
    assert receipt[:-64] == example("receipt")[:-64]
    assert office.last_held(TERMINAL)[:-64] == example("statement-after")[:-64]


def alarms_in(*files: str) -> set[str]:
    """Alarm kinds a source names."""
    kinds: set[str] = set()
    for file in files:
        text = (ROOT / file).read_text(encoding="utf-8")
        for pattern in (r'alarm="(\w+)"', r'_alarm\("(\w+)"', r'alarm = "(\w+)"', r'"(office_\w+)"'):
            kinds |= set(re.findall(pattern, text))
    return kinds


def test_every_alarm_of_this_road_is_in_the_table() -> None:
    """And the table names none that does not exist."""
    table = PROTOCOL.split("### Alarms of this road")[1].split("## Evidence")[0]
    named = set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE))
    raised = alarms_in("drivers/office/https.py", "terminal/runtime/uploader.py")
    assert set(https.CERTIFICATE_ALARMS.values()) <= raised
    assert named == raised | {"new_epoch"}  # which the store writes with the epoch itself


def test_every_reason_of_a_refusal_is_in_the_table() -> None:
    """As the simulator names them."""
    office = (ROOT / "simulators/office.py").read_text(encoding="utf-8")
    table = PROTOCOL.split("## What head office does with a batch")[1].split("## What a terminal does")[0]
    assert set(re.findall(r'reason = "(\w+)"', office)) == set(re.findall(r"\| `(\w+)` \|$", table, re.MULTILINE))


def test_every_rule_is_named_as_the_configuration_names_it() -> None:
    """`batch_entries`, `first_wait_s` and so on."""
    fields = {*UploadRules.__struct_fields__, *https.Settings.__struct_fields__, "stop_upload_s"}
    named = set(re.findall(r"`((?:batch|gather|first|longest|connect|total|stop)_\w+)`", PROTOCOL))
    assert named <= fields
    assert {"batch_entries", "batch_bytes", "gather_s", "first_wait_s", "longest_wait_s"} <= named


def test_the_examples_chain_holds() -> None:
    """The example's entry is an epoch's first."""
    data = example_batch().entries[0]
    stored = StoredEntry(row=1, name=decode(data).name, data=data, hash=entry_hash(data))
    assert check_link(stored, EntryName(epoch=b"epoch--1", sequence=0), NO_HASH).fact
