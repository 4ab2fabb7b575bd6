"""Where a customer follows a parcel: a carrier's template with the code put in."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from enum import Enum, auto
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from app.resolvers.field_plan import MoreNeeded
from app.rules import BLANKS, CONTROLS, line_fault, url_fault

PLACE = "{code}"
# What a template may ask for beside it (decision 26), by the columns that tell it.
_COLUMNS = {
    "{postalCode}": "postal_code",
    "{country}": "country",
    "{language}": "language",
    "{orderNumber}": "order_number",
}
_OURS = re.compile("|".join(map(re.escape, (PLACE, *_COLUMNS))))
_PLACES = re.compile(f"((?:{_OURS.pattern})+)")
# What stands for a value in other systems' templates. A percent sign alone escapes a character, a colon and brackets
# are parts of many an address: they are placeholders where a whole segment or value begins with them.
_FOREIGN = re.compile(
    r"[$%]?\{+[^{}]*\}+"
    r"|%(?P<place>\d+)\$[a-z]|%s|%[du](?![0-9A-Fa-f])"
    r"|%%?(?![0-9A-Fa-f]{2})[A-Za-z_]\w*%"
    r"|%(?:barcode|date|delivery|destination)\w*%"
    r"|(?<=[/=])(?::[A-Za-z_]\w*|\$[A-Za-z_]\w*|\[[^\[\]]*\]|__[A-Za-z]\w*?__|@@?[A-Za-z_]*@?(?=[/?&#]|$))"
    r"|<[^<>]*>|\#{2,}\w*\#*|[{}]",
    re.IGNORECASE,
)
# An escape that is none, and what an address holds escaped alone (RFC 3986).
_NO_ADDRESS = re.compile(r"%(?![0-9A-Fa-f]{2})|[\"`|^]")
_PORT = re.compile("[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]")
_HALVES = re.compile("[\ud800-\udfff]")
_BLANK_ENDS = re.compile(rf"\A[{BLANKS}]+|[{BLANKS}]+\Z")
_NOTHING = re.compile(rf"[{BLANKS}{CONTROLS}]*")
_ORDER_OF_PLACES = {"2": "{postalCode}", "3": "{country}"}  # of `%1$s`, `%2$s`, `%3$s`
_MEANINGS = (
    ("zip", "{postalCode}"),
    ("post", "{postalCode}"),
    ("country", "{country}"),
    ("lang", "{language}"),
    ("locale", "{language}"),
    ("order", "{orderNumber}"),
)


class _Kind(Enum):
    """What a template asks for."""

    NOTHING = auto()
    """It gives no link."""
    CODE = auto()
    ORDER = auto()
    """What the order of the parcel tells, and the code or not."""


def tracking_url(code: str, template: str | None, destination: Mapping[str, Any] | None = None) -> str | None:
    """The template with `code`, and with what `destination` tells, percent-encoded in their places.

    `destination` is a row of `order_address.destinations_by_shipment_ids`. None without a template, or where it is no
    http or https URL with a host of its own: a link that customers click must not run a script or lead to a host that
    the code chose. None as well where it asks for what is not known of the order.
    """
    kind = _kind(template) if template else _Kind.NOTHING
    if kind is _Kind.CODE:
        return template.replace(PLACE, quote(code, safe=""))  # type: ignore[union-attr]
    if kind is _Kind.NOTHING or destination is None:
        return None
    values = {PLACE: code, **{place: destination[column] for place, column in _COLUMNS.items()}}
    wanted = set(_OURS.findall(template or ""))
    if not all(values[place] for place in wanted):
        return None
    return _OURS.sub(lambda place: quote(values[place[0]], safe=""), template or "")


def tracking_url_of_code(code: str, template: str | None) -> str | None:
    """`tracking_url` where the code suffices for it. Raises `MoreNeeded`."""
    if template and _kind(template) is _Kind.ORDER:
        raise MoreNeeded
    return tracking_url(code, template)


def needs_destination(template: str | None) -> bool:
    return bool(template) and _kind(template or "") is _Kind.ORDER


@lru_cache(1024)
def _kind(template: str) -> _Kind:
    try:
        parts = urlsplit(template)
    except ValueError:
        return _Kind.NOTHING
    if parts.scheme not in ("http", "https") or not parts.hostname or _OURS.search(parts.netloc):
        return _Kind.NOTHING
    return _Kind.ORDER if any(place in template for place in _COLUMNS) else _Kind.CODE


def code_of(text: str, template: str | None) -> str:
    """The code in `text` where that is an address of the template's page, as people paste it; and else `text` itself.

    Other parameters than that of the code may differ, and be missing. `0021_pages.sql` says the same in SQL, for news
    that waits for a page.
    """
    if not template or not is_address(text):
        return text
    try:
        given, page = urlsplit(_bare(text)), urlsplit(template)
    except ValueError:
        return text
    if _host(given.netloc) != _host(page.netloc):
        return text
    if not _pattern(page.path).match(given.path):
        return text
    for template_part, part in ((page.path, given.path), (page.fragment, given.fragment)):
        found = _pattern(template_part).match(part) if PLACE in template_part else None
        if found and (code := _decoded(found["code"])):
            return code
    # What is no UTF-8 is no code: such bytes stay apart as halves of surrogate pairs.
    values = dict(parse_qsl(given.query, errors="surrogateescape"))
    for name, value in parse_qsl(page.query):
        told = values.get(name, "")
        found = _pattern(value, "\n").match(told) if PLACE in value and not _HALVES.search(told) else None
        if found and (code := _sound(found["code"])):
            return code
    return text


def is_address(text: str) -> bool:
    """Whether a code may be meant by the address of a carrier's page, with what was copied around it."""
    return "://" in text and _bare(text).lower().startswith(("http://", "https://"))


