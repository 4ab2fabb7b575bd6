-- News that was told by the address of a page, or by the name of a carrier, is read again when a carrier comes to have them.
--
-- The rules of pages are those of `app/resolvers/tracking.py`: its `code_of` says the same.

-- step: read addresses of carriers' pages
-- The host of an address, null of what is none.
CREATE FUNCTION page_host(address text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN regexp_replace(lower(substring(address FROM
  '(?i)^[\u0020\u00a0\u00ad\u1680\u180e\u2000-\u200f\u202a-\u202f\u205f-\u206f\u3000\ufeff'
  '\u0001-\u001f\u007f-\u009f\u2028\u2029]*https?://([^/?#]*)')), '^www\.', '');

-- Of what percent-encoding says, null where that is no UTF-8.
CREATE FUNCTION percent_decoded(value text) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
  RETURN convert_from((
    SELECT string_agg(
      CASE WHEN p.piece[1] ~ '^%[0-9A-Fa-f]{2}' THEN decode(replace(p.piece[1], '%', ''), 'hex')
        ELSE convert_to(p.piece[1], 'UTF8') END, '' ORDER BY p.place)
    FROM regexp_matches(value, '(?:%[0-9A-Fa-f]{2})+|[^%]+|%', 'g') WITH ORDINALITY AS p (piece, place)), 'UTF8');
EXCEPTION WHEN character_not_in_repertoire OR untranslatable_character THEN
  RETURN NULL;
END $$;

-- A part of a template as a regular expression. `ends` are characters that are in no place.
CREATE FUNCTION page_pattern(template text, ends text) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
  piece record;
  is_first boolean := true;
  pattern text := '^';
BEGIN
  FOR piece IN
    SELECT p.part[1] AS places, regexp_replace(p.part[2], '([][\\^$.|?*+(){}/-])', '\\\1', 'g') AS words,
      regexp_replace(left(lead(p.part[2]) OVER (ORDER BY p.place), 1), '([][\\^-])', '\\\1') AS following
    FROM regexp_matches(rtrim(template, '/'),
      '((?:\{code\}|\{postalCode\}|\{country\}|\{language\}|\{orderNumber\})+)'
      '|((?:(?!\{(?:code|postalCode|country|language|orderNumber)\}).)+)', 'g') WITH ORDINALITY AS p (part, place)
    ORDER BY p.place
  LOOP
    IF piece.places IS NULL THEN
      pattern := pattern || piece.words;
    ELSIF is_first AND strpos(piece.places, '{code}') > 0 THEN
      pattern := pattern || '([^' || ends || ']+)';
      is_first := false;
    ELSE
      pattern := pattern || '[^' || ends || coalesce(piece.following, '') || ']*';
    END IF;
  END LOOP;
  RETURN pattern || '/?$';
END $$;

-- The code in an address, null where it is none of the template's page.
CREATE FUNCTION code_of_page(address text, template text) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
  parts CONSTANT text := '(?i)https?://[^/?#]*([^?#]*)(?:\?([^#]*))?(?:#(.*))?$';
  blanks CONSTANT text := '\u0020\u00a0\u00ad\u1680\u180e\u2000-\u200f\u202a-\u202f\u205f-\u206f\u3000\ufeff';
  given text[];
  page text[];
  part record;
  code text;
BEGIN
  IF page_host(address) IS DISTINCT FROM page_host(template) THEN
    RETURN NULL;
  END IF;
  given := regexp_match(regexp_replace(address, '[' || blanks || '\u0001-\u001f\u007f-\u009f\u2028\u2029]+$', ''), parts);
  page := regexp_match(template, parts);
  IF given IS NULL OR page IS NULL OR given[1] !~ page_pattern(page[1], '/?&#') THEN
    RETURN NULL;
  END IF;
  FOR part IN
    SELECT p.pattern, p.told, p.is_encoded
    FROM (
      SELECT 1 AS kind, 1 AS place, page[1] AS template, page_pattern(page[1], '/?&#') AS pattern, given[1] AS told,
        true AS is_encoded
      UNION ALL
      SELECT 2, 1, page[3], page_pattern(page[3], '/?&#'), given[3], true
      UNION ALL
      SELECT 3, w.place, w.value, page_pattern(w.value, '\n'), (
          SELECT g.value FROM page_parameters(given[2]) g WHERE g.name = w.name ORDER BY g.place DESC LIMIT 1), false
      FROM page_parameters(page[2]) w
    ) p
    WHERE strpos(p.template, '{code}') > 0
    ORDER BY p.kind, p.place
  LOOP
    code := substring(part.told FROM part.pattern);
    code := regexp_replace(CASE WHEN part.is_encoded THEN percent_decoded(code) ELSE code END,
      '^[' || blanks || ']+|[' || blanks || ']+$', '', 'g');
    IF is_line(code) THEN
      RETURN code;
    END IF;
  END LOOP;
  RETURN NULL;
END $$;

-- What a query of an address gives, decoded; what is empty is not there.
CREATE FUNCTION page_parameters(query text, OUT place bigint, OUT name text, OUT value text) RETURNS SETOF record
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT k.place, percent_decoded(k.name), percent_decoded(k.value)
  FROM (
    SELECT p.place, split_part(p.pair, '=', 1) AS name, substr(p.pair, strpos(p.pair, '=') + 1) AS value
    FROM regexp_split_to_table(replace(query, '+', ' '), '&') WITH ORDINALITY AS p (pair, place)
    WHERE strpos(p.pair, '=') > 0
  ) k
  WHERE k.value <> '';
END;

-- step: keep what a carrier was called
ALTER TABLE waiting_reports ADD COLUMN carrier text;
COMMENT ON COLUMN waiting_reports.carrier IS 'the name or key that the teller gave in place of an id: carriers of several channels may have it';

-- step: say which carriers news may be of
-- `app/importer/records.py` and sql/ingest.sql know carriers by the same.
CREATE FUNCTION is_carrier_called(c carriers, word text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(c.name = word OR c.source_name = word OR c.key = lower(word COLLATE "C") OR c.key = slug(word), false);

-- Of those that the teller sees.
CREATE FUNCTION may_mean_carrier(w waiting_reports, c carriers) RETURNS boolean LANGUAGE sql STABLE
RETURN (w.carrier_id = c.id OR w.carrier_id IS NULL AND w.carrier IS NULL OR is_carrier_called(c, w.carrier))
  AND (w.channel_ids IS NULL OR c.channel_id IS NULL OR c.channel_id = ANY (w.channel_ids));

-- step: give codes the news of whatever carrier it names
CREATE OR REPLACE FUNCTION take_waiting_reports(r track_and_traces) RETURNS void LANGUAGE sql
BEGIN ATOMIC
  WITH taken AS (
    DELETE FROM waiting_reports w
    WHERE normalized_code(w.code) = normalized_code(r.code) AND w.told_at > now() - interval '30 days'
      AND (w.carrier_id = r.carrier_id OR w.carrier_id IS NULL OR r.carrier_id IS NULL
        OR EXISTS (SELECT FROM carriers c WHERE c.id = r.carrier_id AND is_carrier_called(c, w.carrier)))
      AND (w.channel_ids IS NULL OR r.channel_id = ANY (w.channel_ids))
      AND (w.company_ids IS NULL OR r.company_id = ANY (w.company_ids))
    RETURNING w.*
  )
  INSERT INTO tracking_events (
    track_and_trace_id, channel_id, external_id, status, sub_status, occurred_at, expected_delivery_at, location,
    description, recorded_by)
  SELECT r.id, r.channel_id, w.external_id, w.status, w.sub_status,
    coalesce(w.occurred_at, told_at(w.occurred_local, coalesce(r.carrier_id, w.carrier_id), r.channel_id)),
    coalesce(w.expected_delivery_at, promised_at(w.expected_local, coalesce(r.carrier_id, w.carrier_id), r.channel_id)),
    w.location, w.description, w.told_by
  FROM taken w
  ORDER BY w.told_at, w.id
  ON CONFLICT ON CONSTRAINT tracking_events_external_id_unique DO NOTHING;
END;

-- step (outside a transaction): find news by the page that it names
CREATE INDEX CONCURRENTLY waiting_reports_page ON waiting_reports (page_host(code)) WHERE page_host(code) IS NOT NULL;

-- step: read news again when its carrier has come
-- Of two that become the same, or the same as another of their teller, one stays; who is written again looks for its code:
-- see the next step.
CREATE FUNCTION read_waiting_reports(ids uuid[], codes text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  WITH read AS (
    SELECT r.id, r.code, row_number() OVER (
        PARTITION BY w.told_by, normalized_code(r.code), w.carrier_id, coalesce(w.external_id, r.id::text)
        ORDER BY w.told_at, w.id) > 1
      OR EXISTS (
        SELECT FROM waiting_reports o
        WHERE normalized_code(o.code) = normalized_code(r.code) AND o.id <> r.id AND o.told_by = w.told_by
          AND o.carrier_id IS NOT DISTINCT FROM w.carrier_id AND o.external_id = w.external_id) AS is_known
    FROM unnest(ids, codes) AS r (id, code)
    JOIN waiting_reports w ON w.id = r.id
  ), gone AS (
    DELETE FROM waiting_reports w USING read r WHERE w.id = r.id AND r.is_known
  )
  UPDATE waiting_reports w SET code = r.code FROM read r WHERE w.id = r.id AND NOT r.is_known;
END $$;

-- Carriers and news may be written at the same time, as codes and news may.
CREATE FUNCTION look_for_news_of_carrier() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(1470275862);
  PERFORM read_waiting_reports(array_agg(k.id), array_agg(k.code))
  FROM (
    SELECT w.id, code_of_page(w.code, c.track_and_trace_url) AS code
    FROM carriers c
    JOIN waiting_reports w ON page_host(w.code) = page_host(c.track_and_trace_url) AND may_mean_carrier(w, c)
    WHERE c.id = NEW.id
  ) k
  WHERE k.code IS NOT NULL;
  PERFORM take_waiting_reports(t)
  FROM carriers c
  JOIN waiting_reports w ON is_carrier_called(c, w.carrier) AND w.carrier_id IS DISTINCT FROM c.id
  JOIN track_and_traces t ON normalized_code(t.code) = normalized_code(w.code) AND t.carrier_id = c.id
  WHERE c.id = NEW.id
  ORDER BY t.shipment_id, t.channel_id, t.id;
  RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION look_for_reported_code() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(1470275862);
  IF page_host(NEW.code) IS NOT NULL THEN
    PERFORM read_waiting_reports(ARRAY[k.id], ARRAY[k.code])
    FROM (
      SELECT w.id, code_of_page(w.code, c.track_and_trace_url) AS code
      FROM waiting_reports w
      JOIN carriers c ON page_host(c.track_and_trace_url) = page_host(w.code) AND may_mean_carrier(w, c)
      WHERE w.id = NEW.id
      ORDER BY c.id
    ) k
    WHERE k.code IS NOT NULL
    LIMIT 1;
  END IF;
  PERFORM take_waiting_reports(t)
  FROM waiting_reports w
  JOIN track_and_traces t ON normalized_code(t.code) = normalized_code(w.code)
  WHERE w.id = NEW.id
  ORDER BY t.carrier_id IS NOT DISTINCT FROM w.carrier_id DESC, t.created_at DESC, t.id;
  RETURN NULL;
END $$;

-- step: look for the code of news that has been read again
DROP TRIGGER waiting_reports_code_came ON waiting_reports;
CREATE CONSTRAINT TRIGGER waiting_reports_code_came AFTER INSERT OR UPDATE OF code ON waiting_reports
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION look_for_reported_code();

-- step: have carriers look for their news
CREATE CONSTRAINT TRIGGER carriers_news_came AFTER INSERT OR UPDATE OF channel_id, key, name, source_name, track_and_trace_url
  ON carriers DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION look_for_news_of_carrier();

-- step (in batches): read the news that waits by now
-- Of two that become the same, one goes on waiting as it was told.
UPDATE waiting_reports w SET code = k.code
FROM (
  SELECT DISTINCT ON (p.told_by, normalized_code(p.code), p.carrier_id, coalesce(p.external_id, p.id::text)) p.id, p.code
  FROM (
    SELECT DISTINCT ON (w.id) w.*, code_of_page(w.code, c.track_and_trace_url) AS code_of_page
    FROM waiting_reports w
    JOIN carriers c ON page_host(c.track_and_trace_url) = page_host(w.code) AND may_mean_carrier(w, c)
    WHERE page_host(w.code) IS NOT NULL AND code_of_page(w.code, c.track_and_trace_url) IS NOT NULL
    ORDER BY w.id, c.id
  ) f
  CROSS JOIN LATERAL (SELECT f.id, f.told_by, f.carrier_id, f.external_id, f.code_of_page AS code) p
  WHERE NOT EXISTS (
    SELECT FROM waiting_reports o
    WHERE normalized_code(o.code) = normalized_code(p.code) AND o.told_by = p.told_by
      AND o.carrier_id IS NOT DISTINCT FROM p.carrier_id AND o.external_id = p.external_id)
  LIMIT 1000
) k
WHERE w.id = k.id;
