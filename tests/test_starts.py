"""What the terminal starts: itself, and nothing that somebody brought.

Laws of this file:
- A rule is a pure function from source text to complaints; it is first shown text that breaks it.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
STARTS = {"create_subprocess_exec": "asyncio", "Popen": "subprocess", "run": "subprocess"}  # with arguments, no shell
NEVER = {"create_subprocess_shell", "system", "popen", "mount", "execv", "execve", "execvp", "posix_spawn", "startfile"}
OURSELVES = ("sys.executable", "*self.command", "*command")  # the demo's processes and a camera's: this same Python
ASKED_FOR = ("'espeak-ng'",)  # what a person at the command line has speak the phrases: `terminal voices`


def strangers(source: str) -> Iterator[str]:
    """Calls that start, mount or execute something that is not this program."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        name, of = node.func.attr, ast.unparse(node.func.value)
        first = ast.unparse(_program(node.args[0])) if node.args else ""
        never = of in ("os", "asyncio", "libc", "ctypes") and name in NEVER
        if never or (STARTS.get(name) == of and first not in (*OURSELVES, *ASKED_FOR)):
            yield f"{of}.{name}({first})"


def _program(first: ast.expr) -> ast.expr:
    """Of a list of words the program is the first."""
    return first.elts[0] if isinstance(first, ast.List) and first.elts else first


@pytest.mark.parametrize(
    "source",
    ["os.system('x')", "asyncio.create_subprocess_exec(path, '-m')", "subprocess.run(['sh'])", "libc.mount(a, b)"],
)
def test_the_rule_sees_a_stranger(source: str) -> None:
    """A rule that cannot fail proves nothing."""
    assert list(strangers(source))


def test_nothing_that_somebody_brought_is_started() -> None:
    """A stick, a camera, a card or a tariff brings bytes; none of them becomes a program, or a file system."""
    files = [*(ROOT / "terminal").rglob("*.py"), *(ROOT / "drivers").rglob("*.py")]
    assert len(files) > 100
    assert {file.name: found for file in files if (found := list(strangers(file.read_text(encoding="utf-8"))))} == {}
