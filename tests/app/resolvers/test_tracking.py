import pytest

from app.resolvers.tracking import code_of, template_fault, tracking_url

POSTNL = "https://postnl.nl/tracktrace/?B={code}"


@pytest.mark.parametrize(
    ("template", "code", "url"),
    [
        (POSTNL, "3STEST1234567890", "https://postnl.nl/tracktrace/?B=3STEST1234567890"),
        (POSTNL, "a b&c=d#e/f?é", "https://postnl.nl/tracktrace/?B=a%20b%26c%3Dd%23e%2Ff%3F%C3%A9"),
        ("http://track.test/{code}/", "../x", "http://track.test/..%2Fx/"),
        ("https://track.test/?a={code}&b={code}", "1", "https://track.test/?a=1&b=1"),
        ("https://track.test/home", "1", "https://track.test/home"),
        ("https://track.test/{code}/{postalCode}", "1", None),
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


PUROLATOR = "https://www.purolator.com/en/shipping/tracker?searchValue="


@pytest.mark.parametrize(
    ("foreign", "ours"),
    [
        *(
            (foreign, "{code}")
            for foreign in ("%s", "%1$s", "%d", "%number%", "%%number%%", "%barcode%", "@", ":tracking")
        ),
        *(
            (foreign, "{code}")
            for foreign in ("{tracking_number}", "{CODE}", "{Code}", "{}", "{0}", "[code]", "$number")
        ),
        *(
            (foreign, "{code}")
            for foreign in ("{{tracking_number}}", "{{code}}", "{{ code }}", "${code}", "%{code}", "<code>", "##NR##")
        ),
        *((foreign, "{postalCode}") for foreign in ("%2$s", "{zip}", "{{postal_code}}", "%postcode%", ":zipCode")),
        *((foreign, "{country}") for foreign in ("%3$s", "{countryCode}")),
        *((foreign, "{language}") for foreign in ("{lang}", "{LOCALE}")),
        ("{order_number}", "{orderNumber}"),
    ],
)
def test_template_of_another_system_is_refused_with_the_spelling_to_use(foreign: str, ours: str) -> None:
    rule = template_fault(PUROLATOR + foreign)
    assert rule is not None
    assert rule.startswith(f"must say {ours} in place of {foreign[:5]}")
    if ours != "{code}":
        assert template_fault(f"{PUROLATOR}{{code}}&also={foreign}") == f"must say {ours} in place of {foreign}"


def test_template_without_a_place_is_refused() -> None:
    assert template_fault("https://www.purolator.com/tracker") == "must say {code} where the code goes"


def test_address_of_a_template_is_refused_by_what_is_wrong_with_it() -> None:
    assert template_fault("HTTPS://x.example/{code}") == "must begin with https:// in small letters"
    assert template_fault("https://x.example:99999/{code}") == "must have a port from 1 to 65535, or none"
    assert template_fault("http://x.example/{code}") == "must be an https URL with a host of its own"


PAGES = [
    ("https://t.example/?B={code}&P={postalCode}", "https://t.example/?P=1234AB&B=3S1", "3S1"),
    ("https://t.example/?B={code}", "HTTP://WWW.T.example/?x=1&B=a%20b#top", "a b"),
    ("https://t.example/track/?B={code}", "https://t.example/track?B=1", "1"),
    ("https://t.example/?B={code}", "https://t.example/other?B=1", None),
    ("https://t.example/?B={code}", "https://t.example/?B=", None),
    ("https://t.example/?B={code}", "https://evil.example/?B=1", None),
    ("https://t.example/p/{code}/{country}-{language}", "https://t.example/p/1Z%2F9/NL-nl/", "1Z/9"),
    ("https://t.example/p/{code}.html", "https://t.example/p/1Z9.html?utm=1", "1Z9"),
    ("https://t.example/p/{code}", "https://t.example/p/1/2", None),
    ("https://t.example/#/p/{code}", "https://t.example/#/p/1Z9", "1Z9"),
    ("https://t.example/?q=x{code}", "https://t.example/?q=x1&y=2", "1"),
    ("https://t.example/{code}", "3S1", None),
    ("https://t.example/{code}", "https://[t.example/1", None),
    (None, "https://t.example/1", None),
    ("https://t.example/?B={code}", "https://t.example/?B=3S%00", None),
    ("https://t.example/{code}", "https://t.example/a%09b", None),
    ("https://t.example/?B={code}", "https://t.example/?B=3S%ff", None),
    ("https://t.example/{code}", "https://t.example/3S%ff", None),
    ("https://t.example/{code}", "https://t.example/%E2%80%8B", None),
    ("https://t.example/?B={code}", "https://t.example/?B=a%2Fb%26c", "a/b&c"),
    ("https://t.example/?B=NL:{code}", "https://t.example/?B=NL%3A1", "1"),
    ("https://t.example/?B={code}", "https://t.example/?B=1&B=2", "2"),
    ("https://t.example/?B={code}", "https://t.example/?C=%ff&B=2", "2"),
    ("https://t.example/{code}-{country}", "https://t.example/A-B-NL", "A-B"),
    ("https://t.example/{country}.{code}", "https://t.example/NL.1.2", "1.2"),
    ("https://t.example/{code}{country}", "https://t.example/1NL", "1NL"),
    ("https://t.example/" + "{code}a{country}a" * 8, "https://t.example/" + "a" * 200 + "!", None),
]


@pytest.mark.parametrize(("template", "text", "code"), PAGES)
def test_code_of_takes_the_code_out_of_an_address_of_the_template(
    template: str | None, text: str, code: str | None
) -> None:
    assert code_of(text, template) == (code or text)
