"""All that an operator does by command, in the order in which it is listed."""

from app.admin import (
    api_key,
    audit,
    channel,
    config,
    contact,
    customer,
    doctor,
    document,
    person,
    prune,
    restore,
    storefront_key,
    token,
    track_link,
)
from app.admin.command import Commands

_NOUNS = (
    api_key,
    storefront_key,
    token,
    track_link,
    contact,
    customer,
    channel,
    document,
    config,
    doctor,
    restore,
    person,
    prune,
    audit,
)


def add_commands(commands: Commands) -> None:
    for noun in _NOUNS:
        noun.add_commands(commands)
