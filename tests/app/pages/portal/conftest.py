from collections.abc import Callable

import httpx
import pytest

from tests.conftest import credentials, settings_for

# A client with the cookie of a viewer.
AtPortal = Callable[..., httpx.AsyncClient]


def credential_of(viewer: str, dsn: str) -> str:
    """What the viewer types in at the login."""
    headers = credentials(viewer, settings_for(dsn))
    return headers.get("apikey") or headers["Authorization"].removeprefix("Bearer ")


@pytest.fixture
def at_portal(client: httpx.AsyncClient, demo_dsn: str) -> AtPortal:
    def enter(viewer: str, of: httpx.AsyncClient = client) -> httpx.AsyncClient:
        of.headers["cookie"] = f"__Host-portal={credential_of(viewer, demo_dsn)}"
        return of

    return enter
