-- Keys in place of names and spellings (decisions 20 and 25): how codes are compared.
--
-- The rule of codes is that of `app/rules.py`: its `normalized_code` says the same.

-- step: say how codes are compared
-- Without blanks and separators, in capitals; capitals of ASCII alone, so that no locale decides. A code of separators
-- alone is compared as it is. 255 characters, the longest code, fit into an index whatever they become.
CREATE FUNCTION normalized_code(code text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN left(upper(coalesce(nullif(regexp_replace(normalize(code, NFKC),
  '[\u0020\u00a0\u00ad\u1680\u180e\u2000-\u200f\u202a-\u202f\u205f-\u206f\u3000\ufeff'
  '\u0001-\u001f\u007f-\u009f\u2028\u2029'
  '\u0027-\u002a\u002c-\u002f\u003a\u003b\u005b-\u005d\u005f\u007c\u00b7\u2010-\u2015\u2212\u30fc]+', '', 'g'), ''),
  code) COLLATE "C"), 255);

-- step (outside a transaction): find codes by that
CREATE INDEX CONCURRENTLY track_and_traces_normalized_code ON track_and_traces (normalized_code(code));
