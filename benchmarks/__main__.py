"""python -m benchmarks NAME|all [--json] [--quick]: figures, what they must not exceed, and one JSON object at the end.

Laws of this file:
- The last line is the JSON object; with --json it is the only one on standard output.
- Of all, a key that two benchmarks share is the first one's; the other's begins with its name.
- A figure over its limit is marked, not hidden; the exit code stays 0, because machines are noisy and people judge.
"""

import argparse
import importlib
import json
import sys

NAMES = (
    "verify",
    "tap",
    "memory",
    "journal",
    "load",
    "start",
    "upload",
    "decode",
    "camera",
    "card",
    "services",
    "screens",
)


def main() -> None:
    """Run one benchmark, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=(*NAMES, "soak", "all"))
    parser.add_argument("--json", action="store_true", help="nothing but the JSON object on standard output")
    parser.add_argument("--quick", action="store_true", help="a few rounds, to see that it runs; figures mean nothing")
    options, rest = parser.parse_known_args()
    asked = own_options(options.name, parser, rest)
    figures: dict[str, float] = {}
    for name in NAMES if options.name == "all" else (options.name,):
        module = importlib.import_module(f"benchmarks.{name}")
        found = {key: round(value, 3) for key, value in module.run(quick=options.quick, **asked).items()}
        for line in table(name, found, module.LIMITS):
            print(line, file=sys.stderr if options.json else sys.stdout)
        figures |= {key if key not in figures else f"{name}_{key}": value for key, value in found.items()}
    print(json.dumps(figures))


def own_options(name: str, parser: argparse.ArgumentParser, rest: list[str]) -> dict[str, argparse.Namespace]:
    """What one benchmark may be asked besides, as its `options` says; an error where it may not."""
    if not rest:
        return {}
    module = None if name == "all" else importlib.import_module(f"benchmarks.{name}")
    if module is None or not hasattr(module, "options"):
        parser.error(f"{name} knows no {' '.join(rest)}")
    own = argparse.ArgumentParser(prog=f"python -m benchmarks {name}")
    module.options(own)
    return {"asked": own.parse_args(rest)}


def table(name: str, figures: dict[str, float], limits: dict[str, float]) -> list[str]:
    """The figures as a person reads them."""
    lines = [name]
    for key, value in figures.items():
        limit = limits.get(key)
        note = "" if limit is None else f"   limit {limit:g}" + ("   OVER" if value > limit else "")
        lines.append(f"  {key:28}{value:>12.3f}{note}")
    return lines


if __name__ == "__main__":
    main()
