"""Who holds a file, and whether it still lives, where the file system cannot tell."""

from __future__ import annotations

import os
import re
import zlib
from pathlib import Path


def name() -> str:
    """Return what names this process among those of all machines: pid, host, system start and its own start."""
    return f"{os.getpid()}@{_place()}~{_started(os.getpid())}"


def host_of(named: str) -> str:
    """Return the host in a name."""
    return named.partition("@")[2].partition("~")[0]


def is_gone(named: str) -> bool:
    """Tell whether the process of that name is certainly dead; one on another machine never is."""
    pid, _, rest = named.partition("@")
    place, _, started = rest.rpartition("~")
    if place != _place() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return _started(int(pid)) != started  # another process has its number now


def _place() -> str:
    """Return what two processes have in common that see each other: host, start of the system, and container."""
    host = re.sub(r"[^A-Za-z0-9-]", "-", os.uname().nodename)[:40]
    here = _read("/proc/sys/kernel/random/boot_id") + _link("/proc/self/ns/pid")
    return f"{host}~{zlib.crc32(here.encode()):08x}"


def _started(pid: int) -> str:
    """Return when a process of this machine began, in its own unit; "0" where the system does not tell."""
    return (_read(f"/proc/{pid}/stat").rpartition(")")[2].split() or ["0"] * 20)[19]


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace").strip()
    except OSError:
        return ""


def _link(path: str) -> str:
    try:
        return str(Path(path).readlink())
    except OSError:
        return ""
