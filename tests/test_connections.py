"""Many connections to one store: no thread, fork or process takes away the locks that keep it whole."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

from peaky_peek.store import Database

ROOT = Path(__file__).parent.parent
TAKE_THE_LOCK = """
import fcntl, sys

with open(sys.argv[1], "r+b") as file:
    try:  # the bytes that SQLite locks while a connection reads
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 510, 0x40000002)
    except OSError:
        print("held")
"""
FORKING = """
import os, sys, threading
import peaky_peek as pp
from peaky_peek import store

pp.init(db=sys.argv[1])
over = threading.Event()


def read():
    while not over.is_set():
        thread = threading.Thread(target=lambda: store.current().connection().execute("SELECT count(*) FROM events"))
        thread.start()
        thread.join()


readers = [threading.Thread(target=read) for _ in range(2)]
with pp.trace_session("forking") as ctx:
    for reader in readers:
        reader.start()
    for _ in range(40):
        for _ in range(20):
            ctx.record_drift("again and again")
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
    over.set()
    for reader in readers:
        reader.join()
print(len(pp.events(types="drift")), *store.current().connection().execute("PRAGMA integrity_check").fetchone())
"""

ENDING = """
import sys
import peaky_peek as pp

pp.init(db=sys.argv[1])
with pp.trace_session("ending") as ctx:
    for _ in range(20_000):
        ctx.record_drift("again and again")
"""


def test_a_process_may_end_while_its_writer_is_in_the_middle_of_a_statement(tmp_path: Path) -> None:
    for round_ in range(3):
        command = [sys.executable, "-c", ENDING, str(tmp_path / f"{round_}.db")]
        ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
        database = Database(tmp_path / f"{round_}.db")
        database.ingest()
        rows = database.connection().execute("SELECT status, events FROM sessions").fetchall()
        assert rows == [("completed", 20_002)]


def test_a_connection_of_another_thread_leaves_the_locks_of_the_first(store: Database) -> None:
    store.connection().execute("SELECT * FROM sessions").fetchall()
    thread = threading.Thread(target=lambda: store.connection().execute("SELECT * FROM sessions").fetchall())
    thread.start()
    thread.join()
    other = [sys.executable, "-c", TAKE_THE_LOCK, str(store.path)]
    assert subprocess.run(other, capture_output=True, text=True, check=True).stdout == "held\n"


def test_a_fork_while_other_threads_read_leaves_the_store_whole(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKING, str(tmp_path / "peek.db")]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert (ran.stdout, ran.stderr) == ("800 ok\n", "")
