"""What makes two failures the same: their type, their place, and their message without what differs every time."""

from __future__ import annotations

import hashlib
import re

MASK = "…"
"""Stands for what was masked."""

_LONGEST = 2_000
"""Characters of a message that tell what failed; what follows is data."""

# One pass finds whatever comes first. No alternative starts inside a word, so none reads a text twice; and none begins
# or ends beside a mask, so that masking what is masked changes nothing.
_DIFFERS = re.compile(
    r"""
    (?P<kept> \b(?:https?|status(?:[_ ]code)?|(?:exit|return|error)?[ ]?code|errno|error)[\s:=]{1,3}\d{1,3}
        (?![\w.,:…-]) )
    | (?<![\w…]) [a-z][a-z0-9+.-]{1,20}://[^\s'"<>…]+                               # a URL
    | (?<![\w.+…-]) [\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+                     # an email address
    | "[^"]*" | `[^`]*` | (?<![\w…])'[^']*'(?![\w…]) | “[^”]*”                      # what stands in quotes
    | (?<![\w…./\\~-]) (?:~|\.{1,2}|[a-z]:)?[/\\][\w.@~+-]+(?:[/\\][\w.@~+-]*)*      # a path
    | (?<![\w…./\\~-]) [\w.-]+(?:/[\w.-]+){2,}/?
    | (?<![\w…-]) [$€£\#]?[\w-]*\d[\w-]*(?:[.,:]\d[\w-]*)*%?                         # a number, a time, an id, a hash
    """,
    re.VERBOSE | re.IGNORECASE,
)
_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_MASKS_IN_A_ROW = re.compile(rf"{MASK}(?:[\s,;:=/|+-]*{MASK})+")
_TYPED = re.compile(
    r"\s*((?:[a-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Timeout|Warning|Exit|Interrupt|Failure|Fault))\s*(?::|$)"
)
_FRAME = re.compile(r'^\s*File "([^"\n]+)", line \d+, in (\S+)', re.MULTILINE)
_FOLDERS = re.compile(r".*[/\\]")
_OF_LIBRARIES = re.compile(r"site-packages|dist-packages|[/\\]lib[/\\]python|^<frozen")


def mask(message: str) -> str:
    """Return a message without what differs from one time to the next.

    Ids, numbers, times, paths, URLs, email addresses, hashes and what stands in quotes become `…`; the codes of an
    HTTP answer or a program stay, they say what went wrong. Masking twice changes nothing.

    >>> mask("order A-1042: no answer from https://pay.example/v1 after 30.5 s (status 503)")
    'order …: no answer from … after … s (status 503)'
    """
    text = " ".join(_ANSI.sub("", message[:_LONGEST]).split())
    text = _DIFFERS.sub(lambda found: found["kept"] or MASK, text)
    return _MASKS_IN_A_ROW.sub(MASK, text).strip()


def typed(message: str) -> tuple[str | None, str]:
    """Return the type that a message begins with, as `str(type): str(error)` has it, and the rest.

    >>> typed("TimeoutError: no answer"), typed("Error: user not found"), typed("not found")
    (('TimeoutError', 'no answer'), (None, 'user not found'), (None, 'not found'))
    """
    found = _TYPED.match(message)
    if found:
        return found[1], message[found.end() :].strip()
    return None, re.sub(r"^\s*(?:error|exception)\s*:\s*", "", message, flags=re.IGNORECASE).strip()


def frame_of(stack_trace: str) -> str | None:
    """Return where in the application an exception was raised: `function in file.py`; None where it does not say.

    >>> library = '  File "/usr/site-packages/http.py", line 9, in post'
    >>> frame_of(f'  File "/app/shop.py", line 3, in pay{chr(10)}    post(){chr(10)}{library}')
    'pay in shop.py'
    """
    for path, function in reversed(_FRAME.findall(stack_trace)):
        if not _OF_LIBRARIES.search(path) and not function.startswith("<"):
            return f"{function} in {_FOLDERS.sub('', path)}"
    return None


def fingerprint(*parts: str) -> str:
    """Return 12 hexadecimal digits that are the same for the same parts, whatever their case."""
    return hashlib.blake2b("\0".join(parts).casefold().encode("utf-8", "replace"), digest_size=6).hexdigest()
