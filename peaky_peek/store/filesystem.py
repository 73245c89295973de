"""What the file system under a store can do: share memory between processes, lock files, or neither."""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import re
from enum import Enum
from pathlib import Path

NO_LOCKS = frozenset((errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL))
"""What a file system answers that knows no locks, rather than that somebody else holds one."""

_NETWORK = frozenset(
    "nfs nfs3 nfs4 cifs smb3 smbfs lustre gpfs beegfs ceph fuse.ceph afs fuse.sshfs glusterfs fuse.glusterfs pvfs2"
    " orangefs panfs wekafs 9p virtiofs vboxsf fuse.vmhgfs-fuse".split()
)
_MOUNTS = Path("/proc/self/mounts")
_LOCAL_LOCKS = frozenset("nolock local_lock=all local_lock=posix noflock localflock".split())
"""Options of a mount whose locks are seen on this machine only."""


class Mode(Enum):
    """How the SQLite file is used where it lies; each value says it as an adjective of the store."""

    WAL = "with a write-ahead log"
    ROLLBACK = "with a rollback journal, because its file system shares no memory between processes"
    ALONE = "by one process at a time, because its file system has no locks"


def is_network(folder: Path) -> bool:
    """Tell whether other machines may see the folder, whose processes cannot be looked at from here."""
    return _mount(folder)[0] in _NETWORK


def mode_of(folder: Path) -> Mode:
    """Return how an SQLite file in `folder` can be used safely.

    Raises:
        OSError: if the folder cannot be written.
    """
    kind, options = _mount(folder)
    locks, memory = _try(folder)
    if not locks or (kind in _NETWORK and not _LOCAL_LOCKS.isdisjoint(options)):
        return Mode.ALONE
    return Mode.WAL if memory and kind not in _NETWORK else Mode.ROLLBACK


def _try(folder: Path) -> tuple[bool, bool]:
    """Return whether locks and shared memory work on a file in `folder`."""
    path = folder / f".peek-{os.getpid()}-{os.urandom(6).hex()}"
    fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    try:
        path.unlink()
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # nobody else can hold a lock on it
            return False, False
        try:
            os.ftruncate(fd, mmap.PAGESIZE)
            mmap.mmap(fd, mmap.PAGESIZE).close()
        except (OSError, ValueError) as error:
            return True, getattr(error, "errno", None) == errno.ENOSPC
        return True, True
    finally:
        os.close(fd)


def _mount(folder: Path) -> tuple[str, frozenset[str]]:
    """Return type and options of the mount that `folder` is in; unknown where the system does not tell."""
    found = ""
    result: tuple[str, frozenset[str]] = "", frozenset()
    try:
        where = os.path.realpath(folder) + "/"
        lines = _MOUNTS.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return result
    for line in lines:
        _, place, kind, options, *_ = line.split(" ")
        place = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), place).rstrip("/") + "/"
        if where.startswith(place) and len(place) >= len(found):
            found, result = place, (kind, frozenset(options.split(",")))
    return result
