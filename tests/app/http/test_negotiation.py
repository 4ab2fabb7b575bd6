import pytest

from app.http.negotiation import GRAPHQL_RESPONSE, JSON, accept_of, is_json, negotiate, prefers_html


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("application/json", JSON),
        ("APPLICATION/JSON; charset=utf-8", JSON),
        (GRAPHQL_RESPONSE, GRAPHQL_RESPONSE),
        (f"{JSON}, {GRAPHQL_RESPONSE}", GRAPHQL_RESPONSE),
        (f"{JSON}, {GRAPHQL_RESPONSE};q=0.9", JSON),
        (f"{GRAPHQL_RESPONSE}, {JSON};q=0.9", GRAPHQL_RESPONSE),
        (f"*/*, {GRAPHQL_RESPONSE}", GRAPHQL_RESPONSE),
        (f"{JSON};q=0, */*", GRAPHQL_RESPONSE),
        (f"{GRAPHQL_RESPONSE};q=0.5, */*;q=0.1", GRAPHQL_RESPONSE),
        ("text/html, application/xhtml+xml, */*;q=0.8", JSON),
        ("text/html", None),
        ("application/json;q=0", None),
        ("application/json;q=0.000, text/html", None),
        ("application/json;q=nonsense", None),
        ("*/*;q=0", None),
        (",;,", None),
    ],
)
def test_the_best_liked_media_type_is_chosen(accept: str | None, expected: str | None) -> None:
    assert negotiate(accept) == expected


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/json", True),
        ("Application/JSON; Charset=UTF-8", True),
        ('application/json;charset="utf-8"', True),
        ("application/json; charset=utf-16", False),
        ("application/jsonp", False),
        ("text/plain", False),
        ("", False),
        (None, False),
    ],
)
def test_only_json_in_utf_8_is_json(content_type: str | None, expected: bool) -> None:
    assert is_json(content_type) is expected


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, False),
        ("", False),
        ("*/*", False),
        ("text/*", False),
        ("text/html", True),
        ("Text/HTML; charset=utf-8", True),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True),
        ("text/html;q=0.8, */*;q=0.9", False),
        ("text/html, */*", True),
        ("text/html, application/*", True),
        (f"text/html, {JSON}", False),
        (f"text/html, {GRAPHQL_RESPONSE}", False),
        (f"text/html, {JSON};q=0.9", True),
        (f"text/html;q=0.9, {GRAPHQL_RESPONSE};q=0.95, {JSON};q=0.1", False),
        ("text/html;q=0", False),
        ("text/html;q=nonsense", False),
        ("application/xhtml+xml", False),
        (",;,", False),
    ],
)
def test_html_is_preferred_where_it_is_named_and_liked_better_than_json(accept: str | None, expected: bool) -> None:
    assert prefers_html(accept) is expected


def test_all_headers_of_the_name_count() -> None:
    headers = [(b"accept", b"text/html"), (b"host", b"there"), (b"accept", b"*/*;q=0.1")]
    assert accept_of(headers) == "text/html,*/*;q=0.1"
    assert accept_of([]) == ""
