"""Tokens that must be believed, and forgeries of every kind that must not."""

import base64
import hashlib
import hmac
import json
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jose import jwk, jws
from jose.backends.base import Key

from app.auth import token as module
from app.auth.token import Tokens
from app.auth.watched_file import WatchedFile
from app.errors import NotAuthenticated
from app.settings import Settings, SettingsError

SECRET = "a-secret-for-tests-of-at-least-32-bytes"
OTHER_SECRET = "another-secret-for-tests-of-32-bytes-or-more"
NOW = 1_800_000_000
HEADER = {"alg": "HS256", "typ": "JWT", "kid": "waybill"}
CLAIMS = {"sub": "staff:1", "iss": "waybill", "aud": "waybill", "iat": NOW - 10, "exp": NOW + 60, "jti": "j-1"}


class Clock:
    def __init__(self) -> None:
        self.now = float(NOW)

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(clock: Clock) -> Tokens:
    return Tokens(settings(), clock)


def settings(jwks_file: Path | None = None, secret: str = SECRET) -> Settings:
    return Settings(database_url="postgresql://", token_secret=secret, jwks_file=jwks_file)


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(header: Any, payload: Any, secret: str = SECRET) -> str:
    """A token with a good HMAC; text and bytes stand for themselves, anything else is written as JSON."""
    parts = [
        part.encode() if isinstance(part, str) else part if isinstance(part, bytes) else json.dumps(part).encode()
        for part in (header, payload)
    ]
    text = ".".join(encode(part) for part in parts)
    return f"{text}.{encode(hmac.digest(secret.encode(), text.encode(), 'sha256'))}"


def without(claims: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in claims.items() if key != name}


# ---------------------------------------------------------------------------------------------------------- believed


def test_verify_reads_what_issue_wrote(tokens: Tokens) -> None:
    text = tokens.issue("contact:7", timedelta(minutes=5), scope="orders:read shipments:read", roles=["order.VIEWER"])
    claims = tokens.verify(text)
    assert claims.subject == "contact:7"
    assert claims.expires_at == NOW + 300
    assert claims.scope == frozenset({"orders:read", "shipments:read"})
    assert claims.roles == {"order.VIEWER"}
    assert claims.jti


def test_issue_does_not_let_a_claim_replace_a_registered_one(tokens: Tokens) -> None:
    assert tokens.verify(tokens.issue("staff:1", sub="staff:2", exp=NOW + 10**6)).subject == "staff:1"


@pytest.mark.parametrize(
    "claims",
    [
        CLAIMS,
        without(CLAIMS, "jti"),
        CLAIMS | {"aud": ["someone", "waybill"]},
        CLAIMS | {"nbf": NOW},
        CLAIMS | {"iat": NOW + 20},
        CLAIMS | {"name": "Zoë 🦊", "nested": {"a": [1.5, None]}},
    ],
)
def test_verify_believes(tokens: Tokens, claims: dict[str, Any]) -> None:
    assert tokens.verify(signed(HEADER, claims)).subject == "staff:1"


def test_verify_tells_no_scope_from_an_empty_one(tokens: Tokens) -> None:
    assert tokens.verify(signed(HEADER, CLAIMS)).scope is None
    assert tokens.verify(signed(HEADER, CLAIMS | {"scope": ""})).scope == frozenset({""})


# --------------------------------------------------------------------------------------------------------- forgeries

DEEP = "[" * 1_400
FORGED_HEADERS: dict[str, Any] = {
    "alg none": HEADER | {"alg": "none"},
    "alg None": HEADER | {"alg": "None"},
    "alg missing": without(HEADER, "alg"),
    "alg of another kind": HEADER | {"alg": "RS256"},
    "alg of the family": HEADER | {"alg": "HS512"},
    "alg is a list": HEADER | {"alg": ["HS256"]},
    "alg is dir": HEADER | {"alg": "dir"},
    "kid missing": without(HEADER, "kid"),
    "kid unknown": HEADER | {"kid": "other"},
    "kid is a path": HEADER | {"kid": "../../dev/null"},
    "kid is null": HEADER | {"kid": None},
    "kid is a list": HEADER | {"kid": ["waybill"]},
    "kid is a lone surrogate": '{"alg":"HS256","kid":"\\ud800"}',
    "crit": HEADER | {"crit": ["exp"]},
    "crit empty": HEADER | {"crit": []},
    "b64": HEADER | {"b64": True},
    "typ of another use": HEADER | {"typ": "logout+jwt"},
    "typ is a list": HEADER | {"typ": ["JWT"]},
    "member twice": '{"alg":"none","alg":"HS256","kid":"waybill"}',
    "not an object": "[]",
    "a number": "1",
    "not JSON": "{",
    "not UTF-8": b'{"alg":"HS256","kid":"waybill","x":"\xff"}',
    "UTF-16": json.dumps(HEADER).encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf" + json.dumps(HEADER).encode(),
    "deep": DEEP,
}


