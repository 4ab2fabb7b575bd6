"""Currencies and their smallest units (ISO 4217), and how amounts are rounded, read and written (decision 23).

`0013_money.sql` has the same table in SQL; a test holds the two together.
"""

import re
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal, localcontext

# Decimals of a price or a discount of one piece.
UNIT_DECIMALS = 6
# Digits to compute with: of 12 before the point and 12 after it, times a quantity, a rate and a share.
PRECISION = 60
# An amount has at most 12 digits before the point.
LIMIT = Decimal(10**12)

# Those in use and those that are no more, since order books reach back. Not here: what is no money but a metal, a fund
# without a smallest unit, or a code for tests (XAU, XDR, XTS, XXX).
_TWO = """
    AED AFA AFN ALK ALL AMD ANG AOA AOK AON AOR ARA ARP ARS ARY ATS AUD AWG AYM AZM AZN BAD BAM BBD BDT BEC BEL BGJ BGK
    BGL BGN BMD BND BOB BOP BOV BRB BRC BRE BRL BRN BRR BSD BTN BUK BWP BYN BZD CAD CDF CHC CHE CHF CHW CNY COP COU CRC
    CSD CSJ CSK CUC CUP CVE CYP CZK DDM DEM DKK DOP DZD ECS ECV EEK EGP ERN ESA ESB ETB EUR FIM FJD FKP FRF GBP GEK GEL
    GHC GHP GHS GIP GMD GNE GNS GQE GTQ GWE GWP GYD HKD HNL HRD HRK HTG HUF IDR IEP ILP ILR ILS INR IRR ISJ JMD KES KGS
    KHR KPW KYD KZT LAJ LAK LBP LKR LRD LSL LSM LTL LTT LUC LUL LVL LVR MAD MDL MGA MKD MLF MMK MNT MOP MRO MRU MTL MTP
    MUR MVQ MVR MWK MXN MXP MXV MYR MZE MZM MZN NAD NGN NIC NIO NLG NOK NPR NZD PAB PEH PEI PEN PES PGK PHP PKR PLN PLZ
    QAR RHD ROK ROL RON RSD RUB RUR SAR SBD SCR SDD SDG SDP SEK SGD SHP SIT SKK SLE SLL SOS SRD SRG SSP STD STN SUR SVC
    SYP SZL THB TJR TJS TMM TMT TOP TRY TTD TWD TZS UAH UAK UGS UGW USD USN USS UYN UYP UYU UZS VEB VED VEF VES VNC WST
    XCD XCG XEU YDD YER YUD YUM YUN ZAL ZAR ZMK ZMW ZRN ZRZ ZWC ZWD ZWG ZWL ZWN ZWR
    """
_OTHERS = {
    0: """
    ADP BEF BIF BYB BYR CLP DJF ESP GNF GRD ISK ITL JPY KMF KRW LUF MGF PTE PYG RWF TPE TRL UGX UYI VND VUV XAF XOF XPF
    """,
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
MINOR_UNITS: Mapping[str, int] = {
    code: decimals for decimals, codes in {**_OTHERS, 2: _TWO}.items() for code in codes.split()
}

_DECIMAL = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?")


def currency_fault(code: str) -> str | None:
    """Of what should be the code of a currency."""
    if code in MINOR_UNITS:
        return None
    return "must be the ISO 4217 code of a currency, three capitals such as EUR"


def amount_fault(text: str, currency: str) -> str | None:
    """Of an amount that was paid or is due: a decimal that is not negative, in whole smallest units of its currency."""
    if _DECIMAL.fullmatch(text) is None:
        return 'must be a decimal such as "12.50", not negative, at most 12 digits before the point'
    decimals = MINOR_UNITS[currency]
    if rounded(Decimal(text), currency) != Decimal(text):
        return (
            f"must have at most {decimals} decimals, as {currency} has" if decimals else f"{currency} has no decimals"
        )
    return None


def rounded(amount: Decimal, currency: str) -> Decimal:
    """In whole smallest units of the currency; halves go up, of negative amounts away from zero."""
    return _to(amount, MINOR_UNITS[currency])


def refund_of(paid: Decimal, quantity: int, returned: int, pieces: int, currency: str) -> Decimal:
    """What is due for `pieces` of a line of `quantity` that cost `paid`, when `returned` of them came back before.

    All pieces of a line together get what they cost, in whatever portions they come back.
    """
    with localcontext(prec=PRECISION):
        each = max(paid, Decimal(0)) / max(quantity, 1)
        return rounded(each * (returned + pieces), currency) - rounded(each * returned, currency)


def without_discount(total: Decimal, sub_total: Decimal, discount: Decimal) -> Decimal:
    """What is left of a line's total, where `discount` is off all lines of an order alike."""
    with localcontext(prec=PRECISION):
        share = min(discount / sub_total, Decimal(1)) if sub_total > 0 else Decimal(0)
        return total * (1 - share)


def rounded_price(price: Decimal) -> Decimal:
    """Of one piece: to six decimals, and with no more of them than it needs."""
    return _to(price, UNIT_DECIMALS).normalize() + 0


def precise_as(price: Decimal, other: Decimal, currency: str) -> Decimal:
    """`price` with as many decimals as `other` has, and at least those of the currency."""
    return _to(price, max(MINOR_UNITS[currency], decimals_of(other)))


def decimals_of(number: Decimal) -> int:
    """How many decimals it needs."""
    exponent = number.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _to(amount: Decimal, decimals: int) -> Decimal:
    with localcontext(prec=PRECISION):
        return amount.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
