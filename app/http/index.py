"""What there is here, and who asks for it: a person who opens the service in a browser, or a program."""

from starlette.types import Scope

from app.http.negotiation import accept_of, prefers_html

ENDPOINTS = {
    "graphql": "/graphql",
    "storefront": "/api/graphql",
    "rest": "/api/shop/openapi.json",
    "webhooks": "/webhooks/asyncapi.json",
    "docs": "/docs",
    "live": "/healthz",
    "ready": "/readyz",
    "metrics": "/metrics",
}


def is_for_a_person(scope: Scope) -> bool:
    """Whether a browser asks for something to look at."""
    return scope["method"] in ("GET", "HEAD") and prefers_html(accept_of(scope["headers"]))
