"""Secrets leave a record before it is written, and nothing else does."""

from __future__ import annotations

import base64
import json
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peaky_peek import encoding
from peaky_peek.capture.providers import sse
from peaky_peek.capture.redaction import Redactor, load_key
from peaky_peek.capture.redaction.credentials import SHAPES, is_sought_by_itself
from peaky_peek.capture.redaction.detection import screens
from peaky_peek.encoding import Repr
from tests.bench.bench_privacy import changes, leaves_of
from tests.planted import HEX, LOGIN, PEM, SECRETS, UPPER, rand
from tests.soak import soak_secrets

REDACTED = re.compile(r"\[redacted:[a-z-]+:[0-9a-f]{8}\]")
KEYS = ("api_key", "OPENAI_API_KEY", "x-api-key", "apiKey", "password", "db_password", "clientSecret", "SECRET_KEY")
KEYS += ("authorization", "Proxy-Authorization", "access_token", "refreshToken", "aws_secret_access_key", "AccountKey")


@pytest.fixture
def redactor():
    return Redactor(key=lambda: b"a key for tests")


def clean(redactor, value):
    return encoding.decode(redactor.clean(encoding.encode(value)))


@pytest.mark.parametrize(("kind", "secret"), SECRETS, ids=[f"{kind}-{i}" for i, (kind, _) in enumerate(SECRETS)])
def test_every_kind_is_replaced_wherever_it_stands(redactor, kind, secret):
    inner = json.dumps({"cell": f"use:\n{secret}\nnow", "also": secret})
    value = {
        "plain": secret,
        "sentence": f"My key is {secret}, keep it.",
        "line": f"first\n{secret}\nlast",
        "quoted": f'KEY="{secret}"',
        "list": ["a", {"deep": [secret]}],
        "json in json": json.dumps({"arguments": inner}),
        secret: "as a key",
        "bytes": secret.encode(),
        "spread over": {"non-text keys": {1: secret}},
    }
    cleaned = redactor.clean(encoding.encode(value))
    essence = re.sub(r"[^A-Za-z0-9]", "", secret)[-16:]
    decoded = encoding.decode(cleaned)
    assert essence not in re.sub(r"\\+n|[^A-Za-z0-9]", "", repr(decoded))
    assert list(decoded)[:-3] + list(decoded)[-2:] == list(value)[:-3] + list(value)[-2:]
    assert re.fullmatch(r"My key is \S+, keep it\.", decoded["sentence"])
    assert f"[redacted:{kind}:" in decoded["plain"]
    assert json.loads(json.loads(decoded["json in json"])["arguments"])["cell"].endswith("now")
    assert redactor.clean(cleaned) == cleaned


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(
    "value",
    ["correct horse", "hunter2!", 'with "quotes", \\ and\nlines', "Bearer abcdef", "пароль", "{braces}{", 1234567],
)
def test_values_under_telling_keys_are_replaced(redactor, key, value):
    record = {"before": 1, key: value, "after": [None, True]}
    arguments = json.dumps({"arguments": json.dumps(record)})
    cleaned = clean(redactor, {**record, "text": arguments})
    assert REDACTED.fullmatch(cleaned[key].removeprefix("Bearer "))
    assert {**cleaned, key: value, "text": arguments} == {**record, "text": arguments}
    if isinstance(value, str):
        inner = json.loads(json.loads(cleaned["text"])["arguments"])
        assert REDACTED.fullmatch(inner[key].removeprefix("Bearer "))
        assert inner["after"] == [None, True]


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("postgresql://admin:pa55word@db.example.com:5432/app", "pa55word"),
        ("https://ci:p%40ss%3Aw0rd@example.com/repo.git", "p%40ss%3Aw0rd"),
        ("redis://:s3cret-thing@cache:6379/0", "s3cret-thing"),
        ("Authorization: Bearer abcdef123456", "abcdef123456"),
        ("curl -H 'authorization: bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ'", "QWxhZGRpbjpvcGVuIHNlc2FtZQ"),
        ("Authorization: Basic " + base64.b64encode(b"aladdin:open sesame").decode(), "YWxhZGRpbjpvcGVuIHNlc2FtZQ"),
        ("Server=db;User Id=sa;Password=letmein;Encrypt=yes", "letmein"),
        ("DefaultEndpointsProtocol=https;AccountName=x;AccountKey=" + rand(86) + "==;", rand(86)),
        ("host=db user=me password=letmein dbname=app", "letmein"),
        ("https://api.example.com/v1?api_key=letmein&page=2", "letmein"),
        ("https://x.blob.core.windows.net/c?sv=2024&sig=" + rand(44) + "%3D", rand(44)),
        ("export OPENAI_API_KEY=letmein\nexport PAGER=less", "letmein"),
        ("client = Client(api_key='abc123def456')", "abc123def456"),
        ("mysql --password hunter22 -u me", "hunter22"),
        ("password: hunter2!x", "hunter2!x"),
        ("{'password': 'letmein', 'user': 'me'}", "letmein"),
        ("{'set-cookie': 'session=" + rand(20) + "; Path=/'}", rand(20)),
    ],
)
def test_secrets_are_known_by_their_place(redactor, text, secret):
    for value in (text, {"cell": text}, json.dumps({"text": text})):
        cleaned = clean(redactor, value)
        assert secret not in json.dumps(cleaned)
        assert REDACTED.search(json.dumps(cleaned))
        assert clean(redactor, cleaned) == cleaned


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("GET / HTTP/1.1\r\nCookie: sid={}; theme=dark\r\n\r\n", rand(40)),
        ("HTTP/1.1 200 OK\r\nSet-Cookie: sid={}; HttpOnly\r\n\r\n", rand(40)),
        ("HOME=/root\nGITEA_TOKEN={}\nA=1", rand(40)),
        ('export VERCEL_TOKEN="{}"', rand(24)),
        ("environ({{'A': 'b', 'SLACK_TOKEN': '{}'}})", rand(40)),
        ('{{"bot_token": "{}"}}', rand(40)),
        ("users:\n- name: admin\n  user:\n    token: {}\n", rand(60)),
        ("GET /download?token={}&id=1", rand(30)),
        ("https://a.example/cb#access_token=x&id_token={}", rand(30)),
        ("gh auth login --token {}", rand(40)),
        ("Config(token='{}')", rand(20)),
        ("https://b.s3.amazonaws.com/k?X-Amz-Security-Token={}", rand(80)),
        ("DEEPGRAM_KEY={}\n", rand(40, HEX)),
        ("SECRET_KEY_BASE={}\n", rand(64, HEX)),
        ("SMTP_PASS={}\n", rand(12)),
        ('{{"user": "x", "pass": "{}"}}', rand(16)),
        ("curl -s -X POST -u admin:{} https://api.example.com", rand(20)),
        ("curl --user 'admin:{}' https://api.example.com", rand(20)),
        ("requests.get(url, auth=('bob', '{}'))", rand(20)),
        ('{{"auths": {{"https://index.docker.io/v1/": {{"auth": "{}"}}}}}}', LOGIN),
        ("//registry.example.com/:_auth={}", LOGIN),
        ("client-key-data: {}", base64.b64encode(PEM.format("RSA PRIVATE").encode()).decode()),
        ("Access key ID,Secret access key\nAKIA" + rand(16, UPPER) + ",{}\n", rand(40)),
        ("boto3.Session('AKIA" + rand(16, UPPER) + "', '{}')", rand(40)),
        ('[{{"name": "X-Api-Key", "value": "{}"}}]', rand(20)),
        ("- name: DB_PASSWORD\n  value: {}\n", rand(20)),
        ("<user>u</user><password>{}</password>", rand(20)),
        ('<add key="ApiKey" value="{}" />', rand(20)),
        ("Server=x;Pwd={{{}}};Encrypt=yes;", rand(16)),
        ("postgres://u:{}@host/db", rand(10) + "/" + rand(10)),
        ("postgres://u:{}@host/db", rand(10) + "#" + rand(10)),
        ('api_key: str = "{}"', rand(20)),
        ('os.environ["API_KEY"] = "{}"', rand(20)),
        ('apiKey := "{}"', rand(20)),
        ("'password' => '{}',", rand(20)),
        ("ENV API_KEY {}", rand(20)),
        ("machine api.github.com login bob password {}", rand(20)),
        ("Authorization: DeepL-Auth-Key {}", rand(20)),
        ("Your API key: {}", rand(20)),
        ("| API key | {} |", rand(20)),
        ("my password is {}", rand(20)),
        ("passwort: {}", rand(20)),
    ],
)
def test_secrets_are_known_where_programs_and_people_write_them(redactor, text, secret):
    for value in (text.format(secret), json.dumps({"output": text.format(secret), "after": 1})):
        cleaned = redactor.clean(encoding.encode({"value": value}))
        assert secret.encode() not in cleaned
        assert REDACTED.search(cleaned.decode())
        assert redactor.clean(cleaned) == cleaned
        assert value == text.format(secret) or json.loads(encoding.decode(cleaned)["value"])["after"] == 1


