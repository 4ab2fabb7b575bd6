-- Order addresses, as they were when the order was placed.

-- fragment: order_address
a.id, a.order_id, a.created_at, a.last_modified_at, a.first_name, a.middle_name, a.last_name, a.gender, a.company,
  a.street, a.number, a.number_extension, a.postal_code, a.city, a.region, a.country, a.phone, a.mobile, a.fax,
  a.email, a.code, a.notes, a.type, CASE WHEN a.is_icp THEN 'Y' ELSE 'N' END AS icp, a.url, a.name

-- name: by_id
-- feeds: OrderAddress
SELECT {order_address}
FROM order_addresses a
WHERE a.id = :id AND a.order_id = :order_id AND {visible order_addresses a};

-- name: by_order_ids
-- feeds: OrderAddress, Address
SELECT {order_address}
FROM order_addresses a
WHERE a.order_id = ANY(:order_ids) AND {visible order_addresses a}
ORDER BY a.id;

-- What a tracking template may ask for of the order that a shipment is of (decision 26): the postal code without blanks, the
-- language in small letters, and the number that the buyer knows.
-- name: destinations_by_shipment_ids
SELECT s.id::text AS shipment_id, a.postal_code, a.country, lower(o.language) AS language,
  coalesce(o.increment_id, o.external_id, o.id::text) AS order_number
FROM shipments s
JOIN orders o ON o.id = s.order_id AND o.channel_id = s.channel_id
LEFT JOIN LATERAL (
  SELECT regexp_replace(a.postal_code, '\s', '', 'g') AS postal_code, a.country
  FROM order_addresses a
  WHERE a.order_id = o.id AND a.channel_id = o.channel_id AND a.type = 'delivery'
  ORDER BY a.id
  LIMIT 1
) AS a ON true
WHERE s.id = ANY(:shipment_ids::uuid[]) AND {visible shipments s};
