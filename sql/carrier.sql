-- Carriers. They belong to no channel: every viewer may read them.

-- fragment: carrier
c.id, c.name, c.type, c.track_and_trace_url, c.logo, c.created_at, c.last_modified_at, c.created_by, c.last_modified_by

-- name: by_ids
-- feeds: Carrier
SELECT {carrier}
FROM carriers c
WHERE c.id = ANY(:ids);

-- name: descriptions_by_carrier_ids
-- feeds: LocalizedString
SELECT d.carrier_id, d.language, d.value
FROM carrier_descriptions d
WHERE d.carrier_id = ANY(:carrier_ids)
ORDER BY d.language;

-- name: page
-- feeds: Carrier
SELECT {carrier}
FROM carriers c
WHERE true{filters}
ORDER BY {order}
LIMIT :limit OFFSET :skip;

-- name: count
SELECT count(*)::int AS items_found
FROM carriers c
WHERE true{filters};

-- filter: ids
c.id = ANY(:ids)
-- filter: names
c.name = ANY(:names)
-- filter: types
c.type = ANY(:types)
-- The store has no warehouses, so none of them has a carrier.
-- filter: warehouse_ids
cardinality(:warehouse_ids::int[]) < 0
-- filter: created_at.greater_than
c.created_at >= :created_at_greater_than
-- filter: created_at.less_than
c.created_at <= :created_at_less_than
-- filter: last_modified_at.greater_than
c.last_modified_at >= :last_modified_at_greater_than
-- filter: last_modified_at.less_than
c.last_modified_at <= :last_modified_at_less_than

-- sort: ID
c.id
-- sort: NAME
c.name
-- sort: LAST_MODIFIED_AT
c.last_modified_at
-- sort: CREATED_AT
c.created_at
