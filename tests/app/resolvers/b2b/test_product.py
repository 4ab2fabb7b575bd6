"""Products on order lines. Each test changes the store, so each has its own copy of it."""

from typing import Any

import asyncpg
import pytest

from app.postgres.database import Database
from tests.conftest import GraphQL

LINES = """
query Lines($hidden: Boolean) {{
  order(orderId: 2075) {{ items {{ productId product(hidden: $hidden) {{ {fields} }} }} }}
}}
"""


@pytest.fixture
def demo_dsn(demo_copy_dsn: str) -> str:
    return demo_copy_dsn


async def products(graphql: GraphQL, fields: str, **variables: Any) -> dict[int, Any]:
    """The product of each line of order 2075 by the line's productId."""
    answer = await graphql(LINES.format(fields=fields), variables)
    assert "errors" not in answer, answer["errors"]
    return {line["productId"]: line["product"] for line in answer["data"]["order"]["items"]}


async def test_order_item_product_shows_the_line_with_its_picture(graphql: GraphQL) -> None:
    found = await products(
        graphql,
        """
        __typename ... on IBaseProduct { hidden sku names { language value } }
        productId orderable minimumQuantity clusterId cluster { clusterId }
        inventory { productId totalQuantity supplierQuantity localQuantity nextDeliveryDate balance { id } }
        media { images { itemsFound items {
          id productId type priority alt { language value } tags { language } description { language }
          images { language originalUrl mimeType }
          imageVariants(input: {transformations: []}) { url }
        } } }
        """,
    )
    assert found[1139] == {
        "__typename": "Product",
        "hidden": "N",
        "sku": "VFS-200",
        "names": [
            {"language": "EN", "value": "Ventilation filter set Fresh Air"},
            {"language": "NL", "value": "Ventilatie Filterset Fresh Air"},
        ],
        "productId": 1139,
        "orderable": "Y",
        "minimumQuantity": 1,
        "clusterId": None,
        "cluster": None,
        "inventory": {
            "productId": 1139,
            "totalQuantity": 64,
            "supplierQuantity": 0,
            "localQuantity": 64,
            "nextDeliveryDate": None,
            "balance": [],
        },
        "media": {
            "images": {
                "itemsFound": 1,
                "items": [
                    {
                        "id": "1139-1",
                        "productId": "1139",
                        "type": None,
                        "priority": 1,
                        "alt": [{"language": "EN", "value": "Ventilation filter set Fresh Air"}],
                        "tags": [],
                        "description": [],
                        "images": [
                            {
                                "language": "EN",
                                "originalUrl": "https://media.example.com/products/1139.jpg",
                                "mimeType": "image/jpeg",
                            }
                        ],
                        "imageVariants": [],
                    }
                ],
            }
        },
    }


async def test_product_texts_are_limited_to_the_language_asked_for(graphql: GraphQL) -> None:
    found = await products(
        graphql, 'slugs(language: "NL") { value } descriptions { value } names(language: "FR") { value }'
    )
    assert found[1187] == {"slugs": [{"value": "douglas-lariks-zwart"}], "descriptions": [], "names": []}


@pytest.mark.parametrize(
    ("hidden", "expected"),
    [
        (None, {1187: "157957", 1139: "VFS-200"}),
        (False, {1187: None, 1139: "VFS-200"}),
        (True, {1187: "157957", 1139: None}),
    ],
)
async def test_order_item_product_is_the_hidden_or_the_shown_one(
    graphql: GraphQL, connection: asyncpg.Connection, hidden: bool | None, expected: dict[int, str | None]
) -> None:
    await connection.execute("UPDATE products SET is_hidden = true WHERE id = 1187")
    found = await products(graphql, "sku", hidden=hidden)
    assert {id_: found[id_] and found[id_]["sku"] for id_ in expected} == expected


async def test_order_item_product_is_that_of_the_line_s_own_channel(
    graphql: GraphQL, connection: asyncpg.Connection
) -> None:
    other = await connection.fetchval("SELECT id FROM channels WHERE id <> 1 LIMIT 1")
    await connection.execute(
        "INSERT INTO products (id, channel_id, sku, names) VALUES (1187, $1, 'OTHER', '{}')", other
    )
    assert (await products(graphql, "sku"))[1187] == {"sku": "157957"}
    await connection.execute("DELETE FROM products WHERE id = 1187 AND channel_id = 1")
    assert (await products(graphql, "sku"))[1187] is None


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("null", (["1187-1", "1187-2", "1187-3"], 3, 1, 3)),
        ("{page: 2, offset: 2}", (["1187-3"], 3, 3, 3)),
        ("{sort: DESC, offset: 2}", (["1187-3", "1187-2"], 3, 1, 2)),
        ("{page: 9}", ([], 3, 0, 0)),
        ('{tag: {language: "EN", value: "front"}}', ([], 0, 0, 0)),
    ],
)
async def test_product_media_images_are_paged(
    graphql: GraphQL, connection: asyncpg.Connection, search: str, expected: tuple[list[str], int, int, int]
) -> None:
    await connection.execute(
        """UPDATE products SET images = (
             SELECT jsonb_agg(jsonb_build_object(
               'language', 'EN', 'url', 'https://media.example.com/' || n, 'mimeType', 'image/png'))
             FROM generate_series(1, 3) AS n)
           WHERE id = 1187"""
    )
    found = await products(
        graphql, f"media {{ images(search: {search}) {{ items {{ id alt {{ value }} }} itemsFound start end }} }}"
    )
    images = found[1187]["media"]["images"]
    assert (
        [image["id"] for image in images["items"]],
        images["itemsFound"],
        images["start"],
        images["end"],
    ) == expected
    assert all(image["alt"] == [] for image in images["items"])


async def test_product_media_images_refuse_a_page_out_of_bounds(graphql: GraphQL) -> None:
    answer = await graphql(LINES.format(fields="media { images(search: {page: 0}) { page } }"))
    extensions = answer["errors"][0]["extensions"]
    assert (extensions["code"], extensions["path"]) == ("VALIDATION_ERROR", "search.page")


async def test_order_media_attachments_are_an_empty_page_as_asked(graphql: GraphQL) -> None:
    answer = await graphql(
        """{ order(orderId: 2075) {
          media { attachments(input: {page: 3, offset: 5}) { items { id } itemsFound page pages offset start end } }
          postageData { warehouse { id } }
        } }"""
    )
    assert answer["data"]["order"] == {
        "media": {
            "attachments": {"items": [], "itemsFound": 0, "page": 3, "pages": 0, "offset": 5, "start": 0, "end": 0}
        },
        "postageData": {"warehouse": None},
    }


async def test_products_of_all_lines_cost_one_statement(graphql: GraphQL, db: Database) -> None:
    costs = []
    for product in ("", "product { sku media { images { itemsFound } } }"):
        before = db.statements
        answer = await graphql(f"{{ orders(input: {{offset: 50}}) {{ items {{ items {{ sku {product} }} }} }} }}")
        assert "errors" not in answer
        costs.append(db.statements - before)
    assert costs[1] - costs[0] == 1
