-- Orders. Columns follow the type Order; those with a prefix feed the objects nested in it.

-- fragment: order_columns
o.id, o.uuid::text, o.channel_id, o.status, o.status_date, o.type, o.company_id, o.account_manager_id,
  o.invoice_user_id, o.original_order_id, o.cart_id, o.debtor_id, o.source, o.email, o.email_date, o.remarks,
  o.external_id, o.reference, o.extra3, o.extra4, o.language, o.currency, o.currency_ratio::float8, o.valid_until, o.exported_at,
  o.export_status, o.export_message, o.created_at, o.last_modified_at, o.source_modified_at, o.version, o.coupon_code,
  coalesce(o.contact_id, o.customer_id) AS user_id,
  {total}, {postage}, {payment}

-- fragment: total
o.total_gross::float8, o.total_net::float8, o.total_tax::float8, o.discount_type AS total_discount_type,
  o.discount_value::float8 AS total_discount_value

-- fragment: postage
coalesce(o.shipping_method, '') AS postage_method, o.postage_gross::float8, o.postage_net::float8, o.postage_tax::float8,
  o.postage_tax_percentage::float8, o.postage_request_date, o.postage_pick_up_location_id, o.postage_carrier,
  CASE WHEN o.postage_partial_delivery_allowed THEN 'Y' ELSE 'N' END AS postage_partial_delivery_allowed,
  CASE WHEN o.postage_overruled THEN 'Y' ELSE 'N' END AS postage_overruled

-- fragment: payment
o.payment_method, o.payment_status, o.payment_status_date, o.payment_accounting_id, o.payment_gross::float8,
  o.payment_net::float8, o.payment_tax::float8, o.payment_tax_percentage::float8,
  CASE WHEN o.payment_overruled THEN 'Y' ELSE 'N' END AS payment_overruled

-- name: by_id
-- feeds: Order
SELECT {order_columns}
FROM orders o
WHERE o.id = :id AND {visible orders o};

-- name: by_ids
-- feeds: Order
SELECT {order_columns}
FROM orders o
WHERE o.id = ANY(:ids::int[]) AND {visible orders o};

-- name: by_uuid
-- feeds: Order
SELECT {order_columns}
FROM orders o
WHERE o.uuid = :uuid AND {visible orders o};

-- name: page
-- feeds: Order
SELECT {order_columns}
FROM orders o
LEFT JOIN companies c ON c.id = o.company_id AND c.channel_id = o.channel_id
WHERE {visible orders o}{filters}
ORDER BY {order}
LIMIT :limit OFFSET :skip;

-- Behind many rows, and where one date is filtered by and another sorted by.
-- variant: page
-- reaches: EVERYTHING, CHANNELS
-- filters: status?, type?, export_statuses?, channel_ids?, created_at.greater_than?, created_at.less_than?, last_modified_at.greater_than?, last_modified_at.less_than?
-- sorts: CREATED_AT, LAST_MODIFIED_AT
-- skip: 1000
{by_day}

-- See sql/shipment.sql.
-- variant: page
-- filters: status?, channel_ids?, company_ids?, created_at.greater_than?, created_at.less_than?
-- sorts: CREATED_AT
-- each: visible_channel_ids::int[], visible_company_ids::int[], status::text[], channel_ids::int[], company_ids::int[]
{branchwise}

-- variant: page
-- reaches: CHANNELS
-- filters: status, channel_ids?, last_modified_at.greater_than?, last_modified_at.less_than?
-- sorts: LAST_MODIFIED_AT
-- each: visible_channel_ids::int[], status::text[], channel_ids::int[]
{branchwise}

-- variant: page
-- filters: channel_ids?, last_modified_at.greater_than?, last_modified_at.less_than?
-- sorts: LAST_MODIFIED_AT
-- each: visible_channel_ids::int[], visible_company_ids::int[], channel_ids::int[]
{branchwise}

-- variant: page
-- reaches: EVERYTHING, CHANNELS
-- filters: fulfillment_statuses, channel_ids?, created_at.greater_than?, created_at.less_than?
-- sorts: CREATED_AT
-- each: visible_channel_ids::int[], fulfillment_statuses::text[]
-- without: fulfillment_statuses
SELECT {order_columns}
FROM (SELECT {lists branch_of_fulfillments}:limit::bigint AS size, :skip::bigint AS skip OFFSET 0) AS given
CROSS JOIN LATERAL (
  SELECT o.*
  FROM {branches branch_of_fulfillments} AS o
  ORDER BY {order}
  LIMIT given.size OFFSET given.skip
) AS k
CROSS JOIN LATERAL (SELECT o.* FROM orders o WHERE o.id = k.id AND o.channel_id = k.channel_id LIMIT 1) AS o
ORDER BY {order};

-- variant: page
-- reaches: EVERYTHING, CHANNELS
-- filters: status?, type?, export_statuses?, channel_ids?, created_at.greater_than?, created_at.less_than?, last_modified_at.greater_than?, last_modified_at.less_than?
-- sorts: CREATED_AT, LAST_MODIFIED_AT
{by_day}

