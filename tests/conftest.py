"""What every test stands on: a strict recorder, a store of its own, one real browser."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import browser as chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from peaky_peek.store import Database
    from tests.notebook import Notebook

# Set before anything of ours is imported, and inherited by every child process: no test sees the user's recordings.
_HOME = tempfile.TemporaryDirectory(prefix="peaky-peek-tests-")
os.environ |= {
    "PEAKY_PEEK_STRICT": "1",
    "PEAKY_PEEK_DB": str(Path(_HOME.name) / "default.db"),
    "XDG_DATA_HOME": str(Path(_HOME.name) / "share"),
    "IPYTHONDIR": str(Path(_HOME.name) / "ipython"),
}


@pytest.fixture(autouse=True)
def store(tmp_path: Path) -> Iterator[Database]:
    """The store in use: empty, and the test's own. Nothing stays open for the next test to fall into."""
    from peaky_peek import store as stores
    from peaky_peek.capture import context, faults, recorder, watching

    yield stores.use(tmp_path / "peek.db")
    watching.clear()
    recorder.close()
    recorder.configure()
    stores.current().close()
    stores.use(None)
    context.forget_all()
    context.sample, context.paused = 1.0, 0
    context.limits, context.stopped = None, False
    context.CURRENT.set(None)
    faults.counts.clear()
    faults._first.clear()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a browser, and run it last: Playwright keeps an event loop running in the main thread."""
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        for name in {"browser", "lab"}.intersection(fixtures):
            item.add_marker(name)
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for the whole run; every test opens its own page in it."""
    from playwright.sync_api import sync_playwright

    path = chromium.find() or pytest.fail("no Chromium: run `python -m tests.browser`")
    with sync_playwright() as playwright:
        instance = playwright.chromium.launch(executable_path=path, args=list(chromium.FLAGS))
        yield instance
        instance.close()


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notebook]:
    """A kernel that has run `SETUP`."""
    from tests.notebook import SETUP, notebook

    with notebook(tmp_path_factory.mktemp("kernel")) as started:
        assert started.run(SETUP).status == "ok"
        yield started


@pytest.fixture
def nb(kernel: Notebook, tmp_path: Path) -> Iterator[Notebook]:
    """The notebook with the extension loaded and an empty store."""
    kernel.run(f"pp.init(db={str(tmp_path / 'peek.db')!r})")
    assert kernel.run("%load_ext peaky_peek").outputs == []
    yield kernel
    kernel.run("%unload_ext peaky_peek")
