"""Where a customer follows a parcel: a carrier's template with the code put in."""

import re
from urllib.parse import quote, urlsplit

from app.rules import url_fault

PLACE = "{code}"
# What a template may ask for (decision 26).
PLACES = (PLACE, "{postalCode}", "{country}", "{language}", "{orderNumber}")

_OURS = re.compile("|".join(re.escape(place) for place in PLACES))
# What stands for a value in other systems' templates. A percent sign alone escapes a character, a colon and brackets
# are parts of many an address: they are placeholders where a whole segment or value begins with them.
_FOREIGN = re.compile(
    r"\$?\{+[^{}]*\}+"
    r"|%(?P<place>\d+)\$[a-z]|%s|%[du](?![0-9A-Fa-f])"
    r"|%%?(?![0-9A-Fa-f]{2})[A-Za-z_]\w*%"
    r"|%(?:barcode|date|delivery|destination)\w*%"
    r"|(?<=[/=])(?::[A-Za-z_]\w*|\$[A-Za-z_]\w*|\[[^\[\]]*\]|__[A-Za-z]\w*?__|@@?[A-Za-z_]*@?(?=[/?&#]|$))"
    r"|<[^<>]*>|\#{2,}\w*\#*|[{}]",
    re.IGNORECASE,
)
_ORDER_OF_PLACES = {"2": "{postalCode}", "3": "{country}"}  # of `%1$s`, `%2$s`, `%3$s`
_MEANINGS = (
    ("zip", "{postalCode}"),
    ("post", "{postalCode}"),
    ("country", "{country}"),
    ("lang", "{language}"),
    ("locale", "{language}"),
    ("order", "{orderNumber}"),
)


def tracking_url(code: str, template: str | None) -> str | None:
    """The template with `code` percent-encoded in place of each `{code}`.

    None without a template, or where it is no http or https URL with a host of its own: a link that customers click
    must not run a script or lead to a host that the code chose. None as well where it asks for what is not known here.
    """
    if not template:
        return None
    try:
        parts = urlsplit(template)
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname or PLACE in parts.netloc:
        return None
    if any(place in template for place in PLACES[1:]):
        return None
    return template.replace(PLACE, quote(code, safe=""))


def template_fault(template: str) -> str | None:
    """The words in which a carrier's template is refused, or None (B-37, decision 26)."""
    try:
        host = urlsplit(template).netloc
    except ValueError:
        host = ""
    is_plain = bool(host) and not re.search(r"[][@%]", host) and not _OURS.search(host) and not _FOREIGN.search(host)
    if not is_plain or not template.startswith("https://"):
        return url_fault(template) or "must be an https URL with a host of its own"
    rest = _OURS.sub(_known, template)
    # Where a template has a place of ours, an @ is a part of the address.
    for found in _FOREIGN.finditer(rest):
        if not found[0].startswith("@") or rest == template:
            return f"must say {_meant(found)} in place of {found[0]}"
    return url_fault(template) or (f"must say {PLACE} where the code goes" if rest == template else None)


def _known(place: re.Match[str]) -> str:
    """Hides a place of ours from the search for others, unless it stands in a form of theirs: `{{code}}`, `${code}`."""
    before, after = place.string[place.start() - 1], place.string[place.end() : place.end() + 1]
    return place[0] if before in "{$" or after == "}" else "~"


def _meant(found: re.Match[str]) -> str:
    """Our spelling of somebody else's placeholder."""
    if place := found["place"]:
        return _ORDER_OF_PLACES.get(place, PLACE)
    word = re.sub(r"[^a-z]", "", found[0].lower())
    return next((place for part, place in _MEANINGS if part in word), PLACE)
