"""What customers' shipments hold."""

from functools import partial

import sql
from loaders.batch import many, one

customer_shipment_item = sql.load("customer_shipment_item")

rows = partial(many, customer_shipment_item.by_shipment_ids, parameter="shipment_ids", column="shipment_id")
count = partial(one, customer_shipment_item.count_by_shipment_ids, parameter="shipment_ids", column="shipment_id")
ends = partial(one, customer_shipment_item.ends_by_shipment_ids, parameter="shipment_ids", column="shipment_id")
