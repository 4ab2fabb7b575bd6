"""Products on the B2B surface, and all else that is in the schema only because the SDK's order document selects it.

The store has one small table of products (decision 13). What no table holds is null or empty: clusters, stock by
warehouse, variants of images, attachments of orders, warehouses.
"""

from collections.abc import Callable
from typing import Any

import orjson
from ariadne import InterfaceType, ObjectType

from app.context import Info
from app.resolvers.b2b.page import Page, cut, page_type
from app.resolvers.b2b.unrecorded import empty, null, read
from app.resolvers.names import snake_case
from loaders.product import products_by_id

order_item = ObjectType("OrderItem")
product = ObjectType("Product")
product_media = ObjectType("ProductMedia")
media_image = ObjectType("MediaImage")
order_media = ObjectType("OrderMedia")
base_product = InterfaceType("IBaseProduct", lambda *_: "Product")


@order_item.field("product")
async def resolve_order_item_product(row: Any, info: Info, hidden: bool | None = None) -> Any:
    """The product of the line's own channel. `hidden` true wants it only if hidden, false only if not."""
    if row["product_id"] is None:
        return None
    for found in await info.context.load(products_by_id, row["product_id"]):
        if found["channel_id"] == row["channel_id"] and hidden in (None, found["hidden"] == "Y"):
            return found
    return None


def _localized(column: str) -> Callable[..., list[dict[str, str]]]:
    def resolve(row: Any, _info: Info, language: str | None = None) -> list[dict[str, str]]:
        texts = orjson.loads(row[column]).items()
        return [{"language": key, "value": text} for key, text in texts if language is None or key == language.upper()]

    return resolve


for _field in ("names", "descriptions", "shortDescriptions", "slugs"):
    product.set_field(_field, _localized(snake_case(_field)))


@product.field("inventory")
@product.field("media")
def resolve_product_part(row: Any, _info: Info) -> Any:
    """A part of the product's own row."""
    return row


@product_media.field("images")
def resolve_product_media_images(row: Any, info: Info, search: dict[str, Any] | None = None) -> Page:
    """The row's images, each with its 1-based place. None has a description or a tag, so none is found by them."""
    search = search or {}
    images = [
        {**image, "product_id": row["product_id"], "place": place}
        for place, image in enumerate(orjson.loads(row["images"]), start=1)
    ]
    if search.get("sort") == "DESC":
        images.reverse()
    sought = search.get("description") or search.get("tag")
    return cut(info.context, [] if sought else images, search, "search")


@media_image.field("alt")
def resolve_media_image_alt(image: Any, _info: Info, language: str | None = None) -> list[dict[str, str]]:
    text = image.get("alt")
    if not text or (language is not None and language.upper() != image["language"]):
        return []
    return [{"language": image["language"], "value": text}]


@order_media.field("attachments")
def resolve_order_media_attachments(_row: Any, info: Info, input: dict[str, Any] | None = None) -> Page:
    return cut(info.context, [], input)


read(product, clusterId=null, cluster=null)
read(
    media_image,
    id=lambda image: f"{image['product_id']}-{image['place']}",
    productId=lambda image: image["product_id"],
    priority=lambda image: image["place"],
    images=lambda image: [image],
    description=empty,
    tags=empty,
    imageVariants=empty,
    **dict.fromkeys(("clusterId", "categoryId", "sparePartsMachineId", "type", "createdAt", "lastModifiedAt"), null),
)

bindables = [
    order_item,
    base_product,
    product,
    product_media,
    media_image,
    order_media,
    page_type("PaginatedMediaImageResponse"),
    page_type("PaginatedMediaAttachmentResponse"),
    read(
        ObjectType("ProductInventory"),
        productId=lambda row: row["product_id"],
        totalQuantity=lambda row: row["inventory_quantity"],
        localQuantity=lambda row: row["inventory_quantity"],
        supplierQuantity=lambda _row: 0,
        nextDeliveryDate=null,
        balance=empty,
    ),
    read(
        ObjectType("LocalizedImage"),
        language=lambda image: image["language"],
        originalUrl=lambda image: image["url"],
        mimeType=lambda image: image["mimeType"],
    ),
    read(ObjectType("Order"), media=lambda row: row),
    read(ObjectType("OrderPostageData"), warehouse=null),
    read(ObjectType("Carrier"), warehouses=empty),
]
