"""A widget as one page that opens anywhere, offline: script, style, state and prepared answers inside.

The content security policy allows this script and this style by their hashes, and the widget's own bundle, which the
script imports from a blob; nothing else may run and nothing may be fetched.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from peaky_peek.widgets import _previews, _why, _wire
from peaky_peek.widgets._recording import Recording, part
from peaky_peek.widgets._values import whole_text

DETAILS_LIMIT = 12_000_000
"""Characters of prepared details in a page."""
MORE_LIMIT = 4_000_000
"""Characters of texts shown whole in a page."""

_STYLE = (
    ":root{color-scheme:light dark}body{margin:0;background:Canvas;color:CanvasText;font:14px system-ui,sans-serif}"
    "main,footer{padding:12px}footer{padding-top:0;font-size:12px}"
)
_PLAYER = Path(__file__).parent / "page.js"


@dataclass(frozen=True)
class Page:
    """What a page shows: its title, the widget's synced state, the messages that draw it, and the session behind.

    `prepared` are the messages that answer requests of the view's own; each repeats its request.
    """

    title: str
    state: dict[str, Any]
    drawn: Sequence[_wire.Message]
    recording: Recording
    prepared: Sequence[_wire.Message] = ()


def render(page: Page, script: str, style: str) -> str:
    """Return the html of a page."""
    answers = _answers(page.recording)
    why = _why.answer(page.recording, {"type": "why"})
    data = {
        "script": script,
        "state": page.state,
        "drawn": [_portable(message) for message in page.drawn],
        "prepared": {_key(message): _portable(message) for message in (*page.prepared, why)},
        **answers,
    }
    player = _PLAYER.read_text()
    style = f"{_STYLE}{style}".replace("</", "<\\/")
    policy = f"default-src 'none'; base-uri 'none'; script-src {_hash(player)} blob:; style-src {_hash(style)}"
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(page.title)}</title>\n<style>{style}</style>\n"
        f'<main><div id="widget"></div></main>\n<footer>{escape(_footer(len(page.recording), answers))}</footer>\n'
        f'<script type="application/json" id="data">{_json(data)}</script>\n'
        f'<script type="module">{player}</script>\n</html>\n'
    )


def write(path: Path, text: str) -> Path:
    """Write a file in one step: who opens it finds the former one or this one, never a part."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_bytes(text.encode("utf-8", "replace"))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def _key(message: _wire.Message) -> str:
    """Return the request that a message answers, as the page writes it."""
    return orjson.dumps(message[0]["request"]).decode()


def _portable(message: _wire.Message) -> list[Any]:
    content, buffers = message
    return [content, [base64.b64encode(buffer).decode() for buffer in buffers]]


def _answers(recording: Recording) -> dict[str, Any]:
    """Return what the page can say without a kernel, failed and suspect steps first, as far as the limits allow."""
    steps = recording.steps
    troubled = steps["failed"].to_numpy(bool) | steps["suspect"].notna().to_numpy(bool)
    rows = np.argsort(~troubled, kind="stable").tolist()
    previews = [""] * len(rows)
    details: dict[int, Any] = {}
    more: dict[str, str] = {}
    room, room_for_more = DETAILS_LIMIT, MORE_LIMIT
    for row, (step, events) in zip(rows, recording.read(rows), strict=True):
        prepared = recording.detailed(row, step, events)
        room -= len(_json(prepared))
        if room < 0:
            break
        details[row] = prepared
        previews[row] = _previews.preview(events)
        for path in _paths(prepared):
            text = whole_text(part(events, path))
            if len(text) <= room_for_more:
                room_for_more -= len(text)
                more[_json([row, path])] = text
    return {"previews": previews, "details": details, "more": more}


def _paths(prepared: Any) -> Iterator[list[int | str]]:
    """Yield the path of everything that was cut."""
    for inner in prepared.values() if isinstance(prepared, dict) else prepared:
        if isinstance(inner, dict) and isinstance(inner.get("path"), list):
            yield inner["path"]
        elif isinstance(inner, (dict, list)):
            yield from _paths(inner)


def _footer(steps: int, answers: dict[str, Any]) -> str:
    """Return what the page says about itself."""
    missing = steps - len(answers["details"])
    left_out = (
        f" The contents of {missing:,} of {steps:,} steps were left out to keep the page small." if missing else ""
    )
    return f"Recorded with Peaky Peek. This page works offline and sends nothing.{left_out}"


def _json(data: Any) -> str:
    """Return JSON that cannot end the script element it stands in."""
    return orjson.dumps(data, option=orjson.OPT_NON_STR_KEYS).decode().replace("<", "\\u003c")


def _hash(text: str) -> str:
    """Return the source expression that allows exactly this inline text."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
