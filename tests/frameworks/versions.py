"""Which versions an environment should hold, and which it does."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

from tests.frameworks.environments import lock

_PINNED = re.compile(r"^([\w.-]+)(?:\[[\w,-]+\])?==(\S+)$", re.MULTILINE)


def wanted(name: str) -> dict[str, str]:
    """The packages that an environment is for, with the versions that are tested."""
    return _read(lock(name).with_suffix(".in"))


def locked(name: str) -> dict[str, str]:
    """Every package of an environment that is locked for any machine, with its version."""
    return _read(lock(name))


def installed(*names: str) -> dict[str, str]:
    """The versions that are installed here."""
    return {name: metadata.version(name) for name in names}


def _read(path: Path) -> dict[str, str]:
    return dict(_PINNED.findall(path.read_text()))
