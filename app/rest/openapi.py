"""The OpenAPI 3.1 document of the REST endpoints, the exports and the trusted documents.

It is made of the table of endpoints and the types that they answer with, and of the filters that the SDL has for lists.
"""

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any, get_args

import msgspec
from starlette.types import Receive, Scope, Send

from app.documents.upload import LONGEST_VERSION
from app.http.problem import PROBLEM
from app.http.reply import reply
from app.resolvers.customer.identifier import LARGEST
from app.rest import documents
from app.rest.export import Export
from app.rest.shop import DEFAULT_PER_PAGE, ENDPOINTS, LARGEST_PER_PAGE, ROOT, Endpoint, not_allowed
from app.rest.shop_answer import Credentials, KeyProblem, Login, Outage, Problem, RateProblem

PATH = f"{ROOT}/openapi.json"

_PARAMETERS: dict[str, dict[str, Any]] = {
    "page": {"description": "Counts from 1.", "schema": {"type": "integer", "minimum": 1, "default": 1}},
    "per_page": {
        "description": f"More than {LARGEST_PER_PAGE} is lowered to it.",
        "schema": {"type": "integer", "minimum": 1, "default": DEFAULT_PER_PAGE},
    },
    "status": {"description": "Only those of this status; an unknown one has none.", "schema": {"type": "string"}},
    "order_id": {"description": "Only those of this order.", "schema": {"type": "integer"}},
    "orderId": {"description": "Another name of `order_id`.", "schema": {"type": "integer"}},
}
_HEADERS = {
    "RateLimit": "What is left of each policy (`r`), and in how many seconds all of it is there again (`t`).",
    "RateLimit-Policy": "How much there is (`q`), and in how many seconds (`w`): requests of the key, and points.",
    "X-RateLimit-Limit": "Requests a minute of the storefront key.",
    "X-RateLimit-Remaining": "How many of them are left.",
    "X-RateLimit-Reset": "When all are there again, in seconds since 1970.",
    "X-Total-Count": "How many there are on all pages.",
    "X-Page": "The page, counted from 1.",
    "X-Per-Page": "The size of a page.",
    "X-Total-Pages": "How many pages there are.",
    "Retry-After": "Seconds to wait.",
    "Allow": "The method that the path has.",
    "X-Changes-Cursor": "Where the feed of changes goes on after what is told.",
    "Accept-Encoding": "The encodings that a body may have.",
}
_TEXTS = {"Allow", "RateLimit", "RateLimit-Policy", "Accept-Encoding", "X-Changes-Cursor"}
_BUDGET = ("RateLimit", "RateLimit-Policy")
_RATE = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", *_BUDGET)
_PAGING = ("X-Total-Count", "X-Page", "X-Per-Page", "X-Total-Pages")
_PROBLEM_TEXTS = ("type", "title", "detail", "instance", "code", "requestId")
_PROBLEM_DETAILS = {
    "type": "object",
    "description": "A problem of RFC 9457.",
    "properties": {
        **{name: {"type": "string"} for name in _PROBLEM_TEXTS},
        "status": {"type": "integer"},
        "errors": {"type": "array"},
    },
    "required": [*_PROBLEM_TEXTS, "status", "errors"],
}


class PublicDocument:
    """An ASGI application that serves a document to anybody: it holds nothing of a customer."""

    def __init__(self, make: Callable[[], dict[str, Any]]) -> None:
        self._make = make

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope["method"]
        response = reply(self.document) if method == "GET" else not_allowed(method, "GET")
        await response(scope, receive, send)

    @cached_property
    def document(self) -> dict[str, Any]:
        """Made once: nothing in it varies."""
        return self._make()


class OpenAPI(PublicDocument):
    def __init__(self, exports: Sequence[Export]) -> None:
        super().__init__(partial(document, exports))


