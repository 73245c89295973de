"""Byte streams of responses, looked at while the application reads them: same chunks, same time, same errors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

from peaky_peek.capture.tracebacks import step_out

if TYPE_CHECKING:
    from peaky_peek.capture.calls import Call


def watched(base: Any) -> Any:
    """Return a class of streams that tell a `Call` what passes; `base` is the library's own class of streams."""

    class Stream(_Watched, base):  # type: ignore[misc]
        def __iter__(self) -> Iterator[bytes]:
            try:
                for chunk in self._stream:
                    self._call.received(chunk)
                    yield chunk
            except BaseException as error:
                self._call.ended(error)
                step_out(error)
                raise
            self._call.ended(complete=True)

        def close(self) -> None:
            try:
                self._stream.close()
            finally:
                self._call.ended()

    return Stream


def watched_async(base: Any) -> Any:
    """Return the same for asynchronous streams."""

    class Stream(_Watched, base):  # type: ignore[misc]
        async def __aiter__(self) -> AsyncIterator[bytes]:
            chunks = self._stream.__aiter__()
            try:
                async for chunk in chunks:
                    self._call.received(chunk)
                    yield chunk
            except BaseException as error:
                self._call.ended(error)
                step_out(error)
                raise
            finally:
                try:
                    close = chunks.aclose
                except AttributeError:
                    pass
                else:  # the client closes the generator it reads from, which now is ours
                    await close()
            self._call.ended(complete=True)

        async def aclose(self) -> None:
            try:
                await self._stream.aclose()
            finally:
                self._call.ended()

    return Stream


class _Watched:
    def __init__(self, stream: Any, call: Call) -> None:
        self._stream = stream
        self._call = call

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
