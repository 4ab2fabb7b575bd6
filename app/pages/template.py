"""Jinja2 as the pages use it: everything is escaped, and what is not there is an error."""

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.pages.asset import path_of
from app.pages.language import LANGUAGES, name_of, translations

# Templates are named by their place below this folder: `track/page.html`.
FOLDER = Path(__file__).parent


@cache
def environment(language: str) -> Environment:
    """Whose templates speak that language of `LANGUAGES`."""
    made = Environment(
        loader=FileSystemLoader(FOLDER),
        extensions=["jinja2.ext.i18n"],
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.install_gettext_translations(translations(language), newstyle=True)  # type: ignore[attr-defined]
    made.globals |= {"asset": path_of, "languages": LANGUAGES, "language_name": name_of}
    return made
