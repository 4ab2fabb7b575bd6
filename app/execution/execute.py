"""Runs one operation and renders its answer."""

from dataclasses import dataclass
from inspect import isawaitable
from typing import Any

from graphql import GraphQLError, GraphQLSchema, OperationType, execute

from app.execution.document import Documents, Operation, RequestErrors, choose
from app.execution.errors import render
from app.execution.limits import LimitExceeded, Limits, check_variables


@dataclass(frozen=True)
class Answer:
    """`body` is the response as JSON values. `ran` is false for a request error: the body has no `data` then.

    `defects` counts the errors that are this service's own.
    """

    body: dict[str, Any]
    ran: bool
    defects: int = 0


class Engine:
    """One schema with its limits. `suggest` lets errors name similar fields, which tells strangers the schema."""

    def __init__(self, schema: GraphQLSchema, limits: Limits, *, suggest: bool = False) -> None:
        self.schema = schema
        self.documents = Documents(schema, limits, suggest=suggest)
        self._limits = limits
        self._suggest = suggest

    def prepare(self, text: str, operation_name: str | None = None) -> Operation:
        """Raises `RequestErrors`."""
        return choose(self.documents.read(text), operation_name)

    async def run(self, operation: Operation, variables: dict[str, Any], context: Any, request_id: str) -> Answer:
        """Never raises for what the request or a resolver does; `refuse` renders what `prepare` raises."""
        try:
            check_variables(variables, self._limits)
        except LimitExceeded as error:
            return refuse(RequestErrors(error), request_id)
        if operation.kind is OperationType.SUBSCRIPTION:
            return refuse(RequestErrors(GraphQLError("Subscriptions need a stream.")), request_id)
        result = execute(
            self.schema,
            operation.document,
            context_value=context,
            variable_values=variables,
            operation_name=operation.name,
            hide_suggestions=not self._suggest,
        )
        if isawaitable(result):
            result = await result
        if not result.errors:
            return Answer({"data": result.data}, ran=True)
        if result.data is None and all(error.path is None for error in result.errors):
            return refuse(RequestErrors(*result.errors), request_id)
        errors, defects = render(result.errors, request_id)
        return Answer({"errors": errors, "data": result.data}, ran=True, defects=defects)


def refuse(refusal: RequestErrors, request_id: str) -> Answer:
    """The answer to a request that did not run."""
    errors, _ = render(list(refusal.errors), request_id)
    return Answer({"errors": errors}, ran=False)
