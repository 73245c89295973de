"""`import peaky_peek.auto_patch` records the model calls of a program that knows nothing else of Peaky Peek.

It does so when the environment variable `PEAKY_PEEK_AUTO_PATCH` is `true`, or names clients: one hook sees the calls of
all. Calls outside any session go into one that is named after the script.
"""

from __future__ import annotations

import os

from peaky_peek.capture import transport

if os.environ.get("PEAKY_PEEK_AUTO_PATCH", "").strip().lower() not in ("", "0", "false", "no", "off"):
    transport.install()
