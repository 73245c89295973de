"""One JupyterLab for all its tests: starting it takes most of their time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.lab.lab import Lab, jupyterlab

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="session")
def lab_server(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with jupyterlab(tmp_path_factory.mktemp("lab"), browser) as lab:
        yield lab


@pytest.fixture
def lab(lab_server: Lab, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """The running JupyterLab; a test that made its page fail or ask elsewhere fails too. What it ends with is kept."""
    lab_server.requests.clear()
    lab_server.faults.clear()
    yield lab_server
    lab_server.screenshot(request.node.name.removeprefix("test_"))
    lab_server.close()
    assert lab_server.requests == []
    assert lab_server.faults == []
