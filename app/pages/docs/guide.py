"""The guides: files of Markdown in `docs/`, as HTML, with links among themselves."""

import re
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from posixpath import join, normpath, relpath
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

ROOT = "/docs"
# Group by group, in the sequence in which they are read; files below the root of the sources, without their ending.
GROUPS = {
    "Begin": (
        "docs/getting-started",
        "docs/viewers",
        "docs/clients",
        "docs/documents",
        "docs/from-propeller",
        "docs/from-bagisto",
    ),
    "Orders and parcels": (*("docs/lines", "docs/parcels", "docs/days", "docs/money", "docs/keys", "docs/customers"),),
    "What happens": ("docs/feed", "docs/webhooks"),
    "Running it": (*("docs/running", "docs/operating", "docs/growing", "docs/limits", "docs/cost", "docs/executor"),),
    "What callers may rely on": (
        *("docs/contract/README", "docs/contract/b2b", "docs/contract/customer", "docs/contract/decisions"),
    ),
    "The project": ("README", "CONTRIBUTING", "bench/README", "CHANGELOG"),
}
FILES = tuple(file for files in GROUPS.values() for file in files)
# What guides lead to that has a page of its own.
_ELSEWHERE = {"schema.graphql": f"{ROOT}/schema"}
_EXTERNAL = re.compile(r"[a-z]+:")
_HEADING = re.compile(r"^# (.+)$", re.MULTILINE)


class Heading(NamedTuple):
    level: int
    slug: str
    text: str


class Guide(NamedTuple):
    """`headings` are those below the title."""

    title: str
    body: Markup
    headings: Sequence[Heading]


@cache
def sources() -> Path:
    """The folder with `docs/` in it: the checkout, or what the wheel brings of it."""
    own = Path(__file__).parent / "sources"
    return own if own.is_dir() else Path(__file__).parents[3]


@cache
def _text(file: str) -> str:
    return (sources() / f"{file}.md").read_text("utf-8")


@cache
def title_of(file: str) -> str:
    found = _HEADING.search(_text(file))
    return re.sub(r"[`*]", "", found[1]) if found else file


def path_of(file: str) -> str:
    """Where a guide is read: `docs/contract/b2b` at `/docs/contract/b2b`, `README` at `/docs/readme`."""
    if file.startswith("docs/"):
        return f"{ROOT}/{file.removeprefix('docs/')}".replace("/README", "")
    return f"{ROOT}/{file.lower()}"


def slug_of(text: str) -> str:
    """What a heading is led to by, as on the sites where the sources are read."""
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")


@cache
def _markdown() -> MarkdownIt:
    """No HTML of the sources goes through."""
    return MarkdownIt("commonmark", {"html": False}).enable("table")


def inline(text: str) -> Markup:
    """A description of the SDL in a line."""
    return Markup(_markdown().renderInline(" ".join(text.split())))  # noqa: S704  no HTML goes through


def block(text: str) -> Markup:
    """A description of the SDL in paragraphs."""
    return Markup(_markdown().render(text))  # noqa: S704  no HTML goes through


def guide(file: str) -> Guide:
    tokens = _markdown().parse(_text(file))
    headings: list[Heading] = []
    for opening, content in pairwise(tokens):
        if opening.type == "heading_open":
            text = _plain(content)
            slug = slug_of(text)
            opening.attrSet("id", slug)
            headings.append(Heading(int(opening.tag[1:]), slug, text))
        if opening.type == "inline":
            _lead(opening, file)
    html = _markdown().renderer.render(tokens, _markdown().options, {})
    # A table is wider than a telephone.
    html = html.replace("<table>", '<div class="scroll" tabindex="0"><table>').replace("</table>", "</table></div>")
    html = html.replace("<pre>", '<pre tabindex="0">')
    return Guide(title_of(file), Markup(html), [heading for heading in headings if heading.level == 2])  # noqa: S704


def _plain(content: Token) -> str:
    return "".join(child.content for child in content.children or ())


def _lead(content: Token, file: str) -> None:
    """Has the links of a text lead to pages, and those to what has none to nothing."""
    for child in content.children or ():
        if child.type == "link_open":
            child.attrSet("href", target_of(str(child.attrGet("href")), file))
        elif child.type == "image":
            child.attrSet("src", target_of(str(child.attrGet("src")), file))


def target_of(target: str, file: str) -> str:
    """Where a link of a file leads to."""
    if _EXTERNAL.match(target) or target.startswith("#"):
        return target
    path, _, anchor = target.partition("#")
    place = normpath(join(file, "..", path))
    found = _ELSEWHERE.get(place)
    if found is None and place.removesuffix(".md") in FILES:
        found = path_of(place.removesuffix(".md"))
    if found is None and place.startswith("docs/"):
        found = f"{ROOT}/{relpath(place, 'docs')}"
    return f"{found or ''}#{anchor}" if anchor or not found else found
