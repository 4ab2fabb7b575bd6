-- Money is exact and knows its currency (decision 23): smallest units by ISO 4217, prices of one to six decimals, base
-- amounts by a rate or not at all, and what was paid back as rows of its own.
--
-- The rules are those of `app/money.py`. They bind what is written from now on, and are triggers rather than constraints:
-- an order that broke one before can still be shipped and paid, and only the next value of a column is held to it.

-- step: know currencies and their smallest units
CREATE FUNCTION minor_units(currency text) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
  WHEN currency IN (
    'AED', 'AFA', 'AFN', 'ALK', 'ALL', 'AMD', 'ANG', 'AOA', 'AOK', 'AON', 'AOR', 'ARA', 'ARP', 'ARS', 'ARY', 'ATS',
    'AUD', 'AWG', 'AYM', 'AZM', 'AZN', 'BAD', 'BAM', 'BBD', 'BDT', 'BEC', 'BEL', 'BGJ', 'BGK', 'BGL', 'BGN', 'BMD',
    'BND', 'BOB', 'BOP', 'BOV', 'BRB', 'BRC', 'BRE', 'BRL', 'BRN', 'BRR', 'BSD', 'BTN', 'BUK', 'BWP', 'BYN', 'BZD',
    'CAD', 'CDF', 'CHC', 'CHE', 'CHF', 'CHW', 'CNY', 'COP', 'COU', 'CRC', 'CSD', 'CSJ', 'CSK', 'CUC', 'CUP', 'CVE',
    'CYP', 'CZK', 'DDM', 'DEM', 'DKK', 'DOP', 'DZD', 'ECS', 'ECV', 'EEK', 'EGP', 'ERN', 'ESA', 'ESB', 'ETB', 'EUR',
    'FIM', 'FJD', 'FKP', 'FRF', 'GBP', 'GEK', 'GEL', 'GHC', 'GHP', 'GHS', 'GIP', 'GMD', 'GNE', 'GNS', 'GQE', 'GTQ',
    'GWE', 'GWP', 'GYD', 'HKD', 'HNL', 'HRD', 'HRK', 'HTG', 'HUF', 'IDR', 'IEP', 'ILP', 'ILR', 'ILS', 'INR', 'IRR',
    'ISJ', 'JMD', 'KES', 'KGS', 'KHR', 'KPW', 'KYD', 'KZT', 'LAJ', 'LAK', 'LBP', 'LKR', 'LRD', 'LSL', 'LSM', 'LTL',
    'LTT', 'LUC', 'LUL', 'LVL', 'LVR', 'MAD', 'MDL', 'MGA', 'MKD', 'MLF', 'MMK', 'MNT', 'MOP', 'MRO', 'MRU', 'MTL',
    'MTP', 'MUR', 'MVQ', 'MVR', 'MWK', 'MXN', 'MXP', 'MXV', 'MYR', 'MZE', 'MZM', 'MZN', 'NAD', 'NGN', 'NIC', 'NIO',
    'NLG', 'NOK', 'NPR', 'NZD', 'PAB', 'PEH', 'PEI', 'PEN', 'PES', 'PGK', 'PHP', 'PKR', 'PLN', 'PLZ', 'QAR', 'RHD',
    'ROK', 'ROL', 'RON', 'RSD', 'RUB', 'RUR', 'SAR', 'SBD', 'SCR', 'SDD', 'SDG', 'SDP', 'SEK', 'SGD', 'SHP', 'SIT',
    'SKK', 'SLE', 'SLL', 'SOS', 'SRD', 'SRG', 'SSP', 'STD', 'STN', 'SUR', 'SVC', 'SYP', 'SZL', 'THB', 'TJR', 'TJS',
    'TMM', 'TMT', 'TOP', 'TRY', 'TTD', 'TWD', 'TZS', 'UAH', 'UAK', 'UGS', 'UGW', 'USD', 'USN', 'USS', 'UYN', 'UYP',
    'UYU', 'UZS', 'VEB', 'VED', 'VEF', 'VES', 'VNC', 'WST', 'XCD', 'XCG', 'XEU', 'YDD', 'YER', 'YUD', 'YUM', 'YUN',
    'ZAL', 'ZAR', 'ZMK', 'ZMW', 'ZRN', 'ZRZ', 'ZWC', 'ZWD', 'ZWG', 'ZWL', 'ZWN', 'ZWR') THEN 2
  WHEN currency IN (
    'ADP', 'BEF', 'BIF', 'BYB', 'BYR', 'CLP', 'DJF', 'ESP', 'GNF', 'GRD', 'ISK', 'ITL', 'JPY', 'KMF', 'KRW', 'LUF',
    'MGF', 'PTE', 'PYG', 'RWF', 'TPE', 'TRL', 'UGX', 'UYI', 'VND', 'VUV', 'XAF', 'XOF', 'XPF') THEN 0
  WHEN currency IN (
    'BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') THEN 3
  WHEN currency IN (
    'CLF', 'UYW') THEN 4
