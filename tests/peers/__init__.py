"""Somebody else's programs that tests meet: each in an environment of its own, made once, from a lock with hashes."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def environment(name: str) -> Path:
    """The Python of `.venv-peers/NAME`, made from requirements/peer-NAME.txt. Raises CalledProcessError."""
    lock = ROOT / "requirements" / f"peer-{name}.txt"
    place = ROOT / ".venv-peers" / name
    stamp = place / "stamp"
    if not (stamp.exists() and stamp.read_bytes() == lock.read_bytes()):
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True, timeout=300)
        pip = [str(place / "bin" / "pip"), "install", "-q", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*pip, "--require-hashes", "-r", str(lock)], check=True, timeout=300, capture_output=True)
        stamp.write_bytes(lock.read_bytes())
    return place / "bin" / "python"


def end(process: "subprocess.Popen[bytes]") -> None:
    """End one of them."""
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
