"""The outline as a static table, for viewers that run no widgets: GitHub, a notebook reopened without its kernel.

JupyterLab removes scripts, style sheets and svg from untrusted output; a table with inline styles stays. Nothing here
depends on a clock or an id, so a saved notebook does not change when it is run again.
"""

from __future__ import annotations

from html import escape
from typing import Any

from peaky_peek.vocabulary import FAMILY_COLORS
from peaky_peek.widgets._wire import ICONS

_CELL = "text-align:left;padding:1px 8px 1px 0;white-space:nowrap"
_NUMBER = "text-align:right;padding:1px 0 1px 8px;white-space:nowrap"


def table(title: dict[str, Any], outline: list[dict[str, Any]], expanded: bool = True) -> str:
    """Return the html of a session's headline and outline, both as `_outline` makes them; the latter may be folded."""
    rows = "".join(_gap(line) if "gap" in line else _row(line) for line in outline)
    head = f"<strong>{escape(title['name'])}</strong> {escape(' · '.join([title['status'], *title['facts']]))}"
    if title["note"]:
        return f"<p>{escape(title['note'])}</p>"
    caption = f'<caption style="{_CELL}">{head}</caption>' if expanded else ""
    drawn = f'<table style="border-collapse:collapse;font-size:13px">{caption}<tbody>{rows}</tbody></table>'
    return drawn if expanded else f"<details><summary>{head}</summary>{drawn}</details>"


def _row(line: dict[str, Any]) -> str:
    family = "risk" if line["failed"] else line["family"]
    # The page's theme is unknown here; the light colour is at least 3:1 on both, enough for an icon beside plain text.
    icon = f'<span style="color:{FAMILY_COLORS[family]["light"]}">{ICONS[family]}</span>'
    mark = " ✕ failed" if line["failed"] else f" ? {line['suspect']}" if line["suspect"] else ""
    label = f"{icon} {escape(line['label'])}{f' <b>{escape(mark)}</b>' if mark else ''}"
    indent = f"{_CELL};padding-left:{min(line['depth'], 20) * 16}px"
    return (
        f'<tr><td style="{indent}">{label}</td><td style="{_CELL}">{escape(line["text"])}</td>'
        f'<td style="{_NUMBER}">{escape(line["duration"])}</td><td style="{_NUMBER}">{escape(line["cost"])}</td></tr>'
    )


def _gap(line: dict[str, Any]) -> str:
    failed = f" ({line['failed']:,} failed)" if line["failed"] else ""
    steps = "step" if line["gap"] == 1 else "steps"
    return f'<tr><td colspan="4" style="{_CELL}">… {line["gap"]:,} {steps}{failed}</td></tr>'
