"""Many processes, forked or not, record into one store and end in every way: nothing is lost and nothing doubled."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from peaky_peek.store import Database
from tests.soak import Scenario

SERVER = """
import os, random, signal, sys, threading, time
import peaky_peek as pp

chance, folder = random.Random(int(sys.argv[1])), sys.argv[2]
pp.init(db=os.path.join(folder, "peek.db"))


@pp.tool
def warm_up():
    pass


def serve(worker, requests):
    heard = os.open(os.path.join(folder, worker), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    own = worker.endswith("own")
    for number in range(requests):
        with pp.trace_session(worker, new_session=own) as ctx:
            ctx.record_tool_result("count", result=number, data={"worker": worker, "filler": "x" * (number % 700)})
            os.write(heard, b"%d\\n" % number)


def end(worker, fate, requests):
    if fate == "SIGTERM handled":
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    serve(worker, requests if fate in ("exits", "returns") else 1_000_000)
    if fate == "exits":
        os._exit(0)
    sys.exit(0)


def busy():
    number = 0
    while not over.is_set():
        master.record_tool_result("count", result=number, data={"worker": "master"})
        number += 1
        if number % 20 == 0:
            time.sleep(0.002)
    with open(os.path.join(folder, "master"), "w") as heard:
        heard.write("".join(f"{number}\\n" for number in range(number)))


warm_up()
over = threading.Event()
with pp.trace_session("master", new_session=True) as master:
    thread = threading.Thread(target=busy)
    if chance.random() < 0.5:
        thread.start()
    for round in range(int(sys.argv[3])):
        workers = []
        for number in range(4):
            fate = chance.choice(["SIGTERM", "SIGTERM handled", "SIGKILL", "exits", "returns"])
            worker = f"{round}-{number}-{chance.choice(['own', 'shared'])}"
            requests, delay = chance.randrange(1, 30), chance.uniform(0, 0.1)
            pid = os.fork()
            if pid == 0:
                end(worker, fate, requests)
            workers.append((pid, fate, worker, delay))
        for pid, fate, worker, delay in workers:
            if fate.startswith("SIG"):
                while not os.path.exists(os.path.join(folder, worker)):
                    time.sleep(0.001)
                time.sleep(delay)
                os.kill(pid, getattr(signal, fate.split()[0]))
            os.waitpid(pid, 0)
    over.set()
    if thread.ident:
        thread.join()
"""


def preforked(seed: int, rounds: int = 2) -> None:
    """Let a server fork workers, and compare what they say they recorded with what is in the store."""
    with tempfile.TemporaryDirectory() as folder:
        ended = subprocess.run(
            [sys.executable, "-W", "ignore:This process", "-c", SERVER, str(seed), folder, str(rounds)],
            capture_output=True,
            check=False,
        )
        assert (ended.returncode, ended.stderr) == (0, b""), ended.stderr.decode()
        database = Database(Path(folder) / "peek.db")
        database.ingest()
        found: dict[str, list[int]] = {}
        for worker, number in database.connection().execute(
            "SELECT payload ->> '$.data.worker', payload ->> 'result' FROM events WHERE event_type = 'tool_result'"
            " AND payload ->> 'result' IS NOT NULL ORDER BY position"
        ):
            found.setdefault(worker, []).append(number)
        heard = {path.name: path.read_text().split() for path in Path(folder).iterdir() if "peek" not in path.name}
        for worker, numbers in heard.items():
            recorded = found.pop(worker, [])
            assert recorded == list(range(len(recorded))), worker
            assert len(numbers) <= len(recorded) <= len(numbers) + 1, worker  # the one it died in may be there too
        assert all(numbers == [0] for numbers in found.values()), "something was recorded that nobody did"
        ends = "SELECT parent_id, count(*) FROM events WHERE event_type = 'agent_end' GROUP BY parent_id"
        assert {count for _, count in database.connection().execute(ends)} == {1}
        statuses = Counter(
            database.connection().execute("SELECT name, status FROM sessions WHERE name NOT LIKE '%own'")
        )
        assert statuses == {("master", "completed"): 1, ("python", "completed"): 1}
        assert database.connection().execute("PRAGMA integrity_check").fetchone() == ("ok",)
        database.close()


WRITER = """
import sys
import peaky_peek as pp
with pp.trace_session(sys.argv[1]) as ctx:
    for number in range(int(sys.argv[2])):
        ctx.record_tool_result("count", result=number)
"""


def many_writers(seed: int, processes: int = 8, events: int = 400) -> None:
    """Let processes record into one store at the same time."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "peek.db"
        environment = os.environ | {"PEAKY_PEEK_DB": str(path)}
        names = [f"{seed}-{number}" for number in range(processes)]
        writers = [
            subprocess.Popen([sys.executable, "-c", WRITER, name, str(events)], env=environment) for name in names
        ]
        database = Database(path)
        while any(writer.poll() is None for writer in writers):
            database.ingest()  # somebody looks on, too
        assert [writer.wait() for writer in writers] == [0] * processes
        database.ingest()
        rows = database.connection().execute(
            "SELECT s.name, s.status, s.events, group_concat(e.payload ->> 'result') FROM sessions s"
            " JOIN (SELECT * FROM events ORDER BY position) e USING (session_id) GROUP BY s.name ORDER BY s.name"
        )
        numbers = ",".join(map(str, range(events)))
        assert rows.fetchall() == [(name, "completed", events + 2, numbers) for name in names]
        database.close()


DAEMONS = """
import datetime, os, sys, threading
import peaky_peek as pp
from tests.flows import step

count_of_threads = int(sys.argv[1])
begun = threading.Barrier(count_of_threads + 1)

def work(number):
    begun.wait()
    for count in range(1_000_000):
        with pp.trace_session("daemon"):
            data = {"thread": number, "at": datetime.datetime.now()}
            ctx.record_tool_result("count", result=count, data=data)
            os.write(1, b"%d %d\\n" % (number, count))
        step("outside")

with pp.trace_session("s") as ctx:
    for number in range(count_of_threads):
        threading.Thread(target=work, args=(number,), daemon=True).start()
    begun.wait()
    ctx.record_decision("the end")
"""


def daemons_at_the_end(seed: int) -> None:
    """Let an interpreter end while daemon threads record: it ends as ever, and nothing acknowledged is missing."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "peek.db"
        environment = os.environ | {"PEAKY_PEEK_DB": str(path), "PEAKY_PEEK_STRICT": str(seed % 2)}
        command = [sys.executable, "-c", DAEMONS, str(8 if seed == 0 else 1 + seed * 5 % 12)]
        ended = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert (ended.returncode, ended.stderr) == (0, "")
        acknowledged = {tuple(map(int, line.split())) for line in ended.stdout.splitlines()}
        database = Database(path)
        database.ingest()
        recorded = database.connection().execute(
            "SELECT payload ->> '$.data.thread', payload ->> 'result' FROM events WHERE event_type = 'tool_result'"
            " AND payload ->> '$.data.thread' IS NOT NULL"
        ).fetchall()  # fmt: skip
        assert len(recorded) == len(set(recorded))
        assert acknowledged <= set(recorded)
        database.close()


def scenarios() -> list[Scenario]:
    """Return what `make soak` runs."""
    return [
        Scenario("workers forked by a server that records", preforked),
        Scenario("eight processes recording into one store", many_writers),
        Scenario("daemon threads recording while the interpreter ends", daemons_at_the_end),
    ]
