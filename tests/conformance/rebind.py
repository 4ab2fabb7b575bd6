"""A pytest plugin that runs graphql-core's tests by plans: loaded first, it replaces `execute` and `execute_sync`.

What a plan of this service never gets, graphql-core runs itself: type resolvers and middleware of the caller, other
executors, abort signals, hooks.
"""

import sys
from collections import Counter
from collections.abc import Callable
from functools import partial
from inspect import iscoroutine
from typing import Any

import graphql
import pytest
from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLFieldResolver,
    GraphQLSchema,
    OperationDefinitionNode,
    default_field_resolver,
)
from graphql.execution.execute import assume_not_async_iterable, assume_not_awaitable
from graphql.pyutils import AwaitableOrValue
from graphql.type import assert_valid_schema

from app.execution.execute import TIERS, execute_by_plan
from app.execution.planner import Planner

# By what ran them; see `app.execution.execute.Engine`.
EXECUTIONS: Counter[str] = Counter(dict.fromkeys(TIERS, 0))
# Options by which nothing is asked for.
_DEFAULTS = (None, False, assume_not_awaitable, assume_not_async_iterable)


def _by_plan(original: Callable[..., AwaitableOrValue[ExecutionResult]]) -> Callable[..., Any]:
    """An executor with the parameters of `original`, which runs what no plan does."""

    def execute(
        schema: GraphQLSchema,
        document: DocumentNode,
        root_value: Any = None,
        context_value: Any = None,
        variable_values: dict[str, Any] | None = None,
        operation_name: str | None = None,
        field_resolver: GraphQLFieldResolver | None = None,
        *others: Any,
        hide_suggestions: bool = False,
        **options: Any,
    ) -> AwaitableOrValue[ExecutionResult]:
        named = (root_value, context_value, variable_values, operation_name, field_resolver)
        plain = partial(original, schema, document, *named, *others, hide_suggestions=hide_suggestions, **options)
        operation = _operation(schema, document, operation_name)
        if operation is None or any(option not in _DEFAULTS for option in (*others, *options.values())):
            EXECUTIONS["graphql-core"] += 1
            return plain()
        planner = Planner(schema, document, operation, field_resolver or default_field_resolver)
        return execute_by_plan(planner, plain, root_value, context_value, variable_values or {}, EXECUTIONS)

    return execute


def _operation(schema: GraphQLSchema, document: DocumentNode, name: str | None) -> OperationDefinitionNode | None:
    """None where there is none to run, which graphql-core says in its own words."""
    try:
        assert_valid_schema(schema)
    except TypeError:
        return None
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    chosen = [node for node in operations if name is None or (node.name and node.name.value == name)]
    return chosen[0] if len(chosen) == 1 else None


execute = _by_plan(graphql.execute)
_execute_without_waiting = _by_plan(graphql.execute_sync)


def execute_sync(*arguments: Any, **options: Any) -> ExecutionResult:
    result = _execute_without_waiting(*arguments, **options)
    if iscoroutine(result):
        result.close()
        raise RuntimeError("GraphQL execution failed to complete synchronously.")
    assert isinstance(result, ExecutionResult)
    return result


def _rebind(**replacements: Any) -> None:
    """In every module of graphql-core that knows the original by its name."""
    for module in [module for name, module in sys.modules.items() if name.partition(".")[0] == "graphql"]:
        for name, replacement in replacements.items():
            if module.__dict__.get(name) is _ORIGINALS[name]:
                setattr(module, name, replacement)


_ORIGINALS = {name: getattr(graphql, name) for name in ("execute", "execute_sync", "default_harness")}
_rebind(execute=execute, execute_sync=execute_sync, default_harness=graphql.default_harness._replace(execute=execute))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    counts = ", ".join(f"{count} by {name}" for name, count in EXECUTIONS.items())
    terminalreporter.write_line(f"Executions: {counts}.")
