"""What the fields of a record may hold: texts, numbers, moments and words of a list.

Each is checked as its line is read. What no type can say, such as which currencies there are, `Order.check` sees to.
"""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Self, get_args

from msgspec import Meta

from app.rules import LINE, PHONE, PHONE_LINE, PLAIN, TURNS, moment_of

# A price has 12 digits before the point, as in the store, and few enough after it for 28 digits to compute exactly.
_AMOUNT = r"\A[0-9]{1,12}(\.[0-9]{1,6})?\Z"
_SIGNED = r"\A-?[0-9]{1,12}(\.[0-9]{1,6})?\Z"
_PERCENTAGE = r"\A(100(\.0{1,6})?|[0-9]{1,2}(\.[0-9]{1,6})?)\Z"
_RATE = r"\A[0-9]{1,10}(\.[0-9]{1,12})?\Z"
_FRACTION = r"\A(0(\.[0-9]{1,6})?|1(\.0{1,6})?)\Z"
_EMAIL = rf"\A[^@\s\x00-\x1f\x7f{TURNS}]+@[^@\s.\x00-\x1f\x7f]+(\.[^@\s.\x00-\x1f\x7f]+)+\Z"
_CURRENCY = r"\A[A-Z]{3}\Z"
_LANGUAGE = r"\A[A-Z]{2}\Z"

_PRINTABLE = "without TAB, line ends, other control characters and what turns the direction of text"
EXPECTED = {
    _AMOUNT: 'a decimal such as "12.50", not negative, at most 12 digits before the point and 6 after it',
    _SIGNED: 'a decimal such as "12.50" or "-12.50", at most 12 digits before the point and 6 after it',
    _PERCENTAGE: 'a percentage from "0" to "100" such as "8.875", with at most 6 decimals',
    _RATE: 'a rate above 0 such as "1.0825", at most 10 digits before the point and 12 after it',
    _FRACTION: 'a fraction from "0" to "1" such as "0.15", with at most 6 decimals',
    _EMAIL: "an e-mail address",
    _CURRENCY: "an ISO 4217 currency code of three capitals",
    _LANGUAGE: "a language of two capitals",
    LINE: f"a text that is not blank, {_PRINTABLE}",
    PLAIN: f"a text {_PRINTABLE}",
    PHONE: f"a text {_PRINTABLE}",
    PHONE_LINE: f"a text that is not blank, {_PRINTABLE}",
}

_LARGEST = 2**31 - 1
_DECIMAL = re.compile(r"\A(-?[0-9]{1,20})(?:\.([0-9]{1,20}))?\Z")
_JSON_TYPES: dict[type, str] = {str: "str", bool: "bool", list: "array", type(None): "null"}

# ISO 3166-1 alpha-2, and XK, which the European Union and the carriers use for Kosovo.
_COUNTRIES_TEXT = """
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC
    CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD
    GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH
    KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW
    MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC
    SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY
    UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW
    """
COUNTRIES = frozenset(_COUNTRIES_TEXT.split())

Amount = Annotated[str, Meta(pattern=_AMOUNT)]
Fraction = Annotated[str, Meta(pattern=_FRACTION)] | Annotated[float, Meta(ge=0, le=1)]
Price = Annotated[str, Meta(pattern=_SIGNED)]
# What may also be a number, as systems without decimals write it.
AnyAmount = Amount | Annotated[float, Meta(ge=0, lt=10**12)]
AnySigned = Price | Annotated[float, Meta(gt=-(10**12), lt=10**12)]
Percentage = Annotated[str, Meta(pattern=_PERCENTAGE)] | Annotated[float, Meta(ge=0, le=100)]
Rate = Annotated[str, Meta(pattern=_RATE)] | Annotated[float, Meta(gt=0, lt=10**10)]
Number = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Currency = Annotated[str, Meta(pattern=_CURRENCY)]
Language = Annotated[str, Meta(pattern=_LANGUAGE)]
Text = Annotated[str, Meta(pattern=LINE, max_length=255)]
ShortText = Annotated[str, Meta(pattern=LINE, max_length=64)]
Plain = Annotated[str, Meta(pattern=PLAIN, max_length=255)]
Phone = Annotated[str, Meta(pattern=PHONE, max_length=255)]
PhoneText = Annotated[str, Meta(pattern=PHONE_LINE, max_length=255)]
Words = Annotated[str, Meta(max_length=255)]
Email = Annotated[str, Meta(pattern=_EMAIL, max_length=254)]
Link = Annotated[str, Meta(max_length=255)]
LineClass = Literal["product", "incentive", "surcharge", "postage", "payment", "service", "giftcard", "deposit"]
ShipmentStatus = Literal[
    "CREATED",
    "PROCESSING",
    "IN_TRANSIT",
    "OUT_FOR_DELIVERY",
    "DELIVERED",
    "CANCELED",
    "PARTIALLY_DELIVERED",
    "FAILED_DELIVERY",
    "EXCEPTION",
]
NINE: frozenset[str] = frozenset(get_args(ShipmentStatus))

