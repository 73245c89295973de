"""Credentials that are known by where they stand: in URLs, headers, command lines, under telling keys.

Together with those that are known by their own shape (see `tokens`) they are all that is sought.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable

from peaky_peek.capture.redaction.tokens import EDGE, TOKENS, Shape

REDACTED = re.compile(rb"\[redacted:[a-z-]+:[0-9a-f]{8}\]")
"""What stands in place of a secret."""

_WORD = rb"[^\s\"'\\,;&<>(){}\[\]|`]"
_MIXED = b"(?=" + _WORD + b"{0,256}[0-9])(?=" + _WORD + b"{0,256}[A-Za-z])"  # letters and digits: no word, no number


def _is_login(text: bytes) -> bool:
    """Tell the base64 of `user:password` from a word that follows "Basic"."""
    try:
        login = binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error:
        return False
    _, colon, password = login.partition(b":")
    return bool(colon) and login.decode("latin-1").isprintable() and _is_filled(password)


def _is_filled(value: bytes) -> bool:
    """Tell a value from what stands in its place: `<your key>`, `${API_KEY}`, `settings.password`, `***`, "pass"."""
    return not re.fullmatch(
        rb"(?i:null|none|true|false|undefined|string|str|required|optional|fake"
        rb"|(?:my|some|test|fake|dummy)?[_-]?(?:pass|passwd|password|pw|secret|token|key)[0-9]?"
        rb"|(?:enter[_ -])?your[\W_].*|<.*>|\$?\{+[^}]*\}+|\$\w+|%\w+%|(.)\1*|[a-z_]\w*(?:\.[a-z_]\w*)+"
        rb"|[a-z]+:/.*|\s*)",
        value,
        re.DOTALL,
    )


def _is_unlike_ours(items: bytes) -> bool:
    """Tell a list of values from one whose values are replaced already."""
    return bool(re.sub(rb"[\s\"'\\,]", b"", REDACTED.sub(b"", items)))


# Proven by the place. All these are of one kind, so that a secret has one name wherever it stands.
_PLACES = (
    Shape("secret", (b"earer ", b"EARER "), rb"(?i:earer) +(" + _MIXED + rb"[\w.~+/=-]{8,}|[\w.~+/=-]{24,})"),
    Shape("secret", (b"Basic ",), rb"Basic +([A-Za-z0-9+/]{6,}={0,2})(?![\w+/=-])", holds=_is_login),
    Shape(
        "secret",
        (b"@",),
        rb"://(?!\[redacted:)[^\s/@:\"'\\<>]*:([^\s/?#\"'\\<>]{1,512})@(?=[\w\[.-])",
        back=b"://",
        holds=_is_filled,
    ),
    Shape(
        "secret",
        (b"@",),
        rb"(?<!http)(?<!https)://(?!\[redacted:)[^\s/@:\"'\\<>]*:(?![0-9]{1,5}[/?#])([^\s\"'\\<>{}$]{1,512})@(?=[\w\[.-])",
        back=b"://",
        holds=_is_filled,
    ),
    Shape("secret", (b"@",), rb"://([\w.~+=-]{20,512})@(?=\w)", back=b"://"),
    Shape(
        "secret",
        (b"AKIA", b"ASIA"),
        b"." + EDGE + rb"A[KS]IA[A-Z0-9]{16}[\s,;:|\\\"']{1,8}([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])",
        back=1,
    ),
    Shape(
        "secret",
        (b"curl ",),
        rb"curl [^\n]{0,300}?(?<= )(?:-u|--user)[ =]?\\*[\"']?[\w.@+-]{1,128}:([^\s\"'\\]{3,256})",
        holds=_is_filled,
    ),
    Shape(
        "secret",
        (b"auth=(",),
        rb"auth=\(\s*(\\*[\"'])[^\"'\\]{1,128}\1\s*,\s*(\\*[\"'])([^\"'\\]{3,256})\2\s*\)",
        holds=_is_filled,
    ),
    Shape(
        "secret",
        (b'"auth"', b'"auth\\', b"_auth="),
        rb"[\"_]auth(?:\\*\"\s*:\s*\\*\"|=)([A-Za-z0-9+/]{6,}={0,2})(?![\w+/=-])",
        holds=_is_login,
    ),
    Shape("secret", (b"auth=",), rb"(?<=[?&])auth=([\w%+/=-]{16,})"),
    Shape("secret", (b"ookie: ",), rb"ookie: +([\w.!#$%&*+^|~-]{1,128}=[\w%+/.~-]{8}[^\"'\\\r\n]{0,8192})"),
    Shape(
        "secret",
        (b"sig=", b"Signature="),
        rb"(?:(?<=[?&])sig|(?<=[?&, ])Signature|(?<=X-Amz-)Signature|(?<=X-Goog-)Signature)=([\w%+/=-]{32,})",
    ),
)

_KEYS = (
    "password", "passwort", "passwd", "passphrase", "pwd", "secret", "secret key", "secret key base",
    "secret access key", "api key", "access key", "private key", "signing key", "encryption key", "account key",
    "shared access key", "subscription key", "master key", "auth key", "authorization", "api token", "access token",
    "refresh token", "auth token", "session token", "apikey", "accesskey",
)  # fmt: skip
_KEY = b"|".join(key.replace(" ", "[ _-]?").encode() for key in _KEYS)
_KEY = rb"(?<!\[redacted:)(?i:" + _KEY.replace(b"pwd", b"pwd(?![=: ]{1,2}~?/)") + b")"  # PWD may be a folder
_SCHEME = rb"(?:(?i:Bearer|Basic|Token|Bot|Digest|ApiKey|Key) +)?"  # says how, not what: it stays


def _spellings(phrase: str) -> set[bytes]:
    """Every usual way to write a key: api_key, api-key, apiKey, ApiKey, Api-Key, API_KEY, API-KEY."""
    words = phrase.split()
    titles = [word.capitalize() for word in words]
    styles = {words[0] + "".join(titles[1:]), "".join(titles), "-".join(titles)}
    for glue in ("_", "-"):
        styles |= {glue.join(words), glue.join(words).upper()}
    return {style.encode() for style in styles}


def _ending(words: bytes, *ends: bytes) -> tuple[bytes, ...]:
    return tuple(word + end for word in words.split() for end in ends)


_KEY_MARKERS = tuple(sorted(set().union(*map(_spellings, _KEYS)) | {b"api key", b"API key", b"Api key", b"API Key"}))
_COOKIES = _ending(b"\"cookie 'cookie \"Cookie 'Cookie \"set-cookie 'set-cookie \"Set-Cookie 'Set-Cookie", b"")
_QUOTES = (b'"', b"'", b"\\")
_TOKEN = rb"(?<!page_)(?<!page)(?<!Page)(?<!next_)(?<!next)(?<!sync_)(?<!Trial)(?i:token)"  # of a list is no credential
_TOKENS = b"token Token TOKEN"
_RANDOM = b"(?=[A-Za-z0-9])" + _MIXED + b"(?=" + _WORD + b"{0,128}[A-Za-z0-9]{12})" + _WORD + b"{16,1024}+"
_PLAIN = b"[A-Za-z0-9+=_!%^*~-]"
_CASES = b"(?:" + b"".join(b"(?=" + _PLAIN + b"{0,64}" + one + b")" for one in (b"[a-z]", b"[A-Z]", b"[0-9]"))
_CASES += _PLAIN + b"{12,512}|[0-9a-f]{32,})"


def _under(
    pattern: bytes, key: bytes = _KEY, markers: tuple[bytes, ...] = _KEY_MARKERS, kind: str = "secret",
    holds: Callable[[bytes], bool] = _is_filled,
) -> Shape:  # fmt: skip
    """The value under a telling key; the words in capitals in `pattern` stand for the parts so named."""
    parts = {
        b"KEYS": key + b"(?i:s?)", b"KEY": key, b"SCHEME": _SCHEME, b"MIXED": _MIXED, b"WORD": _WORD,
        b"RANDOM": _RANDOM, b"CASES": _CASES,
    }  # fmt: skip
    for name, part in parts.items():
        pattern = pattern.replace(name, part)
    return Shape(kind, markers, pattern, holds=holds)


def quoted(backslashes: int) -> tuple[bytes, bytes]:
    """Return patterns of a quote and of what stands between two, in JSON whose quotes carry so many backslashes."""
    quote = rb"\\{%d}\"" % backslashes
    return quote, rb"(?:[^\"\\]|\\{%d}(?:%b|\\{%d}|[^\"\\]))+" % (backslashes + 1, quote, backslashes + 1)


def _in_json(backslashes: int) -> tuple[Shape, ...]:
    """Values in JSON whose quotes carry so many backslashes: 0 in JSON itself, 1 if it is text in JSON, 3, 7."""
    quote, value = quoted(backslashes)
    forms = {
        rb"KEYSQ\s*:\s*QSCHEME(VALUE)Q": "secret",
        rb"KEYQ\s*,\s*QvalueQ\s*:\s*QSCHEME(VALUE)Q": "secret",
        rb"KEYSQ\s*:\s*\[\s*QSCHEME(VALUE)Q\s*\]": "secret",
        rb"KEYSQ\s*:\s*\[\s*(QVALUEQ(?:\s*,\s*QVALUEQ){1,256})\s*\]": "list",
        rb"KEYSQ\s*,\s*QSCHEME(VALUE)Q\s*\](?=\s*(?:,\s*\[|\]))": "secret",  # one of many pairs
    }
    return tuple(
        _under(
            form.replace(b"Q", quote).replace(b"VALUE", value), kind=kind,
            holds=_is_unlike_ours if kind == "list" else _is_filled,
        )
        for form, kind in forms.items()
    )  # fmt: skip


_TAGGED = rb'\{"__peek__":"(?:bytes|str|repr)","value":"(?:[^"\\]|\\.)*"(?:,"type":"[^"]*")?\}'

_VALUES = (
    # JSON at any depth, Python dicts: any value.
    *(shape for backslashes in (0, 1, 3, 7) for shape in _in_json(backslashes)),
    _under(rb'KEYS"\s*:\s*([0-9]{4,})(?=\s*[,}\]])', kind="value"),
    _under(rb'KEYS"\s*:\s*(TAGGED)'.replace(b"TAGGED", _TAGGED), kind="value", holds=lambda value: b"***" not in value),
    _under(rb"KEYS(\\*')\s*:\s*b?\1SCHEME([^\"'\\]+)(?=\1)"),
    _under(rb"KEYS(\\*')\s*:\s*\[(\1[^\"'\\]+\1(?:, \1[^\"'\\]+\1){0,256})\]", kind="list", holds=_is_unlike_ours),
    # Settings, connection strings, queries: any value where the place leaves no doubt.
    _under(rb"(?:(?<=[?&;])|(?<=[?&;]client_))KEY=(WORD{1,1024}+)"),
    _under(rb"KEY=(WORD{3,1024}+)(?=(?:[&;]|(?:\s|\\n)+)\w+=)"),
    _under(rb"(?=[A-Z_-]+=)KEY=(WORD{4,1024}+)(?![(\[])"),
    # Code, prose, command lines: only what is neither a word nor a number.
    _under(rb"(?<=;)KEY=\{([^\s{}\"'\\;]{3,256})\}(?=;)"),
    _under(rb"KEY>([^\s<>\"'\\]{4,256})</"),
    _under(rb"KEY(\\*[\"'])\s+value=\1(MIXED[^\"'\\]{6,1024})(?=\1)"),
    _under(rb"KEY(?:\\+n|\s)\s*value: ?(?:\\*[\"'])?(WORD{4,1024}+)"),
    _under(rb"KEY=(\\*[\"'])SCHEME([^\"'\\]{3,256})(?=\1\s*[,)])"),
    _under(
        rb"KEYS(?:\\*[\"']\]?)?\s*(?:=>?|:=?|\?=|: ?(?:str|string|String) ?=)\s*(\\*[\"'])"
        rb"SCHEME(MIXEDWORD{6,1024}+)(?=\1)"
    ),
    _under(rb"KEYS(\\*[\"']), ?\1SCHEME(MIXED[^\"'\\]{6,1024})(?=\1\s*\))"),
    _under(rb"KEY ?(?:=>?|:=?|\?=) ?SCHEME(MIXEDWORD{6,1024}+)(?![(\[])"),
    _under(rb"KEY (?:is|was):? (MIXEDWORD{10,1024}+)(?![(\[])"),
    _under(rb"KEY(?: | \| )(CASES)(?![\w./(\[])"),
    _under(rb"(?<=--)KEY (MIXEDWORD{6,1024}+)"),
    # Many harmless things are called cookie, token, key or pass: these values must be random.
    _under(
        rb"[\"']KEY(\\*[\"'])\s*:\s*(?:\[\s*)?\1SCHEME(MIXED[^\"'\\]{16,})(?=\1)", b"(?i:cookie|set-cookie)", _COOKIES
    ),
    _under(rb"KEY(\\*[\"'])\s*:\s*(?:\[\s*)?\1SCHEME(MIXED[^\"'\\]{16,})(?=\1)", _TOKEN, _ending(_TOKENS, *_QUOTES)),
    _under(rb"KEY(?: ?= ?|: ?)(?:\\*[\"'])?SCHEME(RANDOM)(?![(\[])", _TOKEN, _ending(_TOKENS, b"=", b":", b" =")),
    _under(rb"-KEY (RANDOM)", b"token", (b"-token ",)),
    _under(rb"(?<=_)KEY(?:=|\\*[\"']: ?)(?:\\*[\"'])?(RANDOM)", b"(?<!PUBLIC_)KEY", _ending(b"KEY", b"=", *_QUOTES)),
    _under(rb"(?<=_)KEY=(?:\\*[\"'])?(WORD{4,1024}+)", b"PASS", (b"PASS=",)),
    _under(rb"(?<=[_\"'])KEY(\\*[\"'])\s*:\s*\1(MIXED[^\"'\\]{6,1024})(?=\1)", b"pass", (b'pass"', b"pass\\")),
)

SHAPES = TOKENS + _PLACES + _VALUES

# What the prefilter seeks first: parts that many markers share. "_token" only with what makes it a key, for every count
# of tokens contains it; "SK" only where words begin, for every other word in capitals does.
STEMS = (
    b"token =", b"curl ", b"PI key", b"pi key", b" SK", b'"SK', b"'SK", b"=SK", b":SK", b"nSK",
    *b"""assw ASSW assph ASSPH pwd Pwd PWD ecret ECRET uthoriz UTHORIZ _key -key Key KEY pikey sskey ookie Token TOKEN
    token" token' token\\ token= token: -token auth= xox dp. sq0 TT3 _v1_ _live_ k_test_ sntry lsv2_ dckr_ pscale_ lin_
    discord glp shp pat- tskey-""".split(),
)  # fmt: skip


def is_sought_by_itself(marker: bytes) -> bool:
    """Tell whether a marker contains a stem wherever it stands."""
    return marker != b"@" and not marker.startswith(b"SK") and not marker.endswith(b"_token")
