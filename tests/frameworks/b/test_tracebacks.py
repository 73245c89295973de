"""What models raise passes our wrappers, and no traceback shows them."""

from __future__ import annotations

import pytest

from peaky_peek.store import Database
from tests.frameworks.b.crews import trip
from tests.frameworks.tracebacks import ours
from tests.frameworks.trees import sessions
from tests.loopback import Loopback, error


@pytest.mark.parametrize("how", ["kickoff_async", "akickoff"])
async def test_of_a_crew_whose_model_fails(store: Database, server: Loopback, how: str) -> None:
    server.answer(error(500), error(500), error(500))
    with pytest.raises(Exception, match="scripted failure") as caught:
        await getattr(trip(server), how)()
    assert ours(caught.value) == []
    assert [session["status"] for session in sessions(store)] == ["failed"]


def test_of_a_crew_whose_model_fails_at_once(store: Database, server: Loopback) -> None:
    server.answer(error(500), error(500), error(500))
    with pytest.raises(Exception, match="scripted failure") as caught:
        trip(server).kickoff()
    assert ours(caught.value) == []