-- Nothing is looked for where the days tell that there is nothing.
-- variant: page
-- reaches: EVERYTHING, CHANNELS
-- filters: status?, type?, export_statuses?, channel_ids?, created_at.greater_than?, created_at.less_than?, last_modified_at.greater_than?, last_modified_at.less_than?
-- sorts: TOTAL_GROSS
SELECT {order_columns}
FROM (
  SELECT {keys o}
  FROM orders o
  WHERE {visible orders o}{filters} AND {is_any}
  ORDER BY {order}
  LIMIT :limit OFFSET :skip
) AS k
CROSS JOIN LATERAL (SELECT o.* FROM orders o WHERE o.id = k.id AND o.channel_id = k.channel_id LIMIT 1) AS o
ORDER BY {order};

-- Statuses one by one, in an index that has all that is asked for, between those orders that the next one tells of.
-- variant: page
-- reaches: EVERYTHING, CHANNELS
-- filters: status, channel_ids?, created_at.greater_than?, created_at.less_than?, last_modified_at.greater_than?, last_modified_at.less_than?
-- sorts: ID
-- each: status::text[]
WITH span AS MATERIALIZED ({span})
SELECT {order_columns}
FROM (
  SELECT {lists branch_of_span}:limit::bigint AS size, :skip::bigint AS skip, n.lowest, n.highest FROM span n OFFSET 0
) AS given
CROSS JOIN LATERAL (
  SELECT o.*
  FROM {branches branch_of_span} AS o
  ORDER BY {order}
  LIMIT given.size OFFSET given.skip
) AS k
CROSS JOIN LATERAL (SELECT o.* FROM orders o WHERE o.id = k.id AND o.channel_id = k.channel_id LIMIT 1) AS o
ORDER BY {order};

-- fragment: branch_of_span
SELECT {keys o}
FROM orders o
WHERE {visible orders o}{filters} AND o.id >= given.lowest AND o.id <= given.highest
ORDER BY {order}
LIMIT given.size + given.skip

-- The days tell between which orders all of them lie: those of an old month are not looked for among the newest.
-- variant: page
-- reaches: EVERYTHING, CHANNELS
-- filters: status?, type?, export_statuses?, channel_ids?, created_at.greater_than?, created_at.less_than?, last_modified_at.greater_than?, last_modified_at.less_than?
-- sorts: ID
WITH span AS MATERIALIZED ({span})
SELECT {order_columns}
FROM (
  SELECT {keys o}
  FROM orders o
  WHERE {visible orders o}{filters}
    AND o.id >= (SELECT n.lowest FROM span n) AND o.id <= (SELECT n.highest FROM span n)
  ORDER BY {order}
  LIMIT :limit OFFSET :skip
) AS k
CROSS JOIN LATERAL (SELECT o.* FROM orders o WHERE o.id = k.id AND o.channel_id = k.channel_id LIMIT 1) AS o
ORDER BY {order};

-- fragment: span
SELECT min(o.lowest) AS lowest, max(o.highest) AS highest
FROM order_days o
WHERE {visible order_days o}{on_days o}

-- fragment: is_any
({number_of_days}) > 0

-- The values that the page lies among, in the same way.
-- variant: page
-- reaches: EVERYTHING, CHANNELS
-- filters: status?, type?, export_statuses?, channel_ids?, created_at.greater_than?, created_at.less_than?, last_modified_at.greater_than?, last_modified_at.less_than?
-- sorts: STATUS
{by_value}

-- Of an export that few orders have had these are found first, and then sorted; of another, enough are among the first that
-- the list comes to.
-- variant: page
-- reaches: EVERYTHING, CHANNELS
-- filters: exported_at.greater_than, exported_at.less_than?, price.greater_than?, price.less_than?, price.equal?, status?, type?, export_statuses?, channel_ids?, created_at.greater_than?, created_at.less_than?, last_modified_at.greater_than?, last_modified_at.less_than?
-- sorts: CREATED_AT, LAST_MODIFIED_AT, ID, STATUS, TOTAL_GROSS, VALID_UNTIL, COMPANY
{of_export}

-- variant: page
-- reaches: EVERYTHING, CHANNELS
-- filters: exported_at.less_than, price.greater_than?, price.less_than?, price.equal?, status?, type?, export_statuses?, channel_ids?, created_at.greater_than?, created_at.less_than?, last_modified_at.greater_than?, last_modified_at.less_than?
-- sorts: CREATED_AT, LAST_MODIFIED_AT, ID, STATUS, TOTAL_GROSS, VALID_UNTIL, COMPANY
{of_export}

