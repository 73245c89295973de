"""Small agents that go wrong in known ways, and the scripted model they talk to: offline, in a store of their own."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from peaky_peek import store
from peaky_peek.errors import PeekError

if TYPE_CHECKING:
    import pandas as pd

    from peaky_peek.demo.server import ModelServer


def demo(db: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """Record the demo's agents and return one row per session: what happened, how it ended and where to look first.

    They are recorded offline within seconds, into a store of their own: `demo.db` in your data folder. Your recordings
    are not touched. The demo's store is in use from then on, so `pp.tree("refund order A-1042")` finds it; `pp.init()`
    goes back to yours. Calling it again replaces the demo's sessions at once or, if it fails, not at all.

    Outside a notebook the rows are also printed, as a table.

    Args:
        db: another path for the store.

    Raises:
        PeekError: the OpenAI SDK is missing, or the recording failed.
        StoreLocked: another process keeps the store locked.
    """
    path, rows = record(db)
    if not _shown_by_notebook():
        from peaky_peek.demo import table

        print(table.text(rows), end="\n\n")
    print(f'In use now: {path}. Try pp.tree("refund order A-1042"); pp.init() goes back to your own recordings.')
    return rows


def record(db: str | os.PathLike[str] | None = None) -> tuple[Path, pd.DataFrame]:
    """Do what `demo` does and return the store's path and the rows, without a word about them."""
    if importlib.util.find_spec("openai") is None:
        raise PeekError("The demo's agents use the OpenAI SDK: pip install 'peaky-peek-jupyter[demo]'")
    path = Path(db) if db is not None else store.default_path().with_name("demo.db")
    with tempfile.TemporaryDirectory() as folder:
        fresh = store.Database(Path(folder) / "demo.db")
        _run_stories(fresh.path)
        fresh.ingest()
        _replace(fresh, store.Database(path))
        fresh.close()

    from peaky_peek.demo import table

    return path, table.frame(store.use(path))


def _run_stories(path: Path) -> None:
    """Let a process of its own record the stories, and show how far it is."""
    from tqdm.auto import tqdm

    from peaky_peek.demo.stories import STORIES

    command = [sys.executable, "-P", "-m", "peaky_peek.demo.recording", str(path)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment) as process,  # noqa: S603
    ):
        for _ in tqdm(process.stdout or (), "recording the demo", len(STORIES) + 1, leave=False):
            pass
        if process.wait():
            errors.seek(0)
            raise PeekError(f"The demo could not be recorded: {errors.read().strip().splitlines()[-1]}")


def _replace(fresh: store.Database, target: store.Database) -> None:
    """Put the sessions of `fresh` in the place of the demo's earlier ones, in one transaction."""
    from peaky_peek.demo.recording import TAG

    target.ingest()
    earlier = "SELECT session_id FROM main.sessions, json_each(tags) WHERE json_each.value = ?"
    replaced = f"SELECT session_id FROM fresh.sessions UNION {earlier}"  # noqa: S608
    connection = target.connection()
    connection.execute("ATTACH ? AS fresh", (str(fresh.path),))
    try:
        with target.write():
            for table in ("columns", "events", "exchanges", "sessions"):
                named = connection.execute("SELECT name FROM pragma_table_info(?) WHERE name != 'rowid'", (table,))
                columns = ", ".join(name for (name,) in named)
                connection.execute(f"DELETE FROM main.{table} WHERE session_id IN ({replaced})", (TAG,))  # noqa: S608
                connection.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM fresh.{table}")  # noqa: S608
    finally:
        connection.execute("DETACH fresh")


def _shown_by_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return hasattr(shell, "kernel")


@cache
def model_server() -> ModelServer:
    """The scripted model of every story, on a port of this machine for as long as this process lives.

    Example:
        >>> client = model_server().client("silent-tool")  # an openai.OpenAI
        >>> client.base_url.path
        '/silent-tool/v1/'
    """
    from peaky_peek.demo.server import ModelServer
    from peaky_peek.demo.stories import STORIES

    return ModelServer({story.key: story.script for story in STORIES})


class _CallableModule(ModuleType):
    """Python puts a package where it was imported: once anybody imports this one, `pp.demo` is it, and must answer."""

    def __call__(self, db: str | os.PathLike[str] | None = None) -> pd.DataFrame:
        return demo(db)


sys.modules[__name__].__class__ = _CallableModule
