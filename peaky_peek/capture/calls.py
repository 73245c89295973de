"""A model call on its way: what is journalled of it as it happens, for `store.exchange_records` to read."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Self

from peaky_peek import ids
from peaky_peek.capture import background, context, faults, limits, providers
from peaky_peek.capture.background import Waiting
from peaky_peek.capture.bodies import Bodies
from peaky_peek.capture.context import Scope, misplaced, now_us, scope_for_event
from peaky_peek.capture.providers import sse
from peaky_peek.capture.recorder import recorder

if TYPE_CHECKING:
    from peaky_peek.store.exchanges import Exchange

_REQUEST_HEADERS = (b"openai-beta", b"anthropic-beta", b"anthropic-version")
_RESPONSE_HEADERS = (
    b"content-type", b"request-id", b"x-request-id", b"retry-after", b"retry-after-ms", b"x-should-retry",
    b"openai-processing-ms", b"x-ratelimit-remaining-requests", b"x-ratelimit-remaining-tokens",
)  # fmt: skip
"""What explains a call or is needed to play it back; every other header stays out of the recording."""

_bodies = Bodies()
_last: ContextVar[Call | None] = ContextVar("peaky_peek_last_call", default=None)
"""The model call before this one in the same task or thread."""


class Call:
    """One attempt of a model call.

    Made when its request is sent; then told of every chunk of the response, and once how it ended. What raises in a
    block `with call` ends it.
    """

    def __init__(self, request: Any, body: bytes, scope: Scope, waiting: Waiting | None = None) -> None:
        self.session_id = scope.session.id
        self.body = body
        self.may_be_retried = False
        self.event_id: str
        self.attempt: int
        self._status: int | None = None
        self._headers: list[tuple[str, str]] = []
        self._stream: Any = None
        self._chunks: list[bytes] = []
        self._times: list[int] = []
        self._over = False
        position = ids.new_position(providers.BLOCK)
        self.exchange_id = ids.id_at(position)
        before = _last.get()
        former = before if before is not None and before.session_id == self.session_id else None
        # An SDK that counts its retries says when the application asks the same again, after the SDK gave up.
        is_first = request.headers.get("x-stainless-retry-count") == "0"
        if waiting is not None:
            waiting.attempts += 1
            self.event_id, self.attempt = waiting.event_id, waiting.attempts
        elif former is not None and former.may_be_retried and former.body == body and not is_first:
            former.may_be_retried = False  # by nobody else who inherited the context
            self.event_id, self.attempt = former.event_id, former.attempt + 1
        else:
            self.event_id, self.attempt = ids.id_at(position + providers.BLOCK - 1), 1
        recording = recorder()
        redactor, segment = recording.redactor, recording.segment
        part, kept = _bodies.shorten(
            self.session_id,
            self.exchange_id,
            segment,
            body,
            redactor.clean,
            clean_part=redactor.clean_part,
        )
        played = request.extensions.get(_PLAYING)
        header = [
            self.exchange_id, self.event_id, self.session_id, position, scope.parent_id, scope.agent,
            misplaced(scope) if scope.inferred or scope.session.ended else None,
            now_us(), self.attempt, request.method, redactor.clean_url(str(request.url)),
            _chosen(request.headers, _REQUEST_HEADERS), former.exchange_id if former else None,
            part.base_id, part.prefix, part.suffix, played and played.exchange_id,
        ]  # fmt: skip
        recording.record_raw("Q", header, part.middle)
        if segment is not None and segment == recording.segment and body:
            _bodies.remember(self.session_id, part, kept)
        if waiting is None and background.is_asked(request.url.path, body):
            waiting = Waiting(scope, self.event_id, self.attempt)
        self._waiting = waiting
        _last.set(self)
        self._started = time.perf_counter_ns()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is not None:
            self.ended(error)

    @faults.guarded
    def answered(self, response: Any, watched: Callable[[Any, Call], Any]) -> None:
        """Take note of a response; if its body is still to come, put a stream in place that tells what passes."""
        self._status = response.status_code
        self._headers = _chosen(response.headers, _RESPONSE_HEADERS)
        self.may_be_retried = providers.may_be_retried(self._status, self._headers)
        if response.is_closed:
            self.received(response.content)
            self.ended(complete=True)
        else:
            self._stream = response
            response.stream = watched(response.stream, self)

    def received(self, chunk: bytes) -> None:
        """Take note of a piece of the body."""
        try:
            if context.paused:
                self._forget()
            self._times.append(time.perf_counter_ns())
            self._chunks.append(chunk)
        except Exception as error:  # noqa: BLE001 - the agent never notices
            faults.report(error)

    @faults.guarded
    def ended(self, error: BaseException | None = None, *, complete: bool = False) -> None:
        """Journal the response: it came whole, broke off, or was turned away from. Only the first end counts."""
        if context.paused:
            self._forget()
        if self._over:
            return
        self._over = True
        failed = isinstance(error, Exception)  # others, like a cancellation, are the application's own will
        self.may_be_retried = self.may_be_retried or (failed and self._status is None)
        if not self.may_be_retried:
            self.body = b""
        duration_ms = (time.perf_counter_ns() - self._started) / 1e6
        position = ids.new_position(providers.BLOCK)
        recording = recorder()
        body, sizes, times = self._received(recording.redactor.clean)
        if self._waiting is not None:
            background.came(self._waiting, body)
        header = [
            self.exchange_id, position, self._status, self._headers, duration_ms,
            times[0] / 1000 if times and self._stream else None, sizes, times, complete,
            faults.said(error) if error is not None and failed else None,
        ]  # fmt: skip
        recording.record_raw("R", header, body)

    def _forget(self) -> None:
        """Record no answer: a part of it came while the recording was paused."""
        self._over, self._chunks, self._times, self.body = True, [], [], b""

    def _received(self, clean: Callable[[bytes], bytes]) -> tuple[bytes, list[int], list[int]]:
        """Return the body that came, cleaned, with the sizes of its chunks and the microseconds between them."""
        chunks, self._chunks = self._chunks, []
        came = b"".join(chunks)
        is_events = ("content-type", "text/event-stream") in [(name, kind[:17]) for name, kind in self._headers]
        body = _decoded(self._stream, came)
        in_pieces = is_events or body.startswith(b"[")  # Gemini's other form of a stream is an array
        body = sse.cleaned(body, clean) if in_pieces else clean(body)
        starts = [self._started, *self._times]
        times = [(end - start) // 1000 for start, end in zip(starts, self._times, strict=False)]
        if body == came:
            return body, [len(chunk) for chunk in chunks], times
        return body, [len(body)], times[:1]  # the chunks of what was encoded or redacted are not those that came


def forget(session_id: str) -> None:
    """Drop what is kept in memory of a session's calls."""
    _bodies.forget(session_id)


