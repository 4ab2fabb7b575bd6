"""Carriers and their descriptions."""

import sql
from loaders.batch import many, one

carrier = sql.load("carrier")

carrier_by_id = one(carrier.by_ids, parameter="ids", column="id", tables=("carriers",), by_channel=True)
descriptions_by_carrier = many(
    carrier.descriptions_by_carrier_ids,
    parameter="carrier_ids",
    column="carrier_id",
    tables=("carrier_descriptions", "carriers"),
    by_channel=True,
)
