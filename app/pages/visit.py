"""One request of a visitor to a page: who it is, what it asks, and the answer in its language."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import orjson
from starlette.datastructures import QueryParams
from starlette.types import Receive, Scope

from app.auth.storefront_key import Storefront
from app.auth.viewer import Viewer
from app.errors import RequestRefused
from app.execution.document import RequestErrors
from app.http.body import read_body
from app.http.graphql import GraphQLEndpoint, GraphQLRequest
from app.http.mutation import RenderedAnswer
from app.http.reply import Reply
from app.http.state import State, state_of
from app.live.stream import HTTPStream
from app.pages.language import LANGUAGES, PARAMETER, locale_of
from app.pages.template import FOLDER, environment
from app.pages.wording import Wording
from app.rest.export import Export

_STATUSES = {"UNAUTHENTICATED": 401, "FORBIDDEN": 403, "INTERNAL_SERVER_ERROR": 500}
# Of a form: far more than any page's fields.
MOST_FIELDS = 200
_IMPORT = re.compile(r'^#import "(\S+)"$', re.MULTILINE)
_FORM = b"application/x-www-form-urlencoded"
# A page speaks for whom its address or its cookie names, whatever else a browser or a proxy adds.
_CREDENTIALS = frozenset({b"authorization", b"apikey", b"x-storefront-key", b"cookie", b"idempotency-key"})

# Nothing is loaded but from here, nothing is framed, and forms go nowhere else.
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src {pictures}; connect-src 'self'; font-src 'self';"
    " base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


class Refused(Exception):
    """An operation failed; `errors` are GraphQL's."""

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        super().__init__(errors[0]["message"])
        self.errors = errors

    @property
    def code(self) -> str:
        """Of the first error."""
        code: str = self.errors[0].get("extensions", {}).get("code", "BAD_REQUEST")
        return code

    @property
    def status(self) -> int:
        """What it comes to where a page has nothing of its own to say about it."""
        return _STATUSES.get(self.code, 400)


