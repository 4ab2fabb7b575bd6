"""What an operation costs: https://ibm.github.io/graphql-specs/cost-spec.html, of which these are the terms.

The type cost adds the weights of the types of all objects of the answer, the field cost those of all fields that have
been resolved for it, with those of their arguments. A point is one of either. What an operation may cost at most is
known before it runs (`requested`), from the sizes of its lists: those that the caller asks for, or else those that the
schema assumes. What it did cost (`actual`) is counted in its answer.

A formula is made once for an operation and what `@skip` and `@include` leave of it. Of the variables it needs the sizes
of pages and the weights of arguments alone.
"""

from collections.abc import Callable, Mapping, Sequence
from math import ceil
from operator import mul
from typing import Any, NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLField,
    GraphQLNamedType,
    GraphQLSchema,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    ValueNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_abstract_type,
    is_composite_type,
    is_list_type,
    is_non_null_type,
    value_from_ast_untyped,
)

from app.execution.cost_count import Below, Place, count, generate
from app.execution.cost_weights import MISSING, ListSize, Number, Weighable, Weights, default_of
from app.execution.limits import LimitExceeded
from app.execution.merged_fields import Conditions, MergedFields

# By default, what graphql-core takes to answer it is some fifty pages of orders.
INTROSPECTION_WEIGHT = 5_000
_INTROSPECTION = frozenset({"__schema", "__type"})
_MOST_FORMULAS = 16
_MOST_ESTIMATES = 64

Variables = Mapping[str, Any]
# A number that is known when the variables are: the size of a page, the weight of an argument.
Quantity = Callable[[Variables], Number]
# A sum of products: the places of the quantities that are multiplied, each with the number that they are taken by.
Sum = dict[tuple[int, ...], Number]


class Cost(NamedTuple):
    field: Number
    type: Number

    @property
    def points(self) -> int:
        return ceil(self.field + self.type)


class Costs:
    """Those of one schema. No list that has slicing arguments is longer than a `page`."""

    def __init__(self, schema: GraphQLSchema, page: int) -> None:
        self.schema = schema
        self.page = page
        self.weights = Weights(schema, page)

    def of(
        self, document: DocumentNode, operation: OperationDefinitionNode, conditions: Sequence[str]
    ) -> "OperationCost":
        """`conditions` are the variables that `@skip` and `@include` of it read."""
        return OperationCost(self, document, operation, conditions)


class OperationCost:
    """What a valid operation costs, by its variables."""

    def __init__(
        self, costs: Costs, document: DocumentNode, operation: OperationDefinitionNode, conditions: Sequence[str]
    ) -> None:
        self._costs = costs
        self._document = document
        self._operation = operation
        self._conditions = conditions
        self._defaults = {
            node.variable.name.value: value_from_ast_untyped(node.default_value)
            for node in operation.variable_definitions or ()
            if node.default_value is not None
        }
        self._formulas: dict[tuple[bool | None, ...], Formula] = {}
        self.known: Estimate | None = None  # whatever the variables are

    def estimate(self, variables: Variables) -> "Estimate":
        """For variables as they were sent, which need not fit: then the operation does not run.

        Raises `GraphQLError` where a field has not the slicing argument that it needs.
        """
        choice = tuple([self._choice(variables, name) for name in self._conditions])
        try:
            formula = self._formulas.get(choice)
            if formula is None:
                formula = self._formula(choice)
            estimate = formula.estimate(variables)
        except RecursionError:
            raise LimitExceeded("The variables are nested too deeply.") from None
        if formula.is_constant and not self._conditions:
            self.known = estimate
        return estimate

    def _choice(self, variables: Variables, name: str) -> bool | None:
        value = variables.get(name, self._defaults.get(name))
        return value if isinstance(value, bool) else None

    def _formula(self, choice: tuple[bool | None, ...]) -> "Formula":
        conditions = dict(zip(self._conditions, choice, strict=True))
        compiler = _Compiler(self._costs, self._document, conditions, self._defaults)
        formula = compiler.formula(self._operation)
        if len(self._formulas) < _MOST_FORMULAS:
            self._formulas[choice] = formula
        return formula


class Estimate:
    """What one request may cost, and how to tell what it did. `points` are those of `requested`."""

    __slots__ = ("_fields", "_formula", "_types", "_weights", "points", "requested")

    def __init__(self, formula: "Formula", requested: Cost, fields: Sequence[Number], types: Sequence[Number]) -> None:
        self._formula = formula
        self._fields = fields
        self._types = types
        self._weights = [field + type_ for field, type_ in zip(fields, types, strict=True)]
        self.requested = requested
        self.points = requested.points

    def actual_points(self, data: Mapping[str, Any] | None) -> int:
        """Of an answer with this `data`: `actual` in one number."""
        points: Number = sum(map(mul, self._formula.count(data), self._weights))
        return points if type(points) is int else ceil(points)

    def actual(self, data: Mapping[str, Any] | None) -> Cost:
        counts = self._formula.count(data)
        return Cost(sum(map(mul, counts, self._fields)), sum(map(mul, counts, self._types)))


