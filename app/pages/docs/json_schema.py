"""JSON Schema in words, for the documents of REST and of webhooks."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from app.pages.docs.guide import inline

_MOST_VALUES = 12


class Property(NamedTuple):
    """`depth` says in how many objects it stands."""

    name: str
    depth: int
    type: Markup
    is_required: bool
    description: Markup


def words(schema: Mapping[str, Any]) -> Markup:
    """What a value is: a link to a named schema, a type, or what it may be chosen from."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return Markup('<a href="#{}">{}</a>').format(name, name)
    for key in ("oneOf", "anyOf"):
        if key in schema:
            return Markup(" or ").join(words(each) for each in schema[key])
    if "const" in schema:
        return Markup("<code>{}</code>").format(_literal(schema["const"]))
    if "enum" in schema:
        shown = [Markup("<code>{}</code>").format(_literal(value)) for value in schema["enum"][:_MOST_VALUES]]
        return Markup(", ").join([*shown, *(["…"] if len(schema["enum"]) > _MOST_VALUES else [])])
    kind = schema.get("type", "anything")
    kinds = " or ".join(kind) if isinstance(kind, list) else kind
    if "items" in schema and "array" in kinds:
        return Markup("{} of {}").format(kinds, words(schema["items"]))
    return Markup("{}").format(f"{kinds} ({schema['format']})" if "format" in schema else kinds)


def _literal(value: object) -> str:
    return "null" if value is None else str(value)


def properties(schema: Mapping[str, Any], depth: int = 0) -> Iterator[Property]:
    """Those of an object, each followed by those of the objects in it."""
    required: Sequence[str] = schema.get("required", ())
    for name, value in schema.get("properties", {}).items():
        description = inline(value.get("description", ""))
        yield Property(name, depth, words(value), name in required, description)
        yield from properties(_object_in(value), depth + 1)


def _object_in(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The object that a value is, or is a list of; nothing where there is none, or where it is named elsewhere."""
    if "properties" in schema:
        return schema
    inner = [schema["items"]] if "items" in schema else [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    return next((found for each in inner if (found := _object_in(each))), {})


def resolved(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a reference within the document stands for; anything else is what it is."""
    if "$ref" not in schema:
        return schema
    found: Any = document
    for step in schema["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return dict(found)
