"""The worked example of docs/adding-a-service.md is the code that ships, and what it proposes to try works."""

import importlib
import re
from pathlib import Path
from unittest.mock import patch

import msgspec
import pytest

from terminal.core.model import PassageMode, Reason
from terminal.core.parameters import PassBack, Tariff
from terminal.core.services import rules
from tests.core.test_check_in import EVENT, event, run, shown

check_in = importlib.import_module("terminal.core.services.check_in")  # the package has a function of this name
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "adding-a-service.md").read_text(encoding="utf-8")
QUOTED = re.findall(r"`([\w/.]+\.py)`[^`]*?:\n\n```(?:python|text)\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize(("file", "code"), QUOTED, ids=[file for file, _ in QUOTED])
def test_what_is_quoted_stands_there(file: str, code: str) -> None:
    """Word for word, in one piece; the service itself from its first line to its last."""
    whole = (ROOT / file).read_text(encoding="utf-8")
    assert code in whole
    assert file != "terminal/core/services/check_in.py" or code == whole


def test_every_block_of_code_is_compared() -> None:
    """None stands there without its file."""
    assert len(QUOTED) == PAGE.count("```python") + PAGE.count("```text") == 6


def test_the_tariff_of_the_page_is_one() -> None:
    """As printed, it is the event of the tables."""
    found = re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    assert msgspec.json.decode(found[1], type=Tariff).products == (EVENT,)


def test_what_it_proposes_to_try_works() -> None:
    """With a pass-back and one more rule the friend stays outside."""
    riding = event()
    tariff = Tariff(products=(msgspec.structs.replace(EVENT, pass_back=PassBack(window_s=600)),))
    riding.parameters = msgspec.structs.replace(riding.parameters, tariff=tariff)
    more = (*check_in.DOOR_RULES[:-1], rules.not_too_soon, check_in.not_here_before)
    with patch.object(check_in, "DOOR_RULES", more):
        first, second, third = (run(riding, shown(at, passage=PassageMode.SENSOR)) for at in (0, 5, 11))
    reasons = [outcome.decision.reason for outcome in (first, second, third)]
    assert reasons == [Reason.CHECKED_IN, Reason.TOO_SOON, Reason.CHECKED_IN_BEFORE]
