"""The commit that the recorded code is at, read from its `.git`: to ask `git` would take a process."""

from __future__ import annotations

import functools
from pathlib import Path


def current_commit() -> str | None:
    """Return the commit that the working folder is at; None outside a repository."""
    try:
        return _commit_of(Path.cwd())
    except OSError:  # the folder was deleted
        return None


@functools.lru_cache(maxsize=100)
def _commit_of(folder: Path) -> str | None:
    try:
        return next((_read(place / ".git") for place in (folder, *folder.parents) if (place / ".git").is_dir()), None)
    except (OSError, ValueError):
        return None


def _read(git: Path) -> str | None:
    head = (git / "HEAD").read_text().strip()
    if not head.startswith("ref: "):
        return head
    ref = git / head[5:]
    if ref.exists():
        return ref.read_text().strip()
    packed = (git / "packed-refs").read_text().splitlines()
    return next((line.split()[0] for line in packed if line.endswith(head[4:])), None)
