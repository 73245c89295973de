"""File systems that know no locks, or share no memory between processes, as on cluster homes."""

from __future__ import annotations

import functools
import json
import os
import random
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

from tests.soak import Scenario
from tests.soak.soak_kill import ROOT

RECORDS = """
import os, sys
import peaky_peek as pp
from peaky_peek.store import journal
journal.SEGMENT_BYTES = 20_000
for run in range(int(sys.argv[1])):
    with pp.trace_session("run") as ctx:
        for number in range(100):
            ctx.record_tool_result("count", result=number)
        os.write(1, b"x")
        assert pp.events(ctx.session_id)["event_type"].tolist() == ["agent_start"] + ["tool_result"] * 100
"""
LOOKS = """
import json
import peaky_peek as pp
from peaky_peek import store
frame = pp.sessions()
db = store.current()
print(json.dumps({
    "events": frame["events"].tolist(),
    "statuses": sorted(set(frame["status"])),
    "integrity": db.connection().execute("PRAGMA integrity_check").fetchone()[0],
    "mode": db.mode.name,
    "journal_mode": db.connection().execute("PRAGMA journal_mode").fetchone()[0],
    "left": [path.name for path in db.path.parent.rglob("*") if path.is_file()],
    "notices": pp.status()["notices"],
}))
"""
LACKS = {"locks": "NO_LOCKS_BELOW", "memory": "NO_SHARED_MEMORY_BELOW"}


@functools.cache
def library() -> Path:
    """Return a library that makes calls for locks or shared memory fail below a folder, compiled for this machine."""
    built = Path(tempfile.mkdtemp(prefix="peaky-peek-nolocks-")) / "nolocks.so"
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    subprocess.run([compiler, "-shared", "-fPIC", "-o", built, ROOT / "tests/native/nolocks.c", "-ldl"], check=True)
    return built


def environment(lacking: str, folder: Path) -> dict[str, str]:
    """Return the environment of a process to which the file system below `folder` lacks something."""
    preload = "DYLD_INSERT_LIBRARIES" if sys.platform == "darwin" else "LD_PRELOAD"
    return os.environ | {
        "PEAKY_PEEK_DB": str(folder / "peek.db"), LACKS[lacking]: str(folder.resolve()), preload: str(library()),
    }  # fmt: skip


def look(lacking: str, folder: Path) -> dict[str, object]:
    """Return what a process finds in the store there."""
    command = [sys.executable, "-c", LOOKS]
    ran = subprocess.run(command, env=environment(lacking, folder), capture_output=True, text=True, cwd=ROOT)
    assert ran.returncode == 0, ran.stderr
    found: dict[str, object] = json.loads(ran.stdout)
    return found


def lacking(what: str, seed: int) -> None:
    """Two processes record and read at once, one more is killed; nothing is lost, doubled or left behind."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        command = [sys.executable, "-c", RECORDS]
        doomed, *others = [
            subprocess.Popen(
                [*command, count], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(what, folder),
                cwd=ROOT,
            )
            for count in ("1000", "3", "3")
        ]  # fmt: skip
        assert doomed.stdout is not None
        doomed.stdout.read(chance.randrange(1, 4))
        time.sleep(chance.uniform(0, 0.1))
        doomed.kill()
        runs = len(doomed.communicate()[0])
        for other in others:
            said = other.communicate()[1].decode()
            assert (other.returncode, said.count("\n")) == (0, 1), said
            assert "just as safe" in said
        found = look(what, folder)
        counts = sorted(found["events"])  # type: ignore[call-overload]
        assert counts.count(102) >= 6, counts
        assert found["statuses"] in (["completed"], ["completed", "interrupted"]), found
        assert found["integrity"] == "ok"
        assert (found["mode"], found["journal_mode"]) == ("ALONE" if what == "locks" else "ROLLBACK", "delete")
        assert set(found["left"]) <= {"peek.db", "peek.db.key"}, found  # type: ignore[call-overload]
        assert len(found["notices"]) == 1, found  # type: ignore[arg-type]
        assert len(counts) >= 6 + runs


def scenarios() -> list[Scenario]:
    """Return what `make soak` runs."""
    return [
        Scenario("several processes where no memory is shared", lambda seed: lacking("memory", seed)),
        Scenario("several processes where there are no locks", lambda seed: lacking("locks", seed)),
    ]
