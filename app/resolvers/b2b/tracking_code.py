"""Codes as carriers issue them: what they may be, and whether their check digits are right."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ariadne import ObjectType

import sql
from app.context import Context, Info
from app.errors import CarrierNotFound
from app.resolvers.b2b.argument import as_code_text
from app.resolvers.query import GuardedQuery, holding
from app.resolvers.tracking import TrackingPages, code_of, is_address, tracking_url
from app.tracking_numbers.check import Candidate, candidates, couriers_of, faulty
from loaders.carrier import carrier_by_id

CARRIER = sql.load("carrier")

# How many carriers' pages an address without a carrier is compared with.
MOST_PAGES = 1_000

query = GuardedQuery()
candidate = ObjectType("TrackingCodeCandidate")


class Checked(NamedTuple):
    """`url` is the page of a carrier of ours about the code; None without one."""

    found: Candidate
    url: str | None


async def pages_of(context: Context, texts: Iterable[str]) -> TrackingPages:
    """The pages of all carriers that the viewer sees, where one of the codes may be named by an address; else none."""
    if not any(map(is_address, texts)):
        return TrackingPages(())
    rows = await context.fetch(CARRIER.templates, limit=MOST_PAGES)
    return TrackingPages(row["track_and_trace_url"] for row in rows)


async def with_codes(context: Context, input: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The input of a search with codes in place of addresses that name them (decision 25)."""
    given = input or {}
    codes, term = given.get("codes") or (), given.get("term") or ""
    if not any(map(is_address, (*codes, term))):
        return given
    pages = await pages_of(context, (*codes, term))
    return {
        **given,
        **({"codes": list(map(pages.code_of, codes))} if codes else {}),
        **({"term": pages.code_of(term)} if term else {}),
    }


def as_code(context: Context, text: str, path: str, carrier: Any, pages: TrackingPages) -> str:
    """The code in an argument, of a carrier's row or None. One that the carrier cannot have issued is warned of.

    Of none, `pages` tell what an address means. Raises `ValidationError`.
    """
    template, couriers = _of_carrier(carrier)
    as_code_text(text, path)
    code = pages.code_of(text) if carrier is None else code_of(text, template)
    if faulty(candidates(code), couriers):
        context.warn("CHECK_DIGIT", path, "The check digit of the code is wrong: it may have been mistyped.")
    return code


def _of_carrier(carrier: Any) -> tuple[str | None, frozenset[str]]:
    """The template of a carrier's row, and the carriers of the data that it is; nothing of None."""
    if carrier is None:
        return None, frozenset()
    return carrier["track_and_trace_url"], couriers_of(carrier["key"], carrier["name"])


@query.field("trackingCodeCheck", holding())
async def resolve_tracking_code_check(
    _root: None, info: Info, code: str, carrierId: int | None = None
) -> list[Checked]:
    """Raises `CarrierNotFound` or `ValidationError`."""
    carrier = None if carrierId is None else await info.context.load(carrier_by_id, carrierId)
    if carrierId is not None and carrier is None:
        raise CarrierNotFound(carrierId, "carrierId")
    template, couriers = _of_carrier(carrier)
    as_code_text(code, "code")
    text = (await pages_of(info.context, [code])).code_of(code) if carrier is None else code_of(code, template)
    found = candidates(text)
    own = [made for made in found if made.courier in couriers]
    return [Checked(made, tracking_url(text, template)) for made in own or found]


@candidate.field("carrier")
def resolve_candidate_carrier(checked: Checked, _info: Info) -> str:
    return checked.found.carrier


@candidate.field("carrierCode")
def resolve_candidate_carrier_code(checked: Checked, _info: Info) -> str:
    return checked.found.courier


@candidate.field("product")
def resolve_candidate_product(checked: Checked, _info: Info) -> str:
    return checked.found.product


@candidate.field("service")
def resolve_candidate_service(checked: Checked, _info: Info) -> str | None:
    return checked.found.service


@candidate.field("isCheckDigitRight")
def resolve_candidate_is_check_digit_right(checked: Checked, _info: Info) -> bool | None:
    return checked.found.is_right


@candidate.field("trackingUrl")
def resolve_candidate_tracking_url(checked: Checked, _info: Info) -> str | None:
    return checked.url or checked.found.url


bindables = [query, candidate]