def document(exports: Sequence[Export]) -> dict[str, Any]:
    types = [
        *(endpoint.answer for endpoint in ENDPOINTS),
        *(Credentials, KeyProblem, Outage, Problem, RateProblem),
        *(documents.Registered, documents.Uploaded, documents.Retired),
    ]
    _schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    paths: dict[str, Any] = {}
    for endpoint in ENDPOINTS:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    for export in exports:
        paths[export.source.path] = {"get": _export(export)}
    paths[documents.PATH] = _trusted_documents()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Waybill over REST",
            "summary": (
                "One customer's own orders and shipments for storefronts; exports and trusted documents for partners"
                " and staff."
            ),
            "version": service_version(),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"storefrontKey": []}],
        "paths": paths,
        "components": {
            "schemas": {**components, "ProblemDetails": _PROBLEM_DETAILS},
            "parameters": {
                name: {"name": name, "in": "query", "required": False, **parameter}
                for name, parameter in _PARAMETERS.items()
            },
            "headers": {
                name: {"description": text, "schema": {"type": "string" if name in _TEXTS else "integer"}}
                for name, text in _HEADERS.items()
            },
            "securitySchemes": {
                "storefrontKey": {"type": "apiKey", "in": "header", "name": "X-STOREFRONT-KEY"},
                "customer": {"type": "http", "scheme": "bearer", "description": "The `token` of a login."},
                "partner": {"type": "apiKey", "in": "header", "name": "apikey"},
                "staff": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            },
        },
    }


def service_version() -> str:
    """Of the package that is installed."""
    try:
        return version("waybill")
    except PackageNotFoundError:  # a checkout that was never installed
        return "0"


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": "".join(part.capitalize() for part in endpoint.handle.__name__.split("_")),
        "summary": endpoint.summary,
        "parameters": [{"$ref": f"#/components/parameters/{name}"} for name in endpoint.query],
        "responses": _responses(endpoint),
    }
    if "{id}" in endpoint.path:
        number = {"type": "integer", "minimum": 1, "maximum": LARGEST}
        operation["parameters"].append({"name": "id", "in": "path", "required": True, "schema": number})
    if endpoint.needs_token:
        operation["security"] = [{"storefrontKey": [], "customer": []}]
    elif endpoint.takes_token:
        operation["security"] = [{"storefrontKey": [], "customer": []}, {"storefrontKey": []}]
    if endpoint.method == "POST":
        is_login = endpoint.answer is Login
        schema = _reference(Credentials) if is_login else {"type": "object"}
        operation["requestBody"] = {"required": is_login, "content": {"application/json": {"schema": schema}}}
    return operation


def _export(export: Export) -> dict[str, Any]:
    source = export.source
    shape = {"type": "string", "description": source.summary}
    return {
        "operationId": f"Export{''.join(part.capitalize() for part in source.file_name.split('.'))}",
        "summary": source.summary,
        "description": (
            f"What the caller sees, with the filters of `{source.search_input}` of GraphQL. A filter that takes"
            " several values comes once for each; of one that takes objects, a member that comes again begins the next."
            " Where it cannot be told to its end, the connection is broken."
        ),
        "security": [{"partner": []}, {"staff": []}],
        "parameters": export.filters.described,
        "responses": {
            "200": {
                "description": f"As asked. Needs the scope `{source.scope}`. It is gzip where the caller takes that.",
                "headers": {"X-Changes-Cursor": {"$ref": "#/components/headers/X-Changes-Cursor"}},
                "content": {source.media_type: {"schema": shape}},
            },
            "400": _problem("A parameter is not as described."),
            **_refused(),
            "503": _problem("Too many exports are running, or the database is not available.", "Retry-After"),
        },
    }


