"""The command line: what the service does by itself (`dev`, `serve`), and all that its operator does.

Modules are imported by the commands that need them: `token` answers at once.
"""

import argparse
import asyncio
import gc
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any, TypeVar

from app.demo import dev
from app.demo.embedded import EmbeddedError
from app.serve.hangup import on_hangup
from app.serve.listen import open_sockets
from app.settings import Settings, SettingsError, secret

if TYPE_CHECKING:
    from graphql import GraphQLSchema

    from app.postgres.locks import Verdict

T = TypeVar("T")

# Of a viewer; see sql.visibility.Reach.
REACHES = ("everything", "channels", "companies", "contact", "customer")


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0 done (an interrupted server, too), 1 could not, 2 wrong usage, 130 interrupted."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    options = _parser(given[0] if given else "").parse_args(given)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if options.serves:
        on_hangup(lambda: None)
    try:
        return int(options.command(options) or 0)
    except KeyboardInterrupt:
        return 0 if options.serves else 130
    except (EmbeddedError, SettingsError, OSError) as error:
        print(error, file=sys.stderr)
        return 1


def _parser(command: str) -> argparse.ArgumentParser:
    """That of a command, or of all: the operator's are made of many modules."""
    parser = argparse.ArgumentParser(
        prog="python -m app",
        description=(__doc__ or "").partition("\n")[0],
        epilog="Settings come from the environment, above all DATABASE_URL and TOKEN_SECRET (or DATABASE_URL_FILE,"
        " TOKEN_SECRET_FILE); `config check` prints all that are in force. Without DATABASE_URL it is the embedded"
        " server of DATA_DIR.",
    )
    parser.set_defaults(serves=False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    dev_command = commands.add_parser("dev", help="set up database and demo data, then serve on this machine")
    dev_command.set_defaults(command=_dev, serves=True)

    serve = commands.add_parser("serve", help="serve the database at DATABASE_URL")
    serve.set_defaults(command=_serve, serves=True)

    deliver = commands.add_parser("deliver", help="call the endpoints of webhooks, as one of any number of processes")
    deliver.set_defaults(command=_deliver, serves=True)

    migrate = commands.add_parser("migrate", help="bring the database to the newest schema")
    migrate.add_argument(
        "--check",
        action="store_true",
        help="change nothing, and say of each missing step which locks it takes and who waits; the exit status is 1"
        " where somebody waits longer than a moment",
    )
    _add_json(migrate)
    migrate.set_defaults(command=_migrate)

    import_ = commands.add_parser("import", help="read orders and shipments from files of NDJSON")
    import_.add_argument("files", nargs="+", metavar="FILE", help="- is standard input")
    import_.add_argument("--strict", action="store_true", help="load nothing if any record is bad")
    import_.add_argument("--dry-run", action="store_true", help="say what would happen, and write nothing")
    _add_json(import_)
    import_.set_defaults(command=_import)

    generate = commands.add_parser("generate", help="add made-up orders that look real")
    generate.add_argument("--orders", type=_count, default=dev.GENERATED_ORDERS, metavar="N")
    generate.add_argument("--seed", type=int, default=dev.GENERATOR_SEED, metavar="S", help="same seed, same orders")
    generate.set_defaults(command=_generate)

    token = commands.add_parser("token", help="print a token of the demo that a running `dev` accepts")
    token.add_argument("viewer", choices=[*dev.SUBJECTS, "customer"])
    token.set_defaults(command=_token)

    docs = commands.add_parser("docs", help="write the documentation of /docs as a static site, for the root of a host")
    docs.add_argument("folder", type=Path, metavar="FOLDER")
    docs.set_defaults(command=_docs)

    explain = commands.add_parser("explain", help="print how a document would be run, and by which SQL")
    explain.add_argument("file", metavar="FILE", help="of one GraphQL operation; - is standard input")
    explain.add_argument("--variables", type=_object, default={}, metavar="JSON")
    explain.add_argument("--reach", choices=REACHES, default=REACHES[0], help="how far the viewer sees")
    _add_json(explain)
    explain.set_defaults(command=_explain)

    if command not in commands.choices:
        from app.admin.commands import add_commands
        from app.webhooks import command as webhooks

        parser.set_defaults(command=_administer)
        webhooks.add_commands(commands)
        add_commands(commands)
    return parser


def _docs(options: argparse.Namespace) -> None:
    from app.asgi import create_app

    settings = Settings(database_url="postgresql://", token_secret=token_hex())
    written = list(create_app(settings).front.manual.write(options.folder))
    print(f"wrote {len(written)} files to {options.folder}")


def _add_json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="print JSON, for programs")


