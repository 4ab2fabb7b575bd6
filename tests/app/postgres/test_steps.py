"""A migration's text is divided as its lines say, and a text that is divided in another way is refused."""

import pytest

from app.postgres.migrate import migrations
from app.postgres.steps import StepError, StepKind, statements, steps

TEXT = """\
-- Why this is done.

-- step: add the column
ALTER TABLE carriers ADD COLUMN channel_id int; -- of all channels; where null
COMMENT ON COLUMN carriers.channel_id IS 'it''s; null';

-- step (in batches): give carriers to their channel
UPDATE carriers SET channel_id = 1 WHERE id IN (SELECT id FROM carriers WHERE channel_id IS NULL LIMIT 100);

-- step (outside a transaction): index the channel
CREATE UNIQUE INDEX CONCURRENTLY carriers_channel ON carriers (channel_id);

-- step (outside a transaction): take the old index away
DROP INDEX CONCURRENTLY IF EXISTS carriers_old;
"""


def test_text_is_divided_by_its_lines() -> None:
    found = steps(TEXT)
    assert [(step.name, step.kind, len(step.statements), step.index) for step in found] == [
        ("add the column", StepKind.TRANSACTION, 2, ""),
        ("give carriers to their channel", StepKind.BATCHES, 1, ""),
        ("index the channel", StepKind.OUTSIDE, 1, "carriers_channel"),
        ("take the old index away", StepKind.OUTSIDE, 1, ""),
    ]
    assert found[0].text.startswith("ALTER TABLE carriers")


def test_text_without_steps_is_one() -> None:
    [whole] = steps("CREATE TABLE a (id int);")
    assert (whole.name, whole.kind, whole.text) == ("", StepKind.WHOLE, "CREATE TABLE a (id int);")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("--step: a\nSELECT 1", "a line that begins a step"),
        ("-- Step: a\nSELECT 1", "a line that begins a step"),
        ("SELECT 1;\n-- step: a\nSELECT 1", "before the first step"),
        ("-- step: a\nSELECT 1;\n-- step: a\nSELECT 2", "a name of its own"),
        ("-- step:\nSELECT 1", "a name of its own"),
        ("-- step: a\n-- nothing", "has no statement"),
        ("-- step (at night): a\nSELECT 1", "neither “in batches” nor “outside a transaction”"),
        (
            "-- step (in batches): a\nUPDATE a SET b = 1 WHERE id IN (SELECT id FROM a LIMIT 9); SELECT 1",
            "one statement",
        ),
        ("-- step (in batches): a\nUPDATE a SET b = 1", "as many as its LIMIT says"),
        ("-- step (in batches): a\nSELECT id FROM a LIMIT 9", "as many as its LIMIT says"),
        (
            "-- step (in batches): a\nDELETE FROM a WHERE id IN (SELECT id FROM a LIMIT 9 FOR UPDATE SKIP LOCKED)",
            "skips none",
        ),
        ("-- step (outside a transaction): a\nCREATE INDEX CONCURRENTLY ON a (b)", "with the name of the index"),
        ("-- step (outside a transaction): a\nCREATE INDEX b ON a (b)", "no CREATE or DROP INDEX CONCURRENTLY"),
        ("-- step (outside a transaction): a\nVACUUM a", "no CREATE or DROP INDEX CONCURRENTLY"),
    ],
)
def test_text_that_is_divided_in_another_way_is_refused(text: str, reason: str) -> None:
    with pytest.raises(StepError, match=reason):
        steps(text)


def test_statements_end_where_they_end() -> None:
    text = """
    CREATE FUNCTION a() RETURNS int LANGUAGE plpgsql AS $body$ BEGIN; RETURN 1; END $body$;
    CREATE FUNCTION b(r carriers) RETURNS int LANGUAGE sql BEGIN ATOMIC
      SELECT CASE WHEN true THEN 1 END; /* ; */
      SELECT 2;
    END;
    INSERT INTO "c;d" VALUES ('a;''b', E'\\';')
    """
    assert [statement[:17] for statement in statements(text)] == [
        "create function a",
        "create function b",
        "insert into c;d v",
    ]


def test_every_migration_from_now_on_is_divided_into_steps() -> None:
    for name, text in migrations().items():
        is_whole = steps(text)[0].kind is StepKind.WHOLE
        assert is_whole == (name < "0007")
