"""Deleting sessions leaves no byte of them anywhere, and everything else as it was."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import orjson
import pytest

import peaky_peek as pp
from peaky_peek.capture import recorder
from peaky_peek.cli import main
from peaky_peek.errors import SessionNotFound, SessionOpen, StoreLocked, StoreReadOnly
from peaky_peek.store import Database, deletion, exchanges, journal
from tests import loopback
from tests.loopback import Loopback

MARK = "quokka-7731"
"""Stands wherever something can be recorded of the sessions to delete."""


def left(store: Database) -> list[str]:
    """The files beside the store that hold the mark, and the packed bodies that do."""
    found = [
        path.name for path in store.path.parent.rglob("*") if path.is_file() and MARK.encode() in path.read_bytes()
    ]
    ids = [row[0] for row in store.connection().execute("SELECT exchange_id FROM exchanges").fetchall()]
    loaded = {one: repr(exchanges.load(store.connection(), one)) for one in ids}
    return found + [one for one, text in loaded.items() if MARK in text]


def record(name: str, text: str, **options: Any) -> pp.TraceContext:
    messages = [{"role": "user", "content": f"{text} {number} " * 50} for number in range(4)]
    with pp.trace_session(name, input=text, tags=[text], task=text, **options) as ctx:
        for number in range(4):
            ctx.record_llm_request("m", messages[: number + 1], agent=text)
            ctx.record_llm_response("m", f"about {text} " * 300)
            ctx.record_tool_call(text, {"of": text * 20})
            ctx.record_tool_result(text, [f"{text} {number}"] * 400)
        ctx.checkpoint({"state": text}, label=text)
        ctx.output = text
    pp.label(ctx, note=text)
    return ctx


def everything_of(session: Any) -> list[Any]:
    frames = [pp.events(session, data=True), pp.llm_calls(session), pp.tool_calls(session), pp.messages(session)]
    return [frame.to_dict("records") for frame in frames] + [repr(pp.session(session)._repr_html_())]


def test_nothing_of_a_deleted_session_is_left_and_others_are_as_they_were(store: Database) -> None:
    kept = [record("kept", "wombat"), record("kept too", "numbat")]
    gone = record("gone", MARK)
    later = record("kept later", "bilby")
    pp.events(pp.ALL)  # fills the cache of columns, with updates and replaced rows in free pages
    for session in (*kept, gone, later):
        pp.label(session, note=f"again {session.name} {MARK if session is gone else ''}")
    before = [repr(everything_of(session)) for session in (*kept, later)]
    assert len(left(store)) >= 2
    store.connection().execute("PRAGMA secure_delete = OFF")  # as SQLite begins where it is not built otherwise
    assert pp.delete(gone) == 1
    assert left(store) == []
    assert [repr(everything_of(session)) for session in (*kept, later)] == before
    assert pp.sessions().name.tolist() == ["kept", "kept too", "kept later"]
    with pytest.raises(SessionNotFound):
        pp.session(gone)
    assert store.connection().execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_what_is_nested_goes_with_it_and_what_is_around_it_stays(store: Database) -> None:
    with pp.trace_session("outer") as outer:
        outer.record_decision("before")
        with pp.trace_session("inner", new_session=True) as inner:
            inner.record_decision(MARK)
            with pp.trace_session("innermost", new_session=True) as innermost:
                innermost.record_decision(MARK)
    assert pp.delete(inner) == 2
    assert pp.sessions().name.tolist() == ["outer"]
    assert left(store) == []
    assert pp.delete("outer") == 1
    assert pp.sessions().empty


def test_references_queries_and_frames_name_what_to_delete(store: Database) -> None:
    for number in range(6):
        record(f"run {number}", MARK if number % 2 else "wombat", version=str(number))
    assert pp.delete("version:1") == 1
    assert pp.delete(pp.sessions("version:3")) == 1
    assert pp.delete([-1, "run 0"]) == 2
    assert left(store) == []
    assert pp.sessions().name.tolist() == ["run 2", "run 4"]
    assert pp.delete("version:17") == 0
    with pytest.raises(SessionNotFound, match="closest"):
        pp.delete("run 3")
    assert pp.delete(pp.ALL) == 2
    assert pp.sessions().empty


def test_exchanges_and_derived_events_are_deleted_with_their_session(store: Database) -> None:
    from openai import OpenAI

    pp.init(db=store.path)
    with Loopback() as server, OpenAI(base_url=server.url, api_key="test", max_retries=0) as client:

        def chat(name: str, text: str) -> None:
            with pp.trace_session(name):
                messages: list[dict[str, Any]] = []
                for number in range(3):
                    messages.append({"role": "user", "content": f"{text} {number} " * 90})
                    server.answer(loopback.message(text, tool_calls=[loopback.tool_call(f"c{number}", "f", of=text)]))
                    client.chat.completions.create(model="m", messages=messages)
                    messages.append({"role": "tool", "tool_call_id": f"c{number}", "content": text})

        chat("kept", "wombat")
        chat("gone", MARK)
        chat("later", "wombat")
    before = [repr(everything_of(name)) for name in ("kept", "later")]
    assert left(store)
    assert pp.delete("gone") == 1
    assert left(store) == []
    assert [repr(everything_of(name)) for name in ("kept", "later")] == before
    assert {row[0] for row in store.connection().execute("SELECT session_id FROM exchanges")} == set(
        pp.sessions().session_id
    )
    pp.uninstall()


def test_what_could_not_be_read_goes_too(store: Database) -> None:
    session = record("gone", MARK)
    row = ("x.1.jnl", 7, f"no {MARK}", b'["X","%b"]\n%b' % (str(session.session_id).encode(), MARK.encode()))
    store.connection().execute("INSERT INTO unreadable VALUES (?, ?, ?, ?)", row)
    store.connection().execute("INSERT INTO unreadable VALUES ('x.1.jnl', 9, 'other', x'00')")
    pp.delete(session)
    assert left(store) == []
    assert store.connection().execute("SELECT offset FROM unreadable").fetchall() == [(9,)]


def test_a_session_that_is_open_is_refused_until_it_ends(store: Database) -> None:
    with pp.trace_session("open") as ctx:
        with pytest.raises(
            SessionOpen, match=r"^The session 'open' is still being recorded: end it, then delete it\.$"
        ):
            pp.delete(ctx)
        with pytest.raises(SessionOpen):
            pp.delete(pp.ALL)
        ctx.record_decision(MARK)
    assert pp.events(ctx).event_type.tolist() == ["agent_start", "decision", "agent_end"]
    assert pp.delete(ctx) == 1


OTHER = f"""
import sys
import peaky_peek as pp
with pp.trace_session("other gone") as ctx:
    ctx.record_decision("{MARK}")
