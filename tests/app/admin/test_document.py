"""`documents`: what an operator does with applications and what they ask."""

import hashlib
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest

from app.admin.command import Refused
from app.documents import application, upload
from app.documents.manifest import APOLLO
from tests.app.admin.conftest import Operate

ORDER = "query Order($id: Int) { order(orderId: $id) { id status } }"
TOTAL = "query Total($id: Int) { order(orderId: $id) { total { gross } } }"

Audited = Callable[[], Awaitable[list[tuple[str, str]]]]


@pytest.fixture
def manifest(tmp_path: Path) -> Callable[..., Path]:
    def write(**documents: str) -> Path:
        path = tmp_path / "manifest.json"
        path.write_text(json.dumps(documents), "utf-8")
        return path

    return write


@pytest.fixture
async def portal(operate: Operate) -> str:
    await operate("documents", "create", "portal", "--caller", "api_key:1", "--caller", "contact")
    return "portal"


async def test_application_is_made_changed_and_taken_away(operate: Operate, portal: str, audited: Audited) -> None:
    [told] = await operate("documents", "applications")
    assert (told["name"], told["callers"], told["documents"]) == ("portal", ["api_key:1", "contact"], 0)
    told = await operate("documents", "callers", portal, "--add", "storefront_key:1", "--remove", "contact")
    assert told["callers"] == ["api_key:1", "storefront_key:1"]
    await operate("documents", "remove", portal, "--yes")
    assert await operate("documents", "applications") == []
    subject = f"application:{told['id']}"
    assert await audited() == [(f"documents {task}", subject) for task in ("create", "callers", "remove")]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("create", "portal"), "there is an application 'portal' already"),
        (("create", "other", "--caller", "api_key:999"), "there is no api_key:999"),
        (("callers", "portal", "--add", "storefront_key:999"), "there is no storefront_key:999"),
        (("callers", "portal", "--remove", "staff"), "staff does not call by this application"),
        (("callers", "portal"), "say whom"),
        (("callers", "nobody", "--add", "staff"), "there is no application 'nobody'"),
        (("upload", "nobody", "."), "no file of"),
        (("upload", "portal", "/nowhere/at/all"), "cannot be read: No such file"),
        (("upload", "portal", "-"), "is not JSON in UTF-8"),
        (("list", "nobody"), "there is no application 'nobody'"),
        (("using", "Order.totals"), "Order has no field 'totals'"),
        (("using", "Ordr"), "the schema has no type 'Ordr'"),
        (("using", "Order.total", "--application", "nobody"), "there is no application 'nobody'"),
        (("check", "nobody"), "there is no application 'nobody'"),
        (("retire", "portal"), "say which"),
        (("retire", "portal", "--id", "none"), "portal has no document 'none'"),
        (("remove", "portal"), "say --yes"),
        (("mode", "api_key:999", "log"), "there is no api_key:999"),
        (("mode", "staff"), "say which mode"),
    ],
)
async def test_what_cannot_be_done_is_refused_in_words(
    operate: Operate,
    portal: str,
    arguments: tuple[str, ...],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Refused, match=words):
        await operate("documents", *arguments, stdin="no JSON")
    assert portal


@pytest.mark.parametrize(
    "arguments",
    [
        ("create", "Portal"),
        ("create", "p" * 65),
        ("create", "portal", "--caller", "api_key:0"),
        ("create", "portal", "--caller", "everybody"),
        ("upload", "portal", ".", "--version", "a b"),
        ("upload", "portal", ".", "--version", "v" * 65),
        ("mode", "staff", "strict"),
        ("list", "portal", "--unused", "never"),
    ],
)
async def test_wrong_usage_is_told_as_such(operate: Operate, arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        await operate("documents", *arguments)
    assert ended.value.code == 2


async def test_upload_is_all_or_nothing_and_names_every_fault_with_its_place(
    operate: Operate, portal: str, manifest: Callable[..., Path], tmp_path: Path
) -> None:
    bad = "query Bad {\n  order(orderId: 1) { statuss }\n}"
    with pytest.raises(Refused) as refused:
        await operate(
            "documents", "upload", portal, manifest(good=ORDER, bad=bad, broken="query {", nul='{ a(b: "\0") }')
        )
    assert str(refused.value).splitlines() == [
        "nothing was registered:",
        "bad, line 2, column 23: Cannot query field 'statuss' on type 'Order'.",
        "broken, line 1, column 8: Syntax Error: Expected Name, found <EOF>.",
        "nul: It has a NUL character.",
    ]
    assert await operate("documents", "list", portal) == []
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "bad.graphql").write_text(bad)
    with pytest.raises(Refused, match=r"bad\.graphql, line 2, column 23: Cannot query"):
        await operate("documents", "upload", portal, tmp_path / "folder")


