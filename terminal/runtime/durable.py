"""A small file replaced whole: the old one or the new one, also after a power cut.

Laws of this file:
- Written beside it, flushed, renamed, the directory flushed. The file keeps its mode.
"""

import os
import shutil
from pathlib import Path


def replace(path: Path, text: str) -> None:
    """Put this text into the file's place, durably. Raises OSError: the old one stands."""
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8") as file:
        if path.exists():
            shutil.copymode(path, part)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
