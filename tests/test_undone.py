"""`pp.uninstall()` and `%unload_ext peaky_peek` leave nothing of ours behind in anybody else's modules."""

from __future__ import annotations

import concurrent.futures.process
import concurrent.futures.thread
import multiprocessing.pool
import sys
from importlib import import_module

import httpx
import httpx2
import pytest

import peaky_peek as pp
from peaky_peek.store import Database
from tests import snapshots
from tests.notebook import ROOT, Notebook

OTHERS = (*snapshots.STANDARD, "httpx", "httpx2", "IPython")


def test_uninstall_puts_back_every_attribute(store: Database) -> None:
    pp.uninstall()
    before = snapshots.held(*OTHERS)
    with pp.trace_session("patched"):
        patched = snapshots.changes(before, snapshots.held(*OTHERS))
    for name in ("sys.excepthook", "sys.exit", "sys.meta_path", "threading.Thread.start", "subprocess.Popen.__init__"):
        assert name in patched
    for library in (httpx, httpx2):
        assert f"{library.__name__}.AsyncClient.send" in patched
    assert {multiprocessing.pool, concurrent.futures.process, concurrent.futures.thread} < {*sys.modules.values()}
    assert "httpx.Client.send" in snapshots.ours(snapshots.held(*OTHERS))
    pp.uninstall()
    after = snapshots.held(*OTHERS)
    assert snapshots.changes(before, after) == {}
    assert snapshots.ours(after) == []


def test_a_module_that_came_after_us_is_as_it_would_be_without_us(
    store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(multiprocessing, "pool")
    monkeypatch.delitem(sys.modules, "multiprocessing.pool")
    with pp.trace_session("patched"):
        pool = import_module("multiprocessing.pool")
    assert hasattr(pool.Pool.apply_async, "__wrapped__")
    pp.uninstall()
    assert "exec_module" not in vars(pool.__loader__)
    assert not hasattr(pool.Pool.apply_async, "__wrapped__")


NOTEBOOK = """
import sys; sys.path.insert(0, {root!r})
import httpx, IPython.core.magics.extension, peaky_peek.magics, multiprocessing.pool, concurrent.futures.process
from tests import snapshots
held = lambda: snapshots.held({others})
before = held()
%load_ext peaky_peek
during = snapshots.changes(before, held())
%unload_ext peaky_peek
after = snapshots.changes(before, held())
"""


def test_the_extension_undoes_all_that_it_did(kernel: Notebook) -> None:
    others = ", ".join(map(repr, (*snapshots.STANDARD, "httpx", "IPython")))
    assert kernel.run(NOTEBOOK.format(root=str(ROOT), others=others)).status == "ok"
    assert "httpx.Client.send" in kernel.ask("sorted(during)")
    assert kernel.ask("sorted(after)") == []