@pytest.mark.parametrize("header", FORGED_HEADERS.values(), ids=FORGED_HEADERS.keys())
def test_verify_refuses_header(tokens: Tokens, header: Any) -> None:
    with pytest.raises(NotAuthenticated):
        tokens.verify(signed(header, CLAIMS))


NO_TIMES: list[Any] = [None, True, str(NOW), NOW + 1.0, [NOW], {}, -1, 10**400, float("nan"), float("inf")]
FORGED_CLAIMS: dict[str, Any] = {
    **{f"{name} missing": without(CLAIMS, name) for name in ("exp", "iat", "aud", "iss", "sub")},
    **{f"{name} is {value!r:.20}": CLAIMS | {name: value} for name in ("exp", "iat") for value in NO_TIMES},
    "exp is 1e400": json.dumps(CLAIMS | {"exp": 0}).replace('"exp": 0', '"exp": 1e400'),
    "exp has too many digits": json.dumps(CLAIMS | {"exp": 0}).replace('"exp": 0', '"exp": ' + "9" * 2_500),
    "exp is now": CLAIMS | {"exp": NOW},
    "expired": CLAIMS | {"iat": NOW - 60, "exp": NOW - 1},
    "iat in the future": CLAIMS | {"iat": NOW + 31},
    "exp before iat": CLAIMS | {"iat": NOW + 20, "exp": NOW + 10},
    "nbf in the future": CLAIMS | {"nbf": NOW + 31},
    "nbf is null": CLAIMS | {"nbf": None},
    "aud of another": CLAIMS | {"aud": "other"},
    "aud begins like ours": CLAIMS | {"aud": "waybill2"},
    "aud contains ours": CLAIMS | {"aud": "my waybill"},
    "aud empty": CLAIMS | {"aud": []},
    "aud with a number": CLAIMS | {"aud": ["waybill", 1]},
    "aud is an object": CLAIMS | {"aud": {"waybill": 1}},
    "aud is null": CLAIMS | {"aud": None},
    "iss of another": CLAIMS | {"iss": "other"},
    "iss is a list": CLAIMS | {"iss": ["waybill"]},
    "sub is a number": CLAIMS | {"sub": 1},
    "sub empty": CLAIMS | {"sub": ""},
    "sub with NUL": CLAIMS | {"sub": "staff:1\0"},
    "sub with a line": CLAIMS | {"sub": "staff:1\n"},
    "sub with other digits": CLAIMS | {"sub": "staff:١"},
    "jti is a number": CLAIMS | {"jti": 1},
    "jti with a surrogate": CLAIMS | {"jti": "\ud800"},
    "scope is a list": CLAIMS | {"scope": ["orders:read"]},
    "roles is a string": CLAIMS | {"roles": "order.OWNER"},
    "roles with a number": CLAIMS | {"roles": [1]},
    "member twice": json.dumps(CLAIMS)[:-1] + ', "sub": "staff:2"}',
    "NaN in any place": CLAIMS | {"x": float("nan")},
    "nested member twice": json.dumps(CLAIMS)[:-1] + ', "x": {"a": 1, "a": 2}}',
    "not an object": [CLAIMS],
    "null": None,
    "not JSON": "staff:1",
    "not UTF-8": b"\xff\xfe",
    "deep": DEEP,
    "deep within": json.dumps(CLAIMS)[:-1] + ', "x": ' + DEEP,
}


@pytest.mark.parametrize("claims", FORGED_CLAIMS.values(), ids=FORGED_CLAIMS.keys())
def test_verify_refuses_claims_however_well_signed(tokens: Tokens, claims: Any) -> None:
    with pytest.raises(NotAuthenticated):
        tokens.verify(signed(HEADER, claims))


