"""The journal: whole records only, damage skipped, exactly once into the store, whoever ingests."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import peaky_peek as pp
from peaky_peek.cli import main
from peaky_peek.store import Database, journal
from peaky_peek.store.journal import Damaged, JournalWriter, read, segments


def bodies(path: Path, offset: int = 0) -> list[bytes | None]:
    """The records from `offset` on, with None for each damaged stretch."""
    return [None if isinstance(body, Damaged) else body for body, _ in read(path, offset)]


@pytest.fixture
def segment(tmp_path: Path) -> Path:
    writer = JournalWriter([tmp_path / "j"], "1-test")
    for number in range(5):
        writer.append(b"record %d" % number)
    writer.close()
    (path,) = segments(tmp_path / "j")
    return path


def test_records_come_back_in_order_with_offsets_to_go_on_from(segment: Path) -> None:
    found = list(read(segment, 0))
    assert [body for body, _ in found] == [b"record %d" % number for number in range(5)]
    assert bodies(segment, found[2][1]) == [b"record 3", b"record 4"]
    assert bodies(segment, found[4][1]) == []


def test_a_torn_end_is_left_alone_wherever_it_tears(segment: Path) -> None:
    whole = segment.read_bytes()
    last = len(whole) - list(read(segment, 0))[3][1]
    for missing in range(1, last + 1):
        segment.write_bytes(whole[:-missing])
        assert bodies(segment) == [b"record %d" % number for number in range(4)], missing


def test_a_flipped_bit_costs_one_record_and_is_counted(segment: Path) -> None:
    whole = bytearray(segment.read_bytes())
    start, end = (offset for _, offset in list(read(segment, 0))[1:3])
    for at in range(start, end):
        flipped = bytearray(whole)
        flipped[at] ^= 0x10
        segment.write_bytes(flipped)
        assert bodies(segment) == [b"record 0", b"record 1", None, b"record 3", b"record 4"], at - start


@given(at=st.integers(0, 10_000), bit=st.none() | st.integers(0, 7))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
def test_one_flipped_bit_or_a_cut_anywhere_costs_no_record_that_it_does_not_touch(
    segment: Path, at: int, bit: int | None
) -> None:
    whole = segment.read_bytes()
    ends = [offset for _, offset in read(segment, 0)]
    at %= len(whole)
    changed = bytearray(whole)
    if bit is None:
        del changed[at:]
        untouched = [b"record %d" % number for number, end in enumerate(ends) if end <= at]
    else:
        changed[at] ^= 1 << bit
        starts = [journal.START, *ends]
        untouched = [b"record %d" % number for number, end in enumerate(ends) if not starts[number] <= at < end]
    damaged = segment.with_name("1-test.2.jnl")
    damaged.write_bytes(changed)
    found = [body for body, _ in read(damaged, 0, is_complete=True)]
    kept = [body for body in found if isinstance(body, Damaged)]
    assert [body for body in found if not isinstance(body, Damaged)] == untouched
    assert bool(kept) == (sum(map(len, found)) > sum(map(len, untouched)))
    assert len(kept) <= 1


def test_the_draft_of_a_process_that_died_before_it_wrote_is_swept_away_and_a_fresh_one_is_not(
    store: Database,
) -> None:
    with pp.trace_session("one"):
        pass
    old, fresh = (store.journal_folders[0] / name for name in ("1-dead.1.new", "2-alive.1.new"))
    for draft in (old, fresh):
        draft.write_bytes(b"")
    os.utime(old, (0, 0))
    pp.uninstall()
    assert sorted(store.journal_folders[0].iterdir()) == [fresh]


def test_damage_is_counted_in_the_store_and_the_rest_comes_in(
    store: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    with pp.trace_session("damaged") as ctx:
        for number in range(5):
            ctx.record_decision(f"reason {number}")
        pp.uninstall()
    pp.init(db=store.path.with_name("other.db"))
    # a copy of what was recorded, damaged, under the name of another process
    copy = store.journal_folders[0] / "2-copy.1.jnl"
    writer = JournalWriter([copy.parent], "3-live")
    writer.append(b'["S","s",1]\n{"name":"s"}')
    for number in range(3):
        columns = f'"e{number}","s",{number + 2},null,"decision","d",null,1,null,null,0.7,false' + ",null" * 7
        writer.append(b'["E",%s]\n{"reasoning":"r"}' % columns.encode())
    (live,) = segments(copy.parent)
    data = bytearray(live.read_bytes())
    data[data.index(b'"e1"') + 1] ^= 1
    copy.write_bytes(data)
    writer.close()
    live.unlink()
    assert store.ingest() == 3
    names = store.connection().execute("SELECT event_id FROM events WHERE session_id = 's'").fetchall()
    assert names == [("e0",), ("e2",)]
    ((reason, body),) = store.connection().execute("SELECT reason, body FROM unreadable").fetchall()
    assert reason == "damaged in the journal"
    assert b"decision" in body
    pp.init(db=store.path)
    assert segments(store.journal_folders[0]) == []
    said = "1 stretch of a journal could not be read: kept in the store's table `unreadable`, with the reasons."
    assert pp.status()["notices"] == [said]
    assert main(["doctor"]) == 1
    assert capsys.readouterr().err == f"{said}\n"


def test_a_segment_of_a_newer_version_is_left_for_newer_code_and_holds_up_nobody(
    store: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = store.journal_folders[0]
    JournalWriter([folder], "1-new").append(b"?")
    (path,) = segments(folder)
    data = bytearray(path.read_bytes())
    data[8] += 1
    path.write_bytes(data)
    with pp.trace_session("of today"):
        pass
    assert pp.sessions().name.tolist() == ["of today"]
    assert path.read_bytes() == data
    said = f"{path} was written by a newer Peaky Peek and waits for it: upgrade peaky-peek-jupyter."
    assert pp.status()["notices"] == [said]
    assert main(["doctor"]) == 1
    assert capsys.readouterr().err == f"{said}\n"


def test_a_segment_that_is_not_ours_to_read_holds_up_nobody(store: Database) -> None:
    unreadable = store.journal_folders[0] / "1-root.1.jnl"
    unreadable.mkdir(parents=True)  # who is root may read any file, but no folder
    with pp.trace_session("readable"):
        pass
    assert pp.sessions().name.tolist() == ["readable"]
    (said,) = pp.status()["notices"]
    assert said == f"{unreadable} cannot be read (Is a directory): see to its permissions, or delete it."


def test_a_write_that_fails_goes_to_the_next_folder_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Path] = []
    writer = JournalWriter([tmp_path / "a", tmp_path / "b"], "1-test", told.append)
    writer.append(b"first")
    real, (path,) = os.write, segments(tmp_path / "a")
    size = path.stat().st_size

    def disk_full_after_three_bytes(fd: int, data: bytes) -> int:
        if os.fstat(fd).st_ino not in {entry.inode() for entry in os.scandir(tmp_path / "a")}:
            return real(fd, data)
        if os.fstat(fd).st_ino == path.stat().st_ino and path.stat().st_size == size:
            return real(fd, data[:3])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", disk_full_after_three_bytes)
    writer.append(b"second")
    monkeypatch.undo()
    writer.close()
    assert told == [tmp_path / "a", tmp_path / "b"]
    assert bodies(path) == [b"first"]
    assert path.stat().st_size == size
    assert list((tmp_path / "a").iterdir()) == [path]
    assert bodies(segments(tmp_path / "b")[0]) == [b"second"]


def test_segments_rotate_and_go_when_they_are_in_the_store(store: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "SEGMENT_BYTES", 2000)
    with pp.trace_session("long") as ctx:
        for number in range(50):
            ctx.record_decision(f"{number} " + "x" * 200)
        assert pp.events("long").shape[0] == 51
        assert len(segments(store.journal_folders[0])) == 1  # the one in use
    pp.uninstall()
    store.ingest()
    assert segments(store.journal_folders[0]) == []
    assert store.connection().execute("SELECT count(*) FROM journals").fetchone() == (0,)


def test_many_who_ingest_at_once_take_each_record_once(store: Database) -> None:
    with pp.trace_session("shared") as ctx:
        for number in range(500):
            ctx.record_decision(str(number))
    databases = [Database(store.path) for _ in range(4)]
    threads = [threading.Thread(target=lambda d=database: (d.ingest(), d.close())) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pp.sessions().events.tolist() == [502]
    assert pp.events("shared").event_id.is_unique


def test_a_process_is_never_without_a_segment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "SEGMENT_BYTES", 100)
    folder = tmp_path / "j"
    writer = JournalWriter([folder], "1-test")
    writer.append(b"x" * 100)
    (first,) = segments(folder)
    locked = []
    real = Path.rename

    def rename(draft: Path, path: Path) -> Path:
        locked.append(journal.claim(first) is None)
        return real(draft, path)

    monkeypatch.setattr(Path, "rename", rename)
    writer.append(b"second")
    writer.close()
    assert locked == [True]
    assert [path.name for path in segments(folder)] == ["1-test.1.jnl", "1-test.2.jnl"]


def test_a_time_limit_that_strikes_in_the_middle_of_a_write_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def strike(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, strike)
    writer = JournalWriter([tmp_path], "me")
    writer.append(b"before")
    write = os.write

    def written_and_struck(fd: int, data: bytes) -> int:
        monkeypatch.setattr(os, "write", write)
        written = write(fd, data)
        signal.raise_signal(signal.SIGALRM)
        return written

    monkeypatch.setattr(os, "write", written_and_struck)
    with pytest.raises(TimeoutError):
        writer.append(b"struck")
    signal.signal(signal.SIGALRM, before)
    writer.append(b"after")
    writer.close()
    assert [bodies(path) for path in segments(tmp_path)] == [[b"before", b"struck", b"after"]]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_what_a_full_disk_took_of_a_record_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    writer = JournalWriter([tmp_path], "me")
    writer.append(b"before")
    write, taken = os.write, []

    def half(fd: int, data: bytes) -> int:
        taken.append(data)
        if len(taken) > 1:
            raise error
        return write(fd, data[: len(data) // 2])

    with monkeypatch.context() as full:
        full.setattr(os, "write", half)
        with pytest.raises(error):
            writer.append(b"too much")
    writer.append(b"after")
    writer.close()
    assert [body for path in segments(tmp_path) for body in bodies(path)] == [b"before", b"after"]
