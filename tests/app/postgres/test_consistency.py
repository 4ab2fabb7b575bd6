from pathlib import Path

import pytest

from app.postgres.consistency import Consistency, LastWrites


@pytest.mark.parametrize("text", ["1:0/0", "1:0/3000148", "12:1A/FFFFFFFF", "2147483647:FFFFFFFF/FFFFFFFF"])
def test_consistency_is_read_as_it_is_written(text: str) -> None:
    assert str(Consistency.of(text)) == text


@pytest.mark.parametrize(
    "text", ["", "1", "0:0/1", "01:0/1", "1:0/g", "1:0/a", "1:0/100000000", "1:0/1\n", "2147483648:0/1", "١:0/1"]
)
def test_consistency_is_no_other_text(text: str) -> None:
    with pytest.raises(ValueError, match="must be a timeline and an LSN such as 1:0/3000148"):
        Consistency.of(text)


def test_later_states_are_greater() -> None:
    states = ["1:0/2", "1:0/10", "1:1/0", "2:0/1"]
    assert sorted([states[2], states[0], states[3], states[1]], key=Consistency.of) == states


def test_a_viewer_has_written_up_to_the_last_state() -> None:
    writes = LastWrites()
    assert writes.of("staff:1") == 0
    for lsn in (5, 7, 6):
        writes.note("staff:1", Consistency(1, lsn))
    assert (writes.of("staff:1"), writes.of("staff:2"), writes.timeline) == (7, 0, 1)
    writes.close()


def test_workers_know_of_each_other(tmp_path: Path) -> None:
    one, other = LastWrites(tmp_path / "last-writes"), LastWrites(tmp_path / "last-writes")
    one.note("staff:1", Consistency(3, 2**63))
    other.note("staff:1", Consistency(2, 5))
    other.note("staff:2", Consistency(1, 6))
    assert [(each.of("staff:1"), each.of("staff:2"), each.timeline) for each in (one, other)] == [(2**63, 6, 3)] * 2
    one.close()
    assert other.of("staff:1") == 2**63
    other.close()
