"""Damaged journals and stores: what is whole comes in, everybody says one sentence, and recording goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import peaky_peek as pp
from peaky_peek import errors
from peaky_peek.store import Database
from tests.soak import soak_damage


@pytest.mark.parametrize("seed", range(1, 7))
def test_what_is_whole_in_a_damaged_journal_comes_in_and_the_rest_is_kept(seed: int) -> None:
    soak_damage.damaged_journal(seed)


@pytest.mark.parametrize("seed", [2, 24, 60, 82, 541])
def test_every_reader_of_a_damaged_store_answers_or_says_one_sentence(seed: int) -> None:
    soak_damage.damaged_store(seed)


def test_a_page_that_is_damaged_is_said_also_when_nothing_is_pending(store: Database) -> None:
    soak_damage.record("before")
    pp.uninstall()
    pp.sessions()
    store.connection().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    store.close()
    data = bytearray(store.path.read_bytes())
    data[16384:] = b"\xff" * (len(data) - 16384)
    store.path.write_bytes(data)
    with pytest.raises(errors.StoreUnreadable, match=r"is damaged \(database disk image is malformed\): move it away"):
        pp.events()
    with pytest.raises(errors.StoreUnreadable, match="is damaged"):
        pp.sessions()
    with pp.trace_session("after"):
        pass
    for path in store.path.parent.glob("peek.db*"):
        if path.is_file():
            path.unlink()
    assert pp.sessions().name.tolist() == ["after"]


def test_packed_columns_with_a_bit_flipped_are_made_again_from_the_tables(store: Database) -> None:
    with pp.trace_session("packed") as ctx:
        ctx.record_tool_call("search", {"query": "x"})
        ctx.record_tool_result("search", [1], duration_ms=5.0)
    before = pp.events("packed")
    (packed,) = store.connection().execute("SELECT data FROM columns").fetchone()
    for at in range(0, len(packed), 7):
        flipped = bytearray(packed)
        flipped[at] ^= 64
        store.connection().execute("UPDATE columns SET data = ?", (bytes(flipped),))
        pd.testing.assert_frame_equal(pp.events("packed"), before)


def test_a_store_whose_index_is_damaged_takes_no_record_half(store: Database) -> None:
    with pp.trace_session("before"):
        pass
    pp.uninstall()
    pp.sessions()
    (root,) = store.connection().execute("SELECT rootpage FROM sqlite_master WHERE name = 'events_in_order'").fetchone()
    (size,) = store.connection().execute("PRAGMA page_size").fetchone()
    store.connection().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    store.close()
    with store.path.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xff" * size)
    with pp.trace_session("after") as ctx:
        ctx.record_decision("because")
    with pytest.raises(errors.StoreUnreadable):
        store.ingest()
    assert len(store.segments()) == 1
    for path in store.path.parent.glob("peek.db*"):
        if path.is_file():
            path.unlink()
    assert pp.sessions().set_index("name").events.to_dict() == {"after": 3}


def test_a_log_that_is_lost_loses_nothing_whose_journal_is_still_there(store: Database) -> None:
    with pp.trace_session("killed") as ctx:
        for number in range(50):
            ctx.record_decision(str(number))
        store.ingest()
        copy = Path(f"{store.path}.copy")
        copy.write_bytes(store.path.read_bytes())
        journals = Path(f"{copy}.journals")
        journals.mkdir()
        for path in store.segments():
            (journals / path.name).write_bytes(path.read_bytes())
    other = Database(copy)
    other.ingest()
    assert other.connection().execute("SELECT name, events FROM sessions").fetchall() == [("killed", 51)]
    other.close()


def test_a_store_where_nobody_may_look_is_said_and_recording_goes_on_elsewhere(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    path = tmp_path / ("n" * 300) / "peek.db"  # the system refuses to look, like in a folder of somebody else
    pp.init(db=path)
    with pp.trace_session("elsewhere"):
        pass
    assert pp.status()["lost"] == 0
    assert [sentence.split(" cannot be ")[0] for sentence in pp.status()["notices"]] == [str(path)]
    with pytest.raises(errors.StoreReadOnly, match="cannot be written"):
        pp.events()
    with pytest.raises(errors.StoreReadOnly, match="cannot be written"):
        pp.sessions()