async def test_document_over_a_limit_is_refused(operate: Operate, portal: str, manifest: Callable[..., Path]) -> None:
    deep = "{ carriers { items " + "{ trackAndTraces { carrier " * 8 + "{ id }" + " } }" * 8 + " } }"
    with pytest.raises(Refused, match="deep"):
        await operate("documents", "upload", portal, manifest(deep=deep))


async def test_manifests_and_folders_are_registered(
    operate: Operate, portal: str, tmp_path: Path, audited: Audited
) -> None:
    digest = hashlib.sha256(ORDER.encode()).hexdigest()
    apollo = {
        "format": APOLLO,
        "version": 1,
        "operations": [{"id": digest, "name": "Order", "type": "query", "body": ORDER}],
    }
    (tmp_path / "apollo.json").write_text(json.dumps(apollo))
    told = await operate("documents", "upload", portal, tmp_path / "apollo.json", "--version", "1.0")
    assert told == {"application": "portal", "version": "1.0", "added": 1, "kept": 0, "restored": 0}
    (tmp_path / "total.graphql").write_text(TOTAL)
    assert (await operate("documents", "upload", portal, tmp_path))["added"] == 1
    told = await operate("documents", "upload", portal, "-", stdin=json.dumps({"relay": ORDER, digest: ORDER}))
    assert (told["added"], told["kept"]) == (1, 1)
    rows = await operate("documents", "list", portal)
    assert {row["document_id"]: (row["operations"], row["versions"]) for row in rows} == {
        digest: (["Order"], ["1.0"]),
        hashlib.sha256(TOTAL.encode()).hexdigest(): (["Total"], []),
        "relay": (["Order"], []),
    }
    assert {row["hash"] for row in rows if row["operations"] == ["Order"]} == {f"sha256:{digest}"}
    assert [action for action, _ in await audited()] == ["documents create", *["documents upload"] * 3]


async def test_id_stands_for_its_text_for_good(operate: Operate, portal: str, manifest: Callable[..., Path]) -> None:
    await operate("documents", "upload", portal, manifest(order=ORDER))
    for _ in range(2):
        with pytest.raises(Refused, match="order: the id stands for another text, for good"):
            await operate("documents", "upload", portal, manifest(order=TOTAL))
        await operate("documents", "retire", portal, "--id", "order")
        await operate("documents", "upload", portal, manifest(order=ORDER))


async def test_versions_go_one_by_one_and_the_last_takes_the_document(
    operate: Operate, portal: str, manifest: Callable[..., Path]
) -> None:
    await operate("documents", "upload", portal, manifest(order=ORDER, total=TOTAL), "--version", "1")
    await operate("documents", "upload", portal, manifest(order=ORDER), "--version", "2")
    await operate("documents", "upload", portal, manifest(order=ORDER), "--version", "1")

    async def versions() -> dict[str, list[str]]:
        rows = await operate("documents", "list", portal)
        return {row["document_id"]: row["versions"] for row in rows}

    assert await versions() == {"order": ["2", "1"], "total": ["1"]}
    assert (await operate("documents", "retire", portal, "--version", "1"))["document_ids"] == ["total"]
    assert await versions() == {"order": ["2"]}
    assert (await operate("documents", "retire", portal, "--version", "2"))["document_ids"] == ["order"]
    assert await versions() == {}
    assert {row["document_id"] for row in await operate("documents", "list", portal, "--all")} == {"order", "total"}
    # What was there without a version is that of the first that has it.
    await operate("documents", "upload", portal, manifest(order=ORDER, total=TOTAL))
    await operate("documents", "upload", portal, manifest(order=ORDER), "--version", "3")
    assert (await operate("documents", "retire", portal, "--version", "3"))["document_ids"] == ["order"]
    assert await versions() == {"total": []}


