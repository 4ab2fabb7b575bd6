"""The one rule between GraphQL names and column names."""

import re
from functools import cache

_BORDER = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@cache
def snake_case(name: str) -> str:
    """`trackAndTraceURL` is `track_and_trace_url`."""
    return _BORDER.sub("_", name).lower()
