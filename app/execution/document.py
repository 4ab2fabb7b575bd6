"""From text to a document that may run: parsed, measured, validated; and remembered."""

import sys
from collections import OrderedDict
from collections.abc import Iterator

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    parse,
)

from app.cache import Cache
from app.execution.circles import Circles
from app.execution.cost import Costs, Estimate, OperationCost, Variables
from app.execution.limits import LimitExceeded, Limits, check_document
from app.execution.nodes import fragments_of
from app.execution.planner import Planner
from app.execution.text_lengths import OperationLengths, TextLengths
from app.execution.validation import validate

# What things take, as measured: tests/test_memory.py holds the estimates to the truth. A plan counts
# with all that is made for it later: generated code, and what resolvers conclude of the selection.
_BYTES_PER_DOCUMENT = 3_000
_BYTES_PER_TOKEN = 420
_BYTES_PER_PLAN = 12_000
_BYTES_PER_FIELD = 3_000
# Hashes of texts, of 120 bytes each.
_MOST_SEEN = 10_000
_MAX_ERRORS = 20


class RequestErrors(Exception):
    """The request cannot run at all; there is no `data` in its answer."""

    def __init__(self, *errors: GraphQLError) -> None:
        super().__init__(errors[0].message)
        self.errors = errors


class Operation:
    """A valid document, the operation of it that the caller chose, and the plans by which it runs.

    `lengths` measure its texts, and `cost` all that it asks for.
    """

    def __init__(
        self, costs: Costs, document: DocumentNode, node: OperationDefinitionNode, lengths: OperationLengths
    ) -> None:
        self.document = document
        self.kind: OperationType = node.operation
        self.name = node.name.value if node.name else None
        self.is_introspection = all(name.startswith("__") for name in root_fields(document, node))
        self.lengths = lengths
        self.planner = Planner(costs.schema, document, node)
        self.cost: OperationCost = costs.of(document, node, self.planner.conditions)

    @property
    def weight(self) -> int:
        """What its plans take, in bytes."""
        return self.planner.plan_count * _BYTES_PER_PLAN + self.planner.fields * _BYTES_PER_FIELD


def root_fields(document: DocumentNode, operation: OperationDefinitionNode) -> Iterator[str]:
    """Their names, whether @skip and @include let them run or not."""
    fragments = fragments_of(document)
    waiting: list[SelectionSetNode] = [operation.selection_set]
    while waiting:
        for selection in waiting.pop().selections:
            if isinstance(selection, FieldNode):
                yield selection.name.value
            elif isinstance(selection, InlineFragmentNode):
                waiting.append(selection.selection_set)
            elif isinstance(selection, FragmentSpreadNode) and selection.name.value in fragments:
                waiting.append(fragments.pop(selection.name.value).selection_set)  # each is read once


class Document:
    """A valid document and its operations, each made when first chosen.

    `charged` is the weight by which it is held.
    """

    def __init__(self, costs: Costs, lengths: TextLengths, text: str, node: DocumentNode) -> None:
        self.node = node
        self.charged = 0
        self._own_weight = _BYTES_PER_DOCUMENT + sys.getsizeof(text) + node.token_count * _BYTES_PER_TOKEN
        self._costs = costs
        self._lengths = lengths
        self._operations: dict[str | None, Operation] = {}

    @property
    def weight(self) -> int:
        """What it takes with the plans that were made by now, in bytes."""
        weight = self._own_weight
        for operation in self._operations.values():
            weight += operation.weight
        return weight

    @property
    def names(self) -> list[str | None]:
        """Those of its operations; None where the only one has none."""
        nodes = (node for node in self.node.definitions if isinstance(node, OperationDefinitionNode))
        return [node.name.value if node.name else None for node in nodes]

    def choose(self, name: str | None) -> Operation:
        """The operation of that name, or the only one. Raises `RequestErrors` where the choice is not clear."""
        operation = self._operations.get(name)
        if operation is None:
            node = _chosen(self.node, name)
            lengths = self._lengths.of(self.node, node)
            operation = self._operations[name] = Operation(self._costs, self.node, node, lengths)
        return operation


