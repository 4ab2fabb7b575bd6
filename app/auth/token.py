"""Access tokens: signed JWTs, checked far beyond what python-jose checks. The only module that imports jose.

python-jose verifies the signature and nothing else here: its own check of claims takes `true` for a time, leaves out
what a token leaves out, and lets TypeError, OverflowError, RecursionError and UnicodeEncodeError escape.

A token is believed when (decision 11, RFC 8725)

- it has at most 4,096 characters: three segments of base64url, header and payload strict JSON objects;
- its `kid` names one of our keys, its `alg` is the one algorithm of that key, and `crit` and `b64` are absent;
- `exp`, `iat`, `aud`, `iss` and `sub` are there, of the right type, and in force now; issuer and audience are those of
  the settings, or those that the key's entry in the JWKS file names.

Who verifies a token looks whether the JWKS file, or one with a secret, has changed: once a second at most, and at once
for a key that is not known, or a token of ours that no secret has signed. All tokens are then verified anew: a key that
was taken out of the file opens nothing a second later. Who issues one looks each time.
"""

import hashlib
import json
import logging
import math
import re
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from jose import jwk, jws
from jose.backends.base import Key
from jose.exceptions import JWSError
from jose.utils import base64url_decode, base64url_encode

from app.auth.watched_file import WatchedFile
from app.errors import NotAuthenticated
from app.settings import MINIMUM_SECRET_BYTES, Settings, SettingsError

logger = logging.getLogger("waybill.auth")

OWN_KEY = "waybill"
_JWKS = "JWKS_FILE"
# The first of them signs.
_OWN_SECRETS = ("TOKEN_SECRET", "TOKEN_SECRET_PREVIOUS")
MAXIMUM_LENGTH = 4_096
MAXIMUM_CACHED = 10_000
MAXIMUM_JWKS_BYTES = 256_000
CLOCK_SKEW = 30

LOOK_SECONDS = 1.0
# Whoever sends made-up keys must not make us look for each: so many are looked for in such a time, each of them once.
UNKNOWN_KEYS = 10
UNKNOWN_KEYS_SECONDS = 0.1

_SHAPE = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_NAME = re.compile(r"[!-~]{1,255}")
_TYPES = ("jwt", "at+jwt", "application/at+jwt")
_YEAR_9999 = 253_402_300_799