def _count(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:12]) <= 10_000_000:
        raise argparse.ArgumentTypeError("must be a whole number from 1 to 10000000")
    return int(text)


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError("must be a JSON object")
    return value


def _dev(_options: argparse.Namespace) -> None:
    # The address first: what is wrong with it should not wait for the database.
    sockets = open_sockets(dev.settings(os.environ))
    with dev.database(os.environ, join=False) as dsn:
        environ = dev.environment(os.environ, dsn)
        settings = Settings.from_env(environ)
        taken = "The database holds other data: use `serve` for it, or an empty one for the demo."
        _run(dev.prepare(settings), dsn, taken)
        print(dev.welcome(settings, _run(dev.customer_token(settings), dsn)), flush=True)
        _answer(settings, sockets, environ)


def _serve(_options: argparse.Namespace) -> None:
    from app.postgres.migrate import migration_names
    from app.postgres.startup import check

    settings = Settings.from_env(os.environ)
    sockets = open_sockets(settings)
    if not settings.workers:  # each of them looks for itself
        _run(check(settings.database_url, migration_names()), settings.database_url)
    _answer(settings, sockets, os.environ)


def _answer(settings: Settings, sockets: list[socket.socket], environ: Mapping[str, str]) -> None:
    """Serves until SIGINT or SIGTERM; KeyboardInterrupt then. `environ` is what the settings were read from."""
    if settings.workers:
        from app.serve.supervisor import WorkersError, supervise

        try:
            supervise(settings, sockets, environ)
        except WorkersError as error:
            raise SystemExit(str(error)) from error
    gc.disable()  # while the application is made, which lasts: `serve` has it on again
    from app.serve.process import answer_alone

    answer_alone(settings, sockets)


def _deliver(_options: argparse.Namespace) -> None:
    from app.postgres.migrate import migration_names
    from app.postgres.startup import check
    from app.webhooks.command import deliver

    settings = Settings.from_env(os.environ)
    _run(check(settings.database_url, migration_names()), settings.database_url)
    _run(deliver(settings), settings.database_url, loop=_fast_loop())


def _migrate(options: argparse.Namespace) -> int:
    from app.postgres.migrate import check, migrate

    with dev.database(os.environ) as dsn:
        if options.check:
            return _tell_locks(_run(check(dsn), dsn), as_json=options.json)
        applied = _run(migrate(dsn, lambda line: print(line, file=sys.stderr, flush=True)), dsn)
    if options.json:
        print(json.dumps({"applied": applied}))
    else:
        print("\n".join(f"applied {name}" for name in applied) or "nothing to apply")
    return 0


def _tell_locks(verdicts: "Sequence[tuple[str, str, Verdict]]", *, as_json: bool) -> int:
    """One line for each missing step, or JSON. The exit status: 1 if any blocks."""
    status = int(any(verdict.blocks for _, _, verdict in verdicts))
    if as_json:
        steps = [
            {
                "migration": migration,
                "step": step,
                "blocks": verdict.blocks,
                "says": verdict.words,
                "locks": {table: str(mode) for table, mode in verdict.locks.items()},
            }
            for migration, step, verdict in verdicts
        ]
        print(json.dumps(steps))
        return status
    for migration, step, verdict in verdicts:
        locks = ", ".join(f"{mode} on {table}" for table, mode in sorted(verdict.locks.items()))
        place = f"{migration}: {step}" if step else migration
        print(f"{place}: {'BLOCKS, ' if verdict.blocks else ''}{verdict.words}{f' ({locks})' if locks else ''}")
    if not verdicts:
        print("nothing to apply")
    return status