class PageProblem(Exception):
    """What a page says in place of its content: `template` of the folder `shared`, in the visitor's language."""

    def __init__(self, status: int, template: str = "problem", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(template)
        self.status = status
        self.template = template
        self.headers = dict(headers or {})


@cache
def document(name: str) -> str:
    """The text of a document by its place below `app/pages`, `track/page`, and of those that it imports.

    An import is a comment, as tools know it: `#import "track/order"`.
    """
    text = (FOLDER / f"{name}.graphql").read_text("utf-8")
    return "\n".join([text, *map(document, _IMPORT.findall(text))])


@dataclass(frozen=True)
class Site:
    """What all pages are made with: `graphql` runs their operations and `news` their subscriptions, `viewer_of` says
    whose credentials a request has, and `exports` are by their paths."""

    graphql: GraphQLEndpoint
    news: HTTPStream
    viewer_of: Callable[[Scope], Awaitable[Viewer | None]]
    exports: Mapping[str, Export]
    body_bytes: int


@dataclass
class Visit:
    """`wording` is in the language that the visitor asks for, of those that the page `offers`.

    `authorization` or `api_key` is the credential by which its operations run, both None for a stranger; `storefront`
    is the shop that they are asked of, on the customer surface.
    `pictures` are the origins, beside our own, from which the page shows pictures.
    """

    scope: Scope
    receive: Receive
    site: Site
    authorization: str | None = None
    api_key: str | None = None
    storefront: Storefront = Storefront()  # noqa: RUF009  it never changes
    offers: tuple[str, ...] = LANGUAGES
    pictures: tuple[str, ...] = ()
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        self.fields = dict(self.state.fields)
        self.query = QueryParams(self.scope["query_string"])
        self.warnings: list[str] = []
        self.wording = self.worded()

    @property
    def state(self) -> State:
        return state_of(self.scope)

    @property
    def method(self) -> str:
        method: str = self.scope["method"]
        return method

    @property
    def raw_path(self) -> str:
        """The path as it came, percent-encoded: what a redirect may go on from."""
        return quote(self.scope["path"], safe="/:@!$&'()*+,;=-._~")

    @property
    def parameters(self) -> Mapping[str, str]:
        """What stands in the places of the page's path."""
        parameters: Mapping[str, str] = self.scope["path_params"]
        return parameters

    def worded(self, zone: str = "UTC", fallback: str | None = None) -> Wording:
        """The words of this visitor, with the days of a `zone`; `fallback` is for who wants no language on offer."""
        offered = self.offers if fallback not in self.offers else (fallback, *self.offers)
        accepted = self.fields.get(b"accept-language", b"").decode("latin-1")
        self.wording = Wording(locale_of(self.query.get(PARAMETER), accepted, offered), zone, self.now)
        return self.wording

    @property
    def in_same_language(self) -> str:
        """What an address needs at its end to be read in the language that was chosen."""
        asked = self.query.get(PARAMETER)
        return f"?{urlencode({PARAMETER: asked})}" if asked in LANGUAGES else ""

    def address_in(self, language: str) -> str:
        """Where this page is read in another language."""
        return self.address_with(PARAMETER, language)

    def address_with(self, parameter: str, value: str) -> str:
        """Where this page is with another value of one parameter of its address."""
        others = [(name, given) for name, given in self.query.multi_items() if name != parameter]
        return f"?{urlencode([*others, (parameter, value)])}"

    async def form(self) -> dict[str, str]:
        """The fields of the form that was sent; of one that came twice the last counts.

        Raises `RequestRefused`, also for a form of another site: whose cookies come with it, did not send it.
        """
        site, origin = self.fields.get(b"sec-fetch-site"), self.fields.get(b"origin")
        if site not in (None, b"same-origin", b"none") or (site is None and origin not in (None, self._own_origin)):
            raise RequestRefused("The form is of another site.", status=403, code="FORBIDDEN")
        if self.fields.get(b"content-type", b"").partition(b";")[0].strip().lower() != _FORM:
            raise RequestRefused(
                "A form is application/x-www-form-urlencoded.", status=415, code="UNSUPPORTED_MEDIA_TYPE"
            )
        body = await read_body(self.scope, self.receive, self.site.body_bytes)
        try:
            pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
        except ValueError:
            raise RequestRefused("The form is not URL-encoded UTF-8, or has too many fields.") from None
        return dict(pairs)

    @property
    def _own_origin(self) -> bytes:
        return f"{self.scope['scheme']}://".encode() + self.fields.get(b"host", b"")

    async def viewer(self) -> Viewer | None:
        """Who asks, by the credential of the page. Raises `NotAuthenticated` for one that is not good."""
        return await self.site.viewer_of(self.credited()[0])

    async def ask(
        self, name: str, operation: str | None = None, *, idempotency_key: str | None = None, **variables: Any
    ) -> dict[str, Any]:
        """The data of an operation of the document `name`, run for the visitor as if it had come over HTTP.

        `warnings` are then what a mutation was warned of. Raises `Refused` where there is an error, and
        `ServiceUnavailable` where the database is why.
        """
        extensions = {} if idempotency_key is None else {"idempotencyKey": idempotency_key}
        request = GraphQLRequest(document(name), operation, variables, extensions, None)
        scope, state = self.credited()
        try:
            prepared = self.site.graphql.prepare_own(request, state)
        except RequestErrors as errors:  # which no document of ours has, as the tests say
            raise RuntimeError(f"{name}: {errors}") from errors
        answer = await self.site.graphql.run(request, prepared, scope, state)
        if answer.fault is not None:
            raise answer.fault
        body = orjson.loads(answer.text) if isinstance(answer, RenderedAnswer) else answer.body
        if "errors" in body:
            raise Refused(body["errors"])
        self.warnings = [warning["message"] for warning in body.get("extensions", {}).get("warnings", ())]
        data: dict[str, Any] = body["data"]
        return data

    async def follow(self, name: str, operation: str, **variables: Any) -> Reply:
        """The news of a subscription of the document `name`, as server-sent events that a browser resumes by itself.

        Raises `ServiceUnavailable` and `RateLimitExceeded`.
        """
        request = GraphQLRequest(document(name), operation, variables, {}, None)
        scope, state = self.credited()
        prepared = self.site.graphql.prepare_own(request, state)
        return await self.site.news.follow(request, prepared, scope, state)

    def credited(self) -> tuple[Scope, State]:
        """The request with the credentials of the page in place of those that came with it."""
        headers = [(key, value) for key, value in self.scope["headers"] if key not in _CREDENTIALS]
        if self.authorization is not None:
            headers.append((b"authorization", self.authorization.encode("latin-1")))
        if self.api_key is not None:
            headers.append((b"apikey", self.api_key.encode("latin-1")))
        state = self.state
        state.storefront = self.storefront
        state.fields = dict(reversed(headers))
        return {**self.scope, "headers": headers}, state

    def render(
        self, template: str, status: int = 200, headers: Mapping[str, str] | None = None, **values: Any
    ) -> Reply:
        """The answer: a template by its place below `app/pages`, which has `visit`, `words`, `status` and `values`."""
        made = environment(self.wording.language).get_template(f"{template}.html")
        body = made.render(visit=self, words=self.wording, status=status, **values).encode()
        pictures = " ".join(("'self'", *self.pictures))
        raw = [
            (b"content-type", b"text/html; charset=utf-8"),
            (b"content-length", b"%d" % len(body)),
            (b"content-language", self.wording.language.encode()),
            (b"content-security-policy", _POLICY.format(pictures=pictures).encode()),
            (b"vary", b"Accept-Language, Cookie"),
            (b"x-robots-tag", b"noindex, nofollow"),
        ]
        raw += [(name.lower().encode(), value.encode("latin-1")) for name, value in (headers or {}).items()]
        return Reply(body, status, raw)

    def dress(self, shop: Mapping[str, Any]) -> None:
        """Has the page speak the languages of a shop, of type `Shop`, and show pictures from where that has them."""
        spoken = tuple(language for language in shop["languages"] or () if language in LANGUAGES)
        own = (shop["language"],) if shop["language"] in LANGUAGES else ()
        self.offers = spoken or tuple(dict.fromkeys((*own, *LANGUAGES)))
        if shop["pictureOrigin"]:
            self.pictures = (shop["pictureOrigin"],)

    def shows(self, picture: str | None) -> bool:
        """Whether the page may show a picture: from wherever else it comes, somebody would learn who looks."""
        return picture is not None and any(picture.startswith(f"{origin}/") for origin in self.pictures)

    def unchanged(self) -> Reply:
        """The answer to who has the page as it is."""
        return Reply(b"", 304, [])

    def redirect(self, address: str, headers: Mapping[str, str] | None = None) -> Reply:
        """To what a browser should ask for next, by GET."""
        raw = [(b"location", address.encode("ascii")), (b"content-length", b"0")]
        raw += [(name.lower().encode(), value.encode("latin-1")) for name, value in (headers or {}).items()]
        return Reply(b"", 303, raw)
