"""How recorded values read as text: harmless, on one line where it must be, with units."""

from __future__ import annotations

import math
import re
from typing import Any

from peaky_peek.encoding import as_text

LONG = 4_000
"""Characters of a text that are shown before it is cut."""

_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
# Controls, lone surrogates, and what reorders or hides text: bidi overrides and isolates, Unicode tag characters.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\U000e0000-\U000e007f]")


def visible(text: str) -> str:
    r"""Return `text` with ANSI colours stripped and every character that acts unseen shown instead.

    >>> visible("\x1b[31mred\x1b[0m \x00 \u202eevil")
    'red ␀ \\u202eevil'
    """
    if _UNSEEN.search(text) is None:
        return str(text)
    return _UNSEEN.sub(_shown, _ANSI.sub("", text.replace("\r\n", "\n")))


def _shown(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def one_line(text: Any, limit: int = 120) -> str:
    """Return the beginning of `text` as one visible line of at most `limit` characters; anything may be recorded."""
    text = text if isinstance(text, str) else as_text(text)
    line = " ".join(visible(text[: 4 * limit]).split())
    cut = len(line) > limit or len(text) > 4 * limit
    return f"{line[: limit - 1].rstrip()}…" if cut else line


def duration(ms: float | None) -> str:
    """Return a duration in milliseconds as people say it, unknown as nothing.

    >>> duration(0.42), duration(842), duration(12_340), duration(192_000), duration(None)
    ('0.42 ms', '842 ms', '12.3 s', '3 m 12 s', '')
    """
    if ms is None or math.isnan(ms):
        return ""
    if ms < 10:
        return f"{ms:.2g} ms"
    if ms < 999.5:
        return f"{ms:.0f} ms"
    if ms < 59_950:
        return f"{ms / 1000:.1f} s"
    minutes, seconds = divmod(round(ms / 1000), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} m" if hours else f"{minutes} m {seconds:02} s"


def cost(usd: float | None) -> str:
    """Return US dollars with as many digits as matter, unknown as nothing.

    >>> cost(1.5), cost(0.01234), cost(0.000042), cost(0.0), cost(None)
    ('$1.50', '$0.0123', '$0.000042', '$0', '')
    """
    if usd is None or math.isnan(usd):
        return ""
    if usd >= 1:
        return f"${usd:,.2f}"
    if usd >= 0.0001:
        return f"${usd:.4f}"
    return f"${usd:.6f}" if usd >= 0.000001 else "$0" if usd == 0 else "< $0.000001"


def count(n: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun.

    >>> count(1, "step"), count(1204, "step")
    ('1 step', '1,204 steps')
    """
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"
