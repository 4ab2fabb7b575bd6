"""All of `/docs`: guides, and the reference of GraphQL, REST and webhooks. Each page is made once, when asked for."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from graphql import GraphQLSchema
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from app.errors import RequestRefused
from app.http.reply import Reply, refusal
from app.pages.asset import assets, path_of
from app.pages.docs import guide, json_schema
from app.pages.docs.reference import Reference
from app.pages.plain import html, text_of
from app.rest.openapi import PublicDocument

ROOT = guide.ROOT
_PICTURES = {".png": "image/png", ".svg": "image/svg+xml", ".webp": "image/webp"}
_KEPT = {"cache-control": "public, max-age=300"}


class Manual:
    """An ASGI application. `rest` is the OpenAPI document, `events` the AsyncAPI document."""

    def __init__(self, schema: GraphQLSchema, sdl: str, rest: PublicDocument, events: PublicDocument) -> None:
        self._reference = Reference(schema, sdl)
        self._rest = rest
        self._events = events
        self._made: dict[str, str] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._answer(Request(scope))(scope, receive, send)

    def _answer(self, request: Request) -> Reply:
        path = request.url.path
        if path in self._made or path in self.paths:
            text = self.text(path)
            version = hashlib.sha256(text.encode()).hexdigest()[:20]
            headers = {**_KEPT, "etag": f'"{version}"'}
            if f'"{version}"' in request.headers.get("if-none-match", ""):
                return html("", 304, headers=headers)
            return html(text, headers=headers)
        if picture := self._picture(path):
            return picture
        return refusal(RequestRefused("There is no such page.", status=404, code="NOT_FOUND"))

    def text(self, path: str) -> str:
        """The page of one of `paths`."""
        if path not in self._made:
            self._made[path] = self.paths[path]()
        return self._made[path]

    @cached_property
    def paths(self) -> Mapping[str, Callable[[], str]]:
        """What makes the page at a path."""
        return {
            ROOT: self._index,
            **{guide.path_of(file): partial(self._guide, file) for file in guide.FILES},
            f"{ROOT}/schema": self._schema,
            **{f"{ROOT}/schema/{name}": partial(self._type, name) for name in self._reference.types},
            f"{ROOT}/rest": self._rest_page,
            f"{ROOT}/events": self._events_page,
        }

    def write(self, folder: Path) -> Iterator[str]:
        """Writes a static site for the root of a host; tells the files."""
        pages = {f"{path.lstrip('/')}.html": self.text(path).encode() for path in self.paths if path != ROOT}
        pages[f"{ROOT.lstrip('/')}/index.html"] = self.text(ROOT).encode()
        needed = {path_of(name).lstrip("/"): assets()[name].content for name in ("page.css", "docs.css", "icon.svg")}
        pictures = {
            f"docs/{file.relative_to(guide.sources() / 'docs')}": file.read_bytes()
            for file in (guide.sources() / "docs").rglob("*")
            if file.suffix in _PICTURES
        }
        for name, content in {**pages, **needed, **pictures}.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            yield name

    def _picture(self, path: str) -> Reply | None:
        """One of the guides'. Which there are is known before a path is looked at."""
        folder = guide.sources() / "docs"
        for file in folder.rglob("*"):
            if file.suffix in _PICTURES and path == f"{ROOT}/{file.relative_to(folder).as_posix()}":
                content = file.read_bytes()
                media_type = _PICTURES[file.suffix].encode()
                headers = [(b"content-type", media_type), (b"content-length", b"%d" % len(content))]
                return Reply(content, 200, [*headers, (b"cache-control", _KEPT["cache-control"].encode())])
        return None

    def _render(self, template: str, title: str, here: str, **values: Any) -> str:
        groups = {
            name: [(guide.path_of(file), guide.title_of(file)) for file in files]
            for name, files in guide.GROUPS.items()
        }
        return text_of(f"docs/{template}", title=title, here=here, groups=groups, root=ROOT, **values)

    def _index(self) -> str:
        return self._render("index", "Documentation", ROOT)

    def _guide(self, file: str) -> str:
        made = guide.guide(file)
        return self._render("guide", made.title, guide.path_of(file), guide=made)

    def _schema(self) -> str:
        return self._render("schema", "GraphQL schema", f"{ROOT}/schema", sections=self._reference.sections)

    def _type(self, name: str) -> str:
        return self._render("type", name, f"{ROOT}/schema", type=self._reference.types[name])

    def _rest_page(self) -> str:
        return self._of_document("rest", "REST", self._rest.document)

    def _events_page(self) -> str:
        subscriptions = self._reference.types["Subscription"].members
        return self._of_document(
            "events", "Webhooks and subscriptions", self._events.document, subscriptions=subscriptions
        )

    def _of_document(self, name: str, title: str, document: dict[str, Any], **values: Any) -> str:
        return self._render(
            name,
            title,
            f"{ROOT}/{name}",
            document=document,
            words=json_schema.words,
            properties=json_schema.properties,
            resolved=partial(json_schema.resolved, document),
            inline=guide.inline,
            **values,
        )
