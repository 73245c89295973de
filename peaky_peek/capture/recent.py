"""What is remembered of things whose end may never be told: only so much of it, or it would fill the memory."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(OrderedDict[K, V]):
    """A dictionary that forgets what came first when more comes than it may hold.

    Example:
        >>> recent = Recent[str, int](2)
        >>> recent |= {"a": 1, "b": 2, "c": 3}
        >>> list(recent)
        ['b', 'c']
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, value)
        while len(self) > self._most:
            with suppress(KeyError):  # another thread was faster
                self.popitem(last=False)