@faults.guarded
def begin(request: Any) -> Call | None:
    """Journal a request that is about to be sent; return None when it is no model call or recording is off."""
    waiting = background.fetched(request.method, request.url.path)
    if waiting is not None:
        return None if context.paused else Call(request, b"", waiting.scope, waiting)
    body = _model_call(request)
    if body is None:
        return None
    scope = scope_for_event()
    if scope is None or not scope.session.sampled:
        return None
    if scope.session.limits is not None:
        limits.stop_if_beyond(scope.session)
    if scope.model is not None:
        scope.model.see()
    return Call(request, body, scope)


def _model_call(request: Any) -> bytes | None:
    """Return the body of a request that is a model call, None of any other."""
    if request.method != "POST" or not (path := request.url.path).endswith(providers.PATHS):
        return None
    try:
        body: bytes = request.content
    except RuntimeError:  # a body that is streamed is not read before its time
        return None
    return body if providers.recognises(path, body) else None


_PLAYING = "peaky_peek"


def play(request: Any) -> Exchange | None:
    """Return the recorded exchange that answers a request while a tape is played; None for what is no model call.

    Raises:
        NotOnTape: there is none.
    """
    playing = None if context.tape is None else context.tape()
    extensions: dict[str, Any] = request.extensions
    if playing is None or _PLAYING in extensions:
        return extensions.get(_PLAYING)
    method, url, body = request.method, str(request.url), _model_call(request)
    if body is None and (answer_id := background.of(method, request.url.path)) is not None:
        body = b"" if playing.promised(answer_id) else None
    if body is not None:
        extensions[_PLAYING] = playing.exchange(method, url, body)
    return extensions.get(_PLAYING)


@faults.guarded
def hold(request: Any) -> None:
    """Stop a run where SDKs build a request: they take what is raised later for a fault of the network.

    Raises:
        RunStopped: it is a model call, and the run is beyond its limits.
        NotOnTape: a tape is played, and it is a model call that was not recorded.
    """
    if context.tape is not None:
        play(request)
    scope = context.here()
    allowed = context.limits if scope is None else scope.session.limits
    if allowed is None or not allowed.stop_on:
        return
    if request.method != "POST" or not request.url.path.endswith(providers.PATHS):
        return
    scope = scope_for_event()
    if scope is not None:
        limits.stop_if_beyond(scope.session)


def _chosen(headers: Any, names: tuple[bytes, ...]) -> list[tuple[str, str]]:
    return [(name.decode().lower(), value.decode("latin-1")) for name, value in headers.raw if name.lower() in names]


def _decoded(response: Any, body: bytes) -> bytes:
    """Undo the content encoding of a body that came as a stream, as far as it came."""
    encoding = response.headers.get("content-encoding") if response is not None else None
    if not encoding or not body:
        return body
    return bytes(type(response)(200, headers={"content-encoding": encoding}, content=body).content)
