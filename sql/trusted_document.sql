-- Documents that applications have registered. They are an application's own: every statement for callers names the
-- applications by which they call.

-- name: policy
-- Who calls by which applications, and in which mode.
SELECT coalesce(m.caller, c.caller) AS caller, min(m.mode) AS mode,
  coalesce(array_agg(c.application_id) FILTER (WHERE c.application_id IS NOT NULL), '{}') AS application_ids
FROM document_modes m
FULL JOIN application_callers c ON c.caller = m.caller
GROUP BY 1

-- name: by_document_id
-- `hash` is that of the id, where it is of one. Applications of one caller may have given an id to several texts.
SELECT d.id, d.text, d.hash
FROM trusted_documents d
WHERE d.application_id = ANY(:application_ids) AND (d.document_id = :document_id OR d.hash = :hash) AND d.retired_at IS NULL
ORDER BY d.id

-- name: by_text
SELECT d.id, d.text, d.hash
FROM trusted_documents d
WHERE d.application_id = ANY(:application_ids) AND (d.hash = :hash OR d.significant_hash = :significant_hash)
  AND d.retired_at IS NULL
ORDER BY d.id
LIMIT 1

-- name: newest
-- The documents registered after another, those that were used last first.
SELECT d.id, d.text
FROM trusted_documents d
LEFT JOIN trusted_document_uses u ON u.document_id = d.id
WHERE d.id > :after AND d.retired_at IS NULL
ORDER BY u.last_used_at DESC NULLS LAST, d.id DESC
LIMIT :most

-- name: note_uses
-- In the order of their ids, in which several processes wait for each other and for nobody else.
INSERT INTO trusted_document_uses AS u (document_id, last_used_at)
SELECT d.id, now() FROM trusted_documents d WHERE d.id = ANY(:ids) ORDER BY d.id FOR KEY SHARE
ON CONFLICT (document_id) DO UPDATE SET last_used_at = excluded.last_used_at
WHERE u.last_used_at < excluded.last_used_at - :interval::interval


-- What follows is for operators, and for those who register.

-- name: applications
SELECT a.id, a.name, a.created_at,
  ARRAY(SELECT c.caller FROM application_callers c WHERE c.application_id = a.id ORDER BY c.caller) AS callers,
  n.documents, n.retired, n.last_used_at
FROM applications a
LEFT JOIN LATERAL (
  SELECT count(*) FILTER (WHERE d.retired_at IS NULL)::int AS documents,
    count(d.retired_at)::int AS retired, max(u.last_used_at) AS last_used_at
  FROM trusted_documents d
  LEFT JOIN trusted_document_uses u ON u.document_id = d.id
  WHERE d.application_id = a.id
) AS n ON true
WHERE :name::text IS NULL OR a.name = :name
ORDER BY a.name

-- name: add_application
INSERT INTO applications (name) VALUES (:name) RETURNING id

-- name: count_applications
SELECT count(*)::int AS number FROM applications

-- name: remove_application
DELETE FROM applications a WHERE a.id = :application_id

-- Waits for whoever registers for the same application.
-- name: lock_application
SELECT a.id, a.name, ARRAY(SELECT c.caller FROM application_callers c WHERE c.application_id = a.id) AS callers
FROM applications a
WHERE a.name = :name
FOR UPDATE

-- name: add_callers
INSERT INTO application_callers (application_id, caller)
SELECT :application_id, c.caller FROM unnest(:callers::text[]) AS c (caller)
ON CONFLICT DO NOTHING

-- name: remove_callers
DELETE FROM application_callers c WHERE c.application_id = :application_id AND c.caller = ANY(:callers)
RETURNING c.caller

-- Keys that there are, of those named.
-- name: known_keys
SELECT 'api_key:' || k.id AS caller FROM api_keys k WHERE 'api_key:' || k.id = ANY(:callers)
UNION ALL
SELECT 'storefront_key:' || k.id FROM storefront_keys k WHERE 'storefront_key:' || k.id = ANY(:callers)

-- name: modes
SELECT m.caller, m.mode FROM document_modes m ORDER BY m.caller