def _bare(text: str) -> str:
    """Without what prints as nothing before and after it."""
    for _end in range(2):
        text = text[_NOTHING.match(text).end() :][::-1]  # type: ignore[union-attr]
    return text


class TrackingPages:
    """The pages of several carriers, any of whose addresses may name a code."""

    def __init__(self, templates: Iterable[str | None]) -> None:
        self._by_host: defaultdict[str, list[str]] = defaultdict(list)
        for template in templates:
            if template and (host := _host_of(template)):
                self._by_host[host].append(template)

    def code_of(self, text: str) -> str:
        """The code in `text` where that is an address of one of the pages, and else `text` itself."""
        if not is_address(text):
            return text
        found = (code_of(text, template) for template in self._by_host.get(_host_of(text), ()))
        return next((code for code in found if code != text), text)


def _host_of(address: str) -> str:
    """Empty where there is none."""
    try:
        return _host(urlsplit(_bare(address)).netloc)
    except ValueError:
        return ""


def _decoded(part: str) -> str | None:
    """What percent-encoding says, None where that can be no code."""
    try:
        return _sound(unquote(part, errors="strict"))
    except UnicodeDecodeError:
        return None


def _sound(text: str) -> str | None:
    """The code without blanks around it, None where it can be none: blank, or with control characters."""
    code = _BLANK_ENDS.sub("", text)
    return None if line_fault(code) else code


def _host(text: str) -> str:
    return text.lower().removeprefix("www.")


@lru_cache(512)
def _pattern(template: str, ends: str = "/?&#") -> re.Pattern[str]:
    """Of a part of a template: what a person pastes in its place. `ends` are characters that are in no place.

    The code is as long as can be, and any other place ends where the next character begins: so nothing is tried more
    than once for each character of the code. Places side by side are one.
    """
    pieces = _PLACES.split(template.rstrip("/"))
    following = (*pieces[1:], "")
    is_first = True
    pattern = ""
    for number, piece in enumerate(pieces):
        if number % 2 == 0:
            pattern += re.escape(piece)
        elif PLACE in piece and is_first:
            pattern, is_first = f"{pattern}(?P<code>[^{ends}]+)", False
        else:
            pattern += f"[^{ends}{re.escape(following[number][:1])}]*"
    return re.compile(rf"{pattern}/?\Z")


def template_fault(template: str) -> str | None:
    """The words in which a carrier's template is refused, or None (B-37, decision 26)."""
    try:
        host = urlsplit(template).netloc
    except ValueError:
        host = ""
    is_plain = bool(host) and not re.search(r"[][@%]", host) and not _OURS.search(host) and not _FOREIGN.search(host)
    if is_plain and not template.startswith("https://") and template.lower().startswith("https://"):
        return "must begin with https:// in small letters"
    if not is_plain or not template.startswith("https://"):
        return url_fault(template) or "must be an https URL with a host of its own"
    if ":" in host and not _PORT.fullmatch(host.partition(":")[2]):
        return "must have a port from 1 to 65535, or none"
    rest = _OURS.sub(_known, template)
    # Where a template has a place of ours, an @ is a part of the address.
    for found in _FOREIGN.finditer(rest):
        if not found[0].startswith("@") or rest == template:
            return f"must say {_meant(found)} in place of {found[0]}"
    if _NO_ADDRESS.search(rest):
        return 'must be a URL: % stands before two hexadecimal digits, and ", `, | and ^ stand nowhere'
    return url_fault(template) or (f"must say {PLACE} where the code goes" if rest == template else None)


def _known(place: re.Match[str]) -> str:
    """Hides a place of ours from the search for others, unless it stands in one of theirs: `{{code}}`, `%{code}`."""
    before, after = place.string[place.start() - 1], place.string[place.end() : place.end() + 1]
    return place[0] if before in "{$%" or after == "}" else "~"


def _meant(found: re.Match[str]) -> str:
    """Our spelling of somebody else's placeholder."""
    if place := found["place"]:
        return _ORDER_OF_PLACES.get(place, PLACE)
    word = re.sub(r"[^a-z]", "", found[0].lower())
    return next((place for part, place in _MEANINGS if part in word), PLACE)
