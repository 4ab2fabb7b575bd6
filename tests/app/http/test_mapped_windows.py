"""Counts that processes share."""

import multiprocessing
from pathlib import Path

import pytest

from app.http import mapped_windows
from app.http.mapped_windows import MappedWindows

_TIMES = 2_000


def _count(path: Path) -> None:
    windows = MappedWindows(path, 1_000_000)
    for _ in range(_TIMES):
        windows.count(7)


def test_no_request_of_any_process_is_lost(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_count, args=(tmp_path / "windows",)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    windows = MappedWindows(tmp_path / "windows", 1_000_000)
    used, _ = windows.count(7)
    windows.close()
    assert used == 3 * _TIMES + 1


def test_a_window_opens_with_its_first_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    windows = MappedWindows(tmp_path / "windows", 60)
    clock = [1000.0]
    monkeypatch.setattr(mapped_windows.time, "time", lambda: clock[0])
    assert [windows.count(1), windows.count(1), windows.count(2)] == [(1, 1060.0), (2, 1060.0), (1, 1060.0)]
    clock[0] = 1059.9
    assert windows.count(1) == (3, 1060.0)
    clock[0] = 1060.0
    assert windows.count(1) == (1, 1120.0)
    windows.close()


def test_keys_of_one_place_have_counts_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped_windows, "_ROWS", 4)
    windows = MappedWindows(tmp_path / "windows", 60)
    assert [windows.count(key)[0] for key in (3, 7, 11, 7, 3, 11, 11)] == [1, 1, 1, 2, 2, 2, 3]
    windows.count(15)
    assert windows.count(19)[0] >= 1  # there is no row left: it counts with another
    windows.close()
