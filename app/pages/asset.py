"""Styles, scripts and pictures of the pages: served from the package, under names that change with what they hold.

Whoever has one need never ask for it again. Nothing is fetched from elsewhere.
"""

import gzip
import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from starlette.requests import Request

from app.errors import RequestRefused
from app.http.negotiation import accepts_gzip
from app.http.reply import Reply, refusal

ROOT = "/assets"
# Those that say less are not worth unpacking.
_SMALLEST_PACKED = 1_000
_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_FOREVER = b"public, max-age=31536000, immutable"


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


async def serve(request: Request) -> Reply:
    asset = _by_name().get(request.path_params["name"])
    if asset is None:
        return refusal(RequestRefused("There is no such file.", status=404, code="NOT_FOUND"))
    return asset_reply(asset, request.headers.get("accept-encoding"))


def asset_reply(asset: Asset, accept_encoding: str | None) -> Reply:
    is_packed = asset.packed is not None and accepts_gzip(accept_encoding)
    body = asset.packed if is_packed and asset.packed is not None else asset.content
    headers = [
        (b"content-type", asset.media_type.encode()),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", _FOREVER),
        (b"vary", b"Accept-Encoding"),
        # A picture of a shop's is only ever a picture, whatever it says.
        (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; sandbox")
        if asset.media_type == _TYPES["svg"]
        else (b"cross-origin-resource-policy", b"same-origin"),
    ]
    if is_packed:
        headers.append((b"content-encoding", b"gzip"))
    return Reply(body, 200, headers)
