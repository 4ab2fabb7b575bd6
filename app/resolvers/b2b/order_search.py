"""What a search of orders asks for, in a list and in an export: filters of sql/order.sql and their values."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import sql
from app.auth.viewer import Kind, Viewer
from app.errors import Forbidden, ValidationError
from app.resolvers.b2b.page import Convert

SQL = sql.load("order")

# A search costs by its words.
MOST_WORDS = 16
_BETWEEN_WORDS = re.compile(r"[\W_]+")


def order_arguments(viewer: Viewer, input: Mapping[str, Any], place: str = "input.") -> dict[str, Any]:
    """The input of `orders` as filters of the file have it. `place` comes before the names of what is refused.

    Raises `ValidationError`, and `Forbidden` where a viewer without a role asks for other users or companies than its
    own (B-8).
    """
    _refuse_foreign(viewer, input, place)
    arguments = dict(input)
    term = arguments.get("term")
    fields = arguments.pop("termFields", None)
    if term is None or not term.strip():
        # Nothing is searched for, so there is nothing to look for in fields.
        arguments.pop("term", None)
    elif len(_BETWEEN_WORDS.split(term)) > MOST_WORDS:
        raise ValidationError(f"{place}term", f"must not have more than {MOST_WORDS} words")
    else:
        arguments["term"] = (term, fields)
    return arguments


def order_conversions() -> dict[str, Convert]:
    """By the names of filters; see `filters_of`."""
    return {
        "sources": _sources("source"),
        "company_sources": _sources("company_source"),
        "term": lambda asked: dict(zip(("term", "term_fields"), asked, strict=True)),
        "customer_emails": lambda emails: [email.lower() for email in emails],
    }


def _refuse_foreign(viewer: Viewer, arguments: Mapping[str, Any], place: str) -> None:
    if viewer.kind not in (Kind.CONTACT, Kind.CUSTOMER):
        return
    users, companies = arguments.get("userId"), arguments.get("companyIds")
    if users is not None and any(viewer.subject != f"{viewer.kind.value}:{user}" for user in users):
        raise Forbidden(f"{place}userId may name yourself only.")
    if companies is not None and not set(companies) <= set(viewer.visibility.company_ids):
        raise Forbidden(f"{place}companyIds may name your own companies only.")


def _sources(prefix: str) -> Callable[[list[dict[str, str | None]]], dict[str, Any]]:
    """Pairs of id and name as two arrays of the same length."""
    return lambda sources: {
        f"{prefix}_ids": [source.get("id") for source in sources],
        f"{prefix}_names": [source.get("name") for source in sources],
    }
