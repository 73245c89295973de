"""Clusters of failures: do they find the groups that are known, do they stay as data comes, and what do they cost?"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from playwright.sync_api import sync_playwright

import peaky_peek as pp
from peaky_peek import store
from peaky_peek.analysis import clusters
from peaky_peek.analysis.recurring import Recurring
from peaky_peek.events import AgentEnd, AgentStart, ToolCall, ToolResult
from peaky_peek.store import memory
from peaky_peek.widgets._base import STATIC
from tests import browser
from tests.bench.table import Row, at_least, at_most, interleaved
from tests.bridge import Bridged, show_widget
from tests.recordings import START, Run

SMALL, LARGE = 10_000, 100_000

FAULTS = (
    ("search_flights", "TimeoutError", "no answer from {url} within {n} s",
     "within {n} seconds there was no answer from {url}"),
    ("search_flights", "ValueError", "the date {date} is in the past", "{date} is a date in the past"),
    ("search_flights", None, "no flight from {city} to {city} on {date}",
     "on {date} there is no flight from {city} to {city}"),
    ("book_flight", None, "not enough seats on flight {id}", "flight {id} has not enough seats left"),
    ("book_flight", None, "payment method {id} not found", "the payment method {id} was not found"),
    ("book_flight", "ValueError", "passenger {name} has no passport number", "no passport number of passenger {name}"),
    ("book_flight", "ConnectionError", "the gateway {url} closed the connection",
     "connection closed by the gateway at {url}"),
    ("pay", None, "card {id} was declined by the bank", "the bank declined card {id}"),
    ("pay", None, "card {id} has expired", "expired card {id}"),
    ("pay", "ValueError", "amount {n} is larger than the limit of {n}",
     "the amount of {n} is larger than the limit {n}"),
    ("pay", "RateLimitError", "too many requests, try again in {n} s (request {id})",
     "request {id}: too many requests, try again after {n} seconds"),
    ("refund", None, "order {id} was refunded already", "already refunded: order {id}"),
    ("refund", None, "order {id} not found", "could not find order {id}: not found"),
    ("refund", "PermissionError", "{mail} may not refund more than {n} EUR",
     "user {mail} may not refund more than {n} EUR"),
    ("read_file", "FileNotFoundError", "[Errno 2] No such file or directory: '{path}'",
     "no such file or directory: {path}"),
    ("read_file", "UnicodeDecodeError", "'utf-8' codec can't decode byte {hex} in position {n}",
     "codec can't decode byte {hex} at position {n} of {path}"),
    ("read_file", "MemoryError", "cannot allocate {n} bytes for {path}", "{path}: cannot allocate {n} bytes"),
    ("run_sql", "OperationalError", "no such table: {name}", "there is no such table {name}"),
    ("run_sql", "OperationalError", "database is locked", "the database file is locked"),
    ("run_sql", "OperationalError", 'near "{name}": syntax error', "syntax error near '{name}'"),
    ("run_sql", "IntegrityError", "UNIQUE constraint failed: {name}.{name}", "the UNIQUE constraint {name} failed"),
    ("send_mail", "SMTPError", "mailbox {mail} is unavailable", "unavailable mailbox {mail}"),
    ("send_mail", "ValueError", "{mail} is no valid address", "no valid address: {mail}"),
    ("fetch", "HTTPError", "status code: 404 for {url}", "got status code 404 from {url}"),
    ("fetch", "HTTPError", "status code: 503 for {url} after {n} tries", "after {n} tries status code 503 from {url}"),
)  # fmt: skip
"""A tool, the type, and what it says in two ways: one fault each."""


def said(template: str, rng: random.Random) -> str:
    """Return a message with fresh ids, numbers, times and names in it."""
    return template.format(
        id=rng.choice([f"A-{rng.randrange(10**6)}", f"{rng.getrandbits(64):x}0", f"#{rng.randrange(999)}"]),
        n=rng.choice([rng.randrange(1000), round(rng.random() * 90, 2)]),
        url=f"https://{rng.choice(['pay', 'api', 'eu.flights'])}.example/v{rng.randrange(9)}/{rng.getrandbits(24):x}",
        date=f"2026-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}",
        city=rng.choice(["'Lisbon'", "'New York'", '"Ulm"']),
        name=rng.choice(["'Ada'", "`users`", "'Sam Doe'"]).replace("'", "")
        if '"' in template
        else f"'{rng.choice('abc')}'",
        mail=f"user{rng.randrange(99)}@home.example",
        path=f"/data/{rng.choice(['in', 'out'])}/{rng.randrange(999)}.csv",
        hex=hex(rng.randrange(256)),
    )


def record(count: int, seed: int, sessions: int = 100, since: int = 0) -> None:
    """Record failures into the store in use; `agent` says which fault each is, for the proof."""
    rng = random.Random(seed)
    db = store.current()
    for number in range(sessions):
        run = Run(f"run-{seed}-{number}", START + (since + number) * 3_600_000_000)
        root = run.add(AgentStart, "trip")
        for _ in range(count // sessions):
            truth = rng.randrange(len(FAULTS))
            tool, kind, *ways = FAULTS[truth]
            message = said(rng.choice(ways), rng)
            call = run.add(ToolCall, tool, root, tool_name=tool)
            error = f"{kind}: {message}" if kind else message
            run.add(ToolResult, tool, call, tool_name=tool, error=error, agent=f"fault {truth}")
        run.add(AgentEnd, "trip", root)
        run.save(db)


def rows() -> Iterator[Row]:
    """Yield what is promised about clusters."""
    with tempfile.TemporaryDirectory() as folder:
        store.use(Path(folder) / "noise.db")
        record(5_000, seed=1)
        before = Recurring(store.current())
        truth, found = before.failures["agent"], before.failures["cluster_id"]
        yield Row(
            f"{len(FAULTS)} faults, each said in two ways with other ids", f"{found.nunique()} clusters", "", None
        )
        yield at_least("adjusted Rand index against the faults", rand_index(truth, found), 0.9, "")
        yield at_least("homogeneity", homogeneity(truth, found), 0.95, "")
        record(500, seed=2, sessions=10, since=100)
        after = Recurring(store.current())
        yield at_most("failures whose cluster changed after 10 % more data", 100 * churn(before, after), 2, " %")
        forgotten = memory.Memory()
        again = clusters.assigned(after.failures, clusters.found_in(after.failures, forgotten), forgotten)
        alone = (again[: len(before.failures)].to_numpy() != before.failures["cluster_id"].to_numpy()).mean()
        yield at_most("the same when the store remembers nothing", 100 * alone, 2, " %")
        store.current().close()
        works = []
        for count in (SMALL, LARGE):
            db = store.use(Path(folder) / f"{count}.db")
            record(count, seed=3)
            works.append(lambda db=db: Recurring(db))
            Recurring(db)
        few, many = interleaved(*works, rounds=3)
        yield at_most(f"clusters of {LARGE:,} failures against {SMALL:,}", many / few, 12, note=f" ({many:.1f} s)")
        yield from view(Path(folder))
        store.use(None)


def view(folder: Path) -> Iterator[Row]:
    """Yield what is promised of the list, in a browser, with the many failures of the store in use."""
    with Bridged():
        widget = pp.clusters()
    sent = sum(len(buffer) for _, buffers in widget._drawn() for buffer in buffers)
    yield at_most(f"bytes sent for {LARGE:,} failures in clusters, for each", sent / LARGE, 20, " B")
    bundle = sum((STATIC / f"clusters.{kind}").stat().st_size for kind in ("js", "css"))
    yield at_most("bundle of the list, script and styles", bundle / 1024, 60, " KB")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser.find(), args=list(browser.FLAGS))
        page = chromium.new_page()
        show_widget(page, widget, folder)
        page.wait_for_function("view.__peek.firstPaintMs !== null")
        paint = page.evaluate("view.__peek.firstPaintMs") / 1000
        yield at_most("first paint after the clusters arrived", paint, 1, " s")
        chromium.close()


def rand_index(truth: pd.Series[str], found: pd.Series[str]) -> float:
    """Return the adjusted Rand index: 1 for the same groups, 0 for chance."""
    table = pd.crosstab(truth, found).to_numpy()

    def pairs(counts: np.ndarray) -> float:
        return float((counts * (counts - 1) / 2).sum())

    both, rows, columns = pairs(table), pairs(table.sum(1)), pairs(table.sum(0))
    by_chance = rows * columns / pairs(np.array([table.sum()]))
    return (both - by_chance) / ((rows + columns) / 2 - by_chance)


def homogeneity(truth: pd.Series[str], found: pd.Series[str]) -> float:
    """Return how far each cluster is of one fault only, 1 for entirely."""
    table = pd.crosstab(truth, found).to_numpy() / len(truth)
    of_truth, of_found = table.sum(1), table.sum(0)
    inside = table > 0
    mixed = -(table[inside] * np.log((table / of_found)[inside])).sum()
    return float(1 - mixed / -(of_truth * np.log(of_truth)).sum())


def churn(before: Recurring, after: Recurring) -> float:
    """Return the share of the former failures that are in another cluster, or in one of another name."""
    names = [one.frame.set_index("cluster_id")["name"] for one in (before, after)]
    then, now = (
        one.failures.set_index("event_id")["cluster_id"].map(name) + one.failures.set_index("event_id")["cluster_id"]
        for one, name in zip((before, after), names, strict=True)
    )
    return float((now[then.index] != then).mean())
