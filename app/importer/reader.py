"""A line of an import as a record: JSON of a shape that there is, in texts that a database can hold."""

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from app.importer.records import Record, Refused
from app.importer.scalars import EXPECTED, decoded

_decoder: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record, dec_hook=decoded)
_PATTERN = re.compile(r"Expected `str` matching regex (.*)", re.DOTALL)
_REGEXES = {repr(pattern): expected for pattern, expected in EXPECTED.items()}


def read(line: bytes) -> Record:
    """The record of a line, of the right shape but not yet checked. Raises Refused."""
    try:
        if b"\\u0000" in line:
            _refuse_bad_text(line)
        return _decoder.decode(line)
    except msgspec.ValidationError as error:
        reason, _, place = str(error).rpartition(" - at `")
        raise Refused(place.rstrip("`") if reason else "$", _explained(reason or str(error))) from None
    except UnicodeDecodeError:
        raise Refused("$", f"not UTF-8 (byte {_first_bad_byte(line)})") from None
    except msgspec.DecodeError as error:
        _refuse_bad_text(line)
        raise Refused("$", f"not JSON: {str(error).removeprefix('JSON is malformed: ')}") from None
    except RecursionError:
        raise Refused("$", "nested too deeply") from None


def _explained(reason: str) -> str:
    if match := _PATTERN.match(reason):
        return f"expected {_REGEXES[match[1]]}"
    return reason[0].lower() + reason[1:]


def _first_bad_byte(line: bytes) -> int | str:
    try:
        line.decode()
    except UnicodeDecodeError as error:
        return error.start
    return "unknown"


def _refuse_bad_text(line: bytes) -> None:
    """Names the place of a text that no database can hold; the decoder lets NUL through and says nothing of places."""
    if b"\0" in line:
        raise Refused("$", f"holds a NUL character (byte {line.index(0)})")
    try:
        value = json.loads(line)
    except UnicodeDecodeError as error:
        raise Refused("$", f"not UTF-8 (byte {error.start})") from None
    except RecursionError:
        raise Refused("$", "nested too deeply") from None
    except ValueError:
        return
    for path, text in _texts("$", value):
        if "\0" in text:
            raise Refused(path, "holds a NUL character")
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise Refused(path, "holds half of a surrogate pair")


def _texts(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, list):
        for n, member in enumerate(value):
            yield from _texts(f"{path}[{n}]", member)
    elif isinstance(value, dict):
        for name, member in value.items():
            yield path, name
            yield from _texts(f"{path}.{name}", member)
