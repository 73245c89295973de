"""The command that measures how exactly exchanges are recorded: right about real ones, not stopped by odd ones."""

from __future__ import annotations

import copy
import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from peaky_peek.capture import transport
from peaky_peek.capture.providers import openai_choices
from tests.bench.bench_exchanges import SAMPLES
from tests.bench.exchanges import differences
from tests.loopback import DATA, real_exchanges

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")


@pytest.fixture(autouse=True)
def unhooked(hook: None) -> None:
    transport.uninstall()  # it hooks and unhooks by itself


@pytest.mark.parametrize("sample", SAMPLES)
def test_every_real_exchange_is_recorded_exactly_and_the_application_sees_no_difference(
    sample: str, tmp_path: Path
) -> None:
    found = {row["id"]: each for row, each in differences(real_exchanges(f"{sample}.jsonl"), tmp_path / "x.db") if each}
    assert found == {}


def test_a_field_that_is_recorded_wrongly_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = openai_choices.usage

    def wrong(said: Any) -> Any:
        counts = read(said)
        return counts and counts | {"output": 1}

    monkeypatch.setattr("peaky_peek.capture.providers.openai_chat.usage", wrong)
    rows = [each for each in real_exchanges() if not each["stream"] and each["status"] == 200][:3]
    for _, found in differences(rows, tmp_path / "x.db"):
        assert [each.field for each in found] == ["answer usage"]
        assert found[0].got["output"] == 1


def test_it_is_noticed_when_the_application_sees_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meddling(call: Any, response: Any, watched: Any) -> None:
        response.status_code = 429

    monkeypatch.setattr(transport.calls.Call, "answered", meddling)
    row = next(each for each in real_exchanges() if each["status"] == 200)
    ((_, found),) = differences([row], tmp_path / "x.db")
    assert "application" in [each.field for each in found]


def odd() -> list[dict[str, Any]]:
    """Exchanges with something missing, cut off, or of the wrong shape."""
    row = real_exchanges("openai_exchanges.jsonl")[0]
    changes: list[dict[str, Any]] = [
        {"uri": "https://gateway.example/team/v1/responses"}, {"uri": "not a url"}, {"uri": "http://[::1"},
        {"uri": None},
        {"request_body": None}, {"request_body": "text"}, {"request_body": []}, {"request_body": {"model": 5}},
        {"response_body": None}, {"response_body": ""}, {"response_body": "<html>"}, {"response_body": "[1]"},
        {"response_body": '{"output": 7}'}, {"status": 204}, {"status": 500}, {"status": 529, "response_body": "busy"},
        {"stream": True}, {"stream": True, "response_body": "data: {\n\ndata: [DONE]\n\n"}, {"method": "GET"},
        {"method": "DELETE"}, {"method": None}, {"content_type": "text/html"}, {"response_headers": None},
        {"uri": "https://generativelanguage.googleapis.com/v1beta/models/gemini-2:generateContent"},
    ]  # fmt: skip
    return [copy.deepcopy(row) | change for change in changes] + [{}]


def test_no_exchange_however_odd_stops_the_measuring(tmp_path: Path) -> None:
    rows = odd()
    assert len(list(differences(rows, tmp_path / "x.db"))) == len(rows)


def test_the_command_lists_what_differs_and_ends_with_the_share(tmp_path: Path) -> None:
    lines = (DATA / "openai_exchanges.jsonl").read_text().splitlines()[:3]
    path = tmp_path / "some.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join([*lines, json.dumps({"uri": "http://["})]).encode()))
    command = [sys.executable, "-m", "tests.bench.exchanges", "--file", str(path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=DATA.parent.parent)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "4 of 4 exchanges recorded exactly: 100.00 %"