END;
CREATE FUNCTION is_currency(code text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN minor_units(code) IS NOT NULL;

-- step: say what an amount is, and what the price of one
-- Each of `given` that is not what it was. An order of a currency that nobody knows any more has two decimals.
CREATE FUNCTION are_amounts(currency text, given numeric[], former numeric[]) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN NOT EXISTS (
  SELECT FROM unnest(given, former) AS v (given, former)
  WHERE v.given IS DISTINCT FROM v.former
    AND NOT (abs(v.given) < 1e12 AND v.given = round(v.given, coalesce(minor_units(currency), 2))));
CREATE FUNCTION are_prices(given numeric[], former numeric[]) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN NOT EXISTS (
  SELECT FROM unnest(given, former) AS v (given, former)
  WHERE v.given IS DISTINCT FROM v.former AND NOT (abs(v.given) < 1e12 AND v.given = round(v.given, 6)));

-- step: say how amounts are written, and what they are in another currency
-- With the decimals of the currency, and more where a price of one has them.
CREATE FUNCTION money_text(amount numeric, currency text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN round(amount, greatest(coalesce(minor_units(currency), 2), min_scale(amount)))::text;
-- `ratio` is units of the amount's currency for one of the other; without it nobody knows.
CREATE FUNCTION base_amount(amount numeric, ratio numeric, base_currency text) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN round(amount / ratio, coalesce(minor_units(base_currency), 2));

-- step: let orders have amounts of any currency
-- The columns lose their bound, which no row is looked at for; the function that reads them stands in the way meanwhile.
CREATE OR REPLACE FUNCTION recorded(r orders)
RETURNS TABLE (entity_id text, channel_id int, order_id int, shipment_id uuid, version int, fields jsonb)
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT r.id::text, r.channel_id, r.id, NULL::uuid, r.version, NULL::jsonb;
END;
ALTER TABLE orders
  DROP CONSTRAINT orders_total_adds_up,
  DROP CONSTRAINT orders_currency_ratio_positive,
  ALTER COLUMN total_gross TYPE numeric,
  ALTER COLUMN total_net TYPE numeric,
  ALTER COLUMN total_tax TYPE numeric,
  ALTER COLUMN sub_total TYPE numeric,
  ALTER COLUMN discount_amount TYPE numeric,
  ALTER COLUMN invoiced_total TYPE numeric,
  ALTER COLUMN refunded_total TYPE numeric,
  ALTER COLUMN postage_gross TYPE numeric,
  ALTER COLUMN postage_net TYPE numeric,
  ALTER COLUMN postage_tax TYPE numeric,
  ALTER COLUMN payment_gross TYPE numeric,
  ALTER COLUMN payment_net TYPE numeric,
  ALTER COLUMN payment_tax TYPE numeric,
  ALTER COLUMN discount_value TYPE numeric,
  ALTER COLUMN postage_tax_percentage TYPE numeric,
  ALTER COLUMN payment_tax_percentage TYPE numeric,
  ALTER COLUMN currency_ratio TYPE numeric,
  ALTER COLUMN currency_ratio DROP DEFAULT,
  ALTER COLUMN currency_ratio DROP NOT NULL;
COMMENT ON COLUMN orders.currency_ratio IS 'order currency per unit of the channel''s currency; null where nobody knows';
CREATE OR REPLACE FUNCTION recorded(r orders)
RETURNS TABLE (entity_id text, channel_id int, order_id int, shipment_id uuid, version int, fields jsonb)
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT r.id::text, r.channel_id, r.id, NULL::uuid, r.version, jsonb_build_object(
    'status', r.status, 'type', r.type, 'externalId', r.external_id, 'companyId', r.company_id,
    'contactId', r.contact_id, 'customerId', r.customer_id, 'currency', r.currency, 'totalGross', r.total_gross,
    'totalNet', r.total_net, 'totalTax', r.total_tax, 'refundedTotal', r.refunded_total,
    'paymentStatus', r.payment_status);
END;

-- step: have totals add up again
ALTER TABLE orders
  ADD CONSTRAINT orders_total_adds_up CHECK (total_net = total_gross + total_tax) NOT VALID,
  ADD CONSTRAINT orders_currency_ratio_positive CHECK (currency_ratio > 0 AND currency_ratio < 1e10) NOT VALID;

-- step: look whether they do
ALTER TABLE orders
  VALIDATE CONSTRAINT orders_total_adds_up,
  VALIDATE CONSTRAINT orders_currency_ratio_positive;

-- step: let lines have exact prices, and be taken off
ALTER TABLE order_items
  DROP CONSTRAINT order_items_price_not_negative,
  ALTER COLUMN original_price TYPE numeric,
  ALTER COLUMN price TYPE numeric,
  ALTER COLUMN price_net TYPE numeric,
  ALTER COLUMN customer_price TYPE numeric,
  ALTER COLUMN cost_price TYPE numeric,
  ALTER COLUMN discount TYPE numeric,
  ALTER COLUMN price_total TYPE numeric,
  ALTER COLUMN price_total_net TYPE numeric,
  ALTER COLUMN tax TYPE numeric,
  ADD COLUMN exact_tax_percentage numeric;
COMMENT ON COLUMN order_items.exact_tax_percentage IS 'with its decimals; null where tax_percentage has none';

-- step: keep exact percentages in their bounds
ALTER TABLE order_items
  ADD CONSTRAINT order_items_exact_tax_percentage_sane CHECK (
    exact_tax_percentage >= 0 AND exact_tax_percentage <= 100 AND exact_tax_percentage = round(exact_tax_percentage, 6))
  NOT VALID;

-- step: look whether they are
ALTER TABLE order_items VALIDATE CONSTRAINT order_items_exact_tax_percentage_sane;

-- step: hold channels to currencies
CREATE TRIGGER channels_currency_new BEFORE INSERT ON channels
  FOR EACH ROW WHEN (NOT is_currency(NEW.currency)) EXECUTE FUNCTION refuse_value('currency');
CREATE TRIGGER channels_currency_other BEFORE UPDATE OF currency ON channels
  FOR EACH ROW WHEN (NEW.currency <> OLD.currency AND NOT is_currency(NEW.currency))
  EXECUTE FUNCTION refuse_value('currency');

-- step: keep the currency of a channel that has orders
-- Their base amounts are in it.
CREATE FUNCTION keep_currency() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM orders o WHERE o.channel_id = NEW.id) THEN
    RAISE EXCEPTION 'the channel has orders'
      USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = 'channels', COLUMN = 'currency';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER channels_currency_stays BEFORE UPDATE OF currency ON channels
  FOR EACH ROW WHEN (NEW.currency <> OLD.currency) EXECUTE FUNCTION keep_currency();

-- step: let channels have rates
CREATE TABLE channel_rates (
  channel_id int NOT NULL CONSTRAINT channel_rates_channel_fk REFERENCES channels ON DELETE CASCADE,
  currency text NOT NULL CONSTRAINT channel_rates_currency_known CHECK (is_currency(currency)),
  rate numeric NOT NULL CONSTRAINT channel_rates_rate_positive CHECK (rate > 0 AND rate < 1e10),
  CONSTRAINT channel_rates_pk PRIMARY KEY (channel_id, currency)
);
COMMENT ON COLUMN channel_rates.rate IS 'units of the currency for one of the channel''s';

-- step: hold orders to currencies
CREATE TRIGGER orders_currency_new BEFORE INSERT ON orders
  FOR EACH ROW WHEN (NOT is_currency(NEW.currency)) EXECUTE FUNCTION refuse_value('currency');
CREATE TRIGGER orders_currency_other BEFORE UPDATE OF currency ON orders
  FOR EACH ROW WHEN (NEW.currency <> OLD.currency AND NOT is_currency(NEW.currency))
  EXECUTE FUNCTION refuse_value('currency');

-- step: hold the amounts of orders to their currency
CREATE TRIGGER orders_amounts_new BEFORE INSERT ON orders
  FOR EACH ROW WHEN (NOT are_amounts(NEW.currency, ARRAY[
    NEW.total_gross, NEW.total_net, NEW.total_tax, NEW.sub_total, NEW.discount_amount, NEW.invoiced_total,
    NEW.refunded_total, NEW.postage_gross, NEW.postage_net, NEW.postage_tax, NEW.payment_gross, NEW.payment_net,
    NEW.payment_tax], NULL))
  EXECUTE FUNCTION refuse_value('total_net');
CREATE TRIGGER orders_amounts_other BEFORE UPDATE OF currency,
    total_gross, total_net, total_tax, sub_total, discount_amount, invoiced_total, refunded_total, postage_gross,
    postage_net, postage_tax, payment_gross, payment_net, payment_tax ON orders
  FOR EACH ROW WHEN (NOT are_amounts(NEW.currency, ARRAY[
    NEW.total_gross, NEW.total_net, NEW.total_tax, NEW.sub_total, NEW.discount_amount, NEW.invoiced_total,
    NEW.refunded_total, NEW.postage_gross, NEW.postage_net, NEW.postage_tax, NEW.payment_gross, NEW.payment_net,
    NEW.payment_tax],
    CASE WHEN NEW.currency = OLD.currency THEN ARRAY[
    OLD.total_gross, OLD.total_net, OLD.total_tax, OLD.sub_total, OLD.discount_amount, OLD.invoiced_total,
    OLD.refunded_total, OLD.postage_gross, OLD.postage_net, OLD.postage_tax, OLD.payment_gross, OLD.payment_net,
    OLD.payment_tax] END))
  EXECUTE FUNCTION refuse_value('total_net');

-- step: give orders the rate of their currency
-- Of who names none: 1 in the channel's own currency, else what the channel's table says. In the channel's own currency
-- there is no other rate than 1.
CREATE FUNCTION set_currency_ratio() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  base text := (SELECT c.currency FROM channels c WHERE c.id = NEW.channel_id);
BEGIN
  IF NEW.currency = base THEN
    IF TG_OP = 'INSERT' AND NEW.currency_ratio <> 1 OR NEW.currency_ratio <> 1 AND NEW.currency = OLD.currency THEN
      RAISE EXCEPTION 'the order is in the currency of its channel'
        USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = 'orders', COLUMN = 'currency_ratio';
    END IF;
    NEW.currency_ratio := 1;
  ELSIF NEW.currency_ratio IS NULL OR TG_OP = 'UPDATE' AND NEW.currency_ratio = OLD.currency_ratio
    AND current_setting('waybill.actor', true) IS DISTINCT FROM 'import'  -- which has looked for one already
  THEN
    NEW.currency_ratio := (
      SELECT r.rate FROM channel_rates r WHERE r.channel_id = NEW.channel_id AND r.currency = NEW.currency);
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER orders_ratio_new BEFORE INSERT ON orders
  FOR EACH ROW WHEN (NEW.currency_ratio IS DISTINCT FROM 1) EXECUTE FUNCTION set_currency_ratio();
CREATE TRIGGER orders_ratio_other BEFORE UPDATE OF currency, currency_ratio ON orders
  FOR EACH ROW WHEN (NEW.currency <> OLD.currency OR NEW.currency_ratio IS DISTINCT FROM OLD.currency_ratio)
  EXECUTE FUNCTION set_currency_ratio();

-- step: hold the prices of lines to six decimals
CREATE TRIGGER order_items_prices_new BEFORE INSERT ON order_items
  FOR EACH ROW WHEN (NOT are_prices(ARRAY[
    NEW.original_price, NEW.price, NEW.price_net, NEW.customer_price, NEW.cost_price, NEW.discount], NULL))
  EXECUTE FUNCTION refuse_value('price');
CREATE TRIGGER order_items_prices_other BEFORE UPDATE OF
    original_price, price, price_net, customer_price, cost_price, discount ON order_items
  FOR EACH ROW WHEN (NOT are_prices(
    ARRAY[NEW.original_price, NEW.price, NEW.price_net, NEW.customer_price, NEW.cost_price, NEW.discount],
    ARRAY[OLD.original_price, OLD.price, OLD.price_net, OLD.customer_price, OLD.cost_price, OLD.discount]))
  EXECUTE FUNCTION refuse_value('price');

-- step: hold the amounts of lines to the currency of their order
-- Whole numbers are amounts of every currency.
CREATE FUNCTION check_line_amounts() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  former numeric[];
BEGIN
  IF TG_OP = 'UPDATE' THEN
    former := ARRAY[OLD.price_total, OLD.price_total_net, OLD.tax];
  END IF;
  IF NOT are_amounts(
    (SELECT o.currency FROM orders o WHERE o.id = NEW.order_id AND o.channel_id = NEW.channel_id),
    ARRAY[NEW.price_total, NEW.price_total_net, NEW.tax], former)
  THEN
    RAISE EXCEPTION 'an amount of a line is refused'
      USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = 'order_items', COLUMN = 'price_total';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER order_items_amounts_new BEFORE INSERT ON order_items
  FOR EACH ROW WHEN (NOT are_amounts('JPY', ARRAY[NEW.price_total, NEW.price_total_net, NEW.tax], NULL))
  EXECUTE FUNCTION check_line_amounts();
CREATE TRIGGER order_items_amounts_other BEFORE UPDATE OF price_total, price_total_net, tax ON order_items
  FOR EACH ROW
  WHEN (NEW.price_total <> OLD.price_total OR NEW.price_total_net <> OLD.price_total_net OR NEW.tax <> OLD.tax)
  EXECUTE FUNCTION check_line_amounts();

-- step: let what is paid back have rows
CREATE TABLE refunds (
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  order_id int NOT NULL,
  channel_id int NOT NULL,
  external_id text,
  amount numeric NOT NULL CONSTRAINT refunds_amount_not_negative CHECK (amount >= 0),
  reason text CONSTRAINT refunds_reason_length CHECK (length(reason) <= 255),
  created_at timestamptz NOT NULL DEFAULT now(),
  last_modified_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT refunds_external_id_line CHECK (is_line(external_id) AND length(external_id) <= 255),
  CONSTRAINT refunds_pk PRIMARY KEY (id, channel_id),
  CONSTRAINT refunds_of_order UNIQUE (id, order_id, channel_id),
  CONSTRAINT refunds_order_fk FOREIGN KEY (order_id, channel_id) REFERENCES orders (id, channel_id) ON DELETE CASCADE
);
COMMENT ON COLUMN refunds.amount IS 'with tax, in the currency of the order: all of it, whatever its lines say';
COMMENT ON COLUMN refunds.external_id IS 'key of the refund in the system that it comes from';
CREATE INDEX refunds_order ON refunds (order_id, channel_id, created_at, id);
CREATE UNIQUE INDEX refunds_external_id ON refunds (order_id, external_id, channel_id) WHERE external_id IS NOT NULL;

-- step: let it be said for which lines
CREATE TABLE refund_items (
  refund_id uuid NOT NULL,
  order_item_id int NOT NULL,
  order_id int NOT NULL,
  channel_id int NOT NULL,
  quantity int NOT NULL DEFAULT 0 CONSTRAINT refund_items_quantity_not_negative CHECK (quantity >= 0),
  amount numeric NOT NULL CONSTRAINT refund_items_amount_not_negative CHECK (amount >= 0),
  CONSTRAINT refund_items_pk PRIMARY KEY (refund_id, order_item_id, channel_id),
  CONSTRAINT refund_items_refund_fk FOREIGN KEY (refund_id, order_id, channel_id)
    REFERENCES refunds (id, order_id, channel_id) ON DELETE CASCADE,
  CONSTRAINT refund_items_order_item_fk FOREIGN KEY (order_item_id, order_id, channel_id)
    REFERENCES order_items (id, order_id, channel_id) ON DELETE CASCADE
);
COMMENT ON COLUMN refund_items.amount IS 'with tax, in the currency of the order';
CREATE INDEX refund_items_order_item ON refund_items (order_item_id, order_id, channel_id);

-- step (in batches): make rows of what was paid back before
-- The first of them a line's quantities hang on.
INSERT INTO refunds (order_id, channel_id, amount, created_at, last_modified_at)
SELECT o.id, o.channel_id, o.refunded_total, o.last_modified_at, o.last_modified_at
FROM orders o
WHERE (o.refunded_total > 0 OR EXISTS (
    SELECT FROM order_items l WHERE l.order_id = o.id AND l.channel_id = o.channel_id AND l.quantity_refunded > 0))
  AND NOT EXISTS (SELECT FROM refunds r WHERE r.order_id = o.id AND r.channel_id = o.channel_id)
LIMIT 2000;

-- step (in batches): say for which lines that was
-- How much of it was for each of them nobody noted.
INSERT INTO refund_items (refund_id, order_item_id, order_id, channel_id, quantity, amount)
SELECT r.id, l.id, l.order_id, l.channel_id, l.quantity_refunded, 0
FROM refunds r
JOIN order_items l ON l.order_id = r.order_id AND l.channel_id = r.channel_id
WHERE l.quantity_refunded > 0
  AND NOT EXISTS (
    SELECT FROM refund_items i WHERE i.order_item_id = l.id AND i.order_id = l.order_id AND i.channel_id = l.channel_id)
LIMIT 2000;

-- step: hold what is paid back to the currency of its order
-- From now on: there may be yen with decimals among what was before.
CREATE FUNCTION check_refund() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT are_amounts(
    (SELECT o.currency FROM orders o WHERE o.id = NEW.order_id AND o.channel_id = NEW.channel_id),
    ARRAY[NEW.amount], CASE WHEN TG_OP = 'UPDATE' THEN ARRAY[OLD.amount] END)
  THEN
    RAISE EXCEPTION 'an amount of a refund is refused'
      USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME, COLUMN = 'amount';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER refunds_amount BEFORE INSERT OR UPDATE OF amount ON refunds
  FOR EACH ROW EXECUTE FUNCTION check_refund();
CREATE TRIGGER refund_items_amount BEFORE INSERT OR UPDATE OF amount ON refund_items
  FOR EACH ROW EXECUTE FUNCTION check_refund();

-- step: have orders say what is paid back of them
-- The sum, whoever writes it. An order that says so already is not written.
CREATE FUNCTION sum_refunds() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE orders o SET refunded_total = s.total, last_modified_at = statement_timestamp()
  FROM (
    SELECT w.order_id, w.channel_id, (
        SELECT coalesce(sum(r.amount), 0) FROM refunds r
        WHERE r.order_id = w.order_id AND r.channel_id = w.channel_id) AS total
    FROM (SELECT DISTINCT order_id, channel_id FROM written) w
  ) s
  WHERE o.id = s.order_id AND o.channel_id = s.channel_id AND o.refunded_total <> s.total;
  RETURN NULL;
END $$;
CREATE TRIGGER refunds_sum_insert AFTER INSERT ON refunds
  REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION sum_refunds();
CREATE TRIGGER refunds_sum_update AFTER UPDATE ON refunds
  REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION sum_refunds();
CREATE TRIGGER refunds_sum_delete AFTER DELETE ON refunds
  REFERENCING OLD TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION sum_refunds();

-- step: have lines say how many of them are paid back
CREATE FUNCTION sum_refund_items() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE order_items l SET quantity_refunded = s.total
  FROM (
    SELECT w.order_item_id, w.order_id, w.channel_id, (
        SELECT coalesce(sum(i.quantity), 0) FROM refund_items i
        WHERE i.order_item_id = w.order_item_id AND i.order_id = w.order_id AND i.channel_id = w.channel_id) AS total
    FROM (SELECT DISTINCT order_item_id, order_id, channel_id FROM written) w
  ) s
  WHERE l.id = s.order_item_id AND l.order_id = s.order_id AND l.channel_id = s.channel_id
    AND l.quantity_refunded <> s.total;
  RETURN NULL;
END $$;
CREATE TRIGGER refund_items_sum_insert AFTER INSERT ON refund_items
  REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION sum_refund_items();
CREATE TRIGGER refund_items_sum_update AFTER UPDATE ON refund_items
  REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION sum_refund_items();
CREATE TRIGGER refund_items_sum_delete AFTER DELETE ON refund_items
  REFERENCING OLD TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION sum_refund_items();

-- step (in batches): know no rate where none was named
-- An order in another currency than its channel's had the rate 1 for want of one.
UPDATE orders o SET currency_ratio = NULL
FROM (
  SELECT k.id, k.channel_id
  FROM channels c
  JOIN orders k ON k.channel_id = c.id
  WHERE k.currency <> c.currency AND k.currency_ratio = 1
    AND NOT EXISTS (SELECT FROM channel_rates r WHERE r.channel_id = c.id AND r.currency = k.currency)
  LIMIT 2000
) u
WHERE o.id = u.id AND o.channel_id = u.channel_id AND o.currency_ratio = 1;
