"""Functions that the statements call and PostgreSQL does not have, by the names that SQLite has for them.

They stand in the station's own schema, which is first in the search path of its connections. JSON is kept and handed
on as text on both engines. A list comes as a JSON array; numbers in it are texts here, as `value` of `json_each`, so a
statement that compares one with a number says CAST(… AS BIGINT), which costs SQLite nothing.
"""

from __future__ import annotations

from typing import Final


def _table() -> str:
    """The 256 remainders of CRC-32 (ISO 3309), as PostgreSQL writes an array."""
    found = []
    for value in range(256):
        rest = value
        for _ in range(8):
            rest = (rest >> 1) ^ (0xEDB88320 if rest & 1 else 0)
        found.append(str(rest))
    return "{" + ",".join(found) + "}"


def _sum(name: str, first: str, *types: str) -> str:
    """A checksum of a row (appliance.store.rows): NULL is written as Python writes None there."""
    fields = [f"coalesce(${number}::text, 'None')" for number in range(1, len(types) + 1)]
    text = " || E'\\n' || ".join([f"'{first}'", *fields] if first else fields)
    return (
        f"CREATE OR REPLACE FUNCTION {name} ({', '.join(types)}) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE"
        f" AS $$ SELECT lockgate.crc32(convert_to({text}, 'UTF8')) $$"
    )


def _of_two(name: str, word: str, kind: str) -> str:
    return (
        f"CREATE OR REPLACE FUNCTION {name} ({kind}, {kind}) RETURNS {kind} LANGUAGE sql IMMUTABLE PARALLEL SAFE"
        f" AS $$ SELECT CASE WHEN $1 IS NULL OR $2 IS NULL THEN NULL ELSE {word}($1, $2) END $$"
    )


_SCALAR: Final = (
    "CASE json_typeof(found) WHEN 'string' THEN found #>> '{}' WHEN 'boolean' THEN CASE found::text WHEN 'true'"
    " THEN '1' ELSE '0' END WHEN 'null' THEN NULL ELSE found::text END"
)
"""A JSON value as SQLite hands it out, in a text."""

FUNCTIONS: Final = (
    "CREATE OR REPLACE FUNCTION crc32 (data bytea) RETURNS bigint LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$"
    f" DECLARE remainders CONSTANT bigint[] := '{_table()}'; sum bigint := {0xFFFFFFFF};"
    " BEGIN FOR place IN 0 .. length(data) - 1 LOOP"
    " sum := (sum >> 8) # remainders[((sum # get_byte(data, place)) & 255) + 1];"
    f" END LOOP; RETURN sum # {0xFFFFFFFF}; END $$",
    _sum("tag_sum", "tag", "text", "text", "text", "text"),
    _sum("link_sum", "link", "text", "text", "text", "text"),
    _sum("blob_sum", "blob", "text", "bigint", "bigint"),
    _sum("block_sum", "block", "text", "text", "text", "text"),
    _sum("manifest_sum", "", "text", "text", "text", "text", "bigint", "text"),
    # Bytes that are no text are in no row: nothing compares with them.
    "CREATE OR REPLACE FUNCTION as_text (data bytea) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$"
    " BEGIN RETURN convert_from(data, 'UTF8'); EXCEPTION WHEN character_not_in_repertoire"
    " OR untranslatable_character THEN RETURN NULL; END $$",
    "CREATE OR REPLACE FUNCTION as_text (data text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE"
    " AS $$ SELECT data $$",
    "CREATE OR REPLACE FUNCTION instr (text, text) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE"
    " AS $$ SELECT strpos($1, $2) $$",
    "CREATE OR REPLACE FUNCTION substr (text, bigint, bigint) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE"
    " AS $$ SELECT pg_catalog.substr($1, $2::integer, $3::integer) $$",
    _of_two("max", "greatest", "bigint"),
    _of_two("max", "greatest", "text"),
    _of_two("min", "least", "bigint"),
    _of_two("min", "least", "text"),
    # 64 bits of a random UUID, without those that say what kind of one it is.
    "CREATE OR REPLACE FUNCTION random () RETURNS bigint LANGUAGE sql VOLATILE AS $$ SELECT ('x'"
    " || substr(made, 1, 8) || substr(made, 10, 4) || substr(made, 33, 4))::bit(64)::bigint"
    " FROM (SELECT gen_random_uuid()::text AS made) AS one $$",
    "CREATE OR REPLACE FUNCTION json_valid (document text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE STRICT"
    " PARALLEL SAFE AS $$ BEGIN PERFORM document::json; RETURN true; EXCEPTION WHEN OTHERS THEN RETURN false; END $$",
    # `$.one.two` and `$[0]` are all the paths that statements have.
    "CREATE OR REPLACE FUNCTION json_at (document text, path text) RETURNS json LANGUAGE sql IMMUTABLE STRICT"
    " PARALLEL SAFE AS $$ SELECT document::json"
    " #> string_to_array(trim(translate(substr(path, 2), '[]', '.'), '.'), '.') $$",
    "CREATE OR REPLACE FUNCTION json_extract (document text, path text) RETURNS text LANGUAGE sql IMMUTABLE STRICT"  # noqa: S608
    f" PARALLEL SAFE AS $$ SELECT {_SCALAR} FROM lockgate.json_at(document, path) AS found $$",
    "CREATE OR REPLACE FUNCTION json_type (document text, path text) RETURNS text LANGUAGE sql IMMUTABLE STRICT"
    " PARALLEL SAFE AS $$ SELECT json_typeof(lockgate.json_at(document, path)) $$",
    "CREATE OR REPLACE FUNCTION json_elements (document json) RETURNS TABLE (key bigint, value text, id bigint)"  # noqa: S608
    " LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$"
    f" SELECT place - 1, {_SCALAR}, place - 1 FROM json_array_elements("
    "CASE WHEN json_typeof(document) = 'array' THEN document WHEN json_typeof(document) = 'object' THEN '[]'"
    " ELSE json_build_array(document) END) WITH ORDINALITY AS each (found, place) $$",
    "CREATE OR REPLACE FUNCTION json_each (document text) RETURNS TABLE (key bigint, value text, id bigint)"
    " LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$ SELECT * FROM lockgate.json_elements(document::json) $$",
    "CREATE OR REPLACE FUNCTION json_each (document text, path text) RETURNS TABLE (key bigint, value text, id bigint)"
    " LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$"
    " SELECT * FROM lockgate.json_elements(lockgate.json_at(document, path)) $$",
    "CREATE OR REPLACE FUNCTION json_object (text, text, text, text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE"
    " AS $$ SELECT json_build_object($1, $2, $3, $4)::text $$",
    "CREATE OR REPLACE FUNCTION json_set (document text, path text, value text) RETURNS text LANGUAGE sql IMMUTABLE"
    " STRICT PARALLEL SAFE AS $$ SELECT jsonb_set(document::jsonb, string_to_array(substr(path, 3), '.'),"
    " value::jsonb)::text $$",
    "CREATE OR REPLACE FUNCTION joined (before text, later text, mark text) RETURNS text LANGUAGE sql IMMUTABLE"
    " PARALLEL SAFE AS $$ SELECT CASE WHEN later IS NULL THEN before ELSE coalesce(before || mark, '') || later END $$",
    "CREATE OR REPLACE AGGREGATE group_concat (text, text) (SFUNC = joined, STYPE = text)",
)
"""Each is made anew by whoever migrates."""
