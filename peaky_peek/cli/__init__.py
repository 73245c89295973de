"""`jupyter peek`: the recordings on the command line."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sqlite3
import sys
from collections.abc import Iterator, Sequence

import peaky_peek
from peaky_peek import store
from peaky_peek.errors import PeekError, StoreUnreadable


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 1, with one sentence on stderr, when it cannot do what was asked.

    Args:
        argv: what stands after `jupyter peek`; None for what the shell gave.
    """
    parser = _parser()
    arguments = parser.parse_args(argv)
    if "program" in arguments:
        return _run(arguments)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # a terminal without our signs shows `?`
    try:
        for line in arguments.run(arguments):
            print(line)  # noqa: T201
        sys.stdout.flush()
    except (PeekError, sqlite3.DatabaseError) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    except BrokenPipeError:  # `| head` has seen enough; Python would complain once more when it flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("jupyter peek", description="Look at what Peaky Peek recorded.")
    parser.add_argument("--version", action="version", version=f"Peaky Peek {peaky_peek.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="<command>", required=True)

    command = commands.add_parser("demo", help="record the demo's agents into a store of their own and list them")
    command.set_defaults(run=_demo)
    command = commands.add_parser("list", help="list the sessions")
    command.add_argument("query", nargs="*", help="as in pp.sessions(), such as: failed tool:search after:today")
    command.add_argument("-n", type=int, default=30, help="how many at most, the newest (default: 30)")
    command.set_defaults(run=_list)
    command = commands.add_parser("show", help="draw the decision tree of a session")
    command.add_argument("session", nargs="?", type=_reference, help="position, name or id (default: the newest)")
    command.set_defaults(run=_show)
    command = commands.add_parser("why", help="say why a session went wrong, and what shows it")
    command.add_argument("session", nargs="?", type=_reference, help="position, name or id (default: the newest)")
    command.set_defaults(run=_why)
    command = commands.add_parser("load", help="load chat transcripts: JSON or JSON lines, also gzipped")
    command.add_argument("path", nargs="+")
    command.set_defaults(run=_load)
    command = commands.add_parser("delete", help="delete sessions for good")
    command.add_argument("session", nargs="+", type=_reference, help="positions, names or ids, or one query")
    command.set_defaults(run=_delete)
    command = commands.add_parser("run", help="run a Python program as `python` would, and record it")
    command.add_argument("-m", dest="is_module", action="store_true", help="the program is a module")
    command.add_argument("program", help="a script, or a folder or archive with a `__main__.py`")
    command.add_argument("arguments", nargs=argparse.REMAINDER, help="what the program is told")
    command = commands.add_parser("doctor", help="say whether everything is in place")
    command.set_defaults(run=_doctor)

    for command in commands.choices.values():
        command.add_argument("--db", help="the store (default: PEAKY_PEEK_DB, else peek.db in your data folder)")
    return parser


def _reference(text: str) -> int | str:
    return int(text) if re.fullmatch(r"-?\d+", text) else text


def _demo(arguments: argparse.Namespace) -> Iterator[str]:
    from peaky_peek.demo import record, table

    path, rows = record(arguments.db)
    yield table.text(rows)
    yield ""
    yield f'Look at one: jupyter peek show --db {shlex.quote(str(path))} "refund order A-1042"'


def _list(arguments: argparse.Namespace) -> Iterator[str]:
    from peaky_peek.cli import listing

    return listing.lines(_existing(arguments.db), " ".join(arguments.query), arguments.n)


def _show(arguments: argparse.Namespace) -> Iterator[str]:
    from peaky_peek.cli import outline

    return outline.lines(_existing(arguments.db), arguments.session)


def _why(arguments: argparse.Namespace) -> Iterator[str]:
    from peaky_peek.cli import reasons

    return reasons.lines(_existing(arguments.db), arguments.session)


def _load(arguments: argparse.Namespace) -> Iterator[str]:
    from peaky_peek.widgets._text import count

    db = store.use(arguments.db) if arguments.db else store.current()
    for path in arguments.path:
        loaded = len(peaky_peek.load(path))  # type: ignore[arg-type]  # of a file, a frame
        yield f"{path}: {count(loaded, 'session')} in {db.path}"


def _delete(arguments: argparse.Namespace) -> Iterator[str]:
    from peaky_peek.widgets._text import count

    db = _existing(arguments.db)
    wanted = arguments.session[0] if len(arguments.session) == 1 else arguments.session
    yield f"{count(peaky_peek.delete(wanted), 'session')} deleted from {db.path}"


def _run(arguments: argparse.Namespace) -> int:
    """Run a program; how it ends is how this ends, and nothing else that we do concerns it."""
    from peaky_peek.cli import launcher
    from peaky_peek.errors import ProgramNotFound

    if arguments.db:
        os.environ["PEAKY_PEEK_DB"] = str(store.use(arguments.db).path)  # for the programs that it starts too
    try:
        launcher.run(arguments.program, arguments.arguments, is_module=arguments.is_module)
    except ProgramNotFound as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2
    return 0


def _doctor(arguments: argparse.Namespace) -> Iterator[str]:
    from peaky_peek.cli import doctor

    return doctor.lines(store.use(arguments.db) if arguments.db else store.current())


def _existing(path: str | None) -> store.Database:
    """Return the store to read, with everything recorded so far in it; a path by mistake makes no new one."""
    db = store.use(path) if path else store.current()
    if path and not db.exists() and not db.journal_folders[0].exists():
        raise StoreUnreadable(f"There is no store at {db.path}: check the path.")
    db.ingest()
    return db
