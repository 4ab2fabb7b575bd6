"""What hangs on an order as whoever has a link to it reads it."""

import sql
from loaders.batch import many, one

tracked_order = sql.load("tracked_order")

# Nothing bounds how much a carrier tells about a code.
NEWEST_BY_PARCEL = 100

shop_by_channel = one(sql.load("shop").by_channel_ids, parameter="channel_ids", column="channel_id")
items_by_order = many(tracked_order.items_by_order_ids, parameter="order_ids", column="order_id")
shipments_by_order = many(tracked_order.shipments_by_order_ids, parameter="order_ids", column="order_id")
goods_by_shipment = many(tracked_order.goods_by_shipment_ids, parameter="shipment_ids", column="shipment_id")
parcels_by_shipment = many(tracked_order.parcels_by_shipment_ids, parameter="shipment_ids", column="shipment_id")
goods_by_parcel = many(tracked_order.goods_by_parcel_ids, parameter="track_and_trace_ids", column="track_and_trace_id")
events_by_parcel = many(
    tracked_order.events_by_parcel_ids,
    parameter="track_and_trace_ids",
    column="track_and_trace_id",
    limit=NEWEST_BY_PARCEL,
)
link_by_order = one(tracked_order.links_by_order_ids, parameter="order_ids", column="order_id")