-- fragment: of_export
WITH exported AS MATERIALIZED (
  SELECT o.id, o.channel_id
  FROM orders o
  WHERE {visible orders o}{only exported_at}
  LIMIT 2001
), few AS MATERIALIZED (
  SELECT count(*) <= 2000 AS are_few FROM exported
)
SELECT {order_columns}
FROM (
  (
    SELECT o.id, o.channel_id
    FROM exported e
    JOIN orders o ON o.id = e.id AND o.channel_id = e.channel_id
    LEFT JOIN companies c ON c.id = o.company_id AND c.channel_id = o.channel_id
    WHERE (SELECT f.are_few FROM few f) AND {visible orders o}{filters}
    ORDER BY {order}
    LIMIT :limit::bigint + :skip::bigint
  ) UNION ALL (
    SELECT o.id, o.channel_id
    FROM orders o
    LEFT JOIN companies c ON c.id = o.company_id AND c.channel_id = o.channel_id
    WHERE NOT (SELECT f.are_few FROM few f) AND {visible orders o}{filters}
    ORDER BY {order}
    LIMIT :limit::bigint + :skip::bigint
  )
) AS k
CROSS JOIN LATERAL (SELECT o.* FROM orders o WHERE o.id = k.id AND o.channel_id = k.channel_id LIMIT 1) AS o
LEFT JOIN companies c ON c.id = o.company_id AND c.channel_id = o.channel_id
ORDER BY {order}
LIMIT :limit OFFSET :skip;

-- The days that the page lies in, by how many rows each has of those that are asked for, and only then their rows.
-- fragment: page_of_days
WITH counted AS MATERIALIZED (
  SELECT k.day, sum(k.n) AS n
  FROM (
    SELECT {day} AS day, o.n
    FROM order_days o
    WHERE {visible order_days o}{on_days o}{outside day_outside o}
  ) AS k
  GROUP BY k.day
), placed AS (
  SELECT k.day, k.n, sum(k.n) OVER (ORDER BY {days_in_order k}) AS up_to FROM counted k WHERE k.n > 0
), chosen AS MATERIALIZED (
  SELECT p.day, p.up_to - p.n AS before
  FROM placed p
  WHERE p.up_to > :skip::bigint AND p.up_to - p.n < :skip::bigint + :limit::bigint
)

-- fragment: by_day
{page_of_days}
SELECT {order_columns}
FROM (
  SELECT o.*
  FROM chosen d
  CROSS JOIN LATERAL ({of_day}) AS o
  ORDER BY {order}
  LIMIT :limit OFFSET :skip::bigint - (SELECT coalesce(min(d.before), :skip::bigint) FROM chosen d)
) AS k
CROSS JOIN LATERAL (SELECT o.* FROM orders o WHERE o.id = k.id AND o.channel_id = k.channel_id LIMIT 1) AS o
ORDER BY {order};

-- fragment: by_value
{page_of_days}
SELECT {order_columns}
FROM (
  SELECT o.*
  FROM chosen d
  CROSS JOIN LATERAL ({of_value}) AS o
  ORDER BY {order}
  LIMIT :limit OFFSET :skip::bigint - (SELECT coalesce(min(d.before), :skip::bigint) FROM chosen d)
) AS k
CROSS JOIN LATERAL (SELECT o.* FROM orders o WHERE o.id = k.id AND o.channel_id = k.channel_id LIMIT 1) AS o
ORDER BY {order};

-- By what the days do not know: the first rows of each value that there is.
-- variant: page
-- reaches: EVERYTHING, CHANNELS
-- filters: not_overdue?, overdue?, price.greater_than?, price.less_than?, price.equal?, status?, type?, export_statuses?, channel_ids?, created_at.greater_than?, created_at.less_than?, last_modified_at.greater_than?, last_modified_at.less_than?
-- sorts: STATUS
SELECT {order_columns}
FROM (
  SELECT o.*
  FROM (SELECT DISTINCT {day} AS day, 0 AS before FROM order_days o WHERE {visible order_days o}) AS d
  CROSS JOIN LATERAL ({of_value}) AS o
  ORDER BY {order}
  LIMIT :limit OFFSET :skip
) AS k
CROSS JOIN LATERAL (SELECT o.* FROM orders o WHERE o.id = k.id AND o.channel_id = k.channel_id LIMIT 1) AS o
ORDER BY {order};

-- fragment: of_value
(SELECT {keys o}
FROM orders o
WHERE {sorted} = d.day AND {visible orders o}{filters}
ORDER BY {ties}
LIMIT :skip::bigint + :limit::bigint - d.before)

-- fragment: of_day
SELECT {keys o}
FROM orders o
WHERE {sorted} >= utc_start(d.day) AND {sorted} < utc_start(d.day + 1) AND {visible orders o}{filters}
OFFSET 0

-- fragment: day_outside
SELECT {day_of_row}, -1 FROM orders o WHERE {visible orders o}{filters}

-- fragment: number_outside
SELECT -count(*) FROM orders o WHERE {visible orders o}{filters}

-- fragment: number_of_days
SELECT coalesce(sum(k.n), 0)
FROM (
  SELECT o.n
  FROM order_days o
  WHERE {visible order_days o}{on_days o}{outside number_outside o}
) AS k

-- Companies and customers have few of all: theirs are found first, then sorted.
-- variant: page
-- reaches: COMPANIES, CONTACT, CUSTOMER
-- filters: any
-- sorts: STATUS, TOTAL_GROSS, VALID_UNTIL, COMPANY, ID
WITH own AS MATERIALIZED (
  SELECT o.*
  FROM orders o
  WHERE {visible orders o}{filters}
)
SELECT {order_columns}
FROM own o
LEFT JOIN companies c ON c.id = o.company_id AND c.channel_id = o.channel_id
ORDER BY {order}
LIMIT :limit OFFSET :skip;