@pytest.mark.parametrize(
    "harmless",
    [
        {"usage": {"input_tokens": 12, "output_tokens": 5}, "max_tokens": 100, "token_count": 3, "stop_token": "</s>"},
        {"logprobs": [{"token": "Hello", "logprob": -0.25, "bytes": [72, 101]}, {"token": " wonder", "logprob": -2}]},
        {"parameters": {"properties": {"password": {"type": "string"}}, "required": ["password", "secret"]}},
        {"id": "0199b1c2-8f3a-7c41-9d55-0123456789ab", "call_id": "call_abc123DEF456ghi789jkl0", "etag": rand(40, HEX)},
        {"next_page_token": "CAUQAA", "password": None, "secret": True, "api_key": "", "authorization": "<your key>"},
        "Reset your password: https://example.com/reset?user=1 and mail support@example.com.",
        "The Basic Economy fare; the bearer of this ticket; a task-specific, risk-free disk-based secretary.",
        '<div class="sk-toggleable__content sk-container-id-1 sk-estimator-doc-link">',
        "api_key = os.environ['OPENAI_API_KEY']; password = getpass.getpass(); token = self.token",
        "password=settings.DB_PASSWORD, secret=${SECRET}, api_key=<API_KEY>, pwd=%PWD%",
        "-----BEGIN PRIVATE KEY----- is how such a file begins. -----BEGIN CERTIFICATE-----\n" + rand(64),
        "HOME=/root\nPWD=/home/user/project1\nOLDPWD=/tmp\nThe secret investigation of The Simpsons 1989. cwd pwd: /x9",
        "https://tidelift.com/pkg/pypi-jsonschema-specifications TASK SKU SK1234 in DISK cookie={user_cookie}",
        "password: ${{ secrets.PYPI_TOKEN_2 }} and token: ${{ secrets.GITHUB_TOKEN }}; auth=('user', 'pass')",
        "http://localhost:8000/users/@me and https://cdn.jsdelivr.net/npm/vue@3.2.1, curl -u $USER:$PASS https://x.y",
        {"nextPageToken": "CAoQAA1234567890abcdef", "pass": "yes", "auth": "required", "PUBLIC_KEY": rand(40)},
        "git clone https://github.com/org/repo@v1.2.3 and ssh://git@github.com/org/repo",
    ],
)
def test_ordinary_values_stay_as_they_are(redactor, harmless):
    assert clean(redactor, harmless) == harmless
    assert clean(redactor, json.dumps(harmless)) == json.dumps(harmless)


