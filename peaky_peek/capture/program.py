"""The program that is run: what a session is called, and of what code it is, that nobody says more of."""

from __future__ import annotations

import functools
import sys
from pathlib import Path


def name() -> str:
    """Return the name of the script or of the module that is run, "python" without one."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    if isinstance(module := getattr(spec, "name", None), str) and module != "__main__":
        return module.removesuffix(".__main__")
    script = next(iter(getattr(sys, "argv", ())), "")  # there is none where Python is embedded
    return Path(script).stem if script not in ("", "-c", "-m") else "python"


@functools.cache
def code_hash() -> str | None:
    """Return the hash of the script's source, None where there is none to read."""
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    try:
        return None if file is None else hash_of(Path(file).read_text("utf-8", "replace"))
    except OSError:
        return None


def hash_of(code: str) -> str:
    """Return what tells code from other code: 16 hexadecimal digits.

    >>> hash_of("print(1)")
    'd287bb7f9d15abdc'
    """
    import hashlib

    return hashlib.sha256(code.encode("utf-8", "replace")).hexdigest()[:16]
