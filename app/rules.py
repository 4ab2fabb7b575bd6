"""What a column may hold, whoever writes it: a mutation and an import ask here (decision 29).

Each rule returns the words of its refusal, or None. `0011_records.sql` says the same in SQL, for an operator's hand.
"""

import re
import unicodedata
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import urlsplit

# Tabs, line ends and the like would break the lists, labels and files that a name or a number is printed in.
CONTROLS = r"\u0000-\u001f\u007f-\u009f\u2028\u2029"
# What turns the direction of the text after it, so that a name reads as another one. Marks of direction, which Arabic
# and Hebrew need, do not.
TURNS = r"\u202a-\u202e\u2066-\u2069"
# What prints as nothing: spaces of every width, joiners, marks of direction.
_SPACES = r"\u0020\u00a0\u00ad\u1680\u180e\u2000-\u200f\u202f\u205f-\u2065\u206a-\u206f\u3000\ufeff"
BLANKS = _SPACES + TURNS
# Classes of lines that go into shipments (decision 21).
SHIPPABLE = ("product", "incentive")
# What people and printers put between the characters of a code.
SEPARATORS = r"\u0027-\u002a\u002c-\u002f\u003a\u003b\u005b-\u005d\u005f\u007c\u00b7\u2010-\u2015\u2212\u30fc"
# A name, a number, a code: one line that says something. Each character is looked at once.
LINE = rf"\A[{_SPACES}]*[^{BLANKS}{CONTROLS}][^{CONTROLS}{TURNS}]*\Z"
# One line that may say nothing.
PLAIN = rf"\A[^{CONTROLS}{TURNS}]*\Z"
# A telephone number, which telephones copy together with what holds its direction; and one that says something.
PHONE = rf"\A[^{CONTROLS}\u202d\u202e]*\Z"
PHONE_LINE = rf"\A(?=.*[^{BLANKS}{CONTROLS}])[^{CONTROLS}\u202d\u202e]*\Z"

# An offset may still move a date across a year's end, and the store ends with 9999.
_YEARS = range(1900, 9999)

# How far clocks are behind UTC where they are furthest, and ahead of it.
_MOST_BEHIND = timedelta(hours=12)
MOST_AHEAD = timedelta(hours=14)
# How far the clocks of other systems may be ahead of ours, and those who write a day where they mean a moment.
_FUTURE = timedelta(days=1)

