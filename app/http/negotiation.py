"""Which media type and encoding an answer has (GraphQL over HTTP, "Accept"), and whether a request's body is JSON."""

import re
from collections.abc import Callable, Iterable
from enum import Enum
from functools import lru_cache, wraps
from typing import TypeVar

GRAPHQL_RESPONSE = "application/graphql-response+json"
JSON = "application/json"
HTML = "text/html"
EVENT_STREAM = "text/event-stream"
MULTIPART = "multipart/mixed"

# Callers send few different headers; a long one is not worth its room.
_REMEMBERED = 200
_LONGEST_REMEMBERED = 200

_SPECIFICATION = re.compile(r'subscriptionspec=("1\.0"|1\.0)')
_QUALITY = re.compile(r"q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)", re.IGNORECASE)


Decision = TypeVar("Decision")


def _remembered(decide: Callable[[str | None], Decision]) -> Callable[[str | None], Decision]:
    """The same function, which works a header out once."""
    decided = lru_cache(_REMEMBERED)(decide)

    @wraps(decide)
    def decide_once(header: str | None) -> Decision:
        return decided(header) if header is None or len(header) <= _LONGEST_REMEMBERED else decide(header)

    return decide_once


def accept_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The header Accept of ASGI's `headers`. It is a list, and all that it comes in count."""
    return b",".join([value for name, value in headers if name == b"accept"]).decode("latin-1")


class Match(Enum):
    """How closely a range of the Accept header names a media type; the closest one decides its quality."""

    NONE = 0
    ANYTHING = 1
    TYPE = 2
    EXACT = 3


@_remembered
def negotiate(accept: str | None) -> str | None:
    """The media type that the caller likes best, or None where it likes none that GraphQL has.

    With equal quality a type named in full wins over one that a wildcard admits, and then the newer type over JSON.
    """
    if accept is None or not accept.strip():
        return JSON
    ranges = _ranges(accept)
    best: tuple[float, int, str] = (0.0, 0, "")
    for media_type in (JSON, GRAPHQL_RESPONSE):
        match, quality = _closest(ranges, media_type)
        if not quality:
            continue
        exact = match is Match.EXACT
        if (quality, exact) > best[:2] or (exact and (quality, exact) == best[:2]):
            best = (quality, exact, media_type)
    return best[2] or None


@_remembered
def accepts_events(accept: str | None) -> bool:
    """Whether the caller takes server-sent events, by their own name."""
    match, quality = _closest(_ranges(accept or ""), EVENT_STREAM)
    return match is Match.EXACT and quality > 0


@_remembered
def accepts_parts(accept: str | None) -> bool:
    """Whether the caller takes the answers to a subscription as the parts of one body, in the version that we speak.

    https://www.apollographql.com/docs/graphos/routing/operations/subscriptions/multipart-protocol
    """
    for text in (accept or "").split(","):
        media_type, *parameters = (part.strip().lower() for part in text.split(";"))
        if media_type == MULTIPART and any(_SPECIFICATION.fullmatch(parameter) for parameter in parameters):
            return True
    return False


@_remembered
def prefers_html(accept: str | None) -> bool:
    """Whether a person's browser asks: it names HTML in full, and neither names nor likes JSON as well as that."""
    ranges = _ranges(accept or "")
    match, quality = _closest(ranges, HTML)
    if match is not Match.EXACT or not quality:
        return False
    others = [_closest(ranges, media_type) for media_type in (JSON, GRAPHQL_RESPONSE)]
    return all((quality, True) > (other, match is Match.EXACT) for match, other in others)


def accepts_gzip(accept_encoding: str | None) -> bool:
    """Whether the header Accept-Encoding asks for gzip, and not rather for plain text."""
    qualities = dict(_ranges(accept_encoding or ""))
    gzip = qualities.get("gzip", qualities.get("*", 0.0))
    return gzip > 0 and gzip >= qualities.get("identity", 0.0)


def _ranges(header: str) -> list[tuple[str, float]]:
    return [_range(text) for text in header.split(",") if text.strip()]


def _closest(ranges: list[tuple[str, float]], media_type: str) -> tuple[Match, float]:
    """How closely the ranges name a media type, and the quality that it has by that, which is 0 where none does."""
    found = ((_match(pattern, media_type), quality) for pattern, quality in ranges)
    return max(
        ((match, quality) for match, quality in found if match is not Match.NONE),
        key=lambda pair: (pair[0].value, pair[1]),
        default=(Match.NONE, 0.0),
    )


def _range(text: str) -> tuple[str, float]:
    """A media range, or an encoding, without its parameters, and its quality; an unreadable quality is none."""
    pattern, *parameters = (part.strip() for part in text.split(";"))
    qualities = [parameter for parameter in parameters if parameter[:2].lower() == "q="]
    if not qualities:
        return pattern.lower(), 1.0
    quality = _QUALITY.fullmatch(qualities[0])
    return pattern.lower(), float(quality[1]) if quality else 0.0


def _match(pattern: str, media_type: str) -> Match:
    if pattern == media_type:
        return Match.EXACT
    if pattern == "application/*":
        return Match.TYPE
    return Match.ANYTHING if pattern == "*/*" else Match.NONE


@_remembered
def is_json(content_type: str | None) -> bool:
    """JSON in UTF-8; any other parameter of the media type than the character set is none of ours."""
    essence, *parameters = (part.strip().lower() for part in (content_type or "").split(";"))
    if essence != JSON:
        return False
    charsets = [
        value.strip('" ') for name, _, value in (text.partition("=") for text in parameters) if name == "charset"
    ]
    return all(charset in ("utf-8", "utf8") for charset in charsets)
