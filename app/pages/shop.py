"""The shop whose page somebody looks at, by the code in the page's path; and its logo."""

from base64 import b64decode
from typing import Any
from urllib.parse import unquote

from starlette.responses import Response

from app.auth.storefront_key import Storefront
from app.pages.asset import FOREVER, PICTURE
from app.pages.endpoint import Page
from app.pages.visit import PageProblem, Refused, Visit


async def enter(visit: Visit) -> dict[str, Any]:
    """Has the page look like that of the shop in its path, and ask of it. Raises `PageProblem` where there is none."""
    try:
        data = await visit.ask("shared/shop", channel=visit.parameters["shop"])
    except Refused:
        raise PageProblem(404) from None
    shop: dict[str, Any] = data["shop"]
    visit.dress(shop)
    visit.worded(fallback=shop["language"])
    key: Any = {"id": None, "channel_id": shop["channelId"]}
    visit.storefront = Storefront(key)
    return shop


async def show_logo(visit: Visit) -> Response:
    """The logo, under the name that it has now. Raises `PageProblem`."""
    try:
        shop = (await visit.ask("shared/logo", channel=visit.parameters["shop"]))["shop"]
    except Refused:
        raise PageProblem(404) from None
    if visit.scope["path"] != unquote(shop["logoPath"] or ""):
        raise PageProblem(404)
    about, _, content = shop["logoData"].partition(",")
    media_type = about.removeprefix("data:").removesuffix(";base64")
    return Response(b64decode(content), media_type=media_type, headers=FOREVER | PICTURE)


PAGES = (Page("/shops/{shop}/logo-{name}", show_logo),)
