"""`audit`: what operators did by command. What became of orders and shipments, changes tell."""

import json

import asyncpg

import sql
from app.admin.command import Answer, Commands, Noun, Options, count
from app.postgres.direct import fetch

_SQL = sql.load("audit_entry")
_MOST = 10_000


def add_commands(commands: Commands) -> None:
    noun = Noun(commands, "audit", help="tell what operators did by command")
    task = noun.task("list", _list, "list what was done, the newest first")
    task.add_argument("--actor", metavar="ACTOR", help="of one operator alone: operator:ann")
    task.add_argument("--subject", metavar="SUBJECT", help="of one thing alone: api_key:7, customer:42")
    task.add_argument("--limit", type=count(_MOST), default=50, metavar="N", help="at most so many, 50 unless you say")


async def _list(connection: asyncpg.Connection, options: Options) -> Answer:
    rows = await fetch(connection, _SQL.newest, actor=options.actor, subject=options.subject, limit=options.limit)
    return Answer([{**row, "details": json.loads(row["details"])} for row in rows])
