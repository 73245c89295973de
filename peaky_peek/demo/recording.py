"""Records every story into a fresh store: `python -m peaky_peek.demo.recording PATH`.

This runs in a process of its own, so no setting, no open session and no thread of the user's gets mixed up in it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import peaky_peek as pp
from peaky_peek import store
from peaky_peek.demo.server import ModelServer
from peaky_peek.demo.stories import STORIES

TAG = "peaky-peek-demo"
"""The mark of a session that the demo made, and may replace."""
REAL_KEY = "tau-retail"
REAL_RUNS = Path(__file__).with_name("data") / "tau_retail_83.jsonl.gz"


def record(path: str) -> None:
    """Record into the store at `path`; prints the key of each story once it is told."""
    pp.init(db=path)
    with ModelServer({story.key: story.script for story in STORIES}) as server:
        for story in STORIES:
            with server.client(story.key) as client:
                story.run(client)
            _done(story.key)
    pp.load(REAL_RUNS)
    _done(REAL_KEY)
    pp.uninstall()


def _done(key: str) -> None:
    store.current().ingest()
    pp.label(f"-tag:{TAG}", tags=[TAG, key])
    print(key, flush=True)


if __name__ == "__main__":
    record(sys.argv[1])
