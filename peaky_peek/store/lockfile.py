"""A lock for file systems that have none: a link whose target names the process that holds it."""

from __future__ import annotations

import os
import time
import zlib
from pathlib import Path

from peaky_peek.errors import StoreLocked, StoreReadOnly
from peaky_peek.store import processes


class LockFile:
    """Held by at most one thread of one process on one machine at a time.

    A link is made at once and whole, so that a lock always says whose it is: that of a process of this machine that
    has died is taken away, and that of another machine is left alone.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def acquire(self, wait: float) -> None:
        """Take the lock, or wait for it for at most `wait` seconds.

        Raises:
            StoreLocked: naming who holds it.
            StoreReadOnly: if no link can be made beside the store.
        """
        deadline = time.monotonic() + wait
        own = f"{processes.name()}~{os.urandom(6).hex()}"
        pause = 0.001
        while not self._take(own):
            holder = self._holder()
            if holder is not None and not (processes.is_gone(holder.rpartition("~")[0]) and self._free(holder, own)):
                if time.monotonic() >= deadline:
                    raise StoreLocked(
                        f"{self.path} is held by process {holder.partition('@')[0]} on {processes.host_of(holder)}: try"
                        " again when it is done, or delete this lock if it is gone. What was recorded is safe in the"
                        " journal."
                    )
                time.sleep(pause)
                pause = min(2 * pause, 0.05)

    def release(self) -> None:
        """Give the lock back."""
        self.path.unlink(missing_ok=True)

    def _take(self, own: str) -> bool:
        try:
            self.path.symlink_to(own)
        except FileExistsError:
            return False
        except OSError as error:
            raise StoreReadOnly(
                f"{self.path} cannot be made ({error.strerror}): choose another path with pp.init(db=...)."
            ) from None
        return True

    def _holder(self) -> str | None:
        try:
            return str(self.path.readlink())
        except OSError:  # given back meanwhile
            return None

    def _free(self, holder: str, own: str) -> bool:
        """Take a dead process's lock away; one at a time, or the second would take away what the first made anew."""
        guard = self.path.with_name(f"{self.path.name}.{zlib.crc32(holder.encode()):08x}")
        try:
            guard.symlink_to(own)
        except OSError:
            return False
        try:
            if self._holder() == holder:
                self.release()
        finally:
            guard.unlink(missing_ok=True)
        return True
