"""`terminal voices DIR`: the phrases spoken by espeak-ng, one WAV file a phrase and language.

Laws of this file:
- What is spoken is what core/phrases.py says is spoken: never an amount, never what kind of holder somebody is.
- A file is replaced whole, so that a page never hears half of one; an operator's own files are another directory.
"""

import argparse
import array
import io
import os
import shutil
import subprocess
import sys
import wave
from functools import lru_cache
from pathlib import Path

from terminal.cli import exit_codes
from terminal.core.phrases import recordings

VOICES = {"zh": "cmn", "en": "en"}
WORDS_A_MINUTE = "165"
HERTZ = 11_025  # half of what espeak-ng makes: plenty for a voice, and small


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The `voices` part of the command line."""
    parser = commands.add_parser("voices", help="speak every phrase into WAV files, with espeak-ng")
    parser.add_argument("directory", type=Path, help="gets zh/ and en/; name it under `voices` in [console]")


def run(options: argparse.Namespace) -> int:
    """Render them all."""
    if shutil.which("espeak-ng") is None:
        print("terminal voices: espeak-ng is missing (Debian: apt-get install espeak-ng)", file=sys.stderr)
        return exit_codes.DEVICE
    size, said = 0, recordings()
    try:
        for language in VOICES:
            (options.directory / language).mkdir(parents=True, exist_ok=True)
            for name, line in said.items():
                data = spoken(getattr(line, language), language)
                size += _write(options.directory / language / f"{name}.wav", data)
    except (OSError, subprocess.CalledProcessError, wave.Error) as error:
        print(f"terminal voices: {error} (check the directory, and `espeak-ng --voices`)", file=sys.stderr)
        return exit_codes.DEVICE
    print(f"{len(said)} phrases in {len(VOICES)} languages, {size / 1e6:.1f} MB, in {options.directory}")
    return exit_codes.OK


@lru_cache(maxsize=256)
def spoken(text: str, language: str) -> bytes:
    """A WAV file of these words: mono, 16 bit. Raises CalledProcessError."""
    how = ["-v", VOICES[language], "-s", WORDS_A_MINUTE, "--stdout", "--", text]
    made = subprocess.run(["espeak-ng", *how], check=True, capture_output=True, timeout=30).stdout
    with wave.open(io.BytesIO(made)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 2 * HERTZ)
        samples = array.array("h", file.readframes(file.getnframes()))
    halved = array.array("h", ((a + b) // 2 for a, b in zip(samples[::2], samples[1::2], strict=False)))
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(HERTZ)
        file.writeframes(halved.tobytes())
    return out.getvalue()


def _write(path: Path, data: bytes) -> int:
    part = path.with_suffix(".part")
    part.write_bytes(data)
    os.replace(part, path)
    return len(data)