def _chosen(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    chosen = [node for node in operations if name is None or (node.name and node.name.value == name)]
    if len(chosen) == 1:
        return chosen[0]
    if name is not None:
        message = f"Unknown operation named '{name}'."
    elif operations:
        message = "Must provide operation name if query contains multiple operations."
    else:
        message = "Must provide an operation."
    raise RequestErrors(GraphQLError(message, extensions={"code": "OPERATION_RESOLUTION_FAILURE"}))


class Documents:
    """The documents of one schema, of which those that came more than once are cached.

    Some callers send every document once, with values or names of its own in it: of a document that came but once
    only a hash is kept, so that it costs no memory and drives out nothing that is of use. `hits` and `misses` count
    since the start. Refused documents are not remembered.
    """

    def __init__(self, schema: GraphQLSchema, limits: Limits, cache: Cache, *, suggest: bool = False) -> None:
        self.hits = 0
        self.misses = 0
        self.schema = schema
        self._circles = Circles(schema)
        self._limits = limits
        self.lengths = TextLengths(schema, limits.text)
        self._costs = Costs(schema, limits.page)
        self._suggest = suggest
        self._cache = cache
        self._seen: OrderedDict[int, None] = OrderedDict()

    @property
    def limit(self) -> int:
        """What the cache may take, in bytes."""
        return self._cache.limit

    @property
    def most_tokens(self) -> int:
        """Of a document."""
        return self._limits.tokens

    def read(self, text: str) -> Document:
        """Raises `RequestErrors` for a document that cannot be parsed, exceeds a limit or is invalid."""
        document: Document | None = self._cache.get(text)
        if document is not None:
            self.hits += 1
            if document.weight != document.charged:  # it has a plan more
                self._hold(text, document)
            return document
        self.misses += 1
        document = self._made_of(text)
        if self._has_come(text):
            self._hold(text, document)
        return document

    def read_ahead(self, text: str) -> Document:
        """The document, cached with its plans though it has not come yet. Raises `RequestErrors`."""
        document: Document | None = self._cache.get(text)
        if document is None:
            document = self._made_of(text)
        for name in document.names:
            document.choose(name).planner.compile_ahead()
        self._hold(text, document)
        return document

    def check(self, text: str) -> DocumentNode:
        """What it says, where it may run, without any of it being kept.

        Raises `RequestErrors`, also where an operation is too dear whatever its variables are.
        """
        document = self._made_of(text)
        for name in document.names:
            operation = document.choose(name)
            try:
                self.estimate(operation, {})
            except RequestErrors:
                if operation.cost.known:
                    raise
        return document.node

    def estimate(self, operation: Operation, variables: Variables) -> Estimate:
        """What it may cost. Raises `RequestErrors` where that is more than any request may."""
        try:
            estimate = operation.cost.known or operation.cost.estimate(variables)
        except GraphQLError as error:
            raise RequestErrors(error) from None
        if estimate.points > self._limits.cost:
            message = (
                f"The {operation.kind.value} may cost {estimate.points} points, and {self._limits.cost} is the limit."
            )
            raise RequestErrors(LimitExceeded(message, cost={"requested": estimate.points, "limit": self._limits.cost}))
        return estimate

    def _made_of(self, text: str) -> Document:
        return Document(self._costs, self.lengths, text, self._read(text))

    def _read(self, text: str) -> DocumentNode:
        if len(text) > self._limits.document:
            raise RequestErrors(LimitExceeded(f"The document has over {self._limits.document} characters."))
        try:
            document = parse(text, max_tokens=self._limits.tokens)
            check_document(document, self._limits)
        except LimitExceeded as error:
            raise RequestErrors(error) from None
        except GraphQLSyntaxError as error:  # too many tokens and too deep a nesting among them
            error.extensions = {"code": "GRAPHQL_PARSE_FAILED"}
            raise RequestErrors(error) from None
        errors = validate(self.schema, document, max_errors=_MAX_ERRORS, hide_suggestions=not self._suggest)
        for fault in errors:
            fault.extensions = {"code": "GRAPHQL_VALIDATION_FAILED"}
        if errors:
            raise RequestErrors(*errors)
        try:
            self._circles.check(document, self._limits)
        except LimitExceeded as error:
            raise RequestErrors(error) from None
        _unlink(document)
        return document

    def _has_come(self, text: str) -> bool:
        """Whether it came before, and lately; from now on it has."""
        key, seen = hash(text), self._seen
        has_come = key in seen
        seen[key] = None
        seen.move_to_end(key)
        if len(seen) > _MOST_SEEN:
            seen.popitem(last=False)
        return has_come

    def _hold(self, text: str, document: Document) -> None:
        document.charged = document.weight
        self._cache.put(text, document, document.charged)


def _unlink(document: DocumentNode) -> None:
    """Parts the tokens, which hold one another: without circles a document that is forgotten is gone at once."""
    token = document.loc.start_token if document.loc else None
    while token is not None:
        following, token.prev, token.next = token.next, None, None
        token = following
