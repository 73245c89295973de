"""Finding credentials in encoded bytes: a search for literals, and patterns only where one stands."""

from __future__ import annotations

import base64
import functools
import re
from bisect import bisect_left
from collections.abc import Callable
from itertools import accumulate
from typing import NamedTuple

from peaky_peek.capture.redaction.credentials import REDACTED, SHAPES, STEMS, is_sought_by_itself
from peaky_peek.capture.redaction.tokens import Shape
from peaky_peek.shutdown import exchange_at_end

Strike = tuple[int, int, int]  # which marker, and where it begins and ends
_LOOK_BACK = 600  # how far before its marker a credential may begin
# Encoders may write "/", "&" or "=" as an escape, which hides it from patterns; quotes and backslashes must stay so.
_ESCAPED = re.compile(rb"\\+(?:u00(2[013-9a-fA-F]|[3467][0-9a-fA-F]|5[abdefABDEF0-9])|(/))")


class Found(NamedTuple):
    """A credential: where it stands, its kind, and what it is without the escapes of its place."""

    start: int
    end: int
    kind: str
    secret: bytes


@functools.cache
def prefilter() -> Callable[[bytes], list[Strike]]:
    """Return the search for markers.

    A search for up to 64 literals runs on vector instructions, much faster than one for more. Two such searches, for
    parts of the markers, settle nearly every record; only if one strikes are the markers themselves sought.
    """
    from ahocorasick_rs import BytesAhoCorasick, Implementation, MatchKind

    first: Callable[[bytes], object]
    second: Callable[[bytes], object]
    markers: Callable[[bytes, bool], list[Strike]] | None = None
    first, second = (BytesAhoCorasick(part, MatchKind.LeftmostFirst).find_matches_as_indexes for part in screens())

    def search_with_the_lock() -> None:
        nonlocal first, second, markers
        first = second = len
        markers = strikes_slowly

    exchange_at_end(search_with_the_lock)

    def strikes(data: bytes) -> list[Strike]:
        nonlocal markers
        if first(data) or second(data) or b"@" in data or data.startswith(b"SK"):
            if markers is None:  # only now: it takes some milliseconds to make
                markers = BytesAhoCorasick(_MARKERS, implementation=Implementation.DFA).find_matches_as_indexes
            return markers(data, True)
        return []

    return strikes


def strikes_slowly(data: bytes, _overlapping: bool = True) -> list[Strike]:
    """Return what the search for markers finds, in its order."""
    found: list[Strike] = []
    for number, marker in enumerate(_MARKERS):
        at = data.find(marker)
        while at >= 0:
            found.append((number, at, at + len(marker)))
            at = data.find(marker, at + 1)
    return sorted(found, key=lambda strike: (strike[2], strike[1]))


def screens() -> tuple[list[bytes], list[bytes]]:
    """Return two lists of at most 64 literals. Every marker that is sought by itself contains one of them."""
    from ahocorasick_rs import BytesAhoCorasick

    parts = list(STEMS)
    with_stem = BytesAhoCorasick(STEMS).find_matches_as_indexes  # ten times as fast as to ask for each stem
    rest = [marker for marker in sorted(_MARKERS, key=len) if is_sought_by_itself(marker) and not with_stem(marker)]
    while rest:
        parts.append(rest[0])
        rest = [marker for marker in rest if parts[-1] not in marker]
    # Most text is small letters: literals that begin with them are told from it best by themselves, by four letters.
    parts.sort(key=lambda part: (len(part) > 3 and part.islower(), part))
    return parts[: len(parts) // 2], parts[len(parts) // 2 :]


def find(data: bytes, strikes: list[Strike]) -> list[Found]:
    """Return the credentials in `data`, in order and apart; `strikes` are the markers in it."""
    if b"\\u00" not in data and b"\\/" not in data:
        return [Found(*place, data[place[0] : place[1]]) for place in _places(data, strikes)]
    plain, place_of = _unescaped(data)
    found = _places(plain, prefilter()(plain))
    return [Found(place_of(start), place_of(end), kind, plain[start:end]) for start, end, kind in found]


def kind_of(secret: bytes) -> str | None:
    """Return what a secret is by its own shape, for one that was found by its place."""
    for marker, at, _ in prefilter()(secret):
        for shape in _SHAPES_OF[marker]:
            if shape.names_it and _locate(shape, secret, at) == (0, len(secret)):
                return shape.kind
    return None


def _unescaped(data: bytes) -> tuple[bytes, Callable[[int], int]]:
    """Return `data` without needless escapes, and what tells where a place in it is in `data`."""
    escapes = list(_ESCAPED.finditer(data))
    shifts = [0, *accumulate(len(escape[0]) - 1 for escape in escapes)]
    starts = [escape.start() - shift for escape, shift in zip(escapes, shifts, strict=False)]
    plain = _ESCAPED.sub(lambda escape: bytes.fromhex(escape[1].decode()) if escape[1] else b"/", data)
    return plain, lambda place: place + shifts[bisect_left(starts, place)]


def _places(data: bytes, strikes: list[Strike]) -> list[tuple[int, int, str]]:
    found: list[tuple[int, int, str]] = []
    done = 0
    for marker, at, _ in strikes:
        for shape in _SHAPES_OF[marker]:
            if (at >= done or shape.back) and (place := _locate(shape, data, at)):
                found.append((*place, shape.kind))
                done = max(done, place[1])
    apart: list[tuple[int, int, str]] = []
    for start, end, kind in sorted(found):
        if apart and start < apart[-1][1]:
            first = apart.pop()
            apart.append((first[0], max(end, first[1]), first[2]))
        else:
            apart.append((start, end, kind))
    return apart


def _locate(shape: Shape, data: bytes, at: int) -> tuple[int, int] | None:
    """Return start and end of the credential whose marker is at `at`, if it is one."""
    back = shape.back
    begin = at - back if isinstance(back, int) else data.rfind(back, max(0, at - _LOOK_BACK), at)
    proof = _compiled(shape.pattern).match(data, begin) if begin >= 0 else None
    if not proof:
        return None
    start, end = proof.span(proof.lastindex or 0)
    if REDACTED.fullmatch(data, start, end) or (shape.holds and not shape.holds(data[start:end])):
        return None
    return start, end


@functools.cache
def _compiled(pattern: bytes) -> re.Pattern[bytes]:
    return re.compile(pattern, re.DOTALL)


def _hides_secrets(text: bytes) -> bool:
    """Tell whether recorded bytes, which the store keeps as base64, hold secrets."""
    try:
        data = base64.b64decode(text)
    except ValueError:  # not ours: a raw body may say anything
        return False
    return bool(find(data, prefilter()(data)))


_RECORDED_BYTES = Shape(
    "bytes", (b'"__peek__":"bytes"',), rb'"__peek__":"bytes","value":"([A-Za-z0-9+/=]+)"', holds=_hides_secrets
)
_SHAPES_BY_MARKER: dict[bytes, list[Shape]] = {}
for _shape in (*SHAPES, _RECORDED_BYTES):
    for _marker in _shape.markers:
        _SHAPES_BY_MARKER.setdefault(_marker, []).append(_shape)
_MARKERS, _SHAPES_OF = list(_SHAPES_BY_MARKER), list(_SHAPES_BY_MARKER.values())