def _import(options: argparse.Namespace) -> int:
    from app.importer.ingest import ingest
    from app.postgres.migrate import migrate

    with dev.database(os.environ) as dsn:
        _run(migrate(dsn), dsn)
        numbers = sys.stdout if options.json else None
        work = ingest(dsn, options.files, strict=options.strict, dry_run=options.dry_run, numbers=numbers)
        return _run(work, dsn)


def _administer(options: argparse.Namespace) -> int:
    """Does what an operator asks for, and prints what became of it; the exit status."""
    from app.admin.command import Refused, perform
    from app.admin.show import show
    from app.postgres.migrate import migration_names
    from app.postgres.startup import check

    if not all(map(_is_text, vars(options).values())):
        print("an argument is not UTF-8", file=sys.stderr)
        return 2
    try:
        if "local_task" in options:
            answer = options.local_task(options)
        else:
            with dev.database(os.environ) as dsn:
                if not options.any_schema:
                    _run(check(dsn, migration_names()), dsn)
                options.settings = lambda: _settings(dsn)
                options.schema = _schema
                answer = _run(perform(dsn, options), dsn)
    except Refused as refused:
        print(refused, file=sys.stderr)
        return 1
    print(show(answer.value, answer.columns, as_json=options.json))
    for note in answer.notes:
        print(note, file=sys.stderr)
    return int(answer.failed)


def _is_text(value: object) -> bool:
    """Whether it is no argument of bytes that are no UTF-8, which nobody could print or store."""
    if isinstance(value, list):
        return all(map(_is_text, value))
    return not isinstance(value, str) or value.isprintable() or value.encode(errors="ignore").decode() == value


def _schema() -> "GraphQLSchema":
    from app.asgi import executable_schema

    return executable_schema()


def _settings(dsn: str) -> Settings:
    """Those of the service on a database: nothing is made up for one that was named. Raises `SettingsError`."""
    if secret(os.environ, "DATABASE_URL")[0]:
        return Settings.from_env(os.environ)
    return dev.settings(os.environ, dsn)


def _generate(options: argparse.Namespace) -> None:
    from app.demo.generate import generate
    from app.postgres.migrate import migrate

    with dev.database(os.environ) as dsn:
        _run(migrate(dsn), dsn)
        taken = f"Orders of seed {options.seed} are there already: choose another --seed."
        _run(generate(dsn, orders=options.orders, seed=options.seed, progress=_show), dsn, taken)


def _show(written: int, wanted: int) -> None:
    """One line that overwrites itself on a terminal, one line each in a log."""
    ending = "\r" if sys.stderr.isatty() and written < wanted else "\n"
    print(f"{written:,} of {wanted:,} orders", end=ending, file=sys.stderr, flush=True)


def _token(options: argparse.Namespace) -> None:
    if options.viewer == "customer":
        with dev.database(os.environ) as dsn:
            print(_run(dev.customer_token(dev.settings(os.environ, dsn)), dsn))
    else:
        print(dev.token(dev.settings(os.environ), options.viewer))


def _explain(options: argparse.Namespace) -> int:
    from app.explain import Unexplained, explain
    from sql import Reach

    with open(options.file, encoding="utf-8") if options.file != "-" else nullcontext(sys.stdin) as file:
        document = file.read()
    try:
        text = asyncio.run(explain(document, options.variables, Reach(options.reach)))
        print(json.dumps({"explanation": text}) if options.json else text, end="\n" * options.json)
    except Unexplained as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes the loop that a server has, where there is one."""
    try:
        import uvloop
    except ImportError:  # Windows has none
        return None
    return uvloop.new_event_loop


def _run(
    work: Coroutine[Any, Any, T],
    dsn: str,
    taken: str = "",
    loop: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> T:
    """Works on the database. A failure ends the command; `taken` is what it says where a row is there already."""
    import asyncpg

    from app.postgres.migrate import MigrationError
    from app.postgres.startup import explain

    try:
        with asyncio.Runner(loop_factory=loop) as runner:
            return runner.run(work)
    except MigrationError as error:
        raise SystemExit(f"The database: {error}") from error
    except Exception as error:
        clash = taken and isinstance(error, asyncpg.UniqueViolationError)
        line = taken if clash else explain(error, dsn)
        if line is None:
            raise
        raise SystemExit(line) from error


if __name__ == "__main__":
    sys.exit(main())
