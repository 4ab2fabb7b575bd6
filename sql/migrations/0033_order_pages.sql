-- Pages of orders, for whoever has a link to one: which links are good, and how the pages of a channel look.

-- step: keep which links to the page of an order are good
CREATE TABLE order_links (
  order_id   integer NOT NULL,
  channel_id integer NOT NULL,
  generation integer NOT NULL CONSTRAINT order_links_generation_positive CHECK (generation > 0),
  CONSTRAINT order_links_pk PRIMARY KEY (order_id, channel_id),
  CONSTRAINT order_links_order_fk FOREIGN KEY (order_id, channel_id) REFERENCES orders (id, channel_id) ON DELETE CASCADE
);
COMMENT ON TABLE order_links IS 'orders of which links were revoked; of all others the links of generation 1 are good';
COMMENT ON COLUMN order_links.generation IS 'of the links that are good; those of earlier ones were revoked';

-- step: keep how the pages of a channel look
CREATE TABLE channel_pages (
  channel_id     integer NOT NULL CONSTRAINT channel_pages_pk PRIMARY KEY
    CONSTRAINT channel_pages_channel_fk REFERENCES channels (id) ON DELETE CASCADE,
  name           text CONSTRAINT channel_pages_name_length CHECK (length(name) BETWEEN 1 AND 100),
  accent         text CONSTRAINT channel_pages_accent_rgb CHECK (accent ~ '^#[0-9a-f]{6}$'),
  help_url       text CONSTRAINT channel_pages_help_url_http CHECK (help_url ~ '^(https?|mailto|tel):' AND length(help_url) <= 2000),
  languages      text[] CONSTRAINT channel_pages_languages_some CHECK (cardinality(languages) > 0),
  picture_origin text CONSTRAINT channel_pages_picture_origin_https CHECK (picture_origin ~ '^https://[a-z0-9.:-]+$'),
  logo           bytea CONSTRAINT channel_pages_logo_size CHECK (length(logo) <= 65536),
  logo_type      text CONSTRAINT channel_pages_logo_type_known CHECK (logo_type IN ('image/svg+xml', 'image/png', 'image/webp')),
  CONSTRAINT channel_pages_logo_typed CHECK ((logo IS NULL) = (logo_type IS NULL))
);
COMMENT ON TABLE channel_pages IS 'the shop''s own of its pages; where a column is null, or there is no row, they are plain';
COMMENT ON COLUMN channel_pages.name IS 'what customers call the shop; null is the name of the channel';
COMMENT ON COLUMN channel_pages.accent IS 'colour of links and buttons, which the command finds legible';
COMMENT ON COLUMN channel_pages.languages IS 'ISO 639-1 codes in small letters, the first for who reads none of them; null is all there are';
COMMENT ON COLUMN channel_pages.picture_origin IS 'from where pages may show pictures of goods; null is from nowhere, so that nobody else learns who looks';

-- step: tell when they look another way
CREATE TRIGGER channel_pages_tell AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON channel_pages EXECUTE FUNCTION tell_change();

-- step (outside a transaction): find an order by the number that its buyer was told
CREATE INDEX CONCURRENTLY orders_increment ON orders (increment_id, channel_id) WHERE increment_id IS NOT NULL;