@pytest.mark.parametrize("path", sorted(Path(__file__).parent.glob("data/*.json*")), ids=lambda path: path.name)
def test_real_traces_stay_as_they_are(redactor, path):
    assert [said for value in leaves_of(path) if (said := changes(redactor, value))] == []


@pytest.mark.parametrize(
    "value",
    [
        {"password": b"correct horse"}, {"api_key": Repr("Key(letmein)")}, {"secret": "with \ud800"},
        {1: 2, "password": "letmein"}, [("user", "me"), ("x-api-key", "letmein")], {"passwords": ["letmein", "sesame"]},
        "{'password': b'letmein', 'list': [1]}", "{'api_keys': ['letmein', 'sesame']}", "connect(password='letmein')",
    ],
)  # fmt: skip
def test_values_of_every_form_under_telling_keys_are_replaced(redactor, value):
    cleaned = clean(redactor, {"value": value, "after": 1})
    assert REDACTED.search(repr(cleaned["value"]))
    assert not re.search("letmein|sesame|horse|with", repr(cleaned))
    assert cleaned["after"] == 1
    assert clean(redactor, cleaned) == cleaned


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (r'{"u":"https:\/\/me:pa55word@db.example.com\/x"}', "pa55word"),
        (r'{"u":"https:\/\/hooks.slack.com\/services\/T' + rand(40) + '"}', rand(40)),
        (r'{"u":"https://x.example/?a=1\u0026sig=' + rand(44) + '"}', rand(44)),
        (r'{"u":"Server=x;Password\u003dletmein;Encrypt=yes"}', "letmein"),
    ],
)
def test_needless_escapes_hide_nothing_and_stay(redactor, text, secret):
    for body in (text, json.dumps({"inner": text})):
        cleaned = redactor.clean(body.encode()).decode()
        assert secret not in cleaned
        assert "hooks" in text or cleaned.count("\\") == body.count("\\")
        assert json.loads(cleaned)
        assert redactor.clean(cleaned.encode()).decode() == cleaned


