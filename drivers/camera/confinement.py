"""What the process that sees may still do once it has loaded its decoders: see, and tell.

Laws of this file:
- Limits hold everywhere: memory, open files, no file grows.
- No core is written of it, to a file or through a pipe: it would hold what people held out.
- Where the kernel can (seccomp on x86_64 and aarch64) every system call that is not in the table is refused: nothing is
  executed, no process begun or touched, no file made, changed or removed; where the camera is at this machine, nothing
  goes into the network. A start of another program ends the process.
- No library: the filter is a list of classic BPF instructions, written here and handed over by seccomp(2).
- It never outlives its parent.
"""

import ctypes
import os
import platform
import resource
import signal
import struct
from pathlib import Path

OPEN_FILES = 64
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38
SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC = 1, 1
KILL, REFUSE, NOT_THERE, ALLOW = 0x8000_0000, 0x0005_0000 | 1, 0x0005_0000 | 38, 0x7FFF_0000  # EPERM, ENOSYS
LOAD, EQUAL, ANY_BIT, RETURN = 0x20, 0x15, 0x45, 0x06  # BPF: ld word absolute, jeq, jset, ret
NUMBER, ARCHITECTURE, ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data; arguments are 8 bytes each
CLONE_THREAD = 0x0001_0000
X32 = 0x4000_0000

# linux/audit.h's name of the machine, column of the table, number of seccomp(2)
MACHINES = {"x86_64": (0xC000_003E, 0, 317), "aarch64": (0xC000_00B7, 1, 277)}
# name: number on x86_64, on aarch64
CALLS: dict[str, tuple[int, int | None]] = {
    # pictures and pipes
    "read": (0, 63), "write": (1, 64), "readv": (19, 65), "writev": (20, 66), "pread64": (17, 67), "lseek": (8, 62),
    "close": (3, 57), "fstat": (5, 80), "newfstatat": (262, 79), "statx": (332, 291), "stat": (4, None),
    "lstat": (6, None), "access": (21, None), "faccessat": (269, 48), "faccessat2": (439, 439),
    "readlink": (89, None), "readlinkat": (267, 78), "getdents64": (217, 61), "getcwd": (79, 17),
    "fadvise64": (221, 223), "fcntl": (72, 25), "ioctl": (16, 29), "dup": (32, 23), "dup3": (292, 24),
    "pipe2": (293, 59),
    # memory
    "mmap": (9, 222), "munmap": (11, 215), "mprotect": (10, 226), "mremap": (25, 216), "madvise": (28, 233),
    "brk": (12, 214),
    # threads and waiting
    "futex": (202, 98), "sched_yield": (24, 124), "sched_getaffinity": (204, 123), "nanosleep": (35, 101),
    "clock_nanosleep": (230, 115), "clock_gettime": (228, 113), "clock_getres": (229, 114), "gettimeofday": (96, 169),
    "set_robust_list": (273, 99), "rseq": (334, 293), "membarrier": (324, 283), "restart_syscall": (219, 128),
    "poll": (7, None), "ppoll": (271, 73), "select": (23, None), "pselect6": (270, 72), "epoll_create1": (291, 20),
    "epoll_ctl": (233, 21), "epoll_wait": (232, None), "epoll_pwait": (281, 22), "eventfd2": (290, 19),
    # who am I
    "getrandom": (318, 278), "getpid": (39, 172), "getppid": (110, 173), "gettid": (186, 178), "getuid": (102, 174),
    "geteuid": (107, 175), "getgid": (104, 176), "getegid": (108, 177), "uname": (63, 160), "sysinfo": (99, 179),
    "getrusage": (98, 165), "times": (100, 153),
    # signals and the end
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "sigaltstack": (131, 132),
    "exit": (60, 93), "exit_group": (231, 94),
}  # fmt: skip
NETWORK_CALLS: dict[str, tuple[int, int | None]] = {
    "socket": (41, 198), "connect": (42, 203), "bind": (49, 200), "sendto": (44, 206), "sendmsg": (46, 211),
    "sendmmsg": (307, 269), "recvfrom": (45, 207), "recvmsg": (47, 212), "shutdown": (48, 210),
    "getsockname": (51, 204), "getpeername": (52, 205), "setsockopt": (54, 208), "getsockopt": (55, 209),
}  # fmt: skip
OPENAT, CLONE, CLONE3 = (257, 56), (56, 220), (435, 435)
DEADLY = {"execve": (59, 221), "execveat": (322, 281), "ptrace": (101, 117), "process_vm_writev": (311, 271)}


def confine(memory_mib: int, *, device: bool, network: bool) -> bool:
    """Give up what is not needed any more. Whether the kernel's filter holds.

    `device`: files may be opened for reading and writing, as /dev/video needs it. `network`: sockets may be had.
    """
    _die_with_parent()
    held = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[5]) * resource.getpagesize()
    limits = {
        resource.RLIMIT_DATA: held + (memory_mib << 20),  # what is reserved and never written does not count
        resource.RLIMIT_NOFILE: OPEN_FILES,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
    }
    for kind, limit in limits.items():
        resource.setrlimit(kind, (limit, limit))
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)  # RLIMIT_CORE is not asked where cores go to a program
    return _filter_calls(device=device, network=network)


def program(machine: str, *, device: bool, network: bool) -> list[tuple[int, int, int, int]]:
    """The filter for a machine: BPF instructions (code, jump if true, jump if false, value)."""
    name, column, _ = MACHINES[machine]
    writing = os.O_CREAT | os.O_TRUNC | (os.O_WRONLY if device else os.O_WRONLY | os.O_RDWR)
    code = [(LOAD, 0, 0, ARCHITECTURE), (EQUAL, 1, 0, name), (RETURN, 0, 0, KILL), (LOAD, 0, 0, NUMBER)]
    code += [(ANY_BIT, 0, 1, X32), (RETURN, 0, 0, KILL)]
    for numbers in (CALLS | NETWORK_CALLS if network else CALLS).values():
        number = numbers[column]
        if number is not None:
            code += [(EQUAL, 0, 1, number), (RETURN, 0, 0, ALLOW)]
    for numbers in DEADLY.values():
        code += [(EQUAL, 0, 1, numbers[column]), (RETURN, 0, 0, KILL)]
    code += [(EQUAL, 0, 1, CLONE3[column]), (RETURN, 0, 0, NOT_THERE)]  # its flags cannot be seen; libc then uses clone
    code += [(EQUAL, 0, 4, OPENAT[column]), (LOAD, 0, 0, ARGUMENT + 2 * 8), (ANY_BIT, 0, 1, writing)]
    code += [(RETURN, 0, 0, REFUSE), (RETURN, 0, 0, ALLOW)]
    code += [(EQUAL, 0, 3, CLONE[column]), (LOAD, 0, 0, ARGUMENT), (ANY_BIT, 0, 1, CLONE_THREAD), (RETURN, 0, 0, ALLOW)]
    return [*code, (RETURN, 0, 0, REFUSE)]


def _filter_calls(*, device: bool, network: bool) -> bool:
    machine = platform.machine()
    if machine not in MACHINES:
        return False
    code = b"".join(struct.pack("=HBBI", *one) for one in program(machine, device=device, network=network))
    held = ctypes.create_string_buffer(code, len(code))
    described = struct.pack("@HP", len(code) // 8, ctypes.addressof(held))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    call = MACHINES[machine][2]
    return int(libc.syscall(call, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, described)) == 0


def _die_with_parent() -> None:
    parent = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:  # it went just now
        os._exit(1)
