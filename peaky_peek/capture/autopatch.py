"""Everything of other libraries that is patched, at once: the wire, the frameworks, and the ways to other threads."""

from __future__ import annotations

import os
import re

from peaky_peek.capture import context, ending, faults, frameworks, propagation, transport
from peaky_peek.store import notices

VARIABLE = "PEAKY_PEEK_AUTO_PATCH"
CLIENTS = ("openai", "anthropic", "gemini", "google-genai", "litellm")
"""What may be named besides frameworks: the wire, which is always watched, sees them all."""
_OFF = ("", "0", "false", "no", "off")
_ALL = {"1", "true", "yes", "on", "all"}


def is_asked() -> bool:
    """Tell whether the environment asks for a recording."""
    return _wanted().lower() not in _OFF


@faults.guarded
def install() -> None:
    """Record from now on what the environment allows: everything, or only the frameworks that it names.

    Doing it twice changes nothing.
    """
    propagation.install()
    transport.install()
    frameworks.install(named())
    if context.fallback is None:  # in a notebook, what ends is a cell, and IPython tells
        ending.install()


def uninstall() -> None:
    """Put everything back."""
    ending.uninstall()
    frameworks.uninstall()
    transport.uninstall()
    propagation.uninstall()


def _wanted() -> str:
    return os.environ.get(VARIABLE, "").strip()


def named() -> frozenset[str] | None:
    """Return the modules of the adapters that the environment names, None for all."""
    words = {word.strip() for word in _wanted().split(",")} - {""}
    if all(word.lower() in _ALL or word.lower() in _OFF for word in words):
        return None
    modules = {
        _plain(name): adapter.module
        for adapter in frameworks.ADAPTERS
        for name in (adapter.module, adapter.distribution, *adapter.name.split(" and "))
    }
    if unknown := sorted(word for word in words if _plain(word) not in {*modules, *map(_plain, CLIENTS)}):
        known = ", ".join(sorted({*CLIENTS, *modules.values()}))
        notices.say(f"Peaky Peek: {VARIABLE} names {', '.join(unknown)}, but it can be `true` or a list of {known}.")
    return frozenset(modules[_plain(word)] for word in words if _plain(word) in modules)


def _plain(name: str) -> str:
    """Return a name as its spellings have it in common.

    >>> _plain("Pydantic-AI")
    'pydanticai'
    """
    return re.sub(r"[\W_]", "", name.lower())


context.patch_others = install
