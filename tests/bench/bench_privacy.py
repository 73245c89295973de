"""How often redaction takes something in real traces for a credential.

The collections are too large to ship: `PEAKY_PEEK_BENCH_DATA` names the folder that holds them. What is changed is
printed with `PEAKY_PEEK_BENCH_SHOW=1`, to be looked at one by one.
"""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from peaky_peek import encoding
from peaky_peek.capture.redaction import Redactor
from tests.bench.table import Row

TRUE_FINDS = re.compile(r"ice-pwd:|WMF-Last-Access")
"""What in these collections is a credential indeed, by the text around it: of calls, and a session's cookie."""


def rows() -> list[Row]:
    """What was measured, the result, the limit, and whether it holds."""
    folder = os.environ.get("PEAKY_PEEK_BENCH_DATA")
    if not folder:
        return [Row("false alarms of redaction", "PEAKY_PEEK_BENCH_DATA not set", "-", None)]
    redactor = Redactor(key=lambda: b"bench")
    values = alarms = finds = 0
    for path in sorted(Path(folder).rglob("*.json*")):
        for value in leaves_of(path):
            values += 1
            changed = changes(redactor, value)
            if changed:
                is_find = bool(TRUE_FINDS.search(str(value)))
                finds += is_find
                alarms += not is_find
                if os.environ.get("PEAKY_PEEK_BENCH_SHOW"):
                    print(path.name, "find" if is_find else "ALARM", changed)
    share = alarms / values * 10_000
    said = f"{share:.2f} ({alarms} of {values:,}; {finds} real)"
    return [Row("false alarms of redaction in 10,000 values of real traces", said, "<= 1", share <= 1)]


def changes(redactor: Redactor, value: Any) -> str:
    """Return what redaction makes of a value, with what stands around it; "" when it leaves it as it is."""
    before = encoding.encode(value)
    after = redactor.clean(before)
    if after == before:
        return ""
    at = next(place for place, (a, b) in enumerate(zip(before, after, strict=False)) if a != b)
    return f"{before[max(at - 60, 0) : at + 60]!r} -> {after[max(at - 10, 0) : at + 50]!r}"


def leaves_of(path: Path) -> Iterator[Any]:
    """Yield every value in a file, each under its key; of text that is JSON itself, the values in it."""
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()
    try:
        documents = [json.loads(text)]
    except ValueError:
        documents = [json.loads(line) for line in text.splitlines() if line.strip()]
    for document in documents:
        yield from leaves(document)


def leaves(value: Any, key: str | None = None) -> Iterator[Any]:
    """Yield the values in a document, those with a name as an object of one."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from leaves(item, name)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item, key)
    else:
        inner = _document(value) if isinstance(value, str) else None
        if inner is not None:
            yield from leaves(inner, key)
        elif isinstance(value, str) and value.startswith(("data:", "event:")):  # a stream of events
            for line in value.splitlines():
                data = _document(line.removeprefix("data:").strip())
                if data is not None:
                    yield from leaves(data)
        else:
            yield value if key is None else {key: value}


def _document(text: str) -> Any:
    if not text.startswith(("{", "[")):
        return None
    try:
        return json.loads(text)
    except ValueError:
        return None