-- Companies one after the other, then orders of none. By what few orders have, these are sorted instead.
-- variant: page
-- reaches: EVERYTHING, CHANNELS
-- filters: status?, type?, export_statuses?, channel_ids?, created_at.greater_than?, created_at.less_than?, last_modified_at.greater_than?, last_modified_at.less_than?
-- sorts: COMPANY
{by_company}

-- variant: page
-- reaches: EVERYTHING, CHANNELS
-- filters: price.greater_than?, price.less_than?, price.equal?, not_overdue?, status?, type?, export_statuses?, channel_ids?, created_at.greater_than?, created_at.less_than?, last_modified_at.greater_than?, last_modified_at.less_than?
-- sorts: COMPANY
{by_company_of_some}

-- fragment: by_company
SELECT {order_columns}
FROM (
  SELECT o.id, o.channel_id
  FROM (({of_companies}) UNION ALL ({of_no_company})) AS k
  CROSS JOIN LATERAL (SELECT k.id, k.channel_id) AS o
  CROSS JOIN LATERAL (SELECT k.name) AS c
  WHERE {is_any}
  ORDER BY {order}
  LIMIT :limit OFFSET :skip
) AS k
CROSS JOIN LATERAL (SELECT o.* FROM orders o WHERE o.id = k.id AND o.channel_id = k.channel_id LIMIT 1) AS o
LEFT JOIN companies c ON c.id = o.company_id AND c.channel_id = o.channel_id
ORDER BY {order};

-- fragment: by_company_of_some
SELECT {order_columns}
FROM (
  SELECT o.id, o.channel_id
  FROM (({of_companies}) UNION ALL ({of_no_company})) AS k
  CROSS JOIN LATERAL (SELECT k.id, k.channel_id) AS o
  CROSS JOIN LATERAL (SELECT k.name) AS c
  ORDER BY {order}
  LIMIT :limit OFFSET :skip
) AS k
CROSS JOIN LATERAL (SELECT o.* FROM orders o WHERE o.id = k.id AND o.channel_id = k.channel_id LIMIT 1) AS o
LEFT JOIN companies c ON c.id = o.company_id AND c.channel_id = o.channel_id
ORDER BY {order};

-- fragment: of_companies
SELECT o.id, o.channel_id, c.name
FROM (SELECT c.* FROM companies c ORDER BY {sorted_alone} OFFSET 0) AS c
JOIN LATERAL (
  SELECT o.id, o.channel_id, o.company_id
  FROM orders o
  WHERE o.company_id = c.id AND o.channel_id = c.channel_id AND {visible orders o}{filters}
  OFFSET 0
) AS o ON o.company_id = c.id AND o.channel_id = c.channel_id
ORDER BY {order}
LIMIT :limit::bigint + :skip::bigint

-- fragment: of_no_company
SELECT o.id, o.channel_id, NULL
FROM orders o
WHERE o.company_id IS NULL AND {visible orders o}{filters}
ORDER BY {ties}
LIMIT :limit::bigint + :skip::bigint

-- As one list, which is two where nulls are at the wrong end of the index.
-- variant: page
-- reaches: EVERYTHING, CHANNELS
-- filters: status?, type?, export_statuses?, channel_ids?, created_at.greater_than?, created_at.less_than?, last_modified_at.greater_than?, last_modified_at.less_than?
-- sorts: VALID_UNTIL
WITH span AS MATERIALIZED ({span})
SELECT {order_columns}
FROM (
  SELECT o.*
  FROM {branches first_rows_of_span} AS o
  ORDER BY {order}
  LIMIT :limit OFFSET :skip
) AS k
CROSS JOIN LATERAL (SELECT o.* FROM orders o WHERE o.id = k.id AND o.channel_id = k.channel_id LIMIT 1) AS o
ORDER BY {order};

-- variant: page
-- filters: any
-- sorts: VALID_UNTIL
SELECT {order_columns}
FROM (
  SELECT o.*
  FROM {branches first_rows} AS o
  ORDER BY {order}
  LIMIT :limit OFFSET :skip
) AS k
CROSS JOIN LATERAL (SELECT o.* FROM orders o WHERE o.id = k.id AND o.channel_id = k.channel_id LIMIT 1) AS o
ORDER BY {order};

-- fragment: first_rows_of_span
SELECT {keys o}
FROM orders o
WHERE {visible orders o}{filters}
  AND o.id >= (SELECT n.lowest FROM span n) AND o.id <= (SELECT n.highest FROM span n)
ORDER BY {order}
LIMIT :limit::bigint + :skip::bigint

-- fragment: first_rows
SELECT {keys o}
FROM orders o
WHERE {visible orders o}{filters}
ORDER BY {order}
LIMIT :limit::bigint + :skip::bigint

