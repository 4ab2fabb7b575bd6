import pytest

from app.resolvers.tracking import tracking_url

POSTNL = "https://postnl.nl/tracktrace/?B={code}"


@pytest.mark.parametrize(
    ("template", "code", "url"),
    [
        (POSTNL, "3STEST1234567890", "https://postnl.nl/tracktrace/?B=3STEST1234567890"),
        (POSTNL, "a b&c=d#e/f?é", "https://postnl.nl/tracktrace/?B=a%20b%26c%3Dd%23e%2Ff%3F%C3%A9"),
        ("http://track.test/{code}/", "../x", "http://track.test/..%2Fx/"),
        ("https://track.test/?a={code}&b={code}", "1", "https://track.test/?a=1&b=1"),
        ("https://track.test/home", "1", "https://track.test/home"),
        (None, "1", None),
        ("", "1", None),
        ("javascript:alert({code})", "1", None),
        ("ftp://track.test/{code}", "1", None),
        ("https://{code}.test/", "evil", None),
        ("https:///{code}", "1", None),
        ("https://[{code}", "1", None),
    ],
)
def test_tracking_url_puts_the_code_in_its_place_or_is_none(template: str | None, code: str, url: str | None) -> None:
    assert tracking_url(code, template) == url
