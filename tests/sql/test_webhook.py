"""Whoever asks for endpoints and deliveries gets their own: each statement for callers compares the owner."""

import pytest

import sql

# What runs for the process that delivers, which serves everybody, and what loaders ask by keys that were found so.
FOR_DELIVERERS = {
    "webhook_endpoint": {
        *("stay_alive", "revisions", "claim", "served", "release", "leave", "disable", "note_health", "lose"),
        "transaction_after",
    },
    "webhook_delivery": {
        *(
            "recorded",
            "advance",
            "advance_replay",
            "waiting",
            "bodies",
            "freeze",
            "companies_then",
            "hasten",
            "withhold",
            "note_attempts",
        ),
        *("waiting_by_endpoint_ids", "attempts_by_delivery_ids"),
    },
}
# These read orders and shipments, by the predicate of their table.
BY_SIGHT = {"example", "late", "seen_orders"}
OWNED = "(:owner::text IS NULL OR e.owner = :owner)"


@pytest.mark.parametrize("noun", FOR_DELIVERERS)
def test_statement_for_callers_compares_the_owner(noun: str) -> None:
    statements = sql.load(noun).statements
    assert FOR_DELIVERERS[noun] <= statements.keys()
    for name in statements.keys() - FOR_DELIVERERS[noun]:
        text = statements[name].template
        if name in BY_SIGHT:
            assert "{visible " in text, name
        elif name == "create":
            assert "owner, api_key_id" in text
        elif name == "count_of_owner":
            assert "WHERE e.owner = :owner" in text
        else:
            assert OWNED in text, name


@pytest.mark.parametrize("noun", FOR_DELIVERERS)
def test_statement_by_sight_reads_nothing_else(noun: str) -> None:
    for name in BY_SIGHT & sql.load(noun).statements.keys():
        assert sql.load(noun).statements[name].tables <= {"orders", "shipments"}
