"""Begins to record in a program that knows nothing of it, when `PEAKY_PEEK_AUTO_PATCH` says so.

Every start of the interpreter comes by: `peaky_peek.pth` calls `boot` if the variable is set, from Python 3.15 on
`peaky_peek.start` does in any case. It is installed outside the package, and takes no more than the standard library,
because the rest costs time that only a program with an agent in it should spend. So it waits for one.
"""

# ruff: noqa: INP001 -- this folder is no package: what is in it is installed beside ours
from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # `typing` would cost more than all of this
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

AWAITED = frozenset({
    "agent_framework", "agents", "aiohttp", "autogen_agentchat", "autogen_core", "crewai", "dspy", "httpx", "httpx2",
    "langchain_core", "llama_index", "llama_index_instrumentation", "mcp", "opentelemetry", "pydantic_ai",
})  # fmt: skip
"""The packages whose import shows that there may be something to record: those that we hook into."""
OFF = ("", "0", "false", "no", "off")


def boot() -> None:
    """Wait for the first import of something that we hook into. Never raises."""
    if os.environ.get("PEAKY_PEEK_AUTO_PATCH", "").strip().lower() in OFF:
        return
    if not AWAITED.isdisjoint(sys.modules):
        _start()
    elif _waiting not in sys.meta_path:  # in virtual environments, Python calls twice
        sys.meta_path.insert(0, _waiting)


def _start() -> None:
    try:
        import peaky_peek.auto_patch  # noqa: F401
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - the program must run as if we were not there
        try:
            print(f"Peaky Peek cannot record this program: {type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201
        except Exception:  # noqa: BLE001 - nobody listens
            return


class _Waiting:
    """A finder that finds nothing itself, but sees what is looked for."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name.partition(".")[0] not in AWAITED or self not in sys.meta_path:
            return None
        sys.meta_path.remove(self)
        _start()
        for finder in list(sys.meta_path):  # again from the first, which may be ours by now
            if hasattr(finder, "find_spec") and (spec := finder.find_spec(name, path, target)) is not None:
                return spec
        return None


_waiting = _Waiting()