with pp.trace_session("other open") as ctx:
    ctx.record_decision("wombat")
    print("ready", flush=True)
    for line in sys.stdin:
        ctx.record_decision(line.strip())
        print("done", flush=True)
"""


def test_the_journal_of_another_living_process_keeps_nothing_and_goes_on(store: Database) -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", OTHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PEAKY_PEEK_DB": str(store.path)},
    )  # fmt: skip
    assert other.stdin is not None
    assert other.stdout is not None
    try:
        assert other.stdout.readline() == "ready\n"
        with pytest.raises(SessionOpen, match="other open"):
            pp.delete("other open")
        assert pp.delete("other gone") == 1
        assert left(store) == []
        print("after", file=other.stdin, flush=True)
        assert other.stdout.readline() == "done\n"
        (segment,) = [path for folder in store.journal_folders for path in journal.segments(folder)]
        kinds = [orjson.loads(body.partition(b"\n")[0])[0] for body, _ in journal.read(segment, 0)]
        assert kinds.count("V") >= 4
        assert not [body for body, _ in journal.read(segment, 0) if type(body) is journal.Damaged]
    finally:
        other.send_signal(signal.SIGKILL)
        other.wait()
        other.stdin.close()
        other.stdout.close()
    assert pp.events("other open", data=True).data.iloc[-1]["reasoning"] == "after"
    assert pp.session("other open").status == "interrupted"
    assert pp.delete("other open") == 1


def test_voids_are_passed_over_by_whoever_reads_a_journal_from_its_beginning(store: Database) -> None:
    record("gone", MARK)
    record("kept", "wombat")
    pp.delete("gone")
    with pp.trace_session("open"):  # keeps the journal
        for name in ("", "-wal", "-shm"):
            Path(f"{store.path}{name}").unlink(missing_ok=True)
        assert pp.sessions().name.tolist() == ["kept", "open"]
        assert store.connection().execute("SELECT * FROM unreadable").fetchall() == []


def test_a_conversation_goes_on_under_the_id_of_a_deleted_session(store: Database) -> None:
    record("gone", MARK, session_id="chat")
    assert pp.delete("chat") == 1
    with pp.trace_session("again", session_id="chat", resume=True) as ctx:
        ctx.record_llm_request("m", [{"role": "user", "content": "wombat"}])
    assert pp.llm_calls("chat").messages.tolist() == [[{"role": "user", "content": "wombat"}]]
    assert left(store) == []


def test_numbers_of_deleted_events_are_not_given_again(store: Database) -> None:
    record("kept", "wombat")
    record("gone", MARK)
    newest = "SELECT max(rowid) FROM events"
    store.ingest()
    (before,) = store.connection().execute(newest).fetchone()
    pp.delete("gone")
    record("later", "numbat")
    pp.sessions()
    (first,) = (
        store.connection()
        .execute(
            "SELECT min(rowid) FROM events WHERE session_id = (SELECT session_id FROM sessions WHERE name = 'later')"
        )
        .fetchone()
    )
    assert first > before
    assert pp.events("kept").event_type.iloc[-1] == "agent_end"


def test_a_foreign_lock_and_a_reader_are_waited_for_and_named(store: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deletion, "_WAIT", 0.2)
    record("gone", MARK)
    pp.sessions()
    other = sqlite3.connect(store.path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreLocked, match="locked by another process"):
        pp.delete("gone")
    other.execute("ROLLBACK")
    assert pp.sessions().name.tolist() == ["gone"]
    other.execute("BEGIN")
    other.execute("SELECT count(*) FROM events").fetchone()
    with pytest.raises(StoreLocked, match="The sessions are deleted, but another process is reading"):
        pp.delete("gone")
    monkeypatch.setattr(deletion, "_WAIT", 30)
    other.execute("COMMIT")
    record("next", MARK)
    other.execute("BEGIN")
    other.execute("SELECT count(*) FROM events").fetchone()
    threading.Timer(0.3, lambda: other.execute("COMMIT")).start()
    assert pp.delete("next") == 1
    other.close()
    assert left(store) == []


def test_a_store_that_can_only_be_read_says_so(store: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    record("kept", MARK)
    kept = pp.sessions().session_id.tolist()
    recorder.close()
    store.close()
    monkeypatch.setattr(os, "access", lambda _, mode: mode != os.W_OK)  # root may write what it may not
    with pytest.raises(StoreReadOnly, match="nothing was deleted"):
        deletion.delete(store, kept)


def test_the_command_deletes_too(store: Database, capsys: pytest.CaptureFixture[str]) -> None:
    record("gone", MARK)
    record("kept", "wombat")
    assert main(["delete", "gone"]) == 0
    assert capsys.readouterr().out == f"1 session deleted from {store.path}\n"
    assert left(store) == []
    assert main(["delete", "nobody"]) == 1
    assert "No recorded session is called 'nobody'" in capsys.readouterr().err
