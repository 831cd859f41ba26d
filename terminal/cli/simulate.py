"""`terminal simulate code`: a code as a phone would show it, good or wrong in a named way.

Laws of this file:
- On a terminal it draws the QR code; in a pipe it prints hexadecimal only, ready for `terminal inspect`.
- What cannot be put into a code is refused by the command line, before anything is made.
- Codes are signed with the demo's synthetic keys, which no site accepts.
"""

import argparse
import re
import sys
import time

import segno

from simulators import phone, token_issuer
from terminal.cli import exit_codes
from terminal.core.parameters import TokenAlgorithm

EARLIEST_S, LATEST_S = 1_000_000_000, 4_294_000_000  # what four bytes hold, with room for what a fault takes or adds


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The `simulate` part of the command line."""
    parser = commands.add_parser("simulate", help="make what somebody might hold out")
    things = parser.add_subparsers(dest="thing", required=True)
    code = things.add_parser("code", help="a ride code or a card token, good or wrong in a named way")
    code.add_argument("--format", choices=("ride_code", "card_token"), default="ride_code")
    code.add_argument(
        "--algorithm", choices=[one.value for one in TokenAlgorithm], default="ES256", help="of a card token"
    )
    code.add_argument("--holder", type=_word, default="commuter", help="whose: any word")
    code.add_argument(
        "--card-type", type=_card_type, default="00", help="ride code field 8: 00 ordinary, 02 student, 03 senior"
    )
    code.add_argument("--at", type=_seconds, help="Unix seconds of its making (default: now)")
    code.add_argument("--fault", help="what to do wrong; see --faults")
    code.add_argument("--faults", action="store_true", help="list what can be done wrong")
    code.add_argument("--text", action="store_true", help="a card token in its base45 text form")


def run(options: argparse.Namespace) -> int:
    """Print the code."""
    faults = phone.FAULTS if options.format == "ride_code" else token_issuer.FAULTS
    if options.faults:
        print("\n".join(faults))
        return exit_codes.OK
    if options.text and options.format != "card_token":
        print("terminal: --text: only a card token has a text form; add --format card_token", file=sys.stderr)
        return exit_codes.USAGE
    if options.fault is not None and options.fault not in faults:
        print(f"terminal: no fault {options.fault!r}; `terminal simulate code --faults` lists them", file=sys.stderr)
        return exit_codes.USAGE
    at_s = int(time.time()) if options.at is None else options.at
    payload = _ride_code(options, at_s) if options.format == "ride_code" else _card_token(options, at_s)
    if sys.stdout.isatty():
        segno.make(payload, error="m", mode="byte").terminal(compact=True)
    print(payload.decode() if options.text else payload.hex())
    return exit_codes.OK


def _seconds(text: str) -> int:
    if not (text.isdecimal() and EARLIEST_S <= int(text) <= LATEST_S):
        raise argparse.ArgumentTypeError(f"{text!r}: write Unix seconds from {EARLIEST_S} to {LATEST_S}")
    return int(text)


def _card_type(text: str) -> str:
    if not re.fullmatch("[0-9a-f]{2}", text):
        raise argparse.ArgumentTypeError(f"{text!r}: write two hexadecimal digits, such as 03")
    return text


def _word(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise argparse.ArgumentTypeError("write it in UTF-8") from error
    return text


def _ride_code(options: argparse.Namespace, at_s: int) -> bytes:
    holder = phone.Phone(name=options.holder, card_type=options.card_type)
    return phone.FAULTS[options.fault](holder, at_s) if options.fault else holder.code(at_s)


def _card_token(options: argparse.Namespace, at_s: int) -> bytes:
    issuer = token_issuer.TokenIssuer(algorithm=TokenAlgorithm(options.algorithm))
    wallet = token_issuer.Wallet(name=options.holder, issuer=issuer)
    code = token_issuer.FAULTS[options.fault](wallet, at_s) if options.fault else wallet.code(at_s)
    return token_issuer.text(code) if options.text else code