def test_a_clean_record_comes_back_as_the_same_object(redactor):
    record = b'{"id": "0199b1c2-8f3a-7c41-9d55-0123456789ab", "url": "https://api.example.com/v1?city=Berlin"}'
    assert redactor.clean(record) is record


def test_the_prefilter_misses_no_marker_and_stays_small_enough_to_be_fast():
    first, second = screens()
    markers = {marker for shape in SHAPES for marker in shape.markers if is_sought_by_itself(marker)}
    assert not [marker for marker in markers if not any(part in marker for part in (*first, *second))]
    assert max(len(first), len(second)) <= 64


def test_equal_secrets_stay_equal_and_different_ones_differ(redactor):
    key = "sk-" + rand(48)
    other = "sk-" + rand(47)
    record = {"api_key": key, "text": f"use {key}", "headers": [f"Bearer {key}"], "url": f"http://me:{key}@x.com"}
    cleaned = clean(redactor, {**record, "other": other})
    tokens = REDACTED.findall(json.dumps(cleaned))
    assert len(tokens) == 5
    assert len(set(tokens[:4])) == 1
    assert tokens[4] != tokens[0]


def test_a_private_key_is_the_same_key_in_every_escaping(redactor):
    pem = PEM.format("PRIVATE")
    account = {"private_key": pem + "\n", "text": json.dumps({"k": pem}), "raw": json.dumps(json.dumps(pem))}
    tokens = REDACTED.findall(json.dumps(clean(redactor, account)))
    assert len(tokens) == 3
    assert len(set(tokens)) == 1


def test_tokens_depend_on_the_key():
    record = encoding.encode({"password": "correct horse"})
    assert Redactor(key=lambda: b"a").clean(record) != Redactor(key=lambda: b"b").clean(record)


def test_the_key_is_not_asked_for_until_there_is_a_secret():
    redactor = Redactor(key=lambda: pytest.fail("no secret, no key"))
    assert redactor.clean(b'{"answer": 42}') == b'{"answer": 42}'


def test_redaction_can_be_switched_off():
    redactor = Redactor(None, key=lambda: pytest.fail("no key is needed"))
    record = b'{"password": "correct horse"}'
    assert redactor.clean(record) is record
    assert redactor.clean_url("https://a:b@example.com/?key=c") == "https://a:b@example.com/?key=c"


def test_query_parameters_are_kept_by_allow_list(redactor):
    url = "https://me:pw@host.example:8443/v1/chat?api-version=2024-10-21&key=letmein&flag&user=ann#part"
    cleaned = redactor.clean_url(url)
    assert cleaned.startswith("https://[redacted:secret:")
    assert "@host.example:8443/v1/chat?api-version=2024-10-21&key=[redacted:secret:" in cleaned
    assert not re.search("letmein|ann|me:pw", cleaned)
    assert redactor.clean_url(cleaned) == cleaned
    assert redactor.clean_url("https://api.openai.com/v1/responses") == "https://api.openai.com/v1/responses"
    assert "/botletmein" in redactor.clean_url("https://example.com/botletmein/send")


def test_raw_bodies_that_are_no_json_are_cleaned_too(redactor):
    key = "sk-ant-api03-" + rand(90)
    stream = f'data: {{"delta": "{key}"}}\n\ndata: [DONE]\n\n'.encode() + b"\xff\xfe"
    cleaned = redactor.clean(stream)
    assert key.encode() not in cleaned
    assert cleaned.endswith(b'"}\n\ndata: [DONE]\n\n\xff\xfe')
    assert redactor.clean(b'{"__peek__":"bytes","value":"abcde"}') == b'{"__peek__":"bytes","value":"abcde"}'
    assert redactor.clean(f"grant_type=x&client_secret=letmein&code={key}".encode()).count(b"[redacted:") == 2


