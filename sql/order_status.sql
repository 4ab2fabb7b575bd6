-- Order statuses. They are configuration, not the data of a channel: every viewer who may read orders reads them all, also
-- those that are not public. `is_public` decides which orders customers see (B-8), not which words the store knows.

-- fragment: order_status
s.id, s.name, s.code, s.type, s.order_type, s.description, s.priority, s.is_default, s.is_public, s.is_editable,
  s.is_deletable, s.is_shippable, s.status_set_id, s.created_at, s.last_modified_at

-- name: by_ids
-- feeds: OrderStatus
SELECT {order_status}
FROM order_statuses s
WHERE s.id = ANY(:ids);

-- name: by_codes
-- feeds: OrderStatus
SELECT {order_status}
FROM order_statuses s
WHERE s.code = ANY(:codes);

-- name: sets_by_ids
-- feeds: OrderStatusSet
SELECT c.id, c.name, c.description
FROM order_status_sets c
WHERE c.id = ANY(:ids);

-- name: page
-- feeds: OrderStatus
SELECT {order_status}
FROM order_statuses s
WHERE true{filters}
ORDER BY {order}
LIMIT :limit OFFSET :skip;

-- name: count
SELECT count(*)::int AS items_found
FROM order_statuses s
WHERE true{filters};

-- The same page of each status, of those that may follow it.
-- name: next_by_status_ids
-- feeds: OrderStatus
SELECT *
FROM (
  SELECT x.status_id, row_number() OVER (PARTITION BY x.status_id ORDER BY {order}) AS place, {order_status}
  FROM order_status_successors x
  JOIN order_statuses s ON s.id = x.next_status_id
  WHERE x.status_id = ANY(:status_ids){filters}
) AS next
WHERE place - :skip BETWEEN 1 AND :limit
ORDER BY place;

-- name: next_count_by_status_ids
SELECT x.status_id, count(*)::int AS items_found
FROM order_status_successors x
JOIN order_statuses s ON s.id = x.next_status_id
WHERE x.status_id = ANY(:status_ids){filters}
GROUP BY x.status_id;

-- The same page of each status, of those that it may follow.
-- name: previous_by_status_ids
-- feeds: OrderStatus
SELECT *
FROM (
  SELECT x.next_status_id, row_number() OVER (PARTITION BY x.next_status_id ORDER BY {order}) AS place, {order_status}
  FROM order_status_successors x
  JOIN order_statuses s ON s.id = x.status_id
  WHERE x.next_status_id = ANY(:status_ids){filters}
) AS previous
WHERE place - :skip BETWEEN 1 AND :limit
ORDER BY place;

-- name: previous_count_by_status_ids
SELECT x.next_status_id, count(*)::int AS items_found
FROM order_status_successors x
JOIN order_statuses s ON s.id = x.status_id
WHERE x.next_status_id = ANY(:status_ids){filters}
GROUP BY x.next_status_id;

-- No row where there is no such next status.
-- name: step
SELECT EXISTS (
    SELECT FROM order_status_successors x
    JOIN order_statuses s ON s.id = x.status_id
    WHERE x.next_status_id = n.id AND s.code = :code
  ) AS is_allowed
FROM order_statuses n
WHERE n.code = :next_code;

-- filter: ids
s.id = ANY(:ids)
-- filter: codes
s.code = ANY(:codes)
-- The name matches exactly, like a carrier's (B-30).
-- filter: name
s.name = :name
-- filter: priority
s.priority = :priority
-- Types are strings in the input: what is none of them is the type of no status.
-- filter: type
s.type = :type
-- filter: order_type
s.order_type = :order_type
-- filter: created_at.greater_than
s.created_at >= :created_at_greater_than
-- filter: created_at.less_than
s.created_at <= :created_at_less_than
-- filter: last_modified_at.greater_than
s.last_modified_at >= :last_modified_at_greater_than
-- filter: last_modified_at.less_than
s.last_modified_at <= :last_modified_at_less_than
-- filter: is_default
s.is_default = :is_default
-- filter: is_public
s.is_public = :is_public
-- filter: is_editable
s.is_editable = :is_editable
-- filter: is_deletable
s.is_deletable = :is_deletable

-- sort: ID
s.id
-- sort: NAME
s.name
-- sort: CODE
s.code
-- sort: PRIORITY
-- nulls: last
s.priority
-- sort: LAST_MODIFIED_AT
s.last_modified_at
-- sort: CREATED_AT
s.created_at
