"""A file that is rewritten in every way in which files are."""

import os
import time
from pathlib import Path

import pytest

from app.auth.watched_file import REST_SECONDS, WatchedFile


class Clock:
    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    os.utime(path, (1_000_000_000, 1_000_000_000))  # so that no rewriting can fall into the same step of the clock
    return path


@pytest.fixture
def resting(path: Path, clock: Clock) -> WatchedFile:
    """A file that was read when it had not changed for long."""
    file = WatchedFile(path, 100, clock)
    clock.ahead = REST_SECONDS + 3_600
    assert file.changed() == b"one"
    assert file.changed() is None
    return file


def replace_at_once(path: Path, contents: bytes) -> None:
    new = path.with_name("new")
    new.write_bytes(contents)
    new.replace(path)


def write_in_place(path: Path, contents: bytes) -> None:
    path.write_bytes(contents)


def replace_and_keep_the_time(path: Path, contents: bytes) -> None:
    before = path.stat()
    replace_at_once(path, contents)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def exchange_a_link(path: Path, contents: bytes) -> None:
    """As a secret that is mounted into a container."""
    target = path.with_name("target")
    target.write_bytes(contents)
    link = path.with_name("link")
    link.symlink_to(target)
    link.replace(path)


@pytest.mark.parametrize(
    "rewrite",
    [replace_at_once, write_in_place, replace_and_keep_the_time, exchange_a_link],
    ids=lambda way: way.__name__,
)
@pytest.mark.parametrize("contents", [b"two", b"longer than before", b""])
def test_changed_gives_what_was_written(rewrite: object, contents: bytes, path: Path, resting: WatchedFile) -> None:
    assert callable(rewrite)
    rewrite(path, contents)
    assert resting.changed() == contents
    assert resting.changed() is None


def test_changed_reads_a_file_that_was_written_just_now_whatever_its_times_say(path: Path, clock: Clock) -> None:
    file = WatchedFile(path, 100, clock)
    clock.ahead = REST_SECONDS / 2
    assert file.changed() == b"one"
    assert file.changed() == b"one"
    clock.ahead = REST_SECONDS + 3_600
    assert file.changed() == b"one"
    assert file.changed() is None


def test_changed_anyway_reads_a_file_that_has_not_changed(resting: WatchedFile) -> None:
    assert resting.changed(anyway=True) == b"one"
    assert resting.changed() is None


def test_changed_raises_while_there_is_no_file_and_finds_the_same_one_again(path: Path, resting: WatchedFile) -> None:
    path.rename(path.with_name("away"))
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            resting.changed()
    path.with_name("away").rename(path)
    assert resting.changed() == b"one"


def test_changed_does_not_wait_for_what_is_no_file(path: Path, resting: WatchedFile) -> None:
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(OSError, match="is no file"):
        resting.changed()


def test_changed_reads_no_more_than_is_allowed(path: Path, resting: WatchedFile) -> None:
    path.write_bytes(b"x" * 100)
    assert resting.changed() == b"x" * 100
    path.write_bytes(b"x" * 101)
    with pytest.raises(OSError, match="has more than 100 bytes"):
        resting.changed()
