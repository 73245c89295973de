"""The store: schema, permissions, bad files, and events of every type written and read back."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import sqlite3
import stat
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import peaky_peek as pp
from peaky_peek import errors, ids
from peaky_peek.events import BASE_FIELDS, EVENT_CLASSES, Event, EventType
from peaky_peek.store import Database, records, schema
from peaky_peek.store.journal import segments
from peaky_peek.store.reader import read_event
from tests.soak import Scenario, soak_disk
from tests.test_encoding import TEXT, VALUES, same

OPTIONAL_TEXT = st.none() | TEXT


@st.composite
def any_event(draw: st.DrawFn) -> Event:
    """An event of any type, every field of it anything its type may hold."""
    cls = EVENT_CLASSES[draw(st.sampled_from(EventType))]
    position = ids.new_position()
    values = st.dictionaries(st.text(min_size=1), VALUES, max_size=3)
    fields = {name: draw(st.none() | VALUES) for name in cls.typed_fields}
    if "messages" in fields:
        fields["messages"] = draw(st.none() | st.lists(VALUES, max_size=3))
    return cls(
        id=ids.id_at(position), position=position, session_id="any", name=draw(TEXT), agent=draw(OPTIONAL_TEXT),
        parent_id=draw(OPTIONAL_TEXT), time_us=draw(st.none() | st.integers(0, 2**52)), data=draw(values),
        metadata=draw(values), importance=draw(st.floats(0, 1)), duration_ms=draw(st.none() | st.floats(0, 1e9)),
        upstream_event_ids=draw(st.lists(st.text(min_size=1), max_size=2)),
        status=draw(st.none() | st.sampled_from(["ok", "error", "cancelled"])), **fields,
    )  # fmt: skip


def as_lists(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [as_lists(item) for item in value]
    return {key: as_lists(item) for key, item in value.items()} if isinstance(value, dict) else value


@given(events=st.lists(any_event(), min_size=1, max_size=5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
def test_any_event_of_any_type_is_read_back_as_it_was_recorded(store: Database, events: list[Event]) -> None:
    from peaky_peek.capture.recorder import Recorder

    recorder = Recorder(store, redact=None)
    for event in events:
        recorder.record(event)
    recorder.close()
    for event in events:
        back = read_event(store, event.id)
        assert type(back) is type(event)
        for name in (*BASE_FIELDS, *event.typed_fields):
            assert same(as_lists(getattr(back, name)), as_lists(getattr(event, name))), name
        assert (back.failed, back.suspect) == (event.failed, event.suspect)
    assert store.connection().execute("SELECT count(*) FROM unreadable").fetchone() == (0,)


def test_only_the_user_may_read_what_is_recorded(store: Database, request: pytest.FixtureRequest) -> None:
    before = os.umask(0)  # the most generous one: the modes are ours, not the shell's
    request.addfinalizer(lambda: os.umask(before))
    with pp.trace_session("private") as ctx:
        ctx.record_error("Leak", "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGH")
        store.ingest()
        files = [path for path in store.path.parent.rglob("*") if path.is_file()]
        assert {path.suffix for path in files} >= {".db", ".key", ".jnl"}
        for path in files:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
        assert stat.S_IMODE(store.journal_folders[0].stat().st_mode) == 0o700


def test_the_store_reads_well_in_a_shell(store: Database) -> None:
    with pp.trace_session("shell") as ctx:
        ctx.record_tool_call("search", {"q": "x"})
        ctx.record_error("ValueError", "no such thing")
    store.ingest()
    shell = sqlite3.connect(store.path)
    assert shell.execute("SELECT name, status, errors FROM runs").fetchall() == [("shell", "completed", 1)]
    assert shell.execute("SELECT session, error_type, message FROM failures").fetchall() == [
        ("shell", "ValueError", "no such thing")
    ]
    assert shell.execute("SELECT tool_name, arguments FROM tool_calls").fetchall() == [("search", '{"q":"x"}')]
    shell.close()


def test_a_file_that_is_no_store_is_left_alone_and_nothing_recorded_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("my notes, " * 200)
    pp.init(db=path)
    with pp.trace_session("kept") as ctx:
        ctx.record_decision("because")
    with pytest.raises(errors.StoreUnreadable, match=r"notes\.txt is not a Peaky Peek store .* move it away"):
        pp.sessions()
    assert path.read_text() == "my notes, " * 200
    path.unlink()
    assert pp.sessions().name.tolist() == ["kept"]


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE precious (x)")
    other.commit()
    other.close()
    before = path.read_bytes()
    pp.init(db=path)
    with pytest.raises(errors.StoreUnreadable, match="another program"):
        pp.sessions()
    with pytest.raises(errors.StoreUnreadable, match="another program"):
        Database(path).connection()
    assert path.read_bytes() == before


@pytest.mark.parametrize("read_before", [0, 1, 2])
def test_a_store_that_another_thread_makes_at_this_moment_is_ours(tmp_path: Path, read_before: int) -> None:
    path = tmp_path / "peek.db"
    here, there = (sqlite3.connect(path, isolation_level=None) for _ in range(2))

    class Slow:
        reads = 0

        def execute(self, sql: str) -> sqlite3.Cursor:
            if self.reads == read_before:
                schema.migrate(there, path)
            self.reads += 1
            return here.execute(sql)

    assert schema.check(Slow(), path) in (0, schema.VERSION)  # type: ignore[arg-type]
    here.close()
    there.close()


def test_a_store_of_a_newer_version_is_left_alone(store: Database) -> None:
    store.connection().execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    store.close()
    newer = Database(store.path)
    with pytest.raises(errors.StoreUnreadable, match=r"newer Peaky Peek .* upgrade"):
        newer.connection()


def test_an_older_store_is_brought_up_to_date(store: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with pp.trace_session("old") as ctx:
        ctx.record_decision("because")
    store.ingest()
    store.close()
    monkeypatch.setattr(schema, "_MIGRATIONS", (*schema._MIGRATIONS, "ALTER TABLE sessions ADD COLUMN mood TEXT;\n"))
    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)
    pp.init(db=store.path.with_name("elsewhere.db"))
    pp.init(db=store.path)
    newer = Database(store.path)
    assert newer.connection().execute("SELECT name, mood FROM sessions").fetchall() == [("old", None)]
    newer.close()


def test_a_locked_store_says_so_after_its_time_and_takes_the_events_in_later(store: Database) -> None:
    with pp.trace_session("before"):
        pass
    store.ingest()
    other = sqlite3.connect(store.path)
    other.execute("BEGIN EXCLUSIVE")
    with pp.trace_session("meanwhile") as ctx:
        ctx.record_decision("because")
    with pytest.raises(errors.StoreLocked, match=r"locked by another process: try again .* safe in the journal"):
        store.ingest(wait=0.2)
    other.rollback()
    other.close()
    assert pp.sessions().name.tolist() == ["before", "meanwhile"]
    assert pp.sessions().events.tolist() == [2, 3]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a file system needs root")
def test_a_full_disk_loses_nothing_and_is_said_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import subprocess
    import sys

    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(small)], check=False).returncode:
        pytest.skip("this machine does not let us mount a file system")
    code = """
