"""An ext4 image that can lose its power: EXT4_IOC_SHUTDOWN throws away what was not flushed.

Laws of this file:
- What the kernel had not written to the image when the power went is gone; what a flush covered is there. A drive's own
  cache and torn sectors are not covered: docs/limits.md says so.
- Mounts live in a private mount namespace: with the last process in it they are gone, whatever happened.
"""

import fcntl
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

EXT4_IOC_SHUTDOWN = 0x8004587D  # linux/ext4.h: _IOR('X', 125, __u32)
NO_LOG_FLUSH = 2
PRIVATE = "ONECARD_RIG_NAMESPACE"
NAMESPACE = ("unshare", "--mount", "--propagation", "private")


def why_not() -> str | None:
    """Why images cannot be mounted here, or None."""
    if os.geteuid() != 0:
        return "needs root: it mounts an ext4 image and cuts its power"
    missing = [name for name in ("unshare", "mount", "umount", "mkfs.ext4") if shutil.which(name) is None]
    if missing:
        return f"needs {', '.join(missing)}"
    done = subprocess.run([*NAMESPACE, "true"], capture_output=True, text=True, check=False)
    return f"no mount namespace may be made here: {done.stderr.strip()}" if done.returncode else None


def in_a_namespace(module: str, *arguments: str) -> int:
    """Run a module of ours in a mount namespace of its own; its exit code."""
    command = [*NAMESPACE, sys.executable, "-m", module, *arguments]
    return subprocess.run(command, env={**os.environ, PRIVATE: "yes"}, check=False).returncode


def is_in_a_namespace() -> bool:
    """Whether `in_a_namespace` started us."""
    return os.environ.get(PRIVATE) == "yes"


class Image:
    """One image file and where it is mounted."""

    def __init__(self, directory: Path, mib: int = 256) -> None:
        assert is_in_a_namespace(), "mounts belong into a namespace of their own"
        self.file = directory / "disk.img"
        self.mounted = directory / "disk"
        self.mounted.mkdir()
        with self.file.open("wb") as file:
            file.truncate(mib << 20)
        _run("mkfs.ext4", "-q", "-F", str(self.file))
        self._fd: int | None = None

    def mount(self) -> None:
        """Power on. The journal of the file system waits a minute, so that nothing is durable by luck."""
        _run("mount", "-o", "loop,commit=60", str(self.file), str(self.mounted))
        self._fd = os.open(self.mounted, os.O_RDONLY)

    def cut(self) -> None:
        """The power goes: from now on nothing reaches the image."""
        assert self._fd is not None
        fcntl.ioctl(self._fd, EXT4_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))

    def unmount(self) -> None:
        """Let go of it; whoever worked on it has ended."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
            _run("umount", str(self.mounted))


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")
