"""Fields that need nothing but their parent: what the vendor's types have and no table holds is null or empty."""

from collections.abc import Callable
from typing import Any

from ariadne import ObjectType


def read(part: ObjectType, **fields: Callable[[Any], Any]) -> ObjectType:
    """Binds fields that are read off their parent, whatever their arguments."""
    for name, read_field in fields.items():
        part.set_field(name, lambda parent, _info, read=read_field, **_arguments: read(parent))
    return part


def null(_parent: Any) -> None:
    return None


def empty(_parent: Any) -> list[Any]:
    return []