-- fragment: branchwise
SELECT {order_columns}
FROM (SELECT {lists}:limit::bigint AS size, :skip::bigint AS skip OFFSET 0) AS given
CROSS JOIN LATERAL (
  SELECT o.*
  FROM {branches} AS o
  ORDER BY {order}
  LIMIT given.size OFFSET given.skip
) AS k
CROSS JOIN LATERAL (SELECT o.* FROM orders o WHERE o.id = k.id AND o.channel_id = k.channel_id LIMIT 1) AS o
ORDER BY {order};

-- fragment: branch
SELECT {keys o}
FROM orders o
WHERE {visible orders o}{filters}
ORDER BY {order}
LIMIT given.size + given.skip

-- What a term asks for, made once of it and not by row.
-- fragment: wanted
(SELECT search_query(:term, :term_fields))

-- A page of what a term finds. What few orders have is sorted; of what more than ten thousand have, the list itself is
-- gone along until the page is full, which is not far.
-- variant: page
-- filters: term
-- sorts: CREATED_AT, LAST_MODIFIED_AT, TOTAL_GROSS, ID
WITH few AS MATERIALIZED (
  SELECT k.order_id
  FROM order_words k
  WHERE {visible order_words k} AND k.words @@ {wanted}
  LIMIT 10001
)
SELECT {order_columns}
FROM (
  (
    SELECT o.*
    FROM orders o
    WHERE (SELECT count(*) FROM few) <= 10000 AND o.id = ANY(ARRAY(SELECT f.order_id FROM few f)) AND {visible orders o}
    ORDER BY {order}
    LIMIT :limit OFFSET :skip
  )
  UNION ALL
  (
    SELECT o.*
    FROM orders o
    WHERE (SELECT count(*) FROM few) > 10000 AND {visible orders o} AND (
      SELECT k.words @@ {wanted}
      FROM order_words k
      WHERE k.order_id = o.id AND k.channel_id = o.channel_id AND {visible order_words k})
    ORDER BY {order}
    LIMIT :limit OFFSET :skip
  )
) AS o
ORDER BY {order};

-- fragment: branch_of_fulfillments
SELECT {keys o}
FROM (
  SELECT f.order_id AS id, f.channel_id, f.status, f.created_at
  FROM order_fulfillments f
  WHERE {visible order_fulfillments f}
) AS o
WHERE o.status = ANY(:fulfillment_statuses){filters}
ORDER BY {order}
LIMIT given.size + given.skip

-- Far behind the first page: what comes before it is counted in an index, where one has all that is asked for.
-- variant: page
-- filters: any
-- sorts: ID, LAST_MODIFIED_AT, CREATED_AT, STATUS, TOTAL_GROSS
-- skip: 1000
SELECT {order_columns}
FROM (
  SELECT {keys o}
  FROM orders o
  WHERE {visible orders o}{filters}
  ORDER BY {order}
  LIMIT :limit OFFSET :skip
) AS k
CROSS JOIN LATERAL (SELECT o.* FROM orders o WHERE o.id = k.id AND o.channel_id = k.channel_id LIMIT 1) AS o
ORDER BY {order};

-- All that lies in the row, and how far it is fulfilled, for exports.
-- name: all
-- feeds: Order
SELECT {order_columns}, {is_overdue} AS overdue,
  coalesce((
    SELECT f.status FROM order_fulfillments f
    WHERE f.order_id = o.id AND f.channel_id = o.channel_id AND {visible order_fulfillments f}
  ), 'UNFULFILLED') AS fulfillment_status
FROM orders o
WHERE {visible orders o}{filters}
ORDER BY o.created_at DESC, o.id;

-- name: overdue_by_order_ids
SELECT o.id AS order_id, {is_overdue} AS overdue
FROM orders o
WHERE o.id = ANY(:order_ids) AND {visible orders o};

-- name: count
SELECT count(*)::int AS items_found
FROM orders o
WHERE {visible orders o}{filters};

-- variant: count
-- reaches: EVERYTHING, CHANNELS
-- filters: status?, channel_ids?
SELECT coalesce(sum(o.n), 0)::int AS items_found
FROM order_tallies o
WHERE o.company_id = 0 AND {visible order_tallies o}{filters};

-- variant: count
-- reaches: EVERYTHING, CHANNELS
-- filters: company_ids, status?, channel_ids?
SELECT coalesce(sum(o.n), 0)::int AS items_found
FROM order_tallies o
WHERE o.company_id <> 0 AND {visible order_tallies o}{filters};

-- variant: count
-- reaches: COMPANIES, CONTACT
-- filters: status?, channel_ids?, company_ids?
SELECT coalesce(sum(o.n), 0)::int AS items_found
FROM order_tallies o
WHERE o.company_id <> 0 AND {visible order_tallies o}{filters};

-- variant: count
-- reaches: EVERYTHING, CHANNELS
-- filters: status?, type?, export_statuses?, channel_ids?, created_at.greater_than?, created_at.less_than?, last_modified_at.greater_than?, last_modified_at.less_than?
SELECT ({number_of_days})::int AS items_found;

