"""From text to a document that may run: parsed, measured, validated; and remembered."""

from collections import OrderedDict
from collections.abc import Iterator

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    parse,
    validate,
)

from app.execution.limits import LimitExceeded, Limits, check_document
from app.execution.planner import Planner, most_plans
from app.execution.text_lengths import OperationLengths, TextLengths

# A document takes some 500 bytes a token, so the cache is bounded by tokens too: 1,000 documents hold at most 50 MB,
# their plans included. A field of a plan takes as much as eight tokens.
_TOKENS_PER_DOCUMENT = 100
_TOKENS_PER_FIELD = 8
_CHARACTERS_PER_TOKEN = 100
_MAX_ERRORS = 20


class RequestErrors(Exception):
    """The request cannot run at all; there is no `data` in its answer."""

    def __init__(self, *errors: GraphQLError) -> None:
        super().__init__(errors[0].message)
        self.errors = errors


class Operation:
    """A valid document, the operation of it that the caller chose, and the plans by which it runs.

    `lengths` measure its texts.
    """

    def __init__(
        self, schema: GraphQLSchema, document: DocumentNode, node: OperationDefinitionNode, lengths: OperationLengths
    ) -> None:
        self.document = document
        self.kind: OperationType = node.operation
        self.name = node.name.value if node.name else None
        self.is_introspection = all(name.startswith("__") for name in _root_fields(document, node))
        self.lengths = lengths
        self.planner = Planner(schema, document, node)


def _root_fields(document: DocumentNode, operation: OperationDefinitionNode) -> Iterator[str]:
    """Their names, whether @skip and @include let them run or not."""
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
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

    `weight` is what it takes with all plans that may be made for it, in tokens; `fields` are those it selects.
    """

    def __init__(self, schema: GraphQLSchema, lengths: TextLengths, text: str, node: DocumentNode, fields: int) -> None:
        self.node = node
        self.weight = node.token_count + len(text) // _CHARACTERS_PER_TOKEN
        self.weight += fields * most_plans(node) * _TOKENS_PER_FIELD
        self._schema = schema
        self._lengths = lengths
        self._operations: dict[str | None, Operation] = {}

    def choose(self, name: str | None) -> Operation:
        """The operation of that name, or the only one. Raises `RequestErrors` where the choice is not clear."""
        operation = self._operations.get(name)
        if operation is None:
            node = _chosen(self.node, name)
            lengths = self._lengths.of(self.node, node)
            operation = self._operations[name] = Operation(self._schema, self.node, node, lengths)
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
    """The documents of one schema, the most recently used ones ready at hand.

    `hits` and `misses` count since the start. Refused documents are not remembered.
    """

    def __init__(self, schema: GraphQLSchema, limits: Limits, *, suggest: bool = False) -> None:
        self.hits = 0
        self.misses = 0
        self._schema = schema
        self._limits = limits
        self.lengths = TextLengths(schema, limits.text)
        self._suggest = suggest
        self._known: OrderedDict[str, Document] = OrderedDict()
        self._weight = 0

    def read(self, text: str) -> Document:
        """Raises `RequestErrors` for a document that cannot be parsed, exceeds a limit or is invalid."""
        document = self._known.get(text)
        if document is not None:
            self.hits += 1
            self._known.move_to_end(text)
            return document
        self.misses += 1
        document = Document(self._schema, self.lengths, text, *self._read(text))
        self._remember(text, document)
        return document

    def _read(self, text: str) -> tuple[DocumentNode, int]:
        try:
            document = parse(text, max_tokens=self._limits.tokens)
            fields = check_document(document, self._limits)
        except LimitExceeded as error:
            raise RequestErrors(error) from None
        except GraphQLSyntaxError as error:  # too many tokens and too deep a nesting among them
            error.extensions = {"code": "GRAPHQL_PARSE_FAILED"}
            raise RequestErrors(error) from None
        errors = validate(self._schema, document, max_errors=_MAX_ERRORS, hide_suggestions=not self._suggest)
        for fault in errors:
            fault.extensions = {"code": "GRAPHQL_VALIDATION_FAILED"}
        if errors:
            raise RequestErrors(*errors)
        return document, fields

    def _remember(self, text: str, document: Document) -> None:
        self._known[text] = document
        self._weight += document.weight
        limit = self._limits.documents
        while len(self._known) > limit or self._weight > limit * _TOKENS_PER_DOCUMENT:
            _, forgotten = self._known.popitem(last=False)
            self._weight -= forgotten.weight
