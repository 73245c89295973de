"""Images, audio and files inside messages, in whichever provider's form they come: told by their type and size."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_to_bytes

_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)?[^,]{0,200}?(;base64)?,", re.IGNORECASE)
_KINDS = {
    "image_url": "image", "input_image": "image", "computer_screenshot": "image", "image": "image",
    "image_generation_call": "image", "input_audio": "audio", "audio": "audio", "file": "file", "input_file": "file",
    "document": "file", "container_upload": "file",
}  # fmt: skip
_INSIDE = ("image_url", "input_audio", "audio", "file", "source", "inlineData", "inline_data", "fileData", "file_data")
_CONTENTS = ("data", "file_data", "image_url", "url", "result")
_ELSEWHERE = ("file_id", "fileUri", "file_uri", "file_url", "image_url", "url", "id")
_SHORT = 200  # characters: a name or a URL
_TYPES = ("media_type", "mimeType", "mime_type")


def attachments(messages: Any) -> list[dict[str, Any]]:
    """Return what is attached to messages, in order, each as `described` tells it."""
    return list(_found(messages))


def described(part: Any) -> dict[str, Any] | None:
    """Return `{"kind", "media_type", "bytes"}` of a part that is an image, audio or a file, and None of any other.

    Kind is `image`, `audio` or `file`. The size is that of the decoded content, None where only its place is known.

    >>> described({"type": "image_url", "image_url": {"url": "data:image/png;base64,aGVsbG8="}})
    {'kind': 'image', 'media_type': 'image/png', 'bytes': 5}
    >>> described({"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}})
    {'kind': 'file', 'media_type': 'application/pdf', 'bytes': None}
    >>> described({"type": "text", "text": "hello"})
    """
    if not isinstance(part, dict):
        return None
    inside = next((part[name] for name in _INSIDE if isinstance(part.get(name), dict)), part)
    kind = _KINDS.get(part["type"]) if isinstance(part.get("type"), str) else None
    if kind is None and (inside is part or not _text(inside, _TYPES)):
        return None
    content, place = _text(inside, _CONTENTS), _text(inside, _ELSEWHERE)
    if content is None and place is None:
        return None
    if content == place and not _DATA_URL.match(content or ""):
        content = None
    media_type, size = _content(content, is_text=inside.get("type") == "text") if content else (None, None)
    media_type = media_type or _text(inside, _TYPES) or _guessed(kind, part, inside, place)
    family = (media_type or "").partition("/")[0]
    kind = family if family in ("image", "audio") else kind or "file"
    return {"kind": kind, "media_type": media_type, "bytes": size}


def words(attachment: dict[str, Any]) -> str:
    """Return an attachment in a few words.

    >>> words({"kind": "image", "media_type": "image/png", "bytes": 84_210})
    'image/png, 84.2 kB'
    """
    size = attachment["bytes"]
    unit, name = next((each for each in ((1e6, "MB"), (1e3, "kB")) if (size or 0) >= each[0]), (1, "bytes"))
    said = f"{size / unit:.1f} {name}" if unit > 1 else f"{size} {name}"
    return ", ".join([attachment["media_type"] or attachment["kind"], *([said] if size is not None else [])])


def told(value: Any, *, inside: str | None = None) -> Any:
    """Return a JSON value in which attachments are told by type and size instead of by their content.

    >>> told([{"type": "image", "source": {"media_type": "image/png", "data": "aGVsbG8=" * 99}}])
    [{'type': 'image', 'source': {'media_type': 'image/png', 'data': '[image/png, 593 bytes]'}}]
    """
    if isinstance(value, list):
        return [told(item, inside=inside) for item in value]
    if isinstance(value, dict):
        attachment = described(value) if inside is None else None
        inside = f"[{words(attachment)}]" if attachment else inside
        return {name: told(item, inside=inside) for name, item in value.items()}
    return inside if inside and isinstance(value, str) and len(value) > _SHORT else value


def _found(value: Any) -> Iterator[dict[str, Any]]:
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += reversed(value)
        elif isinstance(value, dict):
            if attachment := described(value):
                yield attachment
            else:
                waiting += [each for each in reversed(value.values()) if isinstance(each, (dict, list))]


def _text(part: dict[str, Any], names: tuple[str, ...]) -> str | None:
    return next((text for name in names if isinstance(text := part.get(name), str) and text), None)


def _content(content: str, *, is_text: bool) -> tuple[str | None, int | None]:
    """Return the type and size that a content tells: a data URL, base64 by itself, or plain text."""
    url = _DATA_URL.match(content)
    if url and not url[2]:
        return url[1], len(unquote_to_bytes(content[url.end() :]))
    if not url and re.match(r"[a-zA-Z][\w+.-]{1,20}://", content):
        return None, None
    if is_text:
        return None, len(content.encode("utf-8", "surrogatepass"))
    start = url.end() if url else 0
    padding = len(content) - len(content.rstrip("=\n"))
    return url[1] if url else None, (len(content) - start - padding) * 3 // 4


def _guessed(kind: str | None, part: dict[str, Any], inside: dict[str, Any], place: str | None) -> str | None:
    """Return the type that a format or the end of a name tells."""
    extension = _text(inside, ("format",)) or _text(part, ("output_format",))
    if extension and kind in ("image", "audio"):
        return f"{kind}/{extension}"
    name = _text(inside, ("filename",)) or (place or "").partition("?")[0]
    return mimetypes.guess_type(name)[0] if "." in name else None