-- variant: count
-- reaches: EVERYTHING, CHANNELS
-- filters: fulfillment_statuses, channel_ids?, created_at.greater_than?, created_at.less_than?
-- without: fulfillment_statuses
SELECT coalesce(sum(k.n), 0)::int AS items_found
FROM (
  SELECT o.n
  FROM order_fulfillment_days o
  WHERE {visible order_fulfillment_days o} AND o.status = ANY(:fulfillment_statuses){on_days o}{outside fulfillments_outside o}
) AS k;

-- fragment: fulfillments_outside
SELECT -count(*)
FROM (
  SELECT f.channel_id, f.status, f.created_at FROM order_fulfillments f WHERE {visible order_fulfillments f}
) AS o
WHERE o.status = ANY(:fulfillment_statuses){filters}

-- All without those that are overdue, of which there are few.
-- variant: count
-- reaches: EVERYTHING, CHANNELS
-- filters: not_overdue, status?, type?, export_statuses?, channel_ids?, created_at.greater_than?, created_at.less_than?, last_modified_at.greater_than?, last_modified_at.less_than?
-- without: not_overdue
SELECT (({number_of_days}) - (SELECT count(*) FROM orders o WHERE {visible orders o}{filters} AND {of_overdue}))::int
  AS items_found;

-- variant: count
-- filters: term
SELECT count(*)::int AS items_found
FROM order_words k
WHERE {visible order_words k} AND k.words @@ {wanted};

-- The tax of the lines, and of the postage, by its percentage.
-- name: tax_percentages_by_order_ids
-- feeds: OrderTotalTaxPercentage
SELECT t.order_id, round(t.percentage)::int AS percentage, trim_scale(t.percentage)::text AS percentage_exact,
  sum(t.tax)::float8 AS total, money_text(sum(t.tax), t.currency) AS total_exact
FROM (
  SELECT i.order_id, coalesce(i.exact_tax_percentage, i.tax_percentage) AS percentage, i.tax, d.currency
  FROM order_items i
  JOIN orders d ON d.id = i.order_id AND d.channel_id = i.channel_id
  WHERE i.order_id = ANY(:order_ids) AND {visible order_items i}
  UNION ALL
  SELECT o.id, o.postage_tax_percentage, o.postage_tax, o.currency
  FROM orders o
  WHERE o.id = ANY(:order_ids) AND o.postage_tax <> 0 AND {visible orders o}
) AS t
GROUP BY t.order_id, t.percentage, t.currency
ORDER BY t.percentage;

-- Amounts as they are, with the decimals of their currency; those of the channel are null without a rate (decision 23).
-- name: exact_by_order_ids
SELECT o.id AS order_id,
  money_text(o.total_gross, o.currency) AS gross, money_text(o.total_net, o.currency) AS net,
  money_text(o.total_tax, o.currency) AS tax, money_text(o.sub_total, o.currency) AS sub_total,
  money_text(o.discount_amount, o.currency) AS discount, money_text(o.invoiced_total, o.currency) AS invoiced,
  money_text(o.refunded_total, o.currency) AS refunded, money_text(o.postage_gross, o.currency) AS postage_gross,
  money_text(o.postage_net, o.currency) AS postage_net, money_text(o.postage_tax, o.currency) AS postage_tax,
  trim_scale(o.postage_tax_percentage)::text AS postage_tax_percentage,
  money_text(o.payment_gross, o.currency) AS payment_gross, money_text(o.payment_net, o.currency) AS payment_net,
  money_text(o.payment_tax, o.currency) AS payment_tax,
  trim_scale(o.payment_tax_percentage)::text AS payment_tax_percentage,
  trim_scale(o.currency_ratio)::text AS currency_ratio,
  money_text(base_amount(o.total_net, o.currency_ratio, c.currency), c.currency) AS base_net,
  money_text(base_amount(o.total_tax, o.currency_ratio, c.currency), c.currency) AS base_tax,
  money_text(base_amount(o.sub_total, o.currency_ratio, c.currency), c.currency) AS base_sub_total,
  money_text(base_amount(o.discount_amount, o.currency_ratio, c.currency), c.currency) AS base_discount,
  money_text(base_amount(o.invoiced_total, o.currency_ratio, c.currency), c.currency) AS base_invoiced,
  money_text(base_amount(o.refunded_total, o.currency_ratio, c.currency), c.currency) AS base_refunded,
  money_text(base_amount(o.postage_gross, o.currency_ratio, c.currency), c.currency) AS base_postage_gross
FROM orders o
JOIN channels c ON c.id = o.channel_id
WHERE o.id = ANY(:order_ids) AND {visible orders o};

-- name: money_by_order_ids
-- feeds: Money
SELECT o.id AS order_id, money_text(m.amount, m.currency) AS amount, m.currency,
  coalesce(minor_units(m.currency), 2) AS minor_units
