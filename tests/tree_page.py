"""A view in a page of its own: the real bundle, real columns, and a kernel played by a few lines of script."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from peaky_peek.widgets import _wire
from peaky_peek.widgets.tree import _links

STATIC = Path(_wire.__file__).parent / "static"
FIXTURES = Path(__file__).parent / "fixtures" / "wire"

KERNEL = """
const given = JSON.parse(document.getElementById("given").textContent);
const script = new Blob([document.getElementById("script").textContent], { type: "text/javascript" });
const { default: widget } = await import(URL.createObjectURL(script));
const decode = (text) => new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
const handlers = new Map();
const of = (event) => handlers.get(event) ?? handlers.set(event, new Set()).get(event);
const say = (message, buffers = []) => setTimeout(() => [...of("msg:custom")].forEach((f) => f(message, buffers)), 0);
const answers = {
  hello: () => given.drawn.forEach(({ message, buffers }) => say(message, buffers.map(decode))),
  lines: (request) => {
    const lines = Array.from({ length: request.stop - request.start }, (_, at) => ({
      text: { text: `line ${request.start + at} of a long conversation. `.repeat(1 + at % 7) },
    }));
    const shape = { version: given.drawn[0].message.version, columns: [], texts: [] };
    say({ type: "packed", kind: "texts", facts: { start: request.start, lines }, request, ...shape });
  },
  actions: (request) => answers.lines(request),
  moment: (request) => {
    const facts = { stack: [], numbers: [["Cost", "$0.01"]], earlier: 0, messages: [], checkpoint: null };
    const { version } = given.drawn[0].message;
    say({ type: "packed", kind: "moment", version, facts, columns: [], texts: [], request });
  },
  previews: ({ start, stop }) => say({ type: "previews", start, texts: given.previews.slice(start, stop) }),
  details: (request) => {
    const found = given.details[request.row % given.details.length];
    if (found) say({ ...found, row: request.row });
    else say({ type: "error", message: "There is no such step.", request });
  },
  more: (request) => say({ ...request, text: "all of it" }),
  bye() {},
  why() {},
  edges() {},
  links: (request) => say({ ...given.links, request }),
};
window.sent = [];
window.widget = widget;
window.model = {
  get: (name) => given.state[name],
  set(name, value) { given.state[name] = value; of("change:" + name).forEach((f) => f()); },
  save_changes() {},
  on: (event, f) => of(event).add(f),
  off: (event, f) => of(event).delete(f),
  send(request) { window.sent.push(request); if (given.kernel) answers[request.type](request); },
};
window.handlers = () => [...handlers.values()].reduce((sum, set) => sum + set.size, 0);
window.reply = say;
window.answer = (request) => answers[request.type](request);
window.setMask = (rows) => {
  const mask = new Uint8Array(given.drawn[0].message.rows);
  for (const row of rows) mask[row] = 1;
  say({ type: "mask", active: true, count: rows.length, query: given.state._query }, [new DataView(mask.buffer)]);
};
window.started = performance.now();
window.cleanup = widget.render({ model, el: document.getElementById("mount") });
document.querySelector(".pp-root").id = "tree";
"""


def steps(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """A frame of steps as `peaky_peek.steps` makes it, from rows that name what is not the usual."""
    usual = {
        "parent": -1,
        "event_type": "tool_call",
        "name": "search",
        "duration_ms": np.nan,
        "cost_usd": np.nan,
        "importance": 0.4,
        "failed": False,
        "suspect": None,
        "status": "ok",
        "running": False,
        "derived": False,
    }
    return pd.DataFrame([usual | row for row in rows], columns=list(usual))


def large(n: int, seed: int = 7) -> pd.DataFrame:
    """A session of `n` steps shaped like agents' runs: spans of calls, a failure in a hundred, a few hundred names."""
    rng = np.random.default_rng(seed)
    kinds = rng.choice(["llm_request", "tool_call", "decision", "agent_turn"], n, p=[0.3, 0.4, 0.2, 0.1])
    depth = np.zeros(n, int)
    parent = np.full(n, -1)
    path: list[int] = []
    for row in range(n):
        level = 0 if row == 0 else 1 + row % 40 % 7 if row % 40 else 1
        depth[row] = min(level, len(path), depth[row - 1] + 1 if row else 0)
        path = path[: depth[row]]
        parent[row] = path[-1] if path else -1
        path.append(row)
    kinds[0] = "agent_start"
    failed = rng.random(n) < 0.002
    return pd.DataFrame(
        {
            "parent": parent,
            "event_type": kinds,
            "name": [
                f"{kind.split('_')[0]}_{number}" for kind, number in zip(kinds, rng.integers(0, 60, n), strict=True)
            ],
            "duration_ms": rng.lognormal(5, 1.5, n),
            "cost_usd": np.where(kinds == "llm_request", rng.lognormal(-7, 1, n), np.nan),
            "importance": rng.beta(2, 3, n),
            "failed": failed,
            "suspect": np.where(rng.random(n) < 0.004, "empty result", None),
            "status": "ok",
            "running": False,
            "derived": kinds == "decision",
        }
    )


def html(
    frame: pd.DataFrame,
    *,
    kernel: bool = True,
    dark: bool = False,
    height: int = 480,
    title: dict[str, Any] | None = None,
    outline: Sequence[dict[str, Any]] = (),
    previews: Sequence[str] = (),
    details: Sequence[dict[str, Any]] = (),
    css: str = "",
    bundle: str = "tree",
    extras: Sequence[_wire.Message] = (),
    layout: str = "outline",
) -> str:
    """A page that shows the tree of `frame`, or another view of it that needs `extras` beyond the steps."""
    given = {
        "kernel": kernel,
        "drawn": [
            {"message": message, "buffers": [base64.b64encode(buffer).decode() for buffer in buffers]}
            for message, buffers in (_wire.columns(frame), *extras)
        ],
        "links": _links({"type": "links"})[0],
        "previews": list(previews),
        "details": list(details),
        "state": {
            "_rows": [],
            "_query": "",
            "height": height,
            "_title": title or {},
            "_outline": list(outline),
            "_position": -1,
            "drawn_as": layout,
        },
    }
    background = "#111" if dark else "#fff"
    style = f"body {{ margin: 12px; background: {background} }} {css} {(STATIC / f'{bundle}.css').read_text()}"
    script = (STATIC / f"{bundle}.js").read_text().replace("</script", "<\\/script")
    data = json.dumps(given).replace("<", "\\u003c")
    return (
        f'<!doctype html><meta charset="utf-8"><style>{style}</style><div id="mount"></div>'
        f'<script type="application/json" id="given">{data}</script>'
        f'<script type="text/plain" id="script">{script}</script><script type="module">{KERNEL}</script>'
    )