ShipmentSubStatus = Literal[
    "ADDRESS_PROBLEM",
    "AT_PICKUP_POINT",
    "COLLECTED",
    "CUSTOMS",
    "DAMAGED",
    "DELAYED",
    "LEFT_IN_SAFE_PLACE",
    "LEFT_WITH_NEIGHBOR",
    "LOST",
    "NOT_HOME",
    "PAYMENT_DUE",
    "PICKED_UP",
    "REFUSED",
    "RETURNED",
    "RETURN_TO_SENDER",
]


class Count(int):
    """A whole number from `lowest` on, which may be written `2.0` or `"2"` (decision 21)."""

    lowest = 1


class Quantity(Count):
    """How much of something there is; a fraction is refused with the advice to use a smaller unit."""

    lowest = 0


class ShippedQuantity(Quantity):
    lowest = 1


def _whole(kind: type[Count], value: object) -> Count:
    """Raises ValueError."""
    if isinstance(value, str) and (match := _DECIMAL.fullmatch(value)):
        value = int(match[1]) if not (match[2] or "").strip("0") else float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"Expected `int`, got `{_JSON_TYPES.get(type(value), 'object')}`")
    if value != value // 1:
        advice = ": use a smaller unit, such as grams in place of kilograms" if issubclass(kind, Quantity) else ""
        raise ValueError(f"Expected a whole number, got {value}{advice}")
    if value < kind.lowest:
        raise ValueError(f"Expected `int` >= {kind.lowest}")
    if value > _LARGEST:
        raise ValueError(f"Expected `int` <= {_LARGEST}")
    return kind(value)


class Moment(datetime):
    """A date-time in UTC, given with an offset, as ISO 8601 has them; mutations read them alike."""

    expected = "a date-time with an offset such as 2024-01-15T10:30:00Z"

    @classmethod
    def of(cls, text: object) -> Self:
        """Raises ValueError."""
        try:
            moment = cls.completed(moment_of(text if isinstance(text, str) else ""))
        except ValueError:
            raise ValueError(f"expected {cls.expected}") from None
        return cls.combine(moment.date(), moment.timetz())

    @classmethod
    def completed(cls, moment: datetime) -> datetime:
        """What `moment` is where it may lack an offset. Raises ValueError where it may not."""
        if moment.tzinfo is None:
            raise ValueError
        return moment


class LocalMoment(Moment):
    """One that may lack an offset: it is read where the carrier or the channel is, and a day is its midnight there."""

    expected = "a date-time such as 2024-01-15T10:30:00+01:00, or a date"

    @classmethod
    def completed(cls, moment: datetime) -> datetime:
        return moment


class Promise(Moment):
    """One that is in UTC where it lacks an offset. Midnight stands for the whole day (decision 24)."""

    expected = "a date, or a date-time such as 2024-01-15T10:30:00Z"

    @classmethod
    def completed(cls, moment: datetime) -> datetime:
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def decoded(kind: type, value: object) -> Any:
    """`dec_hook` of msgspec, which tells the place of a ValueError."""
    if issubclass(kind, Moment):
        return kind.of(value)
    return _whole(kind, value) if issubclass(kind, Count) else value


def decimal(value: str | float) -> Decimal:
    """What a record says, as it is written there."""
    return Decimal(str(value))


def rate_fault(rate: str | float) -> str | None:
    text = rate if isinstance(rate, str) else f"{decimal(rate):f}"
    return None if re.search(_RATE, text) and decimal(text) else f"expected {EXPECTED[_RATE]}"
