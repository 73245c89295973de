"""File systems without locks or shared memory: a rollback journal, a lock file, and nothing lost or left behind."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

import peaky_peek as pp
from peaky_peek import errors
from peaky_peek.store import Database, filesystem, journal, processes
from peaky_peek.store.connection import LoneConnection
from peaky_peek.store.filesystem import Mode
from peaky_peek.store.lockfile import LockFile
from tests.soak import Scenario, soak_filesystem


@pytest.mark.parametrize("scenario", soak_filesystem.scenarios(), ids=lambda scenario: scenario.name)
def test_processes_share_a_store_wherever_it_lies(scenario: Scenario) -> None:
    scenario.run(2)


@pytest.mark.parametrize(("lacking", "mode"), [("memory", "ROLLBACK"), ("locks", "ALONE")])
def test_a_store_from_a_local_disk_goes_on_where_there_is_less(store: Database, lacking: str, mode: str) -> None:
    with pp.trace_session("local"):
        pass
    pp.uninstall()
    store.close()
    found = soak_filesystem.look(lacking, store.path.parent)
    assert (found["events"], found["mode"], found["journal_mode"]) == ([2], mode, "delete")
    assert pp.sessions().events.tolist() == [2]  # and where it came from it stays as it is: others may be using it
    assert store.connection().execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_a_usual_file_system_is_used_with_a_log_and_nobody_is_told(store: Database) -> None:
    with pp.trace_session("usual"):
        pass
    assert pp.sessions().name.tolist() == ["usual"]
    assert (store.mode, pp.status()["notices"]) == (Mode.WAL, [])
    assert store.connection().execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.parametrize(
    ("kind", "options", "mode"),
    [
        ("ext4", "rw", Mode.WAL),
        ("nfs4", "rw,vers=4.2", Mode.ROLLBACK),
        ("nfs", "rw,vers=3,nolock", Mode.ALONE),
        ("nfs", "rw,local_lock=all", Mode.ALONE),
        ("lustre", "rw,flock", Mode.ROLLBACK),
        ("lustre", "rw,localflock", Mode.ALONE),
    ],
)
def test_what_other_machines_may_see_is_never_used_with_shared_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, options: str, mode: Mode
) -> None:
    mounts = tmp_path / "mounts"
    home = tmp_path / "with a space"
    home.mkdir()
    escaped = str(home).replace(" ", "\\040")
    mounts.write_text(f"/dev/sda / ext4 rw 0 0\nserver:/home {escaped} {kind} {options} 0 0\n")
    monkeypatch.setattr(filesystem, "_MOUNTS", mounts)
    assert filesystem.mode_of(home) is mode
    assert filesystem.mode_of(tmp_path) is Mode.WAL


def test_the_lock_of_a_process_that_died_is_taken_over_and_of_one_elsewhere_never(tmp_path: Path) -> None:
    lock = LockFile(tmp_path / "peek.db.lock")
    code = (
        "import sys, os; from pathlib import Path; from peaky_peek.store.lockfile import LockFile\n"
        "LockFile(Path(sys.argv[1])).acquire(0); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, str(lock.path)], check=True)
    assert lock.path.is_symlink()
    lock.acquire(0)
    with pytest.raises(errors.StoreLocked, match=rf"held by process {os.getpid()} on .*: try again"):
        LockFile(lock.path).acquire(0.05)
    lock.release()
    lock.path.symlink_to("7@node17~12345678~99~abc")
    with pytest.raises(errors.StoreLocked, match=r"peek\.db\.lock is held by process 7 on node17: .* delete this lock"):
        lock.acquire(0)
    assert lock.path.is_symlink()


def test_a_process_is_known_by_its_number_and_its_start() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        named = processes.name().replace(str(os.getpid()), str(other.pid), 1).rpartition("~")[0]
        named = f"{named}~{processes._started(other.pid)}"
        assert not processes.is_gone(named)
        assert not processes.is_gone(processes.name())
        assert processes.is_gone(f"{named}1")  # the number was given to another process
    assert processes.is_gone(named)
    assert not processes.is_gone(named.replace("@", "@elsewhere-"))


def test_a_segment_of_another_machine_is_taken_in_and_buried_only_when_it_is_forgotten(store: Database) -> None:
    writer = journal.JournalWriter(store.journal_folders, "7-far")
    writer.append(b'["S","far",1]\n{"name":"far","status":"running","owner":"7-far"}')
    writer.close()
    (path,) = store.segments()
    path = path.rename(path.with_name("7-far@node17~12345678~99.1.jnl"))
    assert journal.owner_of(path.name) == "7-far"
    assert pp.sessions().set_index("name").status.to_dict() == {"far": "running"}
    assert store.segments() == [path]
    then = time.time() - 31 * 86_400
    os.utime(path, (then, then))
    assert pp.sessions().set_index("name").status.to_dict() == {"far": "interrupted"}
    assert store.segments() == []


def test_a_transaction_that_a_killed_process_left_half_done_is_undone(store: Database) -> None:
    store.connection().execute("PRAGMA journal_mode = DELETE")
    store.close()
    code = """
import os, sys
from pathlib import Path
from peaky_peek.store.connection import LoneConnection
connection = LoneConnection(Path(sys.argv[1]))
connection.execute("BEGIN IMMEDIATE")
connection.execute("PRAGMA cache_size = 1")
connection.executemany("INSERT INTO journals VALUES (?, 1)", ((f"{number}" * 99,) for number in range(9999)))
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", code, str(store.path)], check=True)
    assert Path(f"{store.path}-journal").exists()
    connection = LoneConnection(store.path)
    assert connection.execute("SELECT count(*) FROM journals").fetchone() == (0,)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert not Path(f"{store.path}.lock").is_symlink()


def test_an_error_gives_the_lock_back(store: Database) -> None:
    store.connection().execute("PRAGMA journal_mode = DELETE")
    store.close()
    connection = LoneConnection(store.path)
    with pytest.raises(errors.StoreUnreadable, match="no such table"):
        connection.execute("SELECT * FROM missing")
    with pytest.raises(sqlite3.IntegrityError):
        connection.executemany("INSERT INTO sessions (session_id) VALUES (?)", [("a",)])
    assert not Path(f"{store.path}.lock").is_symlink()