class _Term:
    """Things that are counted together: how many there are at most, and what each of them weighs."""

    def __init__(self, most: Sum) -> None:
        self.most = most
        self.field: Sum = {}
        self.type: Number = 0


class Formula:
    """The cost of an operation as sums of its quantities."""

    def __init__(self, quantities: Sequence[Quantity], terms: Sequence[_Term], root: Place) -> None:
        self._quantities = quantities
        self._root = root
        self._unit_fields = [term.field for term in terms]
        self._unit_types = [term.type for term in terms]
        self._field: Sum = {}
        self._type: Sum = {}
        for term in terms:
            _add(self._field, _product(term.most, term.field))
            _add(self._type, _product(term.most, {(): term.type}))
        self._estimates: dict[tuple[Number, ...], Estimate] = {}
        self._is_new = True

    @property
    def is_constant(self) -> bool:
        return not self._quantities

    def estimate(self, variables: Variables) -> Estimate:
        values = tuple([quantity(variables) for quantity in self._quantities])
        found = self._estimates.get(values)
        if found is None:
            requested = Cost(_value(self._field, values), _value(self._type, values))
            fields = [_value(each, values) for each in self._unit_fields]
            found = Estimate(self, requested, fields, self._unit_types)
            if len(self._estimates) >= _MOST_ESTIMATES:
                self._estimates.clear()
            self._estimates[values] = found
        return found

    def count(self, data: Mapping[str, Any] | None) -> Sequence[int]:
        """How many there are of each term of an answer. What comes once is not worth code of its own."""
        if self._is_new:
            self._is_new = False
            return count(self._root, len(self._unit_types), data)
        written = generate(self._root, len(self._unit_types))
        vars(self)["count"] = written  # in place of this
        return written(data)


class _Read(NamedTuple):
    """What an argument is by the variables; fixed is what they have no part in."""

    value: Callable[[Variables], Any]
    is_fixed: bool


