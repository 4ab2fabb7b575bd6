"""Products by their id, which is unique within a channel only: an import may bring the same id to two."""

import sql
from loaders.batch import many

product = sql.load("product")

products_by_id = many(product.by_ids, parameter="ids", column="product_id")
