"""The page of an order, for whoever has a link to it: `/track/<token>`, and what goes on there."""

import hashlib
import re
from typing import Any

import orjson
from starlette.responses import Response

from app.pages.endpoint import Page
from app.pages.track.story import story_of
from app.pages.visit import PageProblem, Refused, Visit

# Letters, digits and the signs of base64url: a token has no others, and this goes into a header.
_TOKEN = re.compile(r"[A-Za-z0-9_.-]{1,4096}")


def admit(visit: Visit) -> str:
    """Has the visitor ask by the token of the link. Raises `PageProblem` for what can be none."""
    token = visit.parameters["token"]
    if not _TOKEN.fullmatch(token):
        raise PageProblem(404)
    visit.authorization = f"Bearer {token}"
    return token


async def show(visit: Visit) -> Response:
    """Raises `PageProblem` for a link that is none, is over or was revoked, and an order that is not there: alike."""
    token = admit(visit)
    try:
        data = await visit.ask("track/page", "Page")
    except Refused:
        raise PageProblem(404) from None
    order = data["trackedOrder"]
    visit.dress(order["shop"])
    return show_order(visit, order, f"/track/{token}/events", shop=order["shop"])


def show_order(
    visit: Visit, order: dict[str, Any], live: str, template: str = "track/page", **further: Any
) -> Response:
    """The page of the data of an order, by a template that has `further` values; its news come from the path `live`."""
    words = visit.worded(order["timeZone"], order["language"])
    version = hashlib.sha256(orjson.dumps([order, further, str(words.locale), words.day_of_now])).hexdigest()[:20]
    if visit.fields.get(b"if-none-match") == version.encode():
        return visit.unchanged()
    story = story_of(order, words)
    return visit.render(template, story=story, live=live, version=version, **further)


async def follow(visit: Visit) -> Response:
    """Its news, for the script of the page: events that tell that there is some. Raises `PageProblem`."""
    admit(visit)
    return await visit.follow("track/page", "Changes")


PAGES = (Page("/track/{token}", show), Page("/track/{token}/events", follow, goes_on=True))
