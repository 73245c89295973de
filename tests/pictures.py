"""Pictures of the views, compared with the last ones that somebody looked at and accepted.

A picture is divided into blocks of 8 pixels, and the mean colours of the blocks are compared: another version of a font
moves a hinted edge, not a block. `PEAKY_PEEK_ACCEPT=1 pytest tests/test_views_browser.py` accepts what is drawn now;
look at the pictures before you commit them.
"""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

ACCEPTED = Path(__file__).parent / "pictures"
BLOCK = 8
FAR = 10
"""How far apart the mean colours of a block may be, of 255, before it counts as another."""
MOST = 0.02
"""The share of blocks that may be others."""


def compare(png: bytes, name: str, folder: Path) -> None:
    """Fail unless the picture looks like the accepted one of that name; what was drawn is left in `folder`."""
    accepted = ACCEPTED / f"{name}.png"
    drawn = Image.open(BytesIO(png)).convert("RGB")
    if os.environ.get("PEAKY_PEEK_ACCEPT"):
        ACCEPTED.mkdir(exist_ok=True)
        drawn.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(accepted, optimize=True)
        return
    assert accepted.exists(), f"nobody has accepted a picture of {name} yet"
    known = Image.open(accepted).convert("RGB")
    (folder / accepted.name).write_bytes(png)
    assert drawn.size == known.size, f"{name} is {drawn.size} now and was {known.size}"
    share = difference(drawn, known)
    assert share <= MOST, f"{share:.0%} of {name} look different: see {folder / accepted.name}"


def looks_like(one: bytes, other: bytes) -> bool:
    """Whether two pictures show the same."""
    pair = [Image.open(BytesIO(png)).convert("RGB") for png in (one, other)]
    return pair[0].size == pair[1].size and difference(*pair) <= MOST


def difference(one: Image.Image, other: Image.Image) -> float:
    """The share of blocks whose mean colour differs."""
    far = np.abs(_blocks(one) - _blocks(other)).max(axis=2) > FAR
    return float(far.mean())


def _blocks(image: Image.Image) -> np.ndarray:
    size = max(1, image.width // BLOCK), max(1, image.height // BLOCK)
    return np.asarray(image.resize(size, Image.Resampling.BOX), float)
