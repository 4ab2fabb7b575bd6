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
