"""Runs a program as `python` would, and records it."""

from __future__ import annotations

import builtins
import importlib.util
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType, TracebackType

from peaky_peek.capture import autopatch, ending
from peaky_peek.errors import ProgramNotFound


def run(program: str, arguments: Sequence[str], *, is_module: bool) -> None:
    """Run a script, a folder or archive with a `__main__.py`, or a module, as the main program.

    Programs that it starts are recorded too, where the environment that they run in has Peaky Peek installed.

    Args:
        program: its path, or the module's name.
        arguments: what it finds behind its name in `sys.argv`.
        is_module: whether it is `python -m`.

    Raises:
        ProgramNotFound: there is none.
        BaseException: what the program raised and nobody caught. It was shown as Python would, without our frames.
    """
    main = ModuleType("__main__")
    main.__dict__["__builtins__"] = builtins
    try:
        code = _load_module(main, program) if is_module else _load_path(main, program)
        sys.argv[:] = [main.__file__ or program if is_module else program, *arguments]
        sys.modules["__main__"] = main
        if not autopatch.is_asked():
            os.environ[autopatch.VARIABLE] = "true"
        autopatch.install()
        exec(code, main.__dict__)  # noqa: S102
    except ProgramNotFound:
        raise
    except SystemExit as error:
        ending.exits(error.code)
        raise
    except BaseException as error:
        error.__traceback__ = _from_main(error.__traceback__, main)
        sys.excepthook(type(error), error, error.__traceback__)
        sys.excepthook = lambda *_: None  # it has been shown; Python still decides what the process returns
        raise


def _load_path(main: ModuleType, program: str) -> CodeType:
    full = os.path.abspath(program)  # noqa: PTH100 - as Python names it: links stay as they are
    spec = PathFinder.find_spec("__main__", [full])
    if spec is not None:  # a folder or an archive
        _put_first(full)
        return _code_of(main, spec)
    path = Path(program)
    if not path.is_file():
        raise ProgramNotFound(f"There is no program at {program}: name a script, or a module behind `-m`.")
    _put_first(str(path.resolve().parent))
    main.__file__, main.__loader__ = full, SourceFileLoader("__main__", full)
    return SourceFileLoader("__main__", full).source_to_code(path.read_bytes(), full)


def _load_module(main: ModuleType, name: str) -> CodeType:
    _put_first(str(Path.cwd()))
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = importlib.util.find_spec(f"{name}.__main__")
    except (ImportError, ValueError) as error:
        raise ProgramNotFound(f"There is no module {name} to run: {error}.") from error
    if spec is None:
        raise ProgramNotFound(f"There is no module {name} to run, or it is a package without a `__main__`.")
    return _code_of(main, spec)


def _code_of(main: ModuleType, spec: ModuleSpec) -> CodeType:
    """Return the code of a module, and tell the main module that it is this one."""
    code = getattr(spec.loader, "get_code", lambda _: None)(spec.name)
    if not isinstance(code, CodeType):
        raise ProgramNotFound(f"The module {spec.name} is not written in Python, and cannot be run.")
    main.__spec__, main.__loader__, main.__package__ = spec, spec.loader, spec.parent
    main.__file__ = spec.origin if spec.has_location else code.co_filename
    return code


def _put_first(folder: str) -> None:
    """Let the program import what lies beside it, as Python would, in place of what lies beside us."""
    if not sys.flags.safe_path:
        sys.path[0] = folder


def _from_main(trace: TracebackType | None, main: ModuleType) -> TracebackType | None:
    """Return the part of a traceback that begins in the program."""
    at = trace
    while at is not None and at.tb_frame.f_globals is not main.__dict__:
        at = at.tb_next
    return at
