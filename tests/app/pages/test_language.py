"""What the pages say is there in each of their languages, whole, and nothing else is."""

import re
from collections.abc import Iterator

import pytest
from babel import Locale
from babel.messages.catalog import Catalog, Message
from babel.messages.checkers import checkers

from app.pages.language import LANGUAGES, catalogue, locale_of, name_of, translations
from tests.app.pages.catalogue import said

OTHERS = LANGUAGES[1:]


def _messages(of: Catalog) -> Iterator[Message]:
    return (message for message in of if message.id)


def _keys(of: Catalog) -> set[tuple[str, str | None]]:
    return {
        (message.id if isinstance(message.id, str) else message.id[0], message.context) for message in _messages(of)
    }


def test_something_is_said() -> None:
    assert len(_keys(said())) > 5


@pytest.mark.parametrize("language", OTHERS)
def test_nothing_is_left_untranslated(language: str) -> None:
    assert _keys(said()) - _keys(catalogue(language)) == set()
    assert [message.id for message in _messages(catalogue(language)) if message.fuzzy] == []


@pytest.mark.parametrize("language", OTHERS)
def test_nothing_is_translated_that_nobody_says(language: str) -> None:
    assert _keys(catalogue(language)) - _keys(said()) == set()
    assert not catalogue(language).obsolete


@pytest.mark.parametrize("language", OTHERS)
def test_each_plural_has_all_the_forms_of_the_language(language: str) -> None:
    known, spoken = catalogue(language), said()
    for message in _messages(known):
        forms = message.string if isinstance(message.string, tuple) else (message.string,)
        plural = spoken.get(message.id, message.context)
        assert isinstance(message.id, tuple) == isinstance(plural.id, tuple), message.id
        assert len(forms) == (known.num_plurals if message.pluralizable else 1), message.id
        assert all(forms), message.id
        for check in checkers:
            check(known, message)


@pytest.mark.parametrize("language", OTHERS)
def test_translations_have_the_places_of_what_they_translate(language: str) -> None:
    for message in _messages(catalogue(language)):
        ids = message.id if isinstance(message.id, tuple) else (message.id,)
        forms = message.string if isinstance(message.string, tuple) else (message.string,)
        wanted = set().union(*map(_places, ids))
        for form in forms:
            # One and two may go without their number: "a parcel" in place of "1 parcel".
            assert _places(form) <= wanted, form
        assert _places(forms[-1]) == wanted, message.id


def _places(text: str) -> set[str]:
    return set(re.findall(r"%\((\w+)\)s", text))


@pytest.mark.parametrize(
    ("asked", "header", "found"),
    [
        (None, "", "en"),
        (None, "nl-BE,nl;q=0.9,en;q=0.8", "nl_BE"),
        (None, "en;q=0.3, de-AT", "de_AT"),
        (None, "fr, *;q=0.1", "en"),
        (None, "en-GB", "en_GB"),
        (None, "nl;q=0", "en"),
        ("ar", "nl-BE", "ar"),
        ("nl", "en, nl-BE", "nl_BE"),
        ("fr", "nl", "nl"),
        ("../nl", "de", "de"),
        (None, "nl;q=x, \x00, x-y-z, " + "de," * 1000, "de"),
    ],
)
def test_a_visitor_reads_what_it_asks_for(asked: str | None, header: str, found: str) -> None:
    assert str(locale_of(asked, header)) == found


def test_the_first_that_is_offered_is_for_who_wants_none() -> None:
    assert str(locale_of(None, "fr", ("de", "nl"))) == "de"
    assert str(locale_of("en", "en", ("de", "nl"))) == "de"


def test_languages_are_called_by_their_own_names() -> None:
    assert [name_of(language) for language in LANGUAGES] == ["English", "Nederlands", "Deutsch", "العربية"]
    assert Locale("ar").text_direction == "rtl"
    assert translations("nl").gettext("Language") == "Taal"
