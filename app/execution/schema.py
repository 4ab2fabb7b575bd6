"""The executable schema: SDL and resolvers, and a column of the row for every field that has no resolver."""

from collections.abc import Callable, Sequence

from ariadne import SchemaBindable, make_executable_schema
from graphql import GraphQLObjectType, GraphQLSchema

from app.execution.field_plan import column_plan, declare
from app.execution.scalar import bound_numbers


class SchemaError(Exception):
    """The SDL and the resolvers do not fit together; names every fault."""


def build(sdl: str, bindables: Sequence[SchemaBindable], column_of: Callable[[str], str]) -> GraphQLSchema:
    """`column_of` turns a field's name into the name of the column that answers it.

    Raises `SchemaError` for root fields without a resolver: no row stands behind them.
    """
    bound_numbers()
    schema = make_executable_schema(sdl, list(bindables), convert_names_case=False)
    roots = {schema.query_type, schema.mutation_type, schema.subscription_type}
    orphans: list[str] = []
    for type_ in schema.type_map.values():
        if not isinstance(type_, GraphQLObjectType) or type_.name.startswith("__"):
            continue
        for name, field in type_.fields.items():
            if field.resolve is None and type_ in roots:
                orphans.append(f"{type_.name}.{name}")
            elif field.resolve is None:
                declare(field, column_plan(column_of(name)))
    if orphans:
        raise SchemaError(f"no resolver for {', '.join(orphans)}")
    return schema
