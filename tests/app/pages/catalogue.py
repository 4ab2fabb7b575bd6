"""`python -m tests.app.pages.catalogue`: writes what the pages say into the catalogues, where it waits for translation.

What nobody says any more goes.
"""

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import write_po

from app.pages.language import LANGUAGES, catalogue
from app.pages.template import FOLDER

_METHODS = [("**.py", "python"), ("**.html", "jinja2")]
_OPTIONS = {"**.html": {"trimmed": "true", "silent": "false", "newstyle_gettext": "true"}}


def said() -> Catalog:
    """All that the sources say, with the files that say it."""
    found = Catalog()
    for file, _line, message, _comments, context in extract_from_dir(FOLDER, _METHODS, _OPTIONS):
        found.add(message, locations=[(file, 0)], context=context)
    return found


def write(language: str, made: Catalog) -> None:
    """By the files that say it; without what changes with each writing, such as dates and the numbers of lines."""
    head = {"Language": language, "Plural-Forms": made.plural_forms, "Content-Type": "text/plain; charset=utf-8"}
    lines = ['msgid ""', 'msgstr ""', *(f'"{name}: {value}\\n"' for name, value in head.items()), "", ""]
    with (FOLDER / "locale" / f"{language}.po").open("wb") as file:
        file.write("\n".join(lines).encode())
        write_po(file, made, sort_by_file=True, include_lineno=False, omit_header=True, width=118)


def main() -> None:
    for language in LANGUAGES[1:]:
        known = catalogue(language)
        made = Catalog(language, fuzzy=False)
        for message in said():
            if message.id:
                translated = known.get(message.id, message.context)
                text = translated.string if translated else ""
                made.add(message.id, text, locations=message.locations, context=message.context)
        write(language, made)
        left = sum(not (message.string if isinstance(message.string, str) else all(message.string)) for message in made)
        print(f"{language}: {left} to translate")


if __name__ == "__main__":
    main()