@pytest.mark.parametrize(("kind", "secret"), SECRETS, ids=[f"{kind}-{i}" for i, (kind, _) in enumerate(SECRETS)])
def test_a_secret_is_caught_wherever_a_stream_cuts_it(redactor, kind, secret):
    for at in range(1, len(secret)):
        parts = [f"It is {secret[:at]}", secret[at:], ", keep it."]
        body = b"".join(b'data: {"delta": %b}\n\n' % json.dumps(part).encode() for part in parts)
        cleaned = sse.cleaned(body, redactor.clean)
        said = "".join(json.loads(data)["delta"] for _, data in sse.events(cleaned))
        assert re.fullmatch(r"It is (https://)?(\d+:)?\[redacted:[a-z-]+:[0-9a-f]{8}\](, )?keep it\.", said)
        assert sse.cleaned(cleaned, redactor.clean) == cleaned


def test_hostile_text_costs_little_more_than_plain_text(redactor):
    for unit in ("sk-", "eyJ-", "password=", "password\\", "://a:@", "@", "-----BEGIN PRIVATE KEY-----", "xoxb-", '"'):
        text = encoding.encode({"text": unit * (200_000 // len(unit))})
        assert json.loads(redactor.clean(text))


BEFORE = st.sampled_from([" ", "\n", "\t", '"', "\\", "\u0000", "é", "“", "=", "/", "(", "\\n", ": "])
AFTER = st.sampled_from([" ", "\n", '"', "\\", "\u0000", "é", "”", ")", ",", ";", "\\n"])
PLANTED = st.sampled_from([secret for kind, secret in SECRETS if kind != "twilio"])  # sought where words begin
TELLING = re.compile("(?i)key|pass|pwd|secret|auth|token|cookie|connection")
TEXT = st.text(max_size=30).filter(lambda text: not TELLING.search(text))
PLANT = st.tuples(TEXT, BEFORE, PLANTED, AFTER, TEXT)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT | PLANT,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
        max_leaves=12,
    )
)
def test_only_the_secrets_change_and_cleaning_again_changes_nothing(value):
    redactor = Redactor(key=lambda: b"k")
    cleaned = redactor.clean(encoding.encode(join(value)))
    compare(value, encoding.decode(cleaned))
    assert redactor.clean(cleaned) == cleaned


def join(value):
    """The value as a user has it: a plant is one text."""
    if isinstance(value, tuple):
        return "".join(value)
    if isinstance(value, dict):
        return {key: join(item) for key, item in value.items()}
    return [join(item) for item in value] if isinstance(value, list) else value


def compare(value, cleaned):
    """Where nothing was planted nothing changed; where something was, it is gone and its surroundings are not."""
    if isinstance(value, tuple):
        before, left, secret, right, after = value
        assert secret not in cleaned
        assert REDACTED.search(cleaned)
        assert cleaned.startswith(before + left)
        assert cleaned.endswith((right + after) if "-----" not in secret else after.lstrip())
    elif isinstance(value, dict):
        assert list(value) == list(cleaned)
        for key, item in value.items():
            compare(item, cleaned[key])
    elif isinstance(value, list):
        assert len(value) == len(cleaned)
        for item, other in zip(value, cleaned, strict=True):
            compare(item, other)
    else:
        assert value == cleaned


def test_the_key_file_is_made_once_and_is_private(tmp_path):
    path = tmp_path / "folder" / "store.key"
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: load_key(path), range(32)))
    assert len(keys) == 1
    assert len(load_key(path)) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_without_a_place_for_the_key_secrets_are_replaced_all_the_same(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    key = load_key(tmp_path / "file" / "store.key")
    assert REDACTED.search(Redactor(key=lambda: key).clean(b'{"password": "correct horse"}').decode())


@pytest.mark.parametrize("scenario", soak_secrets.scenarios(), ids=lambda scenario: scenario.name)
def test_credentials_anywhere_and_cut_anywhere_are_replaced(scenario):
    for seed in range(15):
        scenario.run(seed)