_KEY_TYPES = {"HS256": ("oct", None), "RS256": ("RSA", None), "ES256": ("EC", "P-256"), "EdDSA": ("OKP", "Ed25519")}
_PRIVATE_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "oth"}
_MINIMUM_RSA_BITS = 2_048


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says. `expires_at` is in seconds since 1970; `scope` is None where the token has none."""

    subject: str
    expires_at: int
    jti: str | None
    scope: frozenset[str] | None
    roles: frozenset[str]


class KnownKey(NamedTuple):
    """A key with its one algorithm, and whose tokens for whom it may sign."""

    algorithm: str
    key: Key
    issuers: frozenset[str]
    audiences: frozenset[str]


Keys = dict[str, KnownKey]


class Tokens:
    """Issues and verifies tokens with the keys of the settings."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        """Raises `SettingsError` that names every unusable key of the JWKS file."""
        self._issuer = settings.token_issuer
        self._audience = settings.token_audience
        self._keys = _KeyRing(settings)
        self._clock = clock
        self._verified: dict[bytes, Claims] = {}

    def verify(self, token: str) -> Claims:
        """Raises `NotAuthenticated`, whatever is wrong; its cause is for the log."""
        try:
            return self._cached(token)
        except Exception as fault:
            raise NotAuthenticated from fault

    def reload(self) -> None:
        """Reads the JWKS file now. Where it cannot be used, all stays as it was, and the log says why."""
        if self._keys.reload():
            self._verified = {}

    def issue(
        self, subject: str, lifetime: timedelta = timedelta(hours=8), *, since: datetime | None = None, **claims: Any
    ) -> str:
        """A token of our own for `subject` (`staff:1`), with further claims such as `scope="orders:read"`.

        Its `jti` is random where it is not among them. It is good from now on, or counts from a moment in the past.
        """
        now = self._clock()
        # Nothing may have been verified for long, and whoever has read a new secret refuses what the former one signs.
        if self._keys.look(now):
            self._verified = {}
        issued_at = int(now if since is None else since.timestamp())
        registered = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": subject,
            "iat": issued_at,
            "exp": issued_at + int(lifetime.total_seconds()),
        }
        claims = {"jti": secrets.token_urlsafe(16)} | claims
        own = self._keys.by_kid[OWN_KEY]
        return jws.sign(claims | registered, own.key, headers={"kid": OWN_KEY}, algorithm=own.algorithm)

    def _cached(self, token: str) -> Claims:
        _require(len(token) <= MAXIMUM_LENGTH and _SHAPE.fullmatch(token), "shape")
        now = self._clock()
        if self._keys.have_changed(now):
            self._verified = {}
        # The whole text is the key: a lookup by what an unverified token says of itself (its jti, its signature)
        # would accept a forged payload that borrows them.
        key = hashlib.sha256(token.encode()).digest()
        claims = self._verified.get(key)
        if claims is None:
            claims = self._read(token, now)
            if len(self._verified) >= MAXIMUM_CACHED:
                del self._verified[next(iter(self._verified))]
            self._verified[key] = claims
        elif claims.expires_at <= now:
            del self._verified[key]
            raise ValueError("exp")
        return claims

    def _read(self, token: str, now: float) -> Claims:
        segments = token.split(".")
        header, signature = _json_object(_decode(segments[0])), segments[2]
        _decode(signature)
        _require("crit" not in header and "b64" not in header, "extension of JWS")
        _require(str(header.get("typ", "jwt")).lower() in _TYPES, "typ")
        _require(isinstance(header.get("kid"), str), "kid")
        if header["kid"] not in self._keys.by_kid and self._keys.look_for(header["kid"], now):
            self._verified = {}
        known = self._keys.by_kid[header["kid"]]
        _require(header.get("alg") == known.algorithm, "alg")
        try:
            payload = jws.verify(token, known.key, [known.algorithm])
        except JWSError:
            # Another process may have signed it with a secret that is a moment old.
            if header["kid"] != OWN_KEY or not self._keys.look_for(token, now):
                raise
            self._verified = {}
            known = self._keys.by_kid[OWN_KEY]
            payload = jws.verify(token, known.key, [known.algorithm])
        return self._claims(_json_object(payload), known)

    def _claims(self, payload: dict[str, Any], key: KnownKey) -> Claims:
        now = self._clock()
        expires_at, issued_at = _instant(payload["exp"]), _instant(payload["iat"])
        _require(now < expires_at and issued_at < expires_at, "exp")
        _require(issued_at <= now + CLOCK_SKEW, "iat")
        _require(_instant(payload.get("nbf", 0)) <= now + CLOCK_SKEW, "nbf")
        _require(_name(payload["iss"]) in key.issuers, "iss")
        audience = payload["aud"]
        _require(key.audiences & _texts([audience] if isinstance(audience, str) else audience), "aud")
        jti, scope = payload.get("jti"), payload.get("scope")
        return Claims(
            subject=_name(payload["sub"]),
            expires_at=expires_at,
            jti=None if jti is None else _name(jti),
            scope=None if scope is None else _texts(scope.split(" ")),
            roles=_texts(payload.get("roles", [])),
        )


class _KeyRing:
    """The keys by `kid`: our own, and those of the JWKS file as it is now.

    Files that cannot be used leave the keys as they were.
    """

    def __init__(self, settings: Settings) -> None:
        """Raises `SettingsError` that names every unusable key."""
        self._settings = settings
        self._files = {
            name: WatchedFile(settings.secret_files[name], MAXIMUM_JWKS_BYTES)
            for name in _OWN_SECRETS
            if name in settings.secret_files
        }
        if settings.jwks_file is not None:
            self._files[_JWKS] = WatchedFile(settings.jwks_file, MAXIMUM_JWKS_BYTES)
        # In between there is nothing to look at: never, where there is no file.
        self._looked_at, self._look_at = -math.inf, -math.inf if self._files else math.inf
        self._unknown: set[str] = set()
        self._unknown_since = -math.inf
        self._fault = ""
        self._contents = {name: _contents(name, file) or b"" for name, file in self._files.items()}
        self._tried = dict(self._contents)  # good or not
        self.by_kid = self._made()

    def have_changed(self, now: float) -> bool:
        """Looks at the files, if it is time to. A clock that was set back makes it time."""
        if self._looked_at <= now < self._look_at:
            return False
        return self.look(now)

    def look_for(self, what: str, now: float) -> bool:
        """Whether the keys changed while nobody looked; that they are now what was looked for is not said.

        `what` is a `kid` that is not known, or a token that none of our own secrets has signed.
        """
        if not self._files:
            return False
        if not self._unknown_since <= now < self._unknown_since + UNKNOWN_KEYS_SECONDS:
            self._unknown, self._unknown_since = set(), now
        if what in self._unknown or len(self._unknown) >= UNKNOWN_KEYS:
            return False
        self._unknown.add(what)
        return self.look(now)

    def look(self, now: float) -> bool:
        """Looks at the files now. Whether the keys changed."""
        self._looked_at, self._look_at = now, now + LOOK_SECONDS if self._files else math.inf
        return self._read()

    def reload(self) -> bool:
        """Reads the files whatever their times say, and tells in the log what came of it. Whether the keys changed."""
        if not self._files:
            return False
        self._fault, self._tried = "", {}
        return self._read(anyway=True)

    def _read(self, *, anyway: bool = False) -> bool:
        try:
            for name, file in self._files.items():
                contents = _contents(name, file, anyway=anyway)
                if contents is not None:
                    self._contents[name] = contents
                    self._fault = ""
            if self._contents == self._tried:
                return False
            changed = [name for name in self._contents if self._contents[name] != self._tried.get(name)]
            self._tried = dict(self._contents)
            keys = self._made()
        except SettingsError as error:
            self._complain(str(error).replace("\n", "; "))
            return False
        facts = {"added": sorted(keys.keys() - self.by_kid), "removed": sorted(self.by_kid.keys() - keys)}
        self.by_kid = keys
        for name in changed:
            logger.info("%s was read anew", name, extra={"facts": facts if name == _JWKS else {}})
        return True

    def _made(self) -> Keys:
        """Raises `SettingsError`."""
        settings = self._settings
        secrets = [
            (name, self._contents[name].rstrip(b"\r\n") if name in self._contents else known.encode())
            for name, known in zip(
                _OWN_SECRETS, (settings.token_secret, settings.token_secret_previous or ""), strict=True
            )
        ]
        issuers, audiences = frozenset({settings.token_issuer}), frozenset({settings.token_audience})
        keys = {OWN_KEY: KnownKey("HS256", _own_key(secrets), issuers, audiences)}
        if _JWKS in self._contents:
            keys |= _keys_of(self._contents[_JWKS], issuers, audiences)
        return keys

    def _complain(self, fault: str) -> None:
        """Once of a fault that stays."""
        if fault != self._fault:
            logger.error("the keys stay as they were: %s", fault)
        self._fault = fault


class _OwnKey(Key):
    """Signs with the first of the service's secrets, and believes what any of them has signed."""

    def __init__(self, keys: Sequence[Key]) -> None:
        self._keys = keys

    def sign(self, msg: bytes) -> bytes:
        signature: bytes = self._keys[0].sign(msg)
        return signature

    def verify(self, msg: bytes, sig: bytes) -> bool:
        return any(key.verify(msg, sig) for key in self._keys)


