"""The lines of the files of an import."""

import gzip
import os
import sys
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from typing import BinaryIO, NamedTuple

MAX_LINE = 4 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """`text` is None for a line that is too long; `position` counts the bytes of the file as it is stored."""

    number: int
    text: bytes | None
    position: int


class Unreadable(Exception):
    """A file that cannot be opened or read to its end; `number` is the line that could not be read."""

    def __init__(self, number: int, reason: str) -> None:
        super().__init__(reason)
        self.number = number
        self.reason = reason


def label(file: str) -> str:
    return "stdin" if file == "-" else file


def size(file: str) -> int | None:
    """Bytes of the file as it is stored; None where nobody can know."""
    try:
        return os.stat(file).st_size if file != "-" else None
    except OSError:
        return 0


def lines(file: str) -> Iterator[Line]:
    """The lines of a file that are not blank. Raises Unreadable, also in the middle of a damaged gzip file."""
    number = 0
    try:
        with ExitStack() as stack:
            stored = sys.stdin.buffer if file == "-" else stack.enter_context(open(file, "rb"))
            stream = stack.enter_context(gzip.open(stored)) if file.endswith(".gz") else stored
            while (text := _line(stream)) != b"":
                number += 1
                if number == 1 and text:
                    text = text.removeprefix(_BOM)
                if text is None or not text.isspace():
                    yield Line(number, text, 0 if file == "-" else stored.tell())
    except EOFError:
        raise Unreadable(number + 1, "the gzip file ends too early") from None
    except (gzip.BadGzipFile, zlib.error):
        raise Unreadable(number + 1, "not a sound gzip file") from None
    except OSError as error:
        raise Unreadable(number + 1, error.strerror or "cannot be read") from None


def _line(stream: BinaryIO | gzip.GzipFile) -> bytes | None:
    """The next line, empty at the end, None in place of one that is too long; never holds more than `MAX_LINE`."""
    text = stream.readline(MAX_LINE + 1)
    if len(text) <= MAX_LINE or text.endswith(b"\n"):
        return text
    while text and not text.endswith(b"\n"):
        text = stream.readline(MAX_LINE)
    return None