class _Compiler:
    def __init__(
        self, costs: Costs, document: DocumentNode, conditions: Conditions, defaults: Mapping[str, Any]
    ) -> None:
        self._costs = costs
        self._weights = costs.weights
        self._merged = MergedFields(costs.schema, document, conditions)
        self._defaults = defaults
        self._quantities: list[Quantity] = []
        self._terms: list[_Term] = []

    def formula(self, operation: OperationDefinitionNode) -> Formula:
        root = self._costs.schema.get_root_type(operation.operation)
        if root is None:
            return Formula((), [_Term({})], Place(0))
        term = self._term({(): 1})
        self._terms[term].type = self._weights.of_type(root)
        place = self._place(term, [(operation.selection_set, root)], root, {})
        return Formula(self._quantities, self._terms, place)

    def _term(self, most: Sum) -> int:
        self._terms.append(_Term(most))
        return len(self._terms) - 1

    def _quantity(self, quantity: Quantity) -> Sum:
        self._quantities.append(quantity)
        return {(len(self._quantities) - 1,): 1}

    def _place(
        self, term: int, selections: Sequence[tuple[Any, GraphQLNamedType]], type_: Any, sized: Mapping[str, Sum]
    ) -> Place:
        """The objects that `term` counts, of which lists named by `sized` have these sizes."""
        place = Place(term)
        is_abstract = is_abstract_type(type_)
        for (key, parent), nodes in self._merged.below(selections).items():
            name = nodes[0].name.value
            if name in _INTROSPECTION:
                _add(self._terms[term].field, {(): INTROSPECTION_WEIGHT})
                continue
            field = self._costs.schema.get_field(parent, name)
            if name == "__typename" or field is None:
                continue
            own = term
            if is_abstract:  # which of them an object has depends on what it is
                own = self._term(self._terms[term].most)
                place.sometimes.append((key, own))
            self._field(place, own, key, field, nodes, sized.get(name), is_certain=not is_abstract)
        return place

    def _field(
        self,
        place: Place,
        term: int,
        key: str,
        field: GraphQLField,
        nodes: Sequence[FieldNode],
        size: Sum | None,
        *,
        is_certain: bool,
    ) -> None:
        """A field of all objects that `term` counts."""
        _add(self._terms[term].field, {(): self._weights.of_field(field)})
        for argument in nodes[0].arguments or ():
            _add(self._terms[term].field, self._given(field.args[argument.name.value], argument.value))
        type_ = get_named_type(field.type)
        nullable: Any = get_nullable_type(field.type)
        is_list, weight = is_list_type(nullable), self._weights.of_type(type_)
        if not weight and not is_composite_type(type_):
            return
        declared = self._weights.list_size(field)
        own_size, below = self._sizes(field, nodes[0], declared)
        within, most = term, self._terms[term].most
        if is_list:
            most = _product(most, own_size if size is None else size)
        if is_list or not is_certain or not is_non_null_type(field.type):
            within = self._term(most)
        self._terms[within].type += weight
        inner = Place(within)
        if is_composite_type(type_):
            inner = self._place(
                within, [(each.selection_set, type_) for each in nodes if each.selection_set], type_, below
            )
        is_full = is_list and is_non_null_type(nullable.of_type)
        place.below.append(Below(key, inner, is_list=is_list, is_full=is_full, is_counted=within != term))

    def _sizes(self, field: GraphQLField, node: FieldNode, declared: ListSize | None) -> tuple[Sum, dict[str, Sum]]:
        """Of a list, and of the lists below by their names, where the size of those is what the field declares."""
        if declared is None:
            return {(): self._costs.page}, {}
        size: Sum = {(): declared.assumed}
        if declared.slicing:
            given = {argument.name.value: argument.value for argument in node.arguments or ()}
            _check_slicing(node, declared, given)
            reads = [self._read(field.args[path[0]], given.get(path[0]), path[1:]) for path in declared.slicing]
            largest = _largest([each.value for each in reads], declared.assumed, self._costs.page)
            size = {(): largest({})} if all(each.is_fixed for each in reads) else self._quantity(largest)
        return size, dict.fromkeys(declared.sized, size)

    def _read(self, definition: Weighable, node: ValueNode | None, path: Sequence[str]) -> "_Read":
        """What is given for an argument, or for a field of its input at `path`."""
        steps = self._weights.steps(definition, path)
        if isinstance(node, VariableNode):
            name, default = node.name.value, self._defaults.get(node.name.value, MISSING)
            otherwise = _walk(default_of(definition), steps)

            def read(variables: Variables) -> Any:
                value = variables.get(name, default)
                return otherwise if value is MISSING else _walk(value, steps)

            return _Read(read, is_fixed=False)
        if node is None:
            value = _walk(default_of(definition), steps)
        elif isinstance(node, ObjectValueNode) and path:
            inner = next((each.value for each in node.fields if each.name.value == path[0]), None)
            return self._read(self._weights.input_field(definition, path[0]), inner, path[1:])
        else:
            value = None if path else value_from_ast_untyped(node)
        return _Read(lambda _variables: value, is_fixed=True)

    def _given(self, definition: Weighable, node: ValueNode) -> Sum:
        """The weight of what is given for an argument."""
        weigh = self._weights.weigh(definition)
        if weigh is None:
            return {}
        if isinstance(node, VariableNode):
            name, default = node.name.value, self._defaults.get(node.name.value)
            return self._quantity(lambda variables: weigh(variables.get(name, default)))
        total: Sum = {}
        if isinstance(node, ListValueNode):
            for item in node.values:
                _add(total, self._given(definition, item))
        elif isinstance(node, ObjectValueNode):
            _add(total, {(): self._weights.of_input(definition)})
            for each in node.fields:
                field = self._weights.input_field(definition, each.name.value)
                _add(total, self._given(field, each.value))
        else:
            total[()] = weigh(value_from_ast_untyped(node))
        return total


def _check_slicing(node: FieldNode, declared: ListSize, given: Mapping[str, ValueNode]) -> None:
    names = [path[0] for path in declared.slicing if path[0] in given]
    if declared.needs_one and len(names) != 1:
        wanted = ", ".join(".".join(path) for path in declared.slicing)
        message = f"Field '{node.name.value}' needs exactly one of its slicing arguments: {wanted}."
        raise GraphQLError(message, node, extensions={"code": "GRAPHQL_VALIDATION_FAILED"})


def _largest(reads: Sequence[Callable[[Variables], Any]], assumed: int, page: int) -> Quantity:
    """A number that is no size is refused by the field, and so is one beyond a page."""

    def size(variables: Variables) -> Number:
        most = -1
        for read in reads:
            value = read(variables)
            if type(value) is int or type(value) is float:
                most = max(most, 0, int(min(value, page)))
        return assumed if most < 0 else most

    return size


def _walk(value: Any, steps: Sequence[tuple[str, Any]]) -> Any:
    for name, default in steps:
        if not isinstance(value, dict):
            return None
        value = value.get(name, default)
    return value


def _add(total: Sum, other: Sum) -> None:
    for places, number in other.items():
        if number:
            total[places] = total.get(places, 0) + number


def _product(one: Sum, other: Sum) -> Sum:
    total: Sum = {}
    for places, number in one.items():
        for others, times in other.items():
            if number * times:
                key = tuple(sorted(places + others))
                total[key] = total.get(key, 0) + number * times
    return total


def _value(total: Sum, values: Sequence[Number]) -> Number:
    result: Number = 0
    for places, number in total.items():
        for place in places:
            number *= values[place]
        result += number
    return result