import peaky_peek as pp
with pp.trace_session("big") as ctx:
    for number in range(400):
        ctx.record_tool_result("read", result=f"{number} " + "x" * 4000)
assert pp.status()["lost"] == 0, pp.status()
"""
    try:
        env = os.environ | {"PEAKY_PEEK_DB": str(small / "peek.db"), "TMPDIR": str(tmp_path)}
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("cannot write beside") == 1
        subprocess.run(["mount", "-o", "remount,size=64m", str(small)], check=True)
        monkeypatch.setenv("TMPDIR", str(tmp_path))
        assert Database(small / "peek.db").ingest() > 0
        pp.init(db=small / "peek.db")
        assert pp.sessions().events.tolist() == [402]
    finally:
        pp.uninstall()
        subprocess.run(["umount", "-l", str(small)], check=True)


def test_a_folder_that_cannot_be_made_sends_recordings_to_a_temporary_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "spare"))
    (tmp_path / "spare").mkdir()
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    pp.init(db=blocked / "peek.db")
    with pp.trace_session("kept") as ctx:
        ctx.record_decision("because")
    assert "cannot write beside" in capsys.readouterr().err
    with pytest.raises(errors.StoreReadOnly, match=r"cannot be written .* pp\.init\(db=\.\.\.\)"):
        pp.sessions()
    blocked.unlink()
    assert pp.sessions().name.tolist() == ["kept"]


def test_a_temporary_journal_that_somebody_else_could_have_planted_is_not_read(
    store: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    _, spare = store.journal_folders
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    spare.symlink_to(elsewhere)
    assert store.journal_folders == [Path(f"{store.path}.journals")]


def test_a_folder_and_a_damaged_file_are_no_stores_and_say_so(tmp_path: Path) -> None:
    with pytest.raises(errors.StoreReadOnly, match="unable to open database file"):
        Database(tmp_path).connection()
    with pp.trace_session("before"):
        pass
    pp.sessions()
    pp.uninstall()
    database = pp.store.current()
    database.connection().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    data = bytearray(database.path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    database.path.write_bytes(data)
    with pp.trace_session("after"), pytest.raises(errors.StoreUnreadable, match=r"damaged|not a Peaky Peek store"):
        pp.sessions()


def test_text_that_is_no_text_names_a_session_as_well_as_it_can(store: Database) -> None:
    with pp.trace_session("broken \ud800 name"):
        pass
    assert pp.sessions().name.tolist() == ["broken \\ud800 name"]


def test_each_thread_has_a_connection_of_its_own_and_closes_it(store: Database) -> None:
    seen: list[sqlite3.Connection] = []
    thread = threading.Thread(target=lambda: seen.append(store.connection()))
    thread.start()
    thread.join()
    assert seen[0] is not store.connection()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        seen[0].execute("SELECT 1")


def test_a_record_that_cannot_be_read_is_kept_and_holds_nothing_up(store: Database) -> None:
    from peaky_peek.store.journal import JournalWriter

    writer = JournalWriter(store.journal_folders, "1-stranger")
    writer.append(b"no JSON at all")
    writer.append(records.encode_record("?", ["of a kind unknown"]))
    writer.close()
    with pp.trace_session("after"):
        pass
    assert pp.sessions().name.tolist() == ["after"]
    kept = store.connection().execute("SELECT body FROM unreadable ORDER BY offset").fetchall()
    assert kept[0] == (b"no JSON at all",)
    assert len(kept) == 2


def test_a_session_ends_even_if_settling_what_it_left_open_fails(
    store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    from peaky_peek.store import batch

    def broken(*_: Any) -> None:
        raise ValueError("no such base")

    monkeypatch.setattr(batch, "ENDINGS", [broken])
    with pp.trace_session("ended"):
        pass
    assert pp.sessions().status.tolist() == ["completed"]
    assert "no such base" in store.connection().execute("SELECT reason FROM unreadable").fetchone()[0]


def test_an_id_that_a_caller_gives_twice_loses_no_event(store: Database) -> None:
    with pp.trace_session("twice") as ctx:
        ctx.record_decision("first", id="mine")
        ctx.record_decision("second", id="mine")
    assert pp.events("twice").event_type.tolist().count("decision") == 2
    again = pp.events("twice", types="decision", data=True).iloc[1]
    assert again["data"]["reasoning"] == "second"


def test_a_store_that_is_deleted_begins_anew(store: Database) -> None:
    with pp.trace_session("old"):
        pass
    assert pp.sessions().name.tolist() == ["old"]
    for path in store.path.parent.glob("peek.db*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert pp.sessions().empty
    with pp.trace_session("noticed"):
        while not segments(store.journal_folders[0]):
            pp.start_session("in between").end()
    with pp.trace_session("new"):
        pass
    assert pp.sessions().name.tolist()[-1] == "new"


def test_one_odd_value_does_not_hold_up_the_store(store: Database) -> None:
    odd: Any = "12"
    with pp.trace_session("odd") as ctx:
        for count in (odd, 12, 2**62, 2**62, 30):
            ctx.record_llm_response("m", "hi", usage={"input": count}, cost_usd=odd)
        ctx.record_decision("x", agent=5)  # type: ignore[arg-type]
    (session,) = pp.sessions().itertuples()
    assert (session.events, session.input_tokens, session.status) == (8, 42, "completed")
    assert list(session.agents) == ["5", "odd"]
    assert pp.events("odd").cost_usd.isna().all()
    assert pp.llm_calls("odd").status.tolist() == ["ok"] * 5


def test_ingestion_that_is_told_to_stop_leaves_the_rest_for_the_next(
    store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    from peaky_peek.store import ingestion

    monkeypatch.setattr(ingestion, "_BATCH_BYTES", 1)
    monkeypatch.setattr("peaky_peek.store.writer.Writer.notify", lambda _: None)
    with pp.trace_session("long") as ctx:
        for number in range(5):
            ctx.record_tool_result("count", number)
    asked = iter([False, False, True])
    assert store.ingest(stopped=lambda: next(asked, True)) == 2
    assert store.ingest() == 9 - 2
    assert len(pp.events("long")) == 7


def test_who_waits_a_moment_does_not_wait_for_who_waits_longer(store: Database) -> None:
    with pp.trace_session("before"):
        pass
    store.ingest()
    other = sqlite3.connect(store.path)
    other.execute("BEGIN EXCLUSIVE")
    with pp.trace_session("meanwhile"):
        pass
    patient = threading.Thread(target=store.ingest)
    with store._ingesting:
        patient.start()
        with pytest.raises(errors.StoreLocked):
            store.ingest(wait=0)
    other.rollback()
    other.close()
    patient.join()


def test_what_is_wrong_with_the_store_is_said_and_ingestion_goes_on_when_it_is_right(store: Database) -> None:
    with pp.trace_session("one"):
        pass
    store.ingest()
    store.connection().execute("ALTER TABLE journals RENAME TO hidden")
    with pp.trace_session("two"):
        while pp.status()["problem"] is None:
            os.sched_yield()
    assert "is damaged (no such table: journals): move it away" in pp.status()["problem"]
    store.connection().execute("ALTER TABLE hidden RENAME TO journals")
    with pp.trace_session("three"):
        while pp.status()["problem"] is not None:
            os.sched_yield()
    assert store.connection().execute("SELECT count(*) FROM sessions").fetchone() == (3,)


def test_a_notice_that_nobody_can_read_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    closed = (tmp_path / "closed").open("w")
    closed.close()
    monkeypatch.setattr("sys.stderr", closed)
    pp.init(db=blocked / "peek.db")
    with pp.trace_session("kept"):
        pass
    blocked.unlink()
    assert pp.sessions().events.tolist() == [2]


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("scenario", soak_disk.scenarios()[:-1], ids=lambda scenario: scenario.name)
def test_where_there_is_no_room_nothing_acknowledged_is_lost(scenario: Scenario, seed: int) -> None:
    scenario.run(seed)


def test_under_a_foreign_lock_recording_goes_on_and_frames_say_so() -> None:
    soak_disk.foreign_lock(0.3)


def test_a_clock_that_is_set_back_breaks_no_order_and_no_duration(
    store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pp.trace_session("before") as ctx:
        ctx.record_tool_call("search", {})
        real = time.time_ns
        monkeypatch.setattr(time, "time_ns", lambda: real() - 3600 * 10**9)
        ctx.record_tool_result("search", 1)
        ctx.record_decision("because")
    with pp.trace_session("after") as ctx:
        ctx.record_decision("because")
    frame = pp.events(["before", "after"])
    assert frame.event_type.tolist() == [
        "agent_start", "tool_call", "tool_result", "decision", "agent_end", "agent_start", "decision", "agent_end",
    ]  # fmt: skip
    assert frame.event_id.is_monotonic_increasing
    assert frame.timestamp.iloc[1] - frame.timestamp.iloc[2] > dt.timedelta(minutes=59)  # as the clock said
    assert not (frame.duration.dropna() < dt.timedelta(0)).any()
    assert pp.tool_calls("before").duration.isna().all()
    sessions = pp.sessions()
    assert sessions.name.tolist() == ["before", "after"]
    assert sessions.duration.isna().tolist() == [True, False]
    assert pp.sessions("duration:<1s").name.tolist() == ["after"]
    assert pp.session(-1).name == "after"