-- name: set_mode
INSERT INTO document_modes AS m (caller, mode) VALUES (:caller, :mode)
ON CONFLICT (caller) DO UPDATE SET mode = excluded.mode

-- name: drop_mode
DELETE FROM document_modes m WHERE m.caller = :caller

-- Those that an upload names, as they are.
-- name: known
SELECT d.document_id, d.hash, d.retired_at IS NOT NULL AS is_retired
FROM trusted_documents d
WHERE d.application_id = :application_id AND d.document_id = ANY(:document_ids)

-- How many there are beside those that an upload names, and how long they are together, in bytes.
-- name: size
SELECT count(*)::int AS number, coalesce(sum(octet_length(d.text)), 0)::bigint AS bytes
FROM trusted_documents d
WHERE d.application_id = :application_id AND d.document_id <> ALL(:document_ids)

-- name: register
-- A version that a document has already becomes its newest one. `most` is how many it may have.
INSERT INTO trusted_documents AS d
  (application_id, document_id, text, hash, significant_hash, operations, fields, versions)
SELECT :application_id, g.document_id, g.text, g.hash, g.significant_hash,
  string_to_array(g.operations, ' '), string_to_array(g.fields, ' '), :versions::text[]
FROM unnest(:document_ids::text[], :texts::text[], :hashes::bytea[], :significant_hashes::bytea[], :operations::text[], :fields::text[])
  AS g (document_id, text, hash, significant_hash, operations, fields)
ON CONFLICT (application_id, document_id) DO UPDATE SET
  retired_at = NULL, operations = excluded.operations, fields = excluded.fields,
  versions = (array_remove(d.versions, (:versions::text[])[1]) || excluded.versions)
    [greatest(1, cardinality(array_remove(d.versions, (:versions::text[])[1])) + cardinality(excluded.versions) - :most + 1):]

-- fragment: document
SELECT a.name AS application, d.document_id, 'sha256:' || encode(d.hash, 'hex') AS hash, d.operations, d.versions,
  d.registered_at, d.retired_at, u.last_used_at, octet_length(d.text) AS bytes
FROM trusted_documents d
JOIN applications a ON a.id = d.application_id
LEFT JOIN trusted_document_uses u ON u.document_id = d.id

-- `unused_since` leaves those that were used, or registered, after it.
-- name: of_application
{document}
WHERE d.application_id = :application_id AND (:all OR d.retired_at IS NULL)
  AND (:unused_since::timestamptz IS NULL OR coalesce(u.last_used_at, d.registered_at) < :unused_since)
ORDER BY u.last_used_at DESC NULLS LAST, d.id

-- `coordinates` are of fields: one of them, or all of a type.
-- name: using
{document}
WHERE d.fields && :coordinates::text[] AND (:all OR d.retired_at IS NULL)
  AND (:application::text IS NULL OR a.name = :application)
ORDER BY a.name, u.last_used_at DESC NULLS LAST, d.id

-- name: texts
SELECT a.name AS application, d.document_id, d.text
FROM trusted_documents d
JOIN applications a ON a.id = d.application_id
WHERE d.retired_at IS NULL AND (:application::text IS NULL OR a.name = :application)
ORDER BY a.name, d.id

-- Without a version all that are named; with one it is taken from each that has it, and the last one takes the document.
-- name: retire
UPDATE trusted_documents d
SET versions = array_remove(d.versions, :version),
  retired_at = CASE
    WHEN :version::text IS NULL OR array_remove(d.versions, :version) = '{}' THEN now()
    ELSE d.retired_at
  END
FROM (
  SELECT t.id
  FROM trusted_documents t
  LEFT JOIN trusted_document_uses u ON u.document_id = t.id
  WHERE t.application_id = :application_id AND t.retired_at IS NULL
    AND (:document_ids::text[] IS NULL OR t.document_id = ANY(:document_ids))
    AND (:version::text IS NULL OR :version = ANY(t.versions))
    AND (:unused_since::timestamptz IS NULL OR coalesce(u.last_used_at, t.registered_at) < :unused_since)
) AS r
WHERE r.id = d.id
RETURNING d.document_id, d.retired_at
