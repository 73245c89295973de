"""What other recorders of agents cost the same tool call, all in one run: `make bench-peers`.

`python -m tests.bench.peers PYTHON`, where PYTHON is that of an environment with the peers installed. The recorders
take turns, each in a process of its own, and the least time of each counts.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.bench.table import Row, at_most, show

ROUNDS = 5
CALLS = {"floor": 5000, "peaky_peek": 5000, "opentelemetry": 5000, "logfire": 1000, "langfuse": 1000, "mlflow": 300}
"""Recorded calls a round: fewer of those that take longer."""
DISTRIBUTIONS = {
    "opentelemetry": "opentelemetry-sdk", "logfire": "logfire", "langfuse": "langfuse", "mlflow": "mlflow",
}  # fmt: skip
_PEER = Path(__file__).with_name("peer.py")


def rows(python: str) -> Iterator[Row]:
    """Yield a row for each peer: what ours costs beside it."""
    least = dict.fromkeys(CALLS, float("inf"))
    with _sink() as sink:
        for _ in range(ROUNDS):
            for name, calls in CALLS.items():
                interpreter = python if name in DISTRIBUTIONS else sys.executable
                command = [interpreter, str(_PEER), name, str(calls), sink]
                said = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
                least[name] = min(least[name], float(said.stdout.split()[-1]))
    ours = least["peaky_peek"]
    yield Row("a recorded tool call, CPU of its thread", f"{ours:.1f} us", "-", None)
    yield Row("its arguments and result encoded and kept in a list", f"{least['floor']:.1f} us", "-", None)
    for name, distribution in DISTRIBUTIONS.items():
        known = [python, "-c", f"from importlib.metadata import version; print(version({distribution!r}))"]
        released = subprocess.run(known, capture_output=True, text=True, check=True).stdout.strip()
        note = f" ({least[name]:.1f} us)"
        yield at_most(f"the same / {distribution} {released}", ours / least[name], 1, note=note)


class _Yes(BaseHTTPRequestHandler):
    """Takes whatever is sent, and says that it was well received."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_GET = do_POST  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """The table is what is printed."""


@contextmanager
def _sink() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Yes)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


if __name__ == "__main__":
    sys.exit(bool(show(rows(sys.argv[1]))))