_LINE = re.compile(LINE)
_WRITTEN = re.compile(rf"[^{BLANKS}{CONTROLS}]")
_CONTROL = re.compile(f"[{CONTROLS}]")
_IN_A_CODE = re.compile(rf"[^{BLANKS}{CONTROLS}{SEPARATORS}!-/:-@\[-`{{-~]")
_NO_PART_OF_A_CODE = re.compile(rf"[{BLANKS}{CONTROLS}{SEPARATORS}]+")
_CAPITALS = {ord(letter): letter.upper() for letter in "abcdefghijklmnopqrstuvwxyz"}
_SMALL = {ord(letter): letter.lower() for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
_LONGEST_CODE = 255
_LONGEST_KEY = 64
_SLUG = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*")
_BETWEEN_WORDS = re.compile("[^a-z0-9]+")
_ACCENTS = re.compile("[\u0300-\u036f]+")
# Letters that are no letter of ASCII with something on it.
_LETTERS = {
    "ß": "ss",
    "æ": "ae",
    "Æ": "ae",
    "œ": "oe",
    "Œ": "oe",
    "þ": "th",
    "Þ": "th",
    "ø": "o",
    "Ø": "o",
    "ł": "l",
    "Ł": "l",
    "đ": "d",
    "Đ": "d",
}
_BETWEEN_URLS = re.compile(r",(?=postgres(?:ql)?://)")
_BROKEN = re.compile(rf"[\s{CONTROLS}\\]")


def line_fault(text: str) -> str | None:
    """Of a name, a number or a code."""
    if _LINE.match(text):
        return None
    if not _WRITTEN.search(text):
        return "must not be empty, nor blanks alone"
    if _CONTROL.search(text):
        return "must not hold TAB, line ends or other control characters"
    return "must not hold characters that turn the direction of text (U+202A to U+202E, U+2066 to U+2069)"


def code_fault(text: str) -> str | None:
    """Of a carrier's code, or the address of its page."""
    if fault := line_fault(text):
        return fault
    is_code = _IN_A_CODE.search(unicodedata.normalize("NFKC", text))
    return None if is_code else "must hold a letter or a digit"


def words_of(text: str | None) -> str | None:
    """A text that says something. Blanks are what many a carrier sends in place of nothing."""
    return text if text and text.strip() else None


def by_offset(moment: datetime | None) -> tuple[datetime | None, datetime | None]:
    """A moment that names an offset, or else one that names none: in two places, of which one is None at least."""
    return (moment, None) if moment is None or moment.tzinfo else (None, moment)


def normalized_code(code: str) -> str:
    """What a code is compared by (decision 25): NFKC, without blanks and separators, in capitals.

    `0015_keys.sql` says the same, and has the index.
    """
    text = _NO_PART_OF_A_CODE.sub("", unicodedata.normalize("NFKC", code)) or code
    return text.translate(_CAPITALS)[:_LONGEST_CODE]


def slug(name: str) -> str:
    """What a key is made of: small letters and digits, a hyphen for all between them; empty where the name has none.

    `0015_keys.sql` says the same, and makes the keys of carriers.
    """
    text = _ACCENTS.sub("", unicodedata.normalize("NFKD", name))
    for letter, letters in _LETTERS.items():
        text = text.replace(letter, letters)
    return _BETWEEN_WORDS.sub("-", as_key(text)).strip("-")[:_LONGEST_KEY].rstrip("-")


def as_key(text: str) -> str:
    """A key as it is kept: keys are the same whatever their case (decision 20)."""
    return text.translate(_SMALL)


def key_fault(key: str) -> str | None:
    """Of a key as it is kept."""
    is_slug = len(key) <= _LONGEST_KEY and _SLUG.fullmatch(key)
    return None if is_slug else "must be letters and digits of ASCII, with single -, . or _ between them"


def url_fault(text: str) -> str | None:
    """Of an address that callers open: http or https, without blanks, and with a host."""
    try:
        parts = urlsplit(text)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        is_url = False
    return None if is_url and not _BROKEN.search(text) else "must be a URL of http or https, without blanks"


def moment_of(text: str) -> datetime:
    """An ISO 8601 date or date-time: in UTC, or without a time zone where it names no offset. Raises ValueError."""
    try:
        moment = datetime.fromisoformat(f"{text[:-1]}Z" if text.endswith("z") else text)
        return moment if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("beyond the years that there are") from None


def year_fault(moment: datetime) -> str | None:
    """Of a moment that is written, in whatever zone."""
    is_likely = moment.year in _YEARS
    return None if is_likely else f"must be of a year between {_YEARS.start} and {_YEARS.stop - 1}"


def future_fault(moment: datetime) -> str | None:
    """Of a moment of what has happened already: `0030_trade.sql` says the same."""
    return None if moment <= datetime.now(UTC) + _FUTURE else "must not lie more than a day in the future"


def is_day(promise: datetime) -> bool:
    """Whether a promise is a day and no moment (decision 24): it is stored as midnight in UTC."""
    return promise.astimezone(UTC).time() == time.min


def promise_fault(
    expected_at: datetime, created_at: datetime, requested_at: datetime | None = None, *, created_on: date | None = None
) -> str | None:
    """Of the moment that a shipment is expected to be delivered. Midnight, where it stands for a day, is that day.

    `created_on` is the day of the creation in the channel; where nobody has told, it may be any that was somewhere on
    Earth. Only the day that the order asked for may have passed by the time that the goods are packed: they are late.
    """
    if expected_at == requested_at:
        return None
    if is_day(expected_at):
        created_on = created_on or (created_at.astimezone(UTC) - _MOST_BEHIND).date()
        is_before = expected_at.astimezone(UTC).date() < created_on
    elif expected_at.time() == time.min:
        is_before = expected_at.date() < created_at.astimezone(expected_at.tzinfo).date()
    else:
        is_before = expected_at < created_at
    return "must not lie before the shipment's creation" if is_before else None


def server_urls(text: str) -> tuple[str, ...]:
    """The URL of each server that a text names: URLs with commas between, each of one server or of several.

    Several are `postgresql://role:password@one:5432,two:5432/database`, as libpq has it. Raises ValueError.
    """
    urls: list[str] = []
    for url in _BETWEEN_URLS.split(text):
        if not url.startswith(("postgresql://", "postgres://")):
            raise ValueError("must start with postgresql://")
        parts = urlsplit(url)
        role, at, hosts = parts.netloc.rpartition("@")
        if not all(hosts.split(",")):
            raise ValueError("must name each server before the path, with commas between")
        urls += [parts._replace(netloc=f"{role}{at}{host}").geturl() for host in hosts.split(",")]
    return tuple(urls)
