"""The line that begins a `%%peek` cell: found, read, and taken away before the cell is run."""

from __future__ import annotations

import re
from typing import NamedTuple

_LINE = re.compile(r"%%peek(?:[ \t]+(.*))?\s*")
_STOP_ON = re.compile(r"(?:^|(?<=\s))--stop-on(?:=|\s+)(\S+)")
_WRITTEN = "%%peek [name] [--open] [-q] [--stop-on loop,cost]"


class Heading(NamedTuple):
    """What `%%peek [name] [--open] [-q] [--stop-on loop,cost]` asks for."""

    name: str
    opens: bool
    quiet: bool
    stop_on: str
    """What the cell is to be stopped for, as it was written."""
    problem: str | None
    """What cannot be read, as a sentence."""


def split(source: str) -> tuple[str | None, str]:
    """Return what stands after `%%peek` (None in other cells), and the cell without that line.

    The line may stand below other cell magics, such as `%%time`.
    """
    lines = source.splitlines(keepends=True)
    start = next((at for at, line in enumerate(lines) if line.strip()), len(lines))
    for at in range(start, len(lines)):
        if match := _LINE.fullmatch(lines[at]):
            return match[1] or "", "".join(lines[start:at] + lines[at + 1 :])
        if not lines[at].startswith("%%"):
            break
    return None, source


def parse(text: str) -> Heading:
    """Read what stands after `%%peek`."""
    stop_on = " ".join(_STOP_ON.findall(text))
    words = _STOP_ON.sub("", text).split()
    options = [word for word in words if word.startswith("-")]
    strange = [word for word in options if word not in ("--open", "-q")]
    problem = f"%%peek has no option {strange[0]}: it is written {_WRITTEN}." if strange else None
    name = " ".join(word for word in words if word not in options).strip("\"'")
    return Heading(name, "--open" in options, "-q" in options, stop_on, problem)


def remove(lines: list[str]) -> list[str]:
    """Take the line away, as IPython's input transformers do; Python keeps the numbers of its lines for tracebacks."""
    if not lines or not _LINE.fullmatch(lines[0]):
        return lines
    is_before_magic = len(lines) > 1 and lines[1].startswith("%%")
    return lines[1:] if is_before_magic else ["\n", *lines[1:]]


remove.has_side_effects = True  # type: ignore[attr-defined]  # a terminal then asks for more lines, as of any cell magic
