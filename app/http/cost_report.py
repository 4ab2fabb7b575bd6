"""What a caller is told of the cost of its request, who asks for it by the header `GraphQL-Cost`.

Clients compare answers as a whole, and the contracts give them word for word: so nothing is told unasked.
"""

from collections.abc import Mapping
from dataclasses import replace
from enum import Enum
from typing import Any

from app.errors import RequestRefused
from app.execution.cost import Cost, Estimate
from app.execution.execute import Answer
from app.http.mutation import RenderedAnswer
from app.http.reply import dump

COST_HEADER = b"graphql-cost"


class Report(Enum):
    REPORT = b"report"  # run it, and say what it did cost
    VALIDATE = b"validate"  # say what it may cost, and run nothing


def report_of(value: bytes) -> Report:
    """Raises `RequestRefused`."""
    try:
        return Report(value.strip().lower())
    except ValueError:
        raise RequestRefused('The header "GraphQL-Cost" must be report or validate.') from None


def told(estimate: Estimate, actual: Cost | None, balance: Mapping[str, int]) -> dict[str, Any]:
    """`actual` is None for what did not run."""
    requested = estimate.requested
    parts = {"fieldCost": {"requested": requested.field}, "typeCost": {"requested": requested.type}}
    cost: dict[str, Any] = {"requested": estimate.points}
    if actual is not None:
        cost["actual"] = actual.points
        parts["fieldCost"]["actual"], parts["typeCost"]["actual"] = actual
    return {**cost, **balance, **parts}


def with_cost(answer: Answer, cost: Mapping[str, Any]) -> Answer:
    """The answer with its cost in `extensions`; one that was given before is told as it was."""
    if isinstance(answer, RenderedAnswer) and answer.is_replayed:
        return answer
    body = {**answer.body, "extensions": {**answer.body.get("extensions", {}), "cost": cost}}
    if isinstance(answer, RenderedAnswer):
        return replace(answer, body=body, text=dump(body))
    return replace(answer, body=body)