async def test_versions_that_a_document_remembers_are_bounded(
    operate: Operate, portal: str, manifest: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "MOST_VERSIONS", 2)
    for version in ("1", "2", "3"):
        await operate("documents", "upload", portal, manifest(order=ORDER), "--version", version)
    [row] = await operate("documents", "list", portal)
    assert row["versions"] == ["2", "3"]


async def test_what_nobody_has_asked_for_is_listed_and_retired(
    operate: Operate, portal: str, manifest: Callable[..., Path], copy_connection: asyncpg.Connection
) -> None:
    await operate("documents", "upload", portal, manifest(order=ORDER, total=TOTAL, new="{ __typename }"))
    await copy_connection.execute(
        """
        UPDATE trusted_documents SET registered_at = now() - interval '100 days' WHERE document_id <> 'new';
        INSERT INTO trusted_document_uses
        SELECT id, now() - interval '1 day' FROM trusted_documents WHERE document_id = 'order';
        """
    )
    listed = await operate("documents", "list", portal, "--unused", "90d")
    assert [row["document_id"] for row in listed] == ["total"]
    retired = await operate("documents", "retire", portal, "--unused", "90d")
    assert retired == {"application": "portal", "retired": 1, "document_ids": ["total"]}
    assert (await operate("documents", "retire", portal, "--unused", "0d"))["retired"] == 2


async def test_using_tells_which_documents_of_which_applications_select_a_field(
    operate: Operate, portal: str, manifest: Callable[..., Path]
) -> None:
    await operate("documents", "create", "app")
    await operate("documents", "upload", portal, manifest(order=ORDER, total=TOTAL))
    await operate("documents", "upload", "app", manifest(t=TOTAL))
    await operate("documents", "retire", "app", "--id", "t")

    async def using(*arguments: str) -> list[tuple[str, str]]:
        return [(row["application"], row["document_id"]) for row in await operate("documents", "using", *arguments)]

    assert await using("Order.total") == [("portal", "total")]
    assert await using("Order.total", "--all") == [("app", "t"), ("portal", "total")]
    assert await using("Order.total", "--all", "--application", "app") == [("app", "t")]
    assert await using("Order") == [("portal", "order"), ("portal", "total")]
    assert await using("Order.uuid") == []


async def test_modes_are_set_listed_and_left_to_the_default(operate: Operate, audited: Audited) -> None:
    await operate("documents", "mode", "partner", "log")
    assert await operate("documents", "mode", "api_key:1", "id-only") == [
        {"caller": "api_key:1", "mode": "id-only"},
        {"caller": "partner", "mode": "log"},
    ]
    await operate("documents", "mode", "partner", "default")
    assert await operate("documents", "mode") == [{"caller": "api_key:1", "mode": "id-only"}]
    assert await audited() == [("documents mode", who) for who in ("partner", "api_key:1", "partner")]


async def test_bounds_of_an_application_are_kept(
    operate: Operate, portal: str, manifest: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    await operate("documents", "upload", portal, manifest(order=ORDER))
    with monkeypatch.context() as patch:
        patch.setattr(upload, "MOST_DOCUMENTS", 1)
        await operate("documents", "upload", portal, manifest(order=ORDER))
        with pytest.raises(Refused, match="at most 1 documents"):
            await operate("documents", "upload", portal, manifest(total=TOTAL))
    with monkeypatch.context() as patch:
        patch.setattr(upload, "MOST_BYTES", len(ORDER))
        with pytest.raises(Refused, match="bytes together"):
            await operate("documents", "upload", portal, manifest(total=TOTAL))
    with monkeypatch.context() as patch:
        patch.setattr(application, "MOST_APPLICATIONS", 1)
        with pytest.raises(Refused, match="no more may be"):
            await operate("documents", "create", "other")
    with monkeypatch.context() as patch:
        patch.setattr(application, "MOST_CALLERS", 2)
        with pytest.raises(Refused, match="at most 2 callers"):
            await operate("documents", "callers", portal, "--add", "staff")