GOOD = signed(HEADER, CLAIMS)
FORGED_TEXTS: dict[str, str] = {
    "empty": "",
    "a word": "undefined",
    "two segments": GOOD.rsplit(".", 1)[0],
    "no signature": GOOD.rsplit(".", 1)[0] + ".",
    "four segments": GOOD + ".x",
    "five segments, as of a JWE": "a.b.c.d.e",
    "space before": " " + GOOD,
    "space after": GOOD + " ",
    "line after": GOOD + "\n",
    "space within": GOOD.replace(".", ". ", 1),
    "padding": GOOD + "=",
    "plain base64": GOOD.replace(".", ".+", 1),
    "impossible base64": "a.a.a",
    "unicode": GOOD + "é",
    "lone surrogate": GOOD + "\ud800",
    "NUL": GOOD + "\0",
    "customer's": "1|" + GOOD,
    "secret of another": signed(HEADER, CLAIMS, OTHER_SECRET),
    "empty secret": signed(HEADER, CLAIMS, ""),
    "longer than the limit": signed(HEADER, CLAIMS | {"x": "x" * 4_000}),
    "10 MB": "e" * 10_000_000,
    "10 MB of dots": "." * 10_000_000,
    "10 MB of payload": GOOD.replace(".", "." + "A" * 10_000_000, 1),
}


@pytest.mark.parametrize("text", FORGED_TEXTS.values(), ids=FORGED_TEXTS.keys())
def test_verify_refuses_text(tokens: Tokens, text: str) -> None:
    with pytest.raises(NotAuthenticated):
        tokens.verify(text)


@pytest.mark.parametrize("text", [None, 1, b"a.b.c", GOOD.encode(), ["a"]])
def test_verify_refuses_what_is_no_text(tokens: Tokens, text: Any) -> None:
    with pytest.raises(NotAuthenticated):
        tokens.verify(text)


def test_verify_refuses_every_change_of_one_character(tokens: Tokens) -> None:
    tokens.verify(GOOD)
    for place, character in enumerate(GOOD):
        changed = GOOD[:place] + ("A" if character != "A" else "B") + GOOD[place + 1 :]
        with pytest.raises(NotAuthenticated):
            tokens.verify(changed)


def test_verify_says_nothing_of_the_reason(tokens: Tokens) -> None:
    texts = [GOOD + "x", signed(HEADER, CLAIMS | {"exp": NOW - 1}), signed(HEADER | {"kid": "x"}, CLAIMS), ""]
    messages = set()
    for text in texts:
        with pytest.raises(NotAuthenticated) as refusal:
            tokens.verify(text)
        messages.add((refusal.value.message, str(refusal.value.extensions)))
    assert len(messages) == 1


# ------------------------------------------------------------------------------------------------- tokens seen before


