"""What applications register: files of their build tools, read into documents with their ids.

- Apollo's, by `generate-persisted-query-manifest`: `{"format": "apollo-persisted-query-manifest", "version": 1,
  "operations": [{"id", "name", "type", "body"}]}`
- Relay's, by `persistConfig.file`: `{"<id>": "<text>"}`; the same form has GraphQL Code
  Generator's `persistedDocuments`
- a folder of files, each of one document
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from app.documents.identifier import LONGEST_ID, PREFIX, hash_named_by, hash_of, is_id

APOLLO = "apollo-persisted-query-manifest"
SUFFIXES = (".graphql", ".gql")
MOST_FAULTS = 100

_LONGEST_PLACE = 120


class ManifestRefused(Exception):
    """What was given cannot be registered; `faults` are sentences, each with its place."""

    def __init__(self, *faults: str) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Given:
    """A document as it was given. `place` tells people where it stands: an id with a name, or a file."""

    document_id: str
    text: str
    place: str


def read_manifest(content: bytes | str) -> Sequence[Given]:
    """The documents of a JSON text of Apollo's or Relay's form. Raises `ManifestRefused`, `orjson.JSONDecodeError`."""
    value = orjson.loads(content)
    if not isinstance(value, dict):
        raise ManifestRefused("A manifest is a JSON object: Apollo's with operations, or Relay's of ids and texts.")
    if "format" in value or isinstance(value.get("operations"), list):
        return _checked(_of_apollo(value))
    faults = [f"{_shown(id_)} must be the text of a document." for id_, text in value.items() if type(text) is not str]
    if faults:
        raise ManifestRefused(*faults[:MOST_FAULTS])
    return _checked(_of_relay(content))


def _of_apollo(value: dict[str, Any]) -> Iterator[Given]:
    if value.get("format") != APOLLO or type(value.get("version")) is not int or value["version"] != 1:
        raise ManifestRefused(f'Apollo\'s manifest has "format": "{APOLLO}" and "version": 1.')
    operations = value.get("operations")
    if not isinstance(operations, list):
        raise ManifestRefused('Apollo\'s manifest has a list of "operations".')
    for number, operation in enumerate(operations):
        place = f"operations.{number}"
        if not isinstance(operation, dict):
            raise ManifestRefused(f"{place} must be an object.")
        id_, body, name = operation.get("id"), operation.get("body"), operation.get("name")
        if not isinstance(id_, str) or not isinstance(body, str):
            raise ManifestRefused(f"{place} must have an id and a body, both texts.")
        yield Given(id_, body, f"{place}, {_shown(id_)}{f' ({_shown(name)})' if isinstance(name, str) else ''}")


def _of_relay(content: bytes | str) -> Iterator[Given]:
    """`content` is JSON that was read already; here all of its pairs come, of one name the earlier ones, too."""
    text = content if isinstance(content, str) else content.decode()
    try:
        pairs = json.loads(text, object_pairs_hook=list)
    except RecursionError:  # in a value that another one of the same name hides
        raise ManifestRefused("An id is given twice, once without the text of a document.") from None
    for id_, body in pairs:
        if not isinstance(body, str):
            raise ManifestRefused(f"{_shown(id_)} must be the text of a document.")
        yield Given(id_, body, _shown(id_))


def read_folder(folder: Path, longest: int) -> Sequence[Given]:
    """The documents of the files in a folder and below it, whose ids are their hashes.

    `longest` is how many characters one may have. Raises `ManifestRefused`, OSError.
    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES and path.is_file())
    if not paths:
        raise ManifestRefused(f"There is no file of {' or '.join(SUFFIXES)} in the folder.")
    found: list[Given] = []
    for path in paths:
        place = path.relative_to(folder).as_posix()
        with path.open("rb") as file:
            content = file.read(4 * longest + 1)
        try:
            text = content.decode()
        except UnicodeDecodeError:
            raise ManifestRefused(f"{_shown(place)} is not UTF-8, or far too long.") from None
        found.append(Given(hash_of(text).hex(), text, _shown(place)))
    return _checked(found)


def _checked(given: Iterator[Given] | Sequence[Given]) -> Sequence[Given]:
    """Each once, by ids that may be ids. Raises `ManifestRefused`."""
    faults: list[str] = []
    by_id: dict[str, Given] = {}
    for each in given:
        before = by_id.setdefault(each.document_id, each)
        if before.text != each.text:
            faults.append(f"{each.place}: the same id as of {before.place}, and another text.")
        fault = _fault_of_id(each)
        if fault:
            faults.append(f"{each.place}: {fault}")
        if len(faults) >= MOST_FAULTS:
            break
    if faults:
        raise ManifestRefused(*faults)
    if not by_id:
        raise ManifestRefused("There is no document in it.")
    return list(by_id.values())


def _fault_of_id(each: Given) -> str | None:
    if not is_id(each.document_id):
        return f"an id is 1 to {LONGEST_ID} visible characters of ASCII."
    named = hash_named_by(each.document_id)
    if named is not None and named != hash_of(each.text):
        return "it has the form of a SHA-256, and is not that of the text."
    prefix, colon, _ = each.document_id.partition(":")
    if not colon or prefix.startswith("x-"):
        return None
    if each.document_id.startswith(PREFIX):
        return None if named is not None else "sha256: is not that of the text."
    return "of ids with a colon, those alone are free that begin with x-."


def _shown(text: str) -> str:
    short = text if len(text) <= _LONGEST_PLACE else f"{text[: _LONGEST_PLACE - 1]}…"
    return "".join(character if character.isprintable() else " " for character in short)
