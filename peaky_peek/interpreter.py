"""Refuses to be imported in a subinterpreter, where the extension modules that we need fail later and worse."""

from __future__ import annotations

import _thread
import importlib

from peaky_peek.errors import SubinterpreterRefused


def is_main() -> bool:
    """Tell whether this is the main interpreter of the process."""
    if hasattr(_thread, "_is_main_interpreter"):
        return bool(_thread._is_main_interpreter())
    try:
        interpreters = importlib.import_module("_xxsubinterpreters")  # Python 3.11
    except ImportError:
        return True
    return bool(interpreters.get_current() == interpreters.get_main())


if not is_main():
    raise SubinterpreterRefused(
        "Peaky Peek records in the main interpreter only: import it there, and use threads or processes instead of"
        " subinterpreters."
    )
