-- Products, as far as an order page shows them. Columns follow the type Product; texts and images are jsonb.

-- name: by_ids
-- feeds: Product
SELECT p.id AS product_id, p.channel_id, p.sku, p.names, p.slugs, p.descriptions, p.short_descriptions, p.images,
  CASE WHEN p.is_hidden THEN 'Y' ELSE 'N' END AS hidden, CASE WHEN p.is_orderable THEN 'Y' ELSE 'N' END AS orderable,
  p.status, p.manufacturer, p.manufacturer_code, p.supplier_code, p.ean_code, p.package, p.package_unit,
  p.package_unit_quantity, p.minimum_quantity::float8, p.unit, p.purchase_unit, p.purchase_minimum_quantity,
  p.inventory_quantity
FROM products p
WHERE p.id = ANY(:ids) AND {visible products p};