FROM orders o
JOIN channels c ON c.id = o.channel_id
CROSS JOIN LATERAL (
  VALUES
    ('gross', o.total_gross, o.currency), ('net', o.total_net, o.currency), ('tax', o.total_tax, o.currency),
    ('discount', o.discount_amount, o.currency), ('refunded', o.refunded_total, o.currency),
    ('base_gross', base_amount(o.total_gross, o.currency_ratio, c.currency), c.currency),
    ('base_net', base_amount(o.total_net, o.currency_ratio, c.currency), c.currency),
    ('base_tax', base_amount(o.total_tax, o.currency_ratio, c.currency), c.currency),
    ('base_refunded', base_amount(o.refunded_total, o.currency_ratio, c.currency), c.currency)
) AS m (name, amount, currency)
WHERE o.id = ANY(:order_ids) AND m.name = :name AND m.amount IS NOT NULL AND {visible orders o};

-- How far the goods of an order are shipped and delivered; canceled shipments do not count.
-- name: fulfillment_by_order_ids
SELECT o.id AS order_id,
  (SELECT d.customer_status = 'canceled' FROM order_statuses d WHERE d.code = o.status) AS is_canceled,
  EXISTS (
    SELECT FROM shipments s
    WHERE s.order_id = o.id AND s.channel_id = o.channel_id AND s.status = 'PARTIALLY_DELIVERED'
      AND EXISTS (SELECT FROM shipment_items x WHERE x.shipment_id = s.id AND x.channel_id = s.channel_id)
  ) AS is_partially_delivered,
  p.lines, p.canceled, p.ordered, p.shipped, p.delivered
FROM orders o
CROSS JOIN LATERAL order_progress(o.id, o.channel_id) AS p
WHERE o.id = ANY(:order_ids) AND {visible orders o};

-- name: lock
SELECT o.id, o.channel_id, o.status, o.payment_status, o.version,
  (SELECT w.is_shippable FROM order_statuses w WHERE w.code = o.status) AS is_shippable
FROM orders o
WHERE o.id = :id AND {visible orders o}
FOR NO KEY UPDATE OF o;

-- The same by the number of another system, which each channel may have.
-- name: lock_by_external_id
SELECT o.id, o.channel_id, o.status, o.payment_status, o.version,
  (SELECT w.is_shippable FROM order_statuses w WHERE w.code = o.status) AS is_shippable
FROM orders o
WHERE o.external_id = :external_id AND (:channel_id::int IS NULL OR o.channel_id = :channel_id) AND {visible orders o}
ORDER BY o.id
FOR NO KEY UPDATE OF o;

-- name: set_status
-- feeds: Order
UPDATE orders o
SET status = :status, payment_status = :payment_status,
  status_date = CASE WHEN o.status = :status THEN o.status_date ELSE statement_timestamp() END,
  payment_status_date = CASE WHEN o.payment_status = :payment_status THEN o.payment_status_date
    ELSE statement_timestamp() END,
  last_modified_at = statement_timestamp()
WHERE o.id = :id AND o.channel_id = :channel_id AND {visible orders o}
RETURNING {order_columns};

-- A write to what the order is made of is one to the order (B-57).
-- name: touch
UPDATE orders o
SET last_modified_at = statement_timestamp()
WHERE o.id = :id AND o.channel_id = :channel_id AND {visible orders o};
-- The days of a channel are those of its time zone (decision 24).
-- fragment: zone
channel_time_zone(o.channel_id)

-- An order has one of them at most.
-- filter: user_id
(o.contact_id = ANY(:user_id) OR o.customer_id = ANY(:user_id))
-- filter: status
o.status = ANY(:status)
-- filter: type
o.type = ANY(:type)
-- filter: price.greater_than
o.total_gross >= :price_greater_than
-- filter: price.less_than
o.total_gross <= :price_less_than
-- filter: price.equal
o.total_gross = :price_equal
-- filter: company_ids
o.company_id = ANY(:company_ids)
-- filter: company_sources
EXISTS (
  SELECT FROM company_sources c
  JOIN unnest(:company_source_ids::text[], :company_source_names::text[]) AS wanted (id, name) USING (id, name)
  WHERE c.company_id = o.company_id AND c.channel_id = o.channel_id)
-- filter: original_order_ids
o.original_order_id = ANY(:original_order_ids)
-- filter: export_statuses
o.export_status = ANY(:export_statuses)
-- filter: exported_at.greater_than
o.exported_at >= :exported_at_greater_than
-- filter: exported_at.less_than
o.exported_at <= :exported_at_less_than
-- filter: exported_at.greater_than_day
o.exported_at >= first_start(:exported_at_greater_than_day::date) AND o.exported_at >= day_start(:exported_at_greater_than_day::date, {zone})
-- filter: exported_at.less_than_day
o.exported_at < last_end(:exported_at_less_than_day::date) AND o.exported_at < day_end(:exported_at_less_than_day::date, {zone})
-- A source without id or name leaves that side open.
-- filter: sources
EXISTS (
  SELECT FROM order_sources x
  JOIN unnest(:source_ids::text[], :source_names::text[]) AS wanted (id, name)
    ON x.id = coalesce(wanted.id, x.id) AND x.name = coalesce(wanted.name, x.name)
  WHERE x.order_id = o.id AND x.channel_id = o.channel_id)
