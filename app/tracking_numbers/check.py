"""Which carriers' codes a text may be, and whether the check digit of each is right.

The data's patterns allow blanks between all characters, which would make them slow on hostile texts; here they are read
without, and are matched against codes without blanks and of a bounded length.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from app.rules import normalized_code
from app.tracking_numbers.checksum import is_right

_COURIERS = Path(__file__).parent / "couriers"
# The longest code that the data knows has 34 characters; some write more beside it.
LONGEST = 64
_BLANKS = re.compile(r"\s+")
_URL = re.compile(r"https?://")

S10 = "s10"


@dataclass(frozen=True)
class Candidate:
    """A carrier's product whose codes look like the one that was asked about.

    `courier` is the data's short name of the carrier, `service` what the code says of the service. `is_right` tells of
    the check digit; None where the product has none. `url` is the carrier's page about the code.
    """

    courier: str
    carrier: str
    product: str
    service: str | None
    is_right: bool | None
    url: str | None


@dataclass(frozen=True)
class _Product:
    courier: str
    carrier: str
    pattern: re.Pattern[str]
    spec: Mapping[str, Any]


def candidates(code: str) -> list[Candidate]:
    """What the code may be, those with a right check digit first, and those with a wrong one last."""
    texts = {normalized_code(code), _BLANKS.sub("", code).upper()}
    found = [made for text in sorted(texts) if len(text) <= LONGEST for made in _candidates(text)]
    rank = {True: 0, None: 1, False: 2}
    return sorted(dict.fromkeys(found), key=lambda made: (rank[made.is_right], made.courier, made.product))


def couriers_of(*names: str) -> frozenset[str]:
    """The data's carriers that keys or names, such as `ups-nl`, are of; empty where they are of none of them."""
    words = [set(re.split("[^a-z0-9]+", name.lower())) for name in names]
    return frozenset(courier for courier, own in _courier_words().items() if any(own <= given for given in words))


def faulty(found: Sequence[Candidate], couriers: frozenset[str]) -> bool:
    """Whether a code of these carriers has a wrong check digit whatever product of theirs it is of.

    Codes of the postal standard S10 are known by their form, whoever brings the item.
    """
    own = [made for made in found if made.courier in couriers or made.courier == S10]
    return bool(own) and all(made.is_right is False for made in own)


def _candidates(text: str) -> Iterator[Candidate]:
    for product in _products():
        match = product.pattern.fullmatch(text)
        if match is None:
            continue
        parts = {name: part for name, part in match.groupdict().items() if part is not None}
        validation = product.spec["validation"]
        looked_up = _looked_up(product.spec, parts)
        if any(name not in looked_up for name in validation.get("additional", {}).get("exists", ())):
            continue
        courier = looked_up.get("Courier", {})
        template = courier.get("tracking_url") or product.spec.get("tracking_url")
        yield Candidate(
            product.courier,
            courier.get("courier") or product.carrier,
            product.spec["name"],
            looked_up.get("Service Type", {}).get("name"),
            _is_right(validation, parts),
            template.replace("%s", text) if template and _URL.match(template) else None,
        )


def _is_right(validation: Mapping[str, Any], parts: Mapping[str, str]) -> bool | None:
    if "checksum" not in validation:
        return None
    serial = parts["SerialNumber"]
    prepended = validation.get("serial_number_format", {}).get("prepend_if")
    if prepended and re.search(prepended["matches_regex"], serial):
        serial = prepended["content"] + serial
    return is_right(serial, parts["CheckDigit"], validation["checksum"])


def _looked_up(spec: Mapping[str, Any], parts: Mapping[str, str]) -> dict[str, Any]:
    """What the data says of parts of the code, such as its country, by the names of these sayings."""
    found = {}
    for saying in spec.get("additional", ()):
        part = parts.get(saying["regex_group_name"])
        for entry in saying.get("lookup", ()) if part is not None else ():
            pattern = entry.get("matches_regex", "")
            if entry.get("matches") == part or (pattern and re.fullmatch(pattern, part or "")):
                found[saying["name"]] = entry
                break
    return found


@cache
def _products() -> list[_Product]:
    return [
        _Product(courier["courier_code"], courier["name"], _pattern(spec["regex"]), spec)
        for courier in data()
        for spec in courier["tracking_numbers"]
    ]


@cache
def _courier_words() -> dict[str, set[str]]:
    return {product.courier: set(product.courier.split("_")) for product in _products() if product.courier != S10}


def data() -> list[Any]:
    """The carriers of the data, as its README describes them."""
    return [json.loads(file.read_text("utf-8")) for file in sorted(_COURIERS.glob("*.json"))]


def _pattern(regex: str | Sequence[str]) -> re.Pattern[str]:
    text = (regex if isinstance(regex, str) else "".join(regex)).replace(r"\s*", "")
    return re.compile(re.sub(r"\(\?<(?![=!])", "(?P<", text), re.ASCII)
