"""The journal: where a record is safe before the call that made it returns.

Each process appends to a segment of its own beside the store; any process may read any segment. A segment begins with
`MAGIC` and the format's version; each record is a mark, the length and CRC-32 of its body, and the body, written by
one `write`. The owner holds a lock on its segment for as long as it lives; the lock guards nothing but deletion, and
tells the living from the dead.
"""

from __future__ import annotations

import fcntl
import os
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from peaky_peek.interrupts import is_interrupt
from peaky_peek.store import filesystem, processes
from peaky_peek.store.filesystem import NO_LOCKS

MAGIC = b"PEEKJRNL"
VERSION = 1
_HEADER = struct.Struct("<8sI")
_FRAME = struct.Struct("<4sII")
_MARK = b"\xabPK\x01"
SEGMENT_BYTES = 64 << 20
VOID = "V"
"""The kind of record that says nothing: what stood there was deleted."""
SUFFIX = ".jnl"
_DRAFT = ".new"
START = _HEADER.size
_FORGOTTEN = 30 * 86_400.0
"""Seconds after which a segment of another machine counts as left behind."""
_DRAFT_FORGOTTEN = 3600.0


class Damaged(bytes):
    """A stretch of a segment that is no record."""

    __slots__ = ()


class JournalWriter:
    """Appends records to segments of one process.

    Args:
        folders: where to write, best first; the next is used when one cannot be written.
        owner: names the process in segment names.
        announce: told the folder of each new segment.
    """

    def __init__(self, folders: list[Path], owner: str, announce: Callable[[Path], None] = lambda _: None) -> None:
        self.owner = owner
        self.folder: Path | None = None
        self._folders = folders
        self._announce = announce
        # Reentrant: the garbage collector may finish an abandoned stream in the middle of an append.
        self._lock = threading.RLock()
        self._fd = -1
        self._number = 0
        self._size = 0
        self._place = ""
        """Part of the segment's name where its lock does not tell everybody that we live."""

    def open(self) -> None:
        """Open a segment if none is open, or the one that is has grown too large; `append` does so too.

        Raises:
            OSError: if none of the folders can be written.
        """
        with self._lock:
            if self._fd < 0 or self._size > SEGMENT_BYTES:
                self._open()

    def append(self, body: bytes) -> None:
        """Hand `body` to the operating system as one record.

        Raises:
            OSError: if none of the folders can be written; nothing of the record is left behind.
        """
        frame = _FRAME.pack(_MARK, len(body), zlib.crc32(body)) + body
        with self._lock:
            if self._fd < 0 or self._size > SEGMENT_BYTES or (self._place and self._is_deleted()):
                self._open(frame)
                return
            try:
                written = os.write(self._fd, frame)
                self._size += written
                if written < len(frame):
                    self._write_rest(frame, written)
            except OSError as error:  # the disk is full, or gone: a new segment may fit here or elsewhere
                if is_interrupt(error):  # a time limit of the application; the record may be there
                    raise
                self._open(frame)

    @property
    def segment(self) -> str | None:
        """The name of the segment that the next record probably goes to; a reference never leaves its segment."""
        return None if self._fd < 0 or self._size > SEGMENT_BYTES else f"{self.owner}.{self._number}"

    def renew(self) -> None:
        """Let go of a segment that somebody deleted, with the whole store perhaps: nobody would read what it says."""
        with self._lock:
            if self._fd >= 0 and self._is_deleted():
                self._close()

    def close(self) -> None:
        """Let go of the segment; whoever ingests it last deletes it."""
        with self._lock:
            self._close()

    def _write_rest(self, frame: bytes, written: int) -> None:
        """Write what a nearly full disk did not take at once, or take back what it took."""
        try:
            while written < len(frame):
                written += os.write(self._fd, frame[written:])
        except BaseException:
            try:
                os.ftruncate(self._fd, os.fstat(self._fd).st_size - written)
            except OSError:  # readers skip what is left of it
                self._size = SEGMENT_BYTES + 1
            raise

    def _is_deleted(self) -> bool:
        """Tell whether somebody took us for dead, who could not ask a lock."""
        return os.fstat(self._fd).st_nlink == 0

    def _open(self, frame: bytes = b"") -> None:
        """Begin a segment, with a record in it: what has no room for the record leaves no segment."""
        number = self._number + 1
        for folder in self._folders:
            draft = folder / f"{self.owner}.{number}{_DRAFT}"  # no segment before it is locked: it would look dead
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                fd = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
            except OSError as error:
                problem = error
                continue
            try:
                place = "" if _lock(fd) and not filesystem.is_network(folder) else f"@{processes.name()}"
                _write_all(fd, _HEADER.pack(MAGIC, VERSION) + frame)
                draft.rename(folder / f"{self.owner}{place}.{number}{SUFFIX}")
            except OSError as error:
                problem = error
                os.close(fd)
                draft.unlink(missing_ok=True)
                continue
            self._close()  # only now: who has no segment looks dead
            self._fd, self._size, self.folder, self._place = fd, START + len(frame), folder, place
            self._number = number
            self._announce(folder)
            return
        raise problem

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def abandon(self) -> None:
        """Forget the segment in a forked child: it belongs to the parent, whose lock ends with the parent's handle."""
        self._close()
        self._lock = threading.RLock()


