"""What a document selects, as schema coordinates: https://spec.graphql.org/draft/#sec-Schema-Coordinates."""

from typing import Any

from graphql import DocumentNode, FieldNode, GraphQLSchema, TypeInfo, TypeInfoVisitor, Visitor, is_abstract_type, visit


class _Fields(Visitor):
    def __init__(self, schema: GraphQLSchema, types: TypeInfo) -> None:
        super().__init__()
        self.found: set[str] = set()
        self._schema = schema
        self._types = types

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        parent, name = self._types.get_parent_type(), node.name.value
        if parent is None or name.startswith("__"):
            return
        self.found.add(f"{parent.name}.{name}")
        if is_abstract_type(parent):
            self.found.update(f"{type_.name}.{name}" for type_ in self._schema.get_possible_types(parent))


def fields_of(schema: GraphQLSchema, document: DocumentNode) -> list[str]:
    """`Type.field` of all fields of a valid document, in order. Of an interface its types' fields are among them."""
    types = TypeInfo(schema)
    fields = _Fields(schema, types)
    visit(document, TypeInfoVisitor(types, fields))
    return sorted(fields.found)


def coordinates_of(schema: GraphQLSchema, asked: str) -> list[str]:
    """Those of `Type.field`, or of all fields of `Type`. Raises LookupError for what the schema has not."""
    type_name, dot, name = asked.partition(".")
    fields = getattr(schema.type_map.get(type_name), "fields", None)
    if not fields:
        raise LookupError(f"the schema has no type {type_name!r} with fields")
    if not dot:
        return [f"{type_name}.{each}" for each in fields]
    if name not in fields:
        raise LookupError(f"{type_name} has no field {name!r}")
    return [asked]
