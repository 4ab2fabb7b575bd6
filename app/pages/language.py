"""Which language a visitor reads, and what the words of the pages are in it.

English is in templates and code; the other languages are catalogues of gettext, `locale/<language>.po`, read when first
asked for. `tests/app/pages/test_language.py` holds them to what is said.
"""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from io import BytesIO

from babel import Locale, UnknownLocaleError
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

# In the order in which they are offered; the first is that of the sources.
LANGUAGES = ("en", "nl", "de", "ar")
PARAMETER = "lang"

_LONGEST_HEADER = 200
_MOST_PREFERENCES = 10


def N_(message: str) -> str:  # noqa: N802  gettext's own name for it
    """Marks a text for the catalogues that is translated where it is shown."""
    return message


@cache
def catalogue(language: str) -> Catalog:
    """Of a language of `LANGUAGES` but the first."""
    with files(__package__).joinpath("locale", f"{language}.po").open("rb") as file:
        return read_po(file, locale=language)


@cache
def translations(language: str) -> NullTranslations:
    if language == LANGUAGES[0]:
        return NullTranslations()
    compiled = BytesIO()
    write_mo(compiled, catalogue(language))
    compiled.seek(0)
    return Translations(compiled)


def locale_of(asked: str | None, accept_language: str, offered: Sequence[str] = LANGUAGES) -> Locale:
    """Whose words and forms a visitor reads: of a language that is `offered`, the first where it wants none of them.

    `asked` is what the address of the page says, which goes before the header Accept-Language. The region is the
    visitor's: who reads British English has its dates, too.
    """
    preferences = _preferences(accept_language)
    if asked is not None and asked in offered:
        return next((locale for locale in preferences if locale.language == asked), Locale(asked))
    return next((locale for locale in preferences if locale.language in offered), Locale(offered[0]))


def _preferences(header: str) -> list[Locale]:
    """The locales of a header that Babel knows, the dearest first."""
    weighed: list[tuple[float, int, Locale]] = []
    for place, text in enumerate(header[:_LONGEST_HEADER].split(",")[:_MOST_PREFERENCES]):
        tag, _, parameter = text.strip().partition(";")
        try:
            weight = float(parameter.strip().removeprefix("q=") or 1)
            locale = Locale.parse(tag.strip(), sep="-")
        except (ValueError, UnknownLocaleError, TypeError):
            continue
        if weight > 0:
            weighed.append((-weight, place, locale))
    return [locale for *_, locale in sorted(weighed, key=lambda entry: entry[:2])]


def name_of(language: str) -> str:
    """A language in its own words."""
    name = Locale(language).get_display_name(language) or language
    return name[:1].upper() + name[1:]
