"""Positions and ids: the one clock that orders everything a process records.

A *position* is `milliseconds << 20 | counter`, strictly increasing within a process even when the clock steps back.
An id is the UUIDv7 (RFC 9562) of a position, so ids of one process sort in the order of recording. Its middle is
constant for the process and its end is scrambled, so that the last four characters tell neighbours apart.
"""

from __future__ import annotations

import os
import threading
import time

COUNTER_BITS = 20
_TAIL_MASK = (1 << 28) - 1

_lock = threading.RLock()  # a signal handler may record in the middle of a record
_last = 0
_node = ""
_tail = 0
_prefix = (-1, "")


def _new_node() -> None:
    """Draw the process's share of its ids; a forked child draws its own, or it would repeat its parent's."""
    global _lock, _node, _tail, _prefix
    random = int.from_bytes(os.urandom(8), "big")
    _lock = threading.RLock()
    _node = f"7{random & 0xFFF:03x}-{0x8000 | random >> 12 & 0x3FFF:04x}-"
    _tail = random >> 26 & _TAIL_MASK
    _prefix = (-1, "")


_new_node()
os.register_at_fork(after_in_child=_new_node)


def new_position(count: int = 1) -> int:
    """Return the first of `count` consecutive positions that nobody else in the process gets."""
    global _last
    with _lock:
        now = time.time_ns() // 1_000_000 << COUNTER_BITS
        first = now if now > _last else _last + 1
        _last = first + count - 1
    return first


def id_at(position: int) -> str:
    """Return a fresh UUIDv7 that sorts at `position`."""
    global _prefix, _tail
    ms = position >> COUNTER_BITS
    known, prefix = _prefix
    if known != ms:
        text = f"{ms:012x}"
        prefix = f"{text[:8]}-{text[8:]}-{_node}"
        _prefix = (ms, prefix)
    _tail = (_tail * 0x2C9277B5 + 0x3C6EF35) & _TAIL_MASK  # a full-period scramble: a % 4 == 1, c odd
    return prefix + "%012x" % ((position & 0xFFFFF) << 28 | _tail)  # twice as fast as an f-string


def stamp() -> tuple[int, str, int]:
    """Return what every event needs: a new position, its id, and the time in UTC microseconds."""
    global _last, _tail
    with _lock:
        now = time.time_ns() // 1000
        ms = now // 1000
        position = ms << COUNTER_BITS
        if position <= _last:
            position = _last + 1
        _last = position
    known, prefix = _prefix
    if known != ms or position >> COUNTER_BITS != ms:
        return position, id_at(position), now
    _tail = (_tail * 0x2C9277B5 + 0x3C6EF35) & _TAIL_MASK  # as in `id_at`, without the call
    return position, prefix + "%012x" % ((position & 0xFFFFF) << 28 | _tail), now


def new_id() -> str:
    """Return a fresh UUIDv7 at a new position."""
    return id_at(new_position())


def named(position: int, name: bytes) -> str:
    """Return the UUIDv7 at `position` that anybody gets for the same name."""
    import hashlib

    ms = position >> COUNTER_BITS
    digest = hashlib.blake2b(name, digest_size=9).hexdigest()
    tail = f"{position & 0xFFFFF:05x}{digest[:7]}"
    return f"{ms >> 16:08x}-{ms & 0xFFFF:04x}-7{digest[7:10]}-{0x8000 | int(digest[10:14], 16) & 0x3FFF:04x}-{tail}"