def _trusted_documents() -> dict[str, Any]:
    """The operations of a path. What they take is told in docs/documents.md."""
    name = {"name": "application", "in": "path", "required": True, "schema": {"type": "string"}}
    version = {"name": "version", "in": "query", "schema": {"type": "string", "maxLength": LONGEST_VERSION}}
    ids = {"name": "id", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}}
    everything = {"name": "all", "in": "query", "schema": {"type": "string", "enum": ["true"]}}
    manifest = {"type": "object", "description": "Relay's or Apollo's manifest: ids and texts."}

    def operation(name_: str, summary: str, answer: type, *parameters: dict[str, Any], **more: Any) -> dict[str, Any]:
        responses = {
            "200": _response("As asked.", _reference(answer), *_BUDGET),
            "400": _problem("A parameter or the body is not as described."),
            **_refused(),
            "404": _problem("Not there, or not the caller's: nobody can tell which."),
            "503": _problem("The database is not available, or this took too long.", "Retry-After"),
            **more.pop("responses", {}),
        }
        return {
            "operationId": name_,
            "summary": summary,
            "security": [{"partner": []}, {"staff": []}],
            "parameters": [name, *parameters],
            "responses": dict(sorted(responses.items())),
            **more,
        }

    return {
        "get": operation("RegisteredDocuments", "What an application may ask by id.", documents.Registered, everything),
        "post": operation(
            "RegisterDocuments",
            f"Registers the documents of a manifest, all or none, up to {documents.MOST_UPLOADED:,}.",
            documents.Uploaded,
            version,
            requestBody={"required": True, "content": {"application/json": {"schema": manifest}}},
            responses={
                "408": _problem("The body did not arrive in time."),
                "413": _problem("The body is too large, or there are too many documents."),
                "415": _problem("The body has an encoding that is not taken.", "Accept-Encoding"),
                "422": _problem("A document cannot run: `errors` tell which, and where in it."),
            },
        ),
        "delete": operation(
            "RetireDocuments", "Retires documents by their ids or by a version.", documents.Retired, ids, version
        ),
    }


def _refused() -> dict[str, Any]:
    """By what all have that partners and staff may ask."""
    return {
        "401": _problem("The key or the token is wrong."),
        "403": _problem("The caller may not have this."),
        "405": _problem("The path has another method.", "Allow"),
        "429": _problem("Too many requests of one key, or too few points.", *_BUDGET, "Retry-After"),
    }


def _responses(endpoint: Endpoint) -> dict[str, Any]:
    is_list = bool(get_args(endpoint.answer))
    schema = (
        {"type": "array", "items": _reference(get_args(endpoint.answer)[0])} if is_list else _reference(endpoint.answer)
    )
    responses = {
        str(endpoint.status): _response("As asked.", schema, *_RATE, *(_PAGING if is_list else ())),
        "401": _response("The storefront key is missing.", _reference(KeyProblem)),
        "403": _response("The storefront key is wrong or inactive.", _reference(KeyProblem)),
        "405": _response("The path has another method.", _reference(Problem), "Allow"),
        "429": _response("Too many requests.", _reference(RateProblem), *_RATE, "Retry-After"),
        "503": _response("The database is not available, or this took too long.", _reference(Outage), "Retry-After"),
    }
    if endpoint.answer is Login:
        either = {"oneOf": [_reference(RateProblem), _reference(Problem)]}
        responses["429"] = _response("Too many requests, or too many logins.", either, *_RATE, "Retry-After")
    if endpoint.needs_token:
        either = {"oneOf": [_reference(KeyProblem), _reference(Problem)]}
        responses["401"] = _response("The storefront key is missing, or the customer is not logged in.", either)
    if endpoint.query or endpoint.method == "POST":
        responses["400"] = _response("A parameter or the body is not as described.", _reference(Problem), *_RATE)
    if endpoint.method == "POST":
        responses["408"] = _response("The body did not arrive in time.", _reference(Problem), *_RATE)
        responses["413"] = _response("The body is too large.", _reference(Problem), *_RATE)
        encoded = "The body has an encoding that is not taken."
        responses["415"] = _response(encoded, _reference(Problem), *_RATE, "Accept-Encoding")
    if "{id}" in endpoint.path:
        responses["404"] = _response(
            "Not there, or not the customer's: nobody can tell which.", _reference(Problem), *_RATE
        )
    return dict(sorted(responses.items()))


def _problem(description: str, *headers: str) -> dict[str, Any]:
    return _response(description, {"$ref": "#/components/schemas/ProblemDetails"}, *headers, media_type=PROBLEM)


def _response(
    description: str, schema: dict[str, Any], *headers: str, media_type: str = "application/json"
) -> dict[str, Any]:
    return {
        "description": description,
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in headers},
        "content": {media_type: {"schema": schema}},
    }


def _reference(type_: type) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{type_.__name__}"}