class _Ed25519Key(Key):
    """EdDSA, which python-jose lacks, as one of its keys."""

    def __init__(self, public: bytes) -> None:
        self._key = Ed25519PublicKey.from_public_bytes(public)

    def verify(self, msg: bytes, sig: bytes) -> bool:
        """Raises `InvalidSignature`, which jose takes for a no."""
        self._key.verify(sig, msg)
        return True


def _own_key(secrets: Sequence[tuple[str, bytes]]) -> Key:
    """The first is that of the service, the others may be empty. Raises `SettingsError`."""
    keys = []
    for place, (name, secret) in enumerate(secrets):
        if not secret and place:
            continue
        try:
            keys.append(_hmac_key(secret))
        except Exception as fault:
            raise SettingsError(f"{name} {fault}") from None
    return _OwnKey(keys)


def _contents(name: str, file: WatchedFile, *, anyway: bool = False) -> bytes | None:
    """None where nothing has changed. Raises `SettingsError`."""
    try:
        return file.changed(anyway=anyway)
    except OSError as fault:
        raise SettingsError(
            f"{name if name == _JWKS else f'the file of {name}'} cannot be read: {fault.strerror}"
        ) from None


def _keys_of(contents: bytes, issuers: frozenset[str], audiences: frozenset[str]) -> Keys:
    """The keys of a JWKS by `kid`. Raises `SettingsError` that names all unusable ones.

    An entry's own members `iss` and `aud`, a text or a list, stand in the place of `issuers` and `audiences`.
    """
    keys: Keys = {}
    faults: list[str] = []
    for place, entry in enumerate(_jwks(contents)):
        try:
            kid = _name(entry["kid"])
            _require(kid != OWN_KEY and kid not in keys, "has the kid of another key")
            key = _public_key(entry)
            keys[kid] = KnownKey(entry["alg"], key, _named(entry, "iss", issuers), _named(entry, "aud", audiences))
        except Exception as fault:
            faults.append(f"JWKS_FILE key {place} {_reason(fault)}")
    if faults:
        raise SettingsError("\n".join(faults))
    return keys


