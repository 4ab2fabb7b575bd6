"""Manifests of build tools, and folders: what is read of them, and what is refused with its place."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from app.documents import manifest
from app.documents.manifest import APOLLO, Given, ManifestRefused, read_folder

TEXT = "query Order { __typename }"
HASH = hashlib.sha256(TEXT.encode()).hexdigest()


def read_manifest(value: Any) -> Sequence[Given]:
    return manifest.read_manifest(value if isinstance(value, bytes) else json.dumps(value))


def apollo(*operations: Any) -> dict[str, Any]:
    return {"format": APOLLO, "version": 1, "operations": list(operations)}


def test_apollos_manifest_is_read() -> None:
    [given] = read_manifest(apollo({"id": HASH, "name": "Order", "type": "query", "body": TEXT}))
    assert (given.document_id, given.text) == (HASH, TEXT)
    assert given.place == f"operations.0, {HASH} (Order)"


def test_relays_manifest_is_read() -> None:
    given = read_manifest({"4e9d": TEXT, f"sha256:{HASH}": TEXT, "x-ours:1": TEXT})
    assert [(each.document_id, each.place) for each in given] == [
        ("4e9d", "4e9d"),
        (f"sha256:{HASH}", f"sha256:{HASH}"),
        ("x-ours:1", "x-ours:1"),
    ]


def test_what_comes_twice_alike_is_one() -> None:
    assert len(read_manifest(apollo({"id": "a", "body": TEXT}, {"id": "a", "body": TEXT}))) == 1
    assert len(read_manifest(b'{"a": "{x}", "a": "{x}"}')) == 1


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ([], "A manifest is a JSON object"),
        ({}, "There is no document in it."),
        (apollo(), "There is no document in it."),
        ({"format": APOLLO, "version": 2, "operations": []}, '"version": 1'),
        ({"format": APOLLO, "version": True, "operations": []}, '"version": 1'),
        ({"format": "other", "version": 1, "operations": []}, f'"format": "{APOLLO}"'),
        ({"format": APOLLO, "version": 1, "operations": {}}, 'a list of "operations"'),
        (apollo({"id": "a", "body": TEXT}, 1), "operations.1 must be an object."),
        (apollo({"id": "a"}), "operations.0 must have an id and a body"),
        (apollo({"id": 1, "body": TEXT}), "operations.0 must have an id and a body"),
        (
            apollo({"id": "a", "body": TEXT}, {"id": "a", "body": "{x}"}),
            "operations.1, a: the same id as of operations.0",
        ),
        ({"a": 1}, "a must be the text of a document."),
        ({"a b": TEXT}, "a b: an id is 1 to 200 visible"),
        ({"": TEXT}, "an id is 1 to 200 visible"),
        ({"x" * 201: TEXT}, "an id is 1 to 200 visible"),
        ({"sha256:00": TEXT}, "sha256:00: sha256: is not that of the text."),
        ({f"sha256:{'0' * 64}": TEXT}, "is not that of the text."),
        ({"0" * 64: TEXT}, f"{'0' * 64}: it has the form of a SHA-256, and is not that of the text."),
        (apollo({"id": "0" * 64, "body": TEXT}), "it has the form of a SHA-256, and is not that of the text."),
        (b'{"a": "{x}", "b": "{x}", "a": "{y}"}', "a: the same id as of a, and another text."),
        (b'{"a": 1, "a": "{y}"}', "a must be the text of a document."),
        (b'{"a": %b1%b, "a": "{y}"}' % (b"[" * 1_000, b"]" * 1_000), "a"),
        ({"md5:00": TEXT}, "md5:00: of ids with a colon"),
    ],
)
def test_what_is_no_manifest_is_refused_with_its_place(value: Any, fault: str) -> None:
    with pytest.raises(ManifestRefused) as refused:
        read_manifest(value)
    assert fault in str(refused.value)


def test_all_faults_are_told_up_to_a_bound() -> None:
    with pytest.raises(ManifestRefused) as refused:
        read_manifest({f"a {number}": TEXT for number in range(200)})
    assert len(refused.value.faults) == 100


def test_folder_is_read_with_all_below_it(tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "order.graphql").write_text(TEXT)
    (tmp_path / "other.gql").write_text("{ __typename }\n")
    (tmp_path / "readme.md").write_text("no document")
    given = read_folder(tmp_path, 1_000)
    assert [(each.document_id, each.place) for each in given] == [
        (hashlib.sha256(b"{ __typename }\n").hexdigest(), "other.gql"),
        (HASH, "pages/order.graphql"),
    ]


def test_folder_without_documents_and_files_that_are_no_texts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestRefused, match=r"no file of \.graphql or \.gql"):
        read_folder(tmp_path, 1_000)
    (tmp_path / "a.graphql").write_bytes(b"\xff")
    with pytest.raises(ManifestRefused, match=r"a\.graphql is not UTF-8"):
        read_folder(tmp_path, 1_000)