-- filter: external_ids
o.external_id = ANY(:external_ids)
-- filter: references
o.reference = ANY(:references)
-- filter: channel_ids
o.channel_id = ANY(:channel_ids)
-- filter: created_at.greater_than
o.created_at >= :created_at_greater_than
-- filter: created_at.less_than
o.created_at <= :created_at_less_than
-- filter: created_at.greater_than_day
o.created_at >= first_start(:created_at_greater_than_day::date) AND o.created_at >= day_start(:created_at_greater_than_day::date, {zone})
-- filter: created_at.less_than_day
o.created_at < last_end(:created_at_less_than_day::date) AND o.created_at < day_end(:created_at_less_than_day::date, {zone})
-- filter: last_modified_at.greater_than
o.last_modified_at >= :last_modified_at_greater_than
-- filter: last_modified_at.less_than
o.last_modified_at <= :last_modified_at_less_than
-- filter: last_modified_at.greater_than_day
o.last_modified_at >= first_start(:last_modified_at_greater_than_day::date) AND o.last_modified_at >= day_start(:last_modified_at_greater_than_day::date, {zone})
-- filter: last_modified_at.less_than_day
o.last_modified_at < last_end(:last_modified_at_less_than_day::date) AND o.last_modified_at < day_end(:last_modified_at_less_than_day::date, {zone})

-- All words of a term, by the index of all that orders have, with their fields and without (B-30). As an array the words come first: few orders have those of a person, and no statistics say so.
-- filter: term
o.id = ANY(ARRAY(SELECT k.order_id FROM order_words k WHERE {visible order_words k} AND k.words @@ {wanted}))
-- The same index finds the numbers that people hold.
-- filter: customer_emails
o.id = ANY(ARRAY(SELECT k.order_id FROM order_words k WHERE {visible order_words k} AND (k.words @@ (SELECT any_of(numbers_of(:customer_emails), 'CUSTOMER_EMAIL')) OR k.words @@ (SELECT any_of(numbers_of(:customer_emails), 'RECIPIENT_EMAIL')))))
  AND (lower(o.email) = ANY(:customer_emails)
    OR EXISTS (
      SELECT FROM customers c
      WHERE c.id = o.customer_id AND c.channel_id = o.channel_id AND lower(c.email) = ANY(:customer_emails))
    OR EXISTS (
      SELECT FROM order_addresses a
      WHERE a.order_id = o.id AND a.channel_id = o.channel_id AND lower(a.email) = ANY(:customer_emails)))
-- filter: phones
o.id = ANY(ARRAY(SELECT k.order_id FROM order_words k WHERE {visible order_words k} AND k.words @@ (SELECT any_of(phones_of(:phones), 'PHONE'))))
-- filter: postal_codes
o.id = ANY(ARRAY(SELECT k.order_id FROM order_words k WHERE {visible order_words k} AND k.words @@ (SELECT any_of(numbers_of(:postal_codes), 'POSTAL_CODE'))))
  AND EXISTS (
    SELECT FROM order_addresses a
    WHERE a.order_id = o.id AND a.channel_id = o.channel_id
      AND number_of(a.postal_code) = ANY(numbers_of(:postal_codes)))
-- filter: codes
o.id = ANY(ARRAY(SELECT k.order_id FROM order_words k WHERE {visible order_words k} AND k.words @@ (SELECT any_of(numbers_of(:codes), 'CODE'))))
  AND EXISTS (
    SELECT FROM track_and_traces t
    WHERE t.order_id = o.id AND t.channel_id = o.channel_id AND {visible track_and_traces t}
      AND number_of(t.code) = ANY(numbers_of(:codes)))

-- filter: fulfillment_statuses
(o.id, o.channel_id) IN (
  SELECT f.order_id, f.channel_id FROM order_fulfillments f WHERE {visible order_fulfillments f} AND f.status = ANY(:fulfillment_statuses))
-- filter: overdue
{of_overdue}
-- filter: not_overdue
NOT {is_overdue}

-- Whether the day that was asked for is over.
-- fragment: is_due
coalesce(promise_end(o.postage_request_date, {zone}) <= now(), false)

-- fragment: of_overdue
(o.id, o.channel_id) IN (SELECT f.order_id, f.channel_id FROM order_fulfillments f WHERE {visible order_fulfillments f} AND f.wanted_at < now()) AND {is_due}

-- Of orders that are to be shipped at all, and are not yet.
-- fragment: is_overdue
({is_due} AND EXISTS (
  SELECT FROM order_fulfillments f
  WHERE f.order_id = o.id AND f.channel_id = o.channel_id AND f.wanted_at IS NOT NULL AND {visible order_fulfillments f}))

-- sort: ID
o.id
-- sort: LAST_MODIFIED_AT
o.last_modified_at
-- sort: CREATED_AT
o.created_at
-- sort: STATUS
o.status
-- sort: COMPANY
-- nulls: last
c.name
-- sort: TOTAL_GROSS
o.total_gross
-- sort: VALID_UNTIL
-- nulls: last
o.valid_until