def _jwks(contents: bytes) -> list[dict[str, Any]]:
    try:
        entries = _json_object(contents)["keys"]
        _require(isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries), "")
    except Exception:
        raise SettingsError('JWKS_FILE must hold {"keys": [...]}') from None
    return list(entries)


def _public_key(entry: dict[str, Any]) -> Key:
    """The key of a JWK (RFC 7517). Raises ValueError, KeyError or an error of jose that says what is wrong with it."""
    algorithm = entry["alg"]
    _require(algorithm in _KEY_TYPES, f"must have an alg among {', '.join(_KEY_TYPES)}")
    kind, curve = _KEY_TYPES[algorithm]
    _require(entry["kty"] == kind and entry.get("crv") == curve, f"is not of the type that {algorithm} needs")
    _require(entry.get("use", "sig") == "sig", "is not for signatures")
    _require("verify" in entry.get("key_ops", ["verify"]), "is not for verification")
    _require(not _PRIVATE_MEMBERS & entry.keys(), "holds its private part: only the public one belongs here")
    if algorithm == "HS256":
        return _hmac_key(_decode(entry["k"]))
    _require("k" not in entry, "holds a secret")
    if algorithm == "EdDSA":
        return _Ed25519Key(_decode(entry["x"]))
    if algorithm == "RS256":
        bits = int.from_bytes(_decode(entry["n"])).bit_length()
        _require(bits >= _MINIMUM_RSA_BITS, f"has fewer than {_MINIMUM_RSA_BITS} bits")
    return jwk.construct(entry, algorithm)


def _named(entry: dict[str, Any], member: str, others: frozenset[str]) -> frozenset[str]:
    if member not in entry:
        return others
    given = entry[member]
    names = given if isinstance(given, list) else [given]
    _require(names and all(isinstance(name, str) and _NAME.fullmatch(name) for name in names), f"names no {member}")
    return frozenset(names)


def _hmac_key(secret: bytes) -> Key:
    _require(len(secret) >= MINIMUM_SECRET_BYTES, f"must have at least {MINIMUM_SECRET_BYTES} bytes")
    return jwk.construct(secret, "HS256")


def _reason(fault: Exception) -> str:
    return f"lacks {fault}" if isinstance(fault, KeyError) else str(fault) or "cannot be read"


def _require(condition: object, fault: str) -> None:
    if not condition:
        raise ValueError(fault)


def _decode(segment: str) -> bytes:
    """base64url in its one canonical form: a signature has one spelling only."""
    data = base64url_decode(segment.encode("ascii"))
    _require(base64url_encode(data).decode() == segment, "base64url")
    return data


def _json_object(data: bytes) -> dict[str, Any]:
    """Strict JSON: no member twice, of which two readers may choose differently, and no NaN."""
    value = json.loads(data.decode("utf-8"), object_pairs_hook=_members, parse_constant=_no_constant)
    _require(isinstance(value, dict), "object")
    return dict(value)


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    _require(len(members) == len(pairs), "member twice")
    return members


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _instant(value: object) -> int:
    """Whole seconds since 1970. A bool is no time, though Python counts it among the integers."""
    if type(value) is not int or not 0 <= value <= _YEAR_9999:
        raise ValueError("time")
    return value


def _name(value: object) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError("name")
    return value


def _texts(value: object) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise ValueError("list of strings")
    return frozenset(value)
