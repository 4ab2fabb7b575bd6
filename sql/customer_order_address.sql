-- Order addresses as their customer reads them: where the bill and where the goods go. Others are not the shop's.

-- fragment: address
a.id AS key, '/api/shop/customer-order-addresses/' || a.id AS id, a.id AS _id,
  CASE a.type WHEN 'invoice' THEN 'billing' WHEN 'delivery' THEN 'shipping' END AS address_type,
  NULL::text AS parent_address_id, o.customer_id, o.cart_id, a.order_id,
  coalesce(a.name, nullif(concat_ws(' ', a.first_name, a.middle_name, a.last_name), '')) AS name,
  coalesce(a.first_name, '') AS first_name, concat_ws(' ', a.middle_name, a.last_name) AS last_name,
  a.company AS company_name, concat_ws(' ', a.street, a.number, a.number_extension) AS address, a.city,
  a.region AS state, a.country, a.postal_code AS postcode, a.email, coalesce(a.phone, a.mobile) AS phone,
  nullif(a.gender, 'U') AS gender, a.vat_id, false AS default_address,
  a.type = 'invoice' AND NOT EXISTS (
    SELECT FROM order_addresses d
    WHERE d.order_id = a.order_id AND d.channel_id = a.channel_id AND d.type = 'delivery'
  ) AS use_for_shipping,
  to_char(a.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"') AS created_at,
  to_char(a.last_modified_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"') AS updated_at

-- name: by_order_ids
-- feeds: CustomerOrderAddress
SELECT {address}
FROM orders o
CROSS JOIN LATERAL (
  SELECT a.*
  FROM order_addresses a
  WHERE a.order_id = o.id AND a.channel_id = o.channel_id AND a.type IN ('invoice', 'delivery'){filters}
  ORDER BY {order}
  LIMIT :limit
) AS a
WHERE o.id = ANY(:order_ids) AND {visible orders o}
ORDER BY {order};

-- name: count_by_order_ids
SELECT a.order_id, count(*)::int AS total
FROM order_addresses a
WHERE a.order_id = ANY(:order_ids) AND a.type IN ('invoice', 'delivery') AND {visible order_addresses a}{filters}
GROUP BY a.order_id;

-- name: ends_by_order_ids
SELECT a.order_id, min(a.id) AS lowest, max(a.id) AS highest
FROM order_addresses a
WHERE a.order_id = ANY(:order_ids) AND a.type IN ('invoice', 'delivery') AND {visible order_addresses a}{filters}
GROUP BY a.order_id;

-- Where an order has several of a type, its shipments go by the first.
-- name: first_by_order_ids
-- feeds: CustomerOrderAddress
SELECT DISTINCT ON (a.order_id, a.type) {address}
FROM orders o
JOIN order_addresses a ON a.order_id = o.id AND a.channel_id = o.channel_id
WHERE o.id = ANY(:order_ids) AND a.type = ANY(:types) AND {visible orders o}
ORDER BY a.order_id, a.type, a.id;

-- filter: above
a.id > :above
-- filter: below
a.id < :below

-- sort: ID
a.id