def test_cache_saves_the_signature_check(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    claims = tokens.verify(GOOD)
    monkeypatch.setattr(tokens._keys, "by_kid", {})
    assert tokens.verify(GOOD) is claims


@pytest.mark.parametrize("changed", ["payload", "header"])
def test_cache_does_not_lend_a_signature(tokens: Tokens, changed: str) -> None:
    tokens.verify(GOOD)
    header, payload, signature = GOOD.split(".")
    forged = {
        "payload": f"{header}.{encode(json.dumps(CLAIMS | {'sub': 'staff:2'}).encode())}.{signature}",
        "header": f"{encode(json.dumps(HEADER | {'alg': 'none'}).encode())}.{payload}.{signature}",
    }
    with pytest.raises(NotAuthenticated):
        tokens.verify(forged[changed])


def test_cache_ends_with_the_token(tokens: Tokens, clock: Clock) -> None:
    tokens.verify(GOOD)
    clock.now = NOW + 59.9
    tokens.verify(GOOD)
    clock.now = NOW + 60
    for _ in range(2):
        with pytest.raises(NotAuthenticated):
            tokens.verify(GOOD)


def test_cache_is_bounded(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAXIMUM_CACHED", 3)
    for number in range(10):
        tokens.verify(signed(HEADER, CLAIMS | {"jti": f"j-{number}"}))
    assert [claims.jti for claims in tokens._verified.values()] == ["j-7", "j-8", "j-9"]


def test_cache_holds_nothing_that_was_refused(tokens: Tokens) -> None:
    with pytest.raises(NotAuthenticated):
        tokens.verify(GOOD + "x")
    assert not tokens._verified


# ------------------------------------------------------------------------------------------------- keys of a JWKS file


class EdDSAKey(Key):
    """The signing half that python-jose lacks."""

    def __init__(self, private: ed25519.Ed25519PrivateKey) -> None:
        self.private = private

    def sign(self, msg: bytes) -> bytes:
        return self.private.sign(msg)


RSA = rsa.generate_private_key(65_537, 2_048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
ED_PUBLIC = ED.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
OCT = b"o" * 32


def public_jwk(private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, algorithm: str, kid: str) -> dict[str, Any]:
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return jwk.construct(pem, algorithm).to_dict() | {"kid": kid}


JWKS = [
    public_jwk(RSA, "RS256", "rsa") | {"use": "sig"},
    public_jwk(EC, "ES256", "ec"),
    {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": "ed", "x": encode(ED_PUBLIC), "key_ops": ["verify"]},
    {"kty": "oct", "alg": "HS256", "kid": "oct", "k": encode(OCT)},
]


# jose takes the keys of `cryptography` as they are; its stubs do not know.
PRIVATE: dict[str, tuple[str, Key]] = {
    "rsa": ("RS256", jwk.construct(RSA, "RS256")),
    "ec": ("ES256", jwk.construct(EC, "ES256")),
    "ed": ("EdDSA", EdDSAKey(ED)),
    "oct": ("HS256", jwk.construct(OCT, "HS256")),
}


def signed_by(name: str, **header: str) -> str:
    """A token with a good signature of the key `name`, whatever `header` says of it."""
    algorithm, key = PRIVATE[name]
    members = {"kid": name, "alg": algorithm, **header}
    text = f"{encode(json.dumps(members).encode())}.{encode(json.dumps(CLAIMS).encode())}"
    return f"{text}.{encode(key.sign(text.encode()))}"


def jwks_file(folder: Path, *keys: Any) -> Path:
    path = folder / "jwks.json"
    path.write_text(json.dumps({"keys": keys}))
    return path


@pytest.fixture
def federated(tmp_path: Path, clock: Clock) -> Tokens:
    return Tokens(settings(jwks_file(tmp_path, *JWKS)), clock)


@pytest.mark.parametrize("kid", ["rsa", "ec", "ed", "oct"])
def test_verify_believes_each_key_of_the_file(federated: Tokens, kid: str) -> None:
    assert federated.verify(signed_by(kid)).subject == "staff:1"


@pytest.mark.parametrize("kid", ["rsa", "ec", "ed", "oct"])
def test_verify_refuses_a_broken_signature_of_each_key(federated: Tokens, kid: str) -> None:
    header, payload, signature = signed_by(kid).split(".")
    other = encode(json.dumps(CLAIMS | {"sub": "staff:2"}).encode())
    for text in (f"{header}.{other}.{signature}", f"{header}.{payload}.{signature[:-8]}", f"{header}.{payload}.AAAA"):
        with pytest.raises(NotAuthenticated):
            federated.verify(text)


@pytest.mark.parametrize("claimed", ["rsa", "ec", "ed", "oct", "waybill"])
@pytest.mark.parametrize("kid", ["rsa", "ec", "ed", "oct"])
def test_verify_refuses_the_kid_of_another_key(federated: Tokens, kid: str, claimed: str) -> None:
    algorithms = {"rsa": "RS256", "ec": "ES256", "ed": "EdDSA", "oct": "HS256", "waybill": "HS256"}
    for algorithm in algorithms.values():
        if (kid, algorithms[kid]) != (claimed, algorithm):
            with pytest.raises(NotAuthenticated):
                federated.verify(signed_by(kid, kid=claimed, alg=algorithm))


@pytest.mark.parametrize("kid", ["rsa", "ec", "ed"])
def test_verify_refuses_hmac_with_a_public_key_as_secret(federated: Tokens, kid: str) -> None:
    private: dict[str, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey]
    private = {"rsa": RSA, "ec": EC, "ed": ED}
    pem = private[kid].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    for secret in (pem, pem.strip(), json.dumps(JWKS[0])):
        with pytest.raises(NotAuthenticated):
            federated.verify(signed({"alg": "HS256", "kid": kid}, CLAIMS, secret))


def test_verify_never_takes_a_key_from_the_token(federated: Tokens) -> None:
    own = ec.generate_private_key(ec.SECP256R1())
    header = {"kid": "ec", "jwk": public_jwk(own, "ES256", "ec"), "jku": "https://evil.example/jwks.json"}
    key = jwk.construct(own, "ES256")
    text = jws.sign(CLAIMS, key, headers=header, algorithm="ES256")
    with pytest.raises(NotAuthenticated):
        federated.verify(text)


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # that such a key is short is the point
    SHORT_RSA = public_jwk(rsa.generate_private_key(65_537, 1_024), "RS256", "x")

REFUSED_KEYS: dict[str, Any] = {
    "no kid": without(JWKS[0], "kid"),
    "kid is a number": JWKS[0] | {"kid": 1},
    "our own kid": JWKS[0] | {"kid": "waybill"},
    "no alg": without(JWKS[0], "alg"),
    "alg none": JWKS[0] | {"alg": "none"},
    "alg unknown": JWKS[0] | {"alg": "PS256"},
    "alg is a list": JWKS[0] | {"alg": ["RS256"]},
    "alg of encryption": JWKS[0] | {"alg": "RSA-OAEP"},
    "alg dir": JWKS[3] | {"alg": "dir"},
    "HS256 of an RSA key": JWKS[0] | {"alg": "HS256"},
    "HS256 of an RSA key with k": JWKS[0] | {"alg": "HS256", "k": encode(OCT)},
    "RS256 of an oct key": JWKS[3] | {"alg": "RS256"},
    "no kty": without(JWKS[0], "kty"),
    "for encryption": JWKS[0] | {"use": "enc"},
    "for signing only": JWKS[0] | {"key_ops": ["sign"]},
    "private RSA": PRIVATE["rsa"][1].to_dict() | {"kid": "x"},
    "private EC": PRIVATE["ec"][1].to_dict() | {"kid": "x"},
    "private EdDSA": JWKS[2] | {"d": encode(b"d" * 32)},
    "with a secret": JWKS[1] | {"k": encode(OCT)},
    "short secret": JWKS[3] | {"k": encode(b"o" * 31)},
    "no secret": without(JWKS[3], "k"),
    "short RSA": SHORT_RSA,
    "no modulus": without(JWKS[0], "n"),
    "P-384": public_jwk(ec.generate_private_key(ec.SECP384R1()), "ES384", "x") | {"alg": "ES256"},
    "point off the curve": JWKS[1] | {"x": JWKS[1]["y"]},
    "Ed448": JWKS[2] | {"crv": "Ed448"},
    "short EdDSA": JWKS[2] | {"x": encode(b"x" * 31)},
    "padded EdDSA": JWKS[2] | {"x": encode(ED_PUBLIC) + "="},
}


@pytest.mark.parametrize("key", REFUSED_KEYS.values(), ids=REFUSED_KEYS.keys())
def test_tokens_refuse_key_at_start_up(tmp_path: Path, key: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=r"^JWKS_FILE key 0 \S+"):
        Tokens(settings(jwks_file(tmp_path, key)))


def test_tokens_name_every_refused_key(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refusal:
        Tokens(settings(jwks_file(tmp_path, JWKS[0], JWKS[0], without(JWKS[1], "alg"), REFUSED_KEYS["private RSA"])))
    assert str(refusal.value).splitlines() == [
        "JWKS_FILE key 1 has the kid of another key",
        "JWKS_FILE key 2 lacks 'alg'",
        "JWKS_FILE key 3 holds its private part: only the public one belongs here",
    ]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"keys": {}}', '{"keys": [1]}', '{"keys": [], "keys": []}', DEEP])
def test_tokens_refuse_a_file_that_is_no_jwks(tmp_path: Path, text: str) -> None:
    path = tmp_path / "jwks.json"
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"^JWKS_FILE must hold"):
        Tokens(settings(path))


# --------------------------------------------------------------------------------------------- a JWKS file that changes


class Rotation:
    """A JWKS file, the tokens that are verified by it, and what the log said of it."""

    def __init__(self, folder: Path, clock: Clock, log: pytest.LogCaptureFixture) -> None:
        self.folder = folder
        self.path = jwks_file(folder, *JWKS[:2])
        self.tokens = Tokens(settings(self.path), clock)
        self._clock = clock
        self._log = log
        log.set_level("INFO", "waybill.auth")

    def write(self, *keys: Any) -> None:
        jwks_file(self.folder, *keys)

    def believes(self, kid: str) -> bool:
        try:
            return self.tokens.verify(signed_by(kid)).subject == "staff:1"
        except NotAuthenticated:
            return False

    def wait(self, seconds: float = module.LOOK_SECONDS) -> None:
        self._clock.now += seconds

    @property
    def logged(self) -> list[str]:
        return [record.getMessage() for record in self._log.records if record.name == "waybill.auth"]


@pytest.fixture
def rotation(tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture) -> Rotation:
    return Rotation(tmp_path, clock, caplog)


def test_key_that_is_added_to_the_file_is_believed_at_once(
    rotation: Rotation, caplog: pytest.LogCaptureFixture
) -> None:
    assert rotation.believes("rsa")
    rotation.write(*JWKS[:3])
    assert rotation.believes("ed")
    assert rotation.logged == ["JWKS_FILE was read anew"]
    assert caplog.records[-1].__dict__["facts"] == {"added": ["ed"], "removed": []}


def test_key_that_is_taken_out_of_the_file_opens_nothing_a_second_later(rotation: Rotation) -> None:
    assert rotation.believes("rsa")
    assert rotation.believes("ec")
    own = rotation.tokens.issue("staff:2")
    rotation.write(JWKS[1])
    rotation.wait(0.9)
    assert rotation.believes("rsa")  # which was verified before, and is kept
    rotation.wait(0.1)
    assert not rotation.believes("rsa")
    assert rotation.believes("ec")
    assert rotation.tokens.verify(own).subject == "staff:2"


def test_key_that_is_replaced_under_its_kid_no_longer_verifies_what_the_other_one_signed(rotation: Rotation) -> None:
    assert rotation.believes("ec")
    other = ec.generate_private_key(ec.SECP256R1())
    rotation.write(JWKS[0], public_jwk(other, "ES256", "ec"))
    rotation.wait()
    assert not rotation.believes("ec")
    assert rotation.logged == ["JWKS_FILE was read anew"]


@pytest.mark.parametrize(
    ("contents", "complaint"),
    [
        ("", 'JWKS_FILE must hold {"keys": [...]}'),
        (json.dumps({"keys": JWKS})[:-40], 'JWKS_FILE must hold {"keys": [...]}'),
        (
            json.dumps({"keys": [JWKS[0], without(JWKS[1], "alg"), JWKS[2] | {"d": "x"}]}),
            "JWKS_FILE key 1 lacks 'alg'; JWKS_FILE key 2 holds its private part: only the public one belongs here",
        ),
        (json.dumps({"keys": [], "x": "x" * module.MAXIMUM_JWKS_BYTES}), "JWKS_FILE cannot be read: has more than"),
        (None, "JWKS_FILE cannot be read: No such file or directory"),
    ],
    ids=["empty", "half written", "bad keys", "large", "away"],
)
def test_file_that_cannot_be_used_leaves_the_keys_and_is_complained_of_once(
    rotation: Rotation, contents: str | None, complaint: str
) -> None:
    if contents is None:
        rotation.path.unlink()
    else:
        rotation.path.write_text(contents)
    for _ in range(3):
        rotation.wait()
        assert rotation.believes("rsa")
        assert rotation.believes("ec")
        assert not rotation.believes("ed")
    [line] = rotation.logged
    assert line.startswith(f"the keys stay as they were: {complaint}")
    assert "\n" not in line

    rotation.write(*JWKS[1:3])
    rotation.wait()
    assert rotation.believes("ed")
    assert not rotation.believes("rsa")
    assert rotation.logged[1:] == ["JWKS_FILE was read anew"]


def test_file_that_is_broken_twice_is_complained_of_twice(rotation: Rotation) -> None:
    for _ in range(2):
        rotation.path.write_text("{")
        rotation.wait()
        assert rotation.believes("ec")
        rotation.write(*JWKS[:2])
        rotation.wait()
        assert rotation.believes("ec")
    assert [line.partition(":")[0] for line in rotation.logged] == [
        "the keys stay as they were", "JWKS_FILE was read anew"
    ] * 2  # fmt: skip


def test_file_that_was_away_twice_is_complained_of_twice(rotation: Rotation) -> None:
    away = rotation.path.with_name("away")
    for _ in range(2):
        rotation.path.rename(away)
        for _ in range(2):
            rotation.wait()
            assert rotation.believes("ec")
        away.rename(rotation.path)
        rotation.wait()
        assert rotation.believes("ec")
    assert len(rotation.logged) == 2


def test_file_is_looked_at_once_a_second_whatever_is_sent(rotation: Rotation, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = count_looks(monkeypatch)
    for _ in range(1_000):
        assert rotation.believes("rsa")
    assert len(looks) == 1
    rotation.wait()
    assert rotation.believes("rsa")
    assert len(looks) == 2


def test_made_up_keys_have_the_file_looked_at_a_hundred_times_a_second_at_most(
    rotation: Rotation, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = count_looks(monkeypatch)
    for number in range(3_000):
        assert not believed(rotation.tokens, signed({"alg": "HS256", "kid": f"k-{number}"}, CLAIMS))
        rotation.wait(1 / 3_000)
    assert 100 <= len(looks) <= 120


def test_key_that_is_gone_does_not_keep_a_new_one_from_being_found(rotation: Rotation) -> None:
    rotation.write(JWKS[1])
    rotation.wait()
    for _ in range(20):
        assert not rotation.believes("rsa")
    rotation.write(*JWKS[1:3])
    assert rotation.believes("ed")


def test_tokens_without_a_file_never_look_for_one(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = count_looks(monkeypatch)
    assert not believed(tokens, signed({"alg": "HS256", "kid": "other"}, CLAIMS))
    tokens.reload()
    assert tokens.verify(GOOD)
    assert looks == []


def test_file_is_looked_at_after_the_clock_was_set_back(rotation: Rotation) -> None:
    assert rotation.believes("rsa")
    rotation.write(JWKS[1])
    rotation.wait(-5)
    assert not rotation.believes("rsa")


def test_reload_reads_the_file_at_once_and_says_what_came_of_it(rotation: Rotation) -> None:
    assert rotation.believes("rsa")
    rotation.write(JWKS[1])
    rotation.tokens.reload()
    assert not rotation.believes("rsa")
    rotation.path.write_text("{")
    rotation.tokens.reload()
    rotation.tokens.reload()
    assert rotation.believes("ec")
    assert [line.partition(":")[0] for line in rotation.logged] == [
        "JWKS_FILE was read anew", "the keys stay as they were", "the keys stay as they were"
    ]  # fmt: skip


def believed(tokens: Tokens, text: str) -> bool:
    try:
        return bool(tokens.verify(text))
    except NotAuthenticated:
        return False


def count_looks(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    looks: list[object] = []
    changed = WatchedFile.changed

    def counted(file: WatchedFile, *, anyway: bool = False) -> bytes | None:
        looks.append(file)
        return changed(file, anyway=anyway)

    monkeypatch.setattr(WatchedFile, "changed", counted)
    return looks


@pytest.mark.parametrize("secret", ["", "x" * 31, f"-----BEGIN PUBLIC KEY-----\n{'x' * 40}\n-----END PUBLIC KEY-----"])
def test_tokens_refuse_secret_at_start_up(secret: str) -> None:
    with pytest.raises(SettingsError, match=r"^TOKEN_SECRET ") as refusal:
        Tokens(settings(secret=secret))
    assert not secret or secret not in str(refusal.value)


def test_secrets_do_not_print(tokens: Tokens) -> None:
    assert SECRET not in repr(tokens) + repr(settings())
    assert hashlib.sha256(SECRET.encode()).hexdigest()[:8] not in tokens.issue("staff:1")


def test_issue_signs_with_the_secret_that_the_file_has_now(tmp_path: Path, clock: Clock) -> None:
    """Whatever was verified before, and however short a time ago."""
    file = tmp_path / "secret"
    file.write_text(SECRET)
    rotated = Tokens(Settings(database_url="", token_secret=SECRET, secret_files={"TOKEN_SECRET": file}), clock)
    former = rotated.issue("staff:1")
    file.write_text(OTHER_SECRET)
    assert believed(Tokens(settings(secret=OTHER_SECRET), clock), rotated.issue("staff:1"))
    assert not believed(rotated, former)
