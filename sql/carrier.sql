-- Carriers. Each belongs to a channel, or to all of them.

-- fragment: carrier
c.id, c.channel_id, c.key, c.name, c.type, c.track_and_trace_url, c.logo, c.time_zone,
  c.created_at, c.last_modified_at, c.created_by, c.last_modified_by, c.version

-- name: by_ids
-- feeds: Carrier
SELECT {carrier}
FROM carriers c
WHERE c.id = ANY(:ids) AND {visible carriers c};

-- By whose addresses codes may be named.
-- name: templates
SELECT c.track_and_trace_url
FROM carriers c
WHERE c.track_and_trace_url IS NOT NULL AND {visible carriers c}
ORDER BY c.id
LIMIT :limit;

-- name: descriptions_by_carrier_ids
-- feeds: LocalizedString
SELECT d.carrier_id, d.language, d.value
FROM carrier_descriptions d
JOIN carriers c ON c.id = d.carrier_id
WHERE d.carrier_id = ANY(:carrier_ids) AND {visible carriers c}
ORDER BY d.language;

-- name: page
-- feeds: Carrier
SELECT {carrier}
FROM carriers c
WHERE {visible carriers c}{filters}
ORDER BY {order}
LIMIT :limit OFFSET :skip;

-- name: count
SELECT count(*)::int AS items_found
FROM carriers c
WHERE {visible carriers c}{filters};

-- Those of the ids that are carriers for codes of a channel, kept from being deleted, and from going to another channel,
-- until the codes that will refer to them are committed.
-- name: share
SELECT c.id, c.key, c.name, c.track_and_trace_url
FROM carriers c
WHERE c.id = ANY(:ids) AND (c.channel_id IS NULL OR c.channel_id = :channel_id) AND {visible carriers c}
ORDER BY c.id
FOR KEY SHARE;

-- name: lock
SELECT c.id, c.channel_id, c.key, c.name, c.type, c.track_and_trace_url, c.logo, c.shipping_cost, c.time_zone, c.version
FROM carriers c
WHERE c.id = :id AND {visible carriers c}
FOR UPDATE;

-- Without a key it is given one that is made of the name: see sql/migrations/0015_keys.sql.
-- name: create
-- feeds: Carrier
WITH carrier AS (
  INSERT INTO carriers
    (channel_id, key, name, type, track_and_trace_url, logo, shipping_cost, time_zone, created_by, last_modified_by)
  VALUES (:channel_id, :key, :name, :type, :track_and_trace_url, :logo, :shipping_cost, :time_zone, :user_id, :user_id)
  RETURNING *
), descriptions AS (
  INSERT INTO carrier_descriptions (carrier_id, language, value)
  SELECT c.id, w.language, w.value
  FROM carrier c
  CROSS JOIN unnest(:languages::text[], :texts::text[]) AS w (language, value)
)
SELECT {carrier}
FROM carrier c;

-- name: update
-- feeds: Carrier
UPDATE carriers c
SET channel_id = :channel_id, key = :key, name = :name, type = :type, track_and_trace_url = :track_and_trace_url, logo = :logo,
  shipping_cost = :shipping_cost, time_zone = :time_zone, last_modified_by = :user_id, last_modified_at = statement_timestamp()
WHERE c.id = :id AND {visible carriers c}
RETURNING {carrier};

-- name: set_descriptions
WITH wanted AS (
  SELECT w.language, w.value
  FROM unnest(:languages::text[], :texts::text[]) AS w (language, value)
), written AS (
  INSERT INTO carrier_descriptions (carrier_id, language, value)
  SELECT :id, w.language, w.value
  FROM wanted w
  ON CONFLICT (carrier_id, language) DO UPDATE SET value = EXCLUDED.value
)
DELETE FROM carrier_descriptions d
WHERE d.carrier_id = :id AND NOT EXISTS (SELECT FROM wanted w WHERE w.language = d.language);

-- name: delete
DELETE FROM carriers c
WHERE c.id = :id AND {visible carriers c};

-- filter: ids
c.id = ANY(:ids)
-- filter: names
c.name = ANY(:names)
-- filter: keys
c.key = ANY(:keys)
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
