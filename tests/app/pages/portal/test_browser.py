"""The portal in a browser: for everybody, on every screen."""

import pytest

from app.pages.language import LANGUAGES
from tests.app.pages.conftest import WIDTHS, Open
from tests.app.pages.portal.conftest import credential_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

PLACES = ("/portal", "/portal/shipments?late=true&statuses=IN_TRANSIT", "/portal/orders", "/portal/orders/2075")


@pytest.mark.parametrize("language", LANGUAGES)
async def test_the_portal_is_for_everybody(site: str, open_page: Open, demo_dsn: str, language: str) -> None:
    scheme = "dark" if language in ("de", "ar") else "light"
    async with open_page(f"{site}/portal/shipments?late=true", locale=language, color_scheme=scheme) as tab:
        assert await tab.violations() == []
        await tab.page.fill("#credential", credential_of("editor", demo_dsn))
        await tab.page.keyboard.press("Enter")
        await tab.page.wait_for_url(f"{site}/portal/shipments?late=true")
        for place in PLACES:
            await tab.page.goto(f"{site}{place}")
            assert await tab.page.get_attribute("html", "lang") == language
            for details in await tab.page.locator("summary").all():
                await details.click()
            assert await tab.violations() == []
            for width in WIDTHS:
                await tab.page.set_viewport_size({"width": width, "height": 900})
                assert not await tab.is_scrolled_sideways()
        assert tab.complaints == []
        assert all(request.url.startswith(site) for request in tab.requests)


async def test_the_portal_is_whole_without_scripts(site: str, open_page: Open, demo_dsn: str) -> None:
    async with open_page(f"{site}/portal/login", java_script_enabled=False) as tab:
        await tab.page.fill("#credential", credential_of("contact", demo_dsn))
        await tab.page.keyboard.press("Enter")
        await tab.page.get_by_role("link", name="Shipments").click()
        await tab.page.locator("summary").click()
        await tab.page.get_by_label("Delivered", exact=True).check()
        await tab.page.get_by_role("button", name="Apply").click()
        assert "statuses=DELIVERED" in tab.page.url
        await tab.page.locator("tbody a").first.click()
        assert "/portal/orders/" in tab.page.url
        await tab.page.get_by_role("button", name="Log out").click()
        assert tab.page.url == f"{site}/portal/login"
