"""A real browser for the pages: one Chromium per worker, and each test a context of its own in it."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
import uvicorn
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, Page, Request, Response, async_playwright
from starlette.types import ASGIApp

from app.settings import Settings
from tests.conftest import reserved_port, running

# Playwright's own is not for every machine; the system's is.
NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    *("--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--disable-gpu", "--disable-dev-shm-usage"),
)
WIDTHS = (320, 768, 1280)
# Of the rules that axe has switched off, the one about what a thumb has to hit.
AXE = {"rules": {"target-size": {"enabled": True}}}

Open = Callable[..., AbstractAsyncContextManager["Tab"]]


class Tab:
    """A page in a context of its own, which has seen all that it asked for."""

    def __init__(self, context: BrowserContext, page: Page) -> None:
        self.context = context
        self.page = page
        self.requests: list[Request] = []
        self.responses: list[Response] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request))
        page.on("response", lambda response: self.responses.append(response))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda message: message.type == "error" and self.complaints.append(message.text))

    async def violations(self) -> Sequence[str]:
        """What axe finds wrong with the page as it is: the rules, and where they are broken."""
        results = await Axe().run(self.page, options=AXE)
        return [
            f"{found['id']}: {node['target']} {node['failureSummary']}"
            for found in results.response["violations"]
            for node in found["nodes"]
        ]

    async def is_scrolled_sideways(self) -> bool:
        """Whether the page is wider than its window."""
        return bool(
            await self.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
        )

    async def bytes_transferred(self) -> int:
        """What came over the wire for the page and all that it needs, heads aside, and streams, which have no end."""
        whole = [response for response in self.responses if "event-stream" not in response.headers["content-type"]]
        return sum([(await response.request.sizes())["responseBodySize"] for response in whole])


def executable() -> str:
    """Raises what skips a test where there is no browser."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("no Chromium is installed")
    return found


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    path = executable()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=path, args=ARGUMENTS, chromium_sandbox=os.geteuid() != 0
        )
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def open_page(browser: Browser) -> Open:
    """Opens an address; options are those of a context: `locale`, `color_scheme`, `java_script_enabled`, `width`."""

    @asynccontextmanager
    async def open_(address: str, *, width: int = 1280, **options: Any) -> AsyncIterator[Tab]:
        viewport = {"width": width, "height": 900}
        context = await browser.new_context(viewport=viewport, **{"locale": "en-GB", **options})  # type: ignore[arg-type]
        try:
            tab = Tab(context, await context.new_page())
            await tab.page.goto(address, wait_until="load")
            yield tab
        finally:
            await context.close()

    return open_


@asynccontextmanager
async def at_a_port(app: ASGIApp) -> AsyncIterator[str]:
    """An application that is running, at an address of this machine."""
    with reserved_port() as port:
        server = uvicorn.Server(
            uvicorn.Config(app, port=port, lifespan="off", log_config=None, access_log=False, ws="none")
        )
        serving = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110  it sets no event
            await asyncio.sleep(0.005)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            await serving


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def site(shared_app: ASGIApp) -> AsyncIterator[str]:
    """Where the application of a worker answers, on the shared demo database."""
    async with at_a_port(shared_app) as address:
        yield address


@asynccontextmanager
async def site_of(settings: Settings) -> AsyncIterator[str]:
    """Where an application of one's own answers."""
    async with running(settings) as app, at_a_port(app) as address:
        yield address
