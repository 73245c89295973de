"""`python -m peaky_peek` is `jupyter peek`."""

from __future__ import annotations

import sys

from peaky_peek.cli import main

if __name__ == "__main__":
    sys.exit(main())
