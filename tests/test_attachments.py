"""Images, audio and files in prompts are told by type and size, and stay whole in the recording."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import peaky_peek as pp
from peaky_peek.attachments import attachments, described, told, words
from peaky_peek.events import LLMRequest
from peaky_peek.store.html import event_html
from peaky_peek.widgets._messages import conversation
from peaky_peek.widgets._values import presentable

PICTURE = b"\x89PNG" + b"\x07" * 1200
DATA = base64.b64encode(PICTURE).decode()
URL = f"data:image/png;base64,{DATA}"
SIZE = len(PICTURE)


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"type": "image_url", "image_url": {"url": URL, "detail": "low"}}, ("image", "image/png", SIZE)),
        ({"type": "image_url", "image_url": {"url": "https://h/a.jpg?x=1"}}, ("image", "image/jpeg", None)),
        ({"type": "input_image", "image_url": URL}, ("image", "image/png", SIZE)),
        ({"type": "input_image", "file_id": "file-1"}, ("image", None, None)),
        ({"type": "input_audio", "input_audio": {"data": DATA, "format": "wav"}}, ("audio", "audio/wav", SIZE)),
        ({"type": "input_file", "filename": "a.pdf", "file_data": DATA}, ("file", "application/pdf", SIZE)),
        ({"type": "input_file", "file_url": "https://h/a.pdf"}, ("file", "application/pdf", None)),
        ({"type": "file", "file": {"file_data": f"data:application/pdf;base64,{DATA}", "filename": "a.pdf"}},
         ("file", "application/pdf", SIZE)),
        ({"type": "computer_screenshot", "image_url": URL}, ("image", "image/png", SIZE)),
        ({"type": "image_generation_call", "id": "ig_1", "result": DATA, "output_format": "webp"},
         ("image", "image/webp", SIZE)),
        ({"type": "image", "source": {"type": "base64", "media_type": "image/gif", "data": DATA}},
         ("image", "image/gif", SIZE)),
        ({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "héllo"}},
         ("file", "text/plain", 6)),
        ({"type": "document", "source": {"type": "url", "url": "https://h/a.pdf"}}, ("file", "application/pdf", None)),
        ({"type": "image", "source": {"type": "file", "file_id": "f"}}, ("image", None, None)),
        ({"inlineData": {"mimeType": "audio/mp3", "data": DATA}}, ("audio", "audio/mp3", SIZE)),
        ({"fileData": {"mimeType": "video/mp4", "fileUri": "gs://b/v.mp4"}}, ("file", "video/mp4", None)),
    ],
)  # fmt: skip
def test_every_providers_way_to_attach_something_is_known(part: dict[str, Any], expected: tuple[Any, ...]) -> None:
    attachment = {"kind": expected[0], "media_type": expected[1], "bytes": expected[2]}
    assert described(part) == attachment
    messages = [{"role": "user", "content": [{"type": "text", "text": "look"}, part]}, {"role": "user", "content": "?"}]
    assert attachments(messages) == [attachment]
    assert attachments([{"type": "function_call_output", "call_id": "c", "output": [part, part]}]) == [attachment] * 2
    assert f"[{words(attachment)}]" in conversation(_request(messages), None)[0]["text"]


@pytest.mark.parametrize(
    "part", [{"type": "text", "text": DATA}, {"type": "image"}, {"type": "tool_result", "content": "image"}, "x", None]
)
def test_what_is_no_attachment_is_none(part: Any) -> None:
    assert described(part) is None


def test_the_content_is_recorded_whole_and_shown_by_type_and_size() -> None:
    messages = [{"role": "user", "content": [{"type": "input_image", "image_url": URL}]}]
    with pp.trace_session("looks") as ctx:
        asked = ctx.record_llm_request(model="gpt-4o", messages=messages)
    kept = pp.event(asked.id)
    assert kept.messages == messages
    page = event_html(kept)
    assert "image/png, 1.2 kB" in page
    assert DATA[:40] not in page
    (shown,) = presentable(messages, [0, "messages"])[0]["content"]
    assert shown["image_url"]["value"] == "[image/png, 1.2 kB]"
    assert shown["image_url"]["length"] == len(URL)
    assert shown["image_url"]["path"]  # leads to all of it


values = st.recursive(
    st.none() | st.integers() | st.text(max_size=4) | st.sampled_from(["image", "file", "data:,x", "text"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from("type source data url image_url file_data mimeType media_type inlineData format".split()),
            inner,
        )
    ),
    max_leaves=12,
)


@given(values)
def test_no_shape_breaks_the_reading(value: Any) -> None:
    assert all(each["bytes"] is None or each["bytes"] >= 0 for each in attachments([value]))
    assert told(value) == value  # nothing here is long
    presentable(value, [0])


def _request(messages: list[Any]) -> LLMRequest:
    return LLMRequest(id="1", session_id="s", position=1, name="m", messages=messages)