def segments(folder: Path) -> list[Path]:
    """Return the segments in `folder`, oldest of a process first."""
    try:
        found = [entry for entry in os.scandir(folder) if entry.name.endswith(SUFFIX)]
    except OSError:
        return []
    return [Path(entry.path) for entry in sorted(found, key=lambda entry: _order(entry.name))]


def _order(name: str) -> tuple[str, int]:
    owner, _, number = name.removesuffix(SUFFIX).rpartition(".")
    return owner, int(number) if number.isdigit() else 0


def owner_of(name: str) -> str:
    """Return the owner in the name of a segment's file."""
    return name.removesuffix(SUFFIX).rpartition(".")[0].partition("@")[0]


def version_of(path: Path) -> int:
    """Return the version of a segment's format; one whose beginning is damaged has ours.

    Raises:
        OSError: if the segment is gone, or not ours to read.
    """
    with path.open("rb") as file:
        head = file.read(START)
    magic, version = _HEADER.unpack(head) if len(head) == START else (b"", 0)
    return int(version) if magic == MAGIC and version > VERSION else VERSION


def read(path: Path, offset: int, *, is_complete: bool = False) -> Iterator[tuple[bytes, int]]:
    """Yield the whole records of a segment from `offset` on: (body, offset behind it).

    A torn last record is left alone: its writer is at it, or died before its call returned. Other damage is yielded as
    `Damaged`, with the offset of the next record that is whole; if nothing follows, because the writer is dead and the
    segment `is_complete`, the torn end too.
    """
    base, at = max(offset, START), 0
    with path.open("rb") as file:
        file.seek(base)
        rest = file.read()
    size, unpack, checksum = len(rest), _FRAME.unpack_from, zlib.crc32
    while (start := at + _FRAME.size) <= size:
        mark, length, crc = unpack(rest, at)
        end = start + length
        if mark == _MARK and end <= size and checksum(body := rest[start:end]) == crc:
            yield body, base + end
            at = end
        else:
            whole = _next_whole(rest, at + 1)
            if whole < 0:
                break
            yield Damaged(rest[at:whole]), base + whole
            at = whole
    if is_complete and at < len(rest):
        yield Damaged(rest[at:]), base + len(rest)


def erase(path: Path, concerns: Callable[[bytes], bool]) -> None:
    """Overwrite the records that `concerns` tells by ones of the same length that say nothing.

    The owner may be living, and goes on appending. A stretch that is damaged anyway is overwritten by zeros.
    """
    void = b'["%b"]' % VOID.encode()
    with suppress(FileNotFoundError), path.open("r+b", buffering=0) as file:
        for body, end in read(path, START):
            if concerns(body):
                if type(body) is Damaged:
                    frame = bytes(len(body))
                else:
                    empty = void.ljust(len(body))
                    frame = _FRAME.pack(_MARK, len(empty), zlib.crc32(empty)) + empty
                os.pwrite(file.fileno(), frame, end - len(frame))


def _next_whole(rest: bytes, start: int) -> int:
    """Return where the next whole record begins, or -1."""
    at = rest.find(_MARK, start)
    while at >= 0:
        if at + _FRAME.size <= len(rest):
            _, length, crc = _FRAME.unpack_from(rest, at)
            body = rest[at + _FRAME.size : at + _FRAME.size + length]
            if len(body) == length and zlib.crc32(body) == crc:
                return at
        at = rest.find(_MARK, at + 1)
    return -1


def claim(path: Path) -> int | None:
    """Return an open handle that holds the segment's lock if its owner is certainly dead, else None."""
    try:
        fd = os.open(path, os.O_RDWR)
    except OSError:
        return None
    try:
        is_locked = _lock(fd)
        _, is_placed, place = path.name.removesuffix(SUFFIX).rpartition(".")[0].partition("@")
        if is_placed:
            is_dead = processes.is_gone(place) or time.time() - os.fstat(fd).st_mtime > _FORGOTTEN
        else:
            is_dead = is_locked
    except OSError:
        is_dead = False
    if is_dead:
        return fd
    os.close(fd)
    return None


def sweep(folder: Path) -> None:
    """Delete the drafts of processes that died before they became segments; nothing was acknowledged in them."""
    with suppress(OSError):
        for entry in os.scandir(folder):
            if entry.name.endswith(_DRAFT) and time.time() - entry.stat().st_mtime > _DRAFT_FORGOTTEN:
                Path(entry.path).unlink(missing_ok=True)


def _lock(fd: int) -> bool:
    """Lock an open file; False where the file system has no locks.

    Raises:
        OSError: if somebody else has locked it.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in NO_LOCKS:
            return False
        raise
    return True


def _write_all(fd: int, data: bytes) -> None:
    written = os.write(fd, data)
    while written < len(data):  # a full disk takes a part; the next write then says why
        written += os.write(fd, data[written:])
