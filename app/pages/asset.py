"""Styles, scripts and pictures of the pages: served from the package, under names that change with what they hold.

Whoever has one need never ask for it again. Nothing is fetched from elsewhere.
"""

import gzip
import hashlib
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from starlette.requests import Request

from app.errors import RequestRefused
from app.http.negotiation import accepts_gzip
from app.http.reply import Reply, refusal
from app.pages.colour import stylesheet

ROOT = "/assets"
# Those that say less are not worth unpacking.
_SMALLEST_PACKED = 1_000
_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_ACCENT = re.compile(r"accent-([0-9a-f]{6})\.css")
FOREVER = {"cache-control": "public, max-age=31536000, immutable"}
# A picture is only ever a picture, whatever it says.
PICTURE = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"}


class Asset(NamedTuple):
    """`name` holds the hash of the content; `packed` is gzip, None where that is hardly smaller."""

    name: str
    media_type: str
    content: bytes
    packed: bytes | None

    @classmethod
    def of(cls, file_name: str, content: bytes) -> "Asset":
        stem, _, kind = file_name.rpartition(".")
        digest = hashlib.sha256(content).hexdigest()[:12]
        packed = gzip.compress(content, mtime=0) if len(content) >= _SMALLEST_PACKED else None
        return cls(f"{stem}-{digest}.{kind}", _TYPES[kind], content, packed)


@cache
def assets() -> Mapping[str, Asset]:
    """By the names of their files."""
    folder = files(__package__).joinpath("assets")
    found = (file for file in folder.iterdir() if file.name.rpartition(".")[2] in _TYPES)
    return {file.name: Asset.of(file.name, file.read_bytes()) for file in found}


@cache
def _by_name() -> Mapping[str, Asset]:
    return {asset.name: asset for asset in assets().values()}


def path_of(file_name: str) -> str:
    """Where a file of `assets/` is served. Raises KeyError for one that there is not."""
    return f"{ROOT}/{assets()[file_name].name}"


def accent_path(colour: str) -> str:
    """Where the variables of a shop's colour are served, `#1d4f7c`."""
    return f"{ROOT}/accent-{colour.removeprefix('#')}.css"


async def serve(request: Request) -> Reply:
    name: str = request.path_params["name"]
    asset = _by_name().get(name)
    if asset is None and (found := _ACCENT.fullmatch(name)):
        asset = Asset(name, _TYPES["css"], stylesheet(f"#{found[1]}").encode(), None)
    if asset is None:
        return refusal(RequestRefused("There is no such file.", status=404, code="NOT_FOUND"))
    return asset_reply(asset, request.headers.get("accept-encoding"))


def asset_reply(asset: Asset, accept_encoding: str | None) -> Reply:
    is_packed = asset.packed is not None and accepts_gzip(accept_encoding)
    body = asset.packed if is_packed and asset.packed is not None else asset.content
    told = {"content-type": asset.media_type, "content-length": str(len(body)), "vary": "Accept-Encoding", **FOREVER}
    if asset.media_type == _TYPES["svg"]:
        told |= PICTURE
    if is_packed:
        told["content-encoding"] = "gzip"
    return Reply(body, 200, [(name.encode(), value.encode()) for name, value in told.items()])
