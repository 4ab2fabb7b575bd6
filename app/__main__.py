"""The command line: `python -m app dev | serve | deliver | migrate | import | customer | webhooks | generate | …`.

Modules are imported by the commands that need them: `token` answers at once.
"""

import argparse
import asyncio
import errno
import gc
import getpass
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

from app.demo import dev
from app.demo.embedded import EmbeddedError
from app.settings import LEAST_RETENTION_DAYS, MOST_RETENTION_DAYS, Settings, SettingsError
from app.webhooks import command as webhooks

if TYPE_CHECKING:
    from app.postgres.locks import Verdict

T = TypeVar("T")

# Open requests may take this long after Ctrl-C or SIGTERM.
GRACE_SECONDS = 10

# Of a viewer; see sql.visibility.Reach.
REACHES = ("everything", "channels", "companies", "contact", "customer")

GC_THRESHOLDS = (50_000, 10, 10)


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0 done (an interrupted server, too), 1 could not, 2 wrong usage, 130 interrupted."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if options.serves:
        _on_hangup(lambda: None)
    try:
        return int(options.command(options) or 0)
    except KeyboardInterrupt:
        return 0 if options.serves else 130
    except (EmbeddedError, SettingsError, OSError) as error:
        print(error, file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m app", description=(__doc__ or "").partition("\n")[0])
    parser.set_defaults(serves=False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    dev_command = commands.add_parser("dev", help="set up database and demo data, then serve on this machine")
    dev_command.set_defaults(command=_dev, serves=True)

    serve = commands.add_parser("serve", help="serve the database at DATABASE_URL")
    serve.set_defaults(command=_serve, serves=True)

    deliver = commands.add_parser("deliver", help="call the endpoints of webhooks, as one of any number of processes")
    deliver.set_defaults(command=_deliver, serves=True)

    webhooks.add_commands(commands).set_defaults(command=_webhooks)

    migrate = commands.add_parser("migrate", help="bring the database to the newest schema")
    migrate.add_argument(
        "--check",
        action="store_true",
        help="change nothing, and say of each missing step which locks it takes and who waits; the exit status is 1"
        " where somebody waits longer than a moment",
    )
    migrate.set_defaults(command=_migrate)

    import_ = commands.add_parser("import", help="read orders and shipments from files of NDJSON")
    import_.add_argument("files", nargs="+", metavar="FILE", help="- is standard input")
    import_.add_argument("--strict", action="store_true", help="load nothing if any record is bad")
    import_.add_argument("--dry-run", action="store_true", help="say what would happen, and write nothing")
    import_.set_defaults(command=_import)

    prune = commands.add_parser("prune", help="remove changes, idempotency keys, sessions and logins of long ago")
    prune.add_argument(
        "--days", type=_days, metavar="N", help="that are kept; RETENTION_DAYS where it is left out", default=None
    )
    prune.set_defaults(command=_prune)

    customer = commands.add_parser("customer", help="merge accounts of customers, or set a password")
    tasks = customer.add_subparsers(required=True, metavar="TASK")
    merge = tasks.add_parser("merge", help="have one customer have the orders of another, for good")
    merge.add_argument("source", metavar="FROM", help="id, or e-mail with --channel, of who is the other one")
    merge.add_argument("target", metavar="INTO")
    merge.set_defaults(command=_merge)
    password = tasks.add_parser("password", help="set a password, read from standard input, and end all tokens")
    password.add_argument("customer", metavar="CUSTOMER", help="id, or e-mail with --channel")
    password.set_defaults(command=_password)
    for task in (merge, password):
        task.add_argument("--channel", metavar="CODE", help="of the channel whose customers are meant")

    generate = commands.add_parser("generate", help="add made-up orders that look real")
    generate.add_argument("--orders", type=_count, default=dev.GENERATED_ORDERS, metavar="N")
    generate.add_argument("--seed", type=int, default=dev.GENERATOR_SEED, metavar="S", help="same seed, same orders")
    generate.set_defaults(command=_generate)

    token = commands.add_parser("token", help="print a token of the demo that a running `dev` accepts")
    token.add_argument("viewer", choices=[*dev.SUBJECTS, "customer"])
    token.set_defaults(command=_token)

    explain = commands.add_parser("explain", help="print how a document would be run, and by which SQL")
    explain.add_argument("file", metavar="FILE", help="of one GraphQL operation; - is standard input")
    explain.add_argument("--variables", type=_object, default={}, metavar="JSON")
    explain.add_argument("--reach", choices=REACHES, default=REACHES[0], help="how far the viewer sees")
    explain.set_defaults(command=_explain)
    return parser


def _count(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:12]) <= 10_000_000:
        raise argparse.ArgumentTypeError("must be a whole number from 1 to 10000000")
    return int(text)


def _days(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not LEAST_RETENTION_DAYS <= int(text[:12]) <= MOST_RETENTION_DAYS:
        raise argparse.ArgumentTypeError(f"must be a whole number from {LEAST_RETENTION_DAYS} to {MOST_RETENTION_DAYS}")
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
    listener = _listen(dev.settings(os.environ))
    with dev.database(os.environ, join=False) as dsn:
        settings = dev.settings(os.environ, dsn)
        taken = "The database holds other data: use `serve` for it, or an empty one for the demo."
        _run(dev.prepare(settings), dsn, taken)
        print(dev.welcome(settings, _run(dev.customer_token(settings), dsn)), flush=True)
        _answer(settings, listener)


def _serve(_options: argparse.Namespace) -> None:
    from app.postgres.migrate import migration_names
    from app.postgres.startup import check

    settings = Settings.from_env(os.environ)
    listener = _listen(settings)
    _run(check(settings.database_url, migration_names()), settings.database_url)
    _answer(settings, listener)


def _deliver(_options: argparse.Namespace) -> None:
    from app.postgres.migrate import migration_names
    from app.postgres.startup import check

    settings = Settings.from_env(os.environ)
    _run(check(settings.database_url, migration_names()), settings.database_url)
    _spare_the_garbage_collector()
    _run(webhooks.deliver(settings), settings.database_url, loop=_fast_loop())


def _webhooks(options: argparse.Namespace) -> int:
    from app.postgres.migrate import migration_names
    from app.postgres.startup import check

    with dev.database(os.environ) as dsn:
        _run(check(dsn, migration_names()), dsn)
        try:
            print(_run(options.task(options, dev.settings(os.environ, dsn)), dsn))
        except webhooks.Refused as refused:
            print(refused, file=sys.stderr)
            return 1
    return 0


def _migrate(options: argparse.Namespace) -> int:
    from app.postgres.migrate import check, migrate

    with dev.database(os.environ) as dsn:
        if options.check:
            return _tell_locks(_run(check(dsn), dsn))
        applied = _run(migrate(dsn, lambda line: print(line, file=sys.stderr, flush=True)), dsn)
    print("\n".join(f"applied {name}" for name in applied) or "nothing to apply")
    return 0


def _tell_locks(verdicts: "Sequence[tuple[str, str, Verdict]]") -> int:
    """One line for each missing step. The exit status: 1 if any blocks."""
    for migration, step, verdict in verdicts:
        locks = ", ".join(f"{mode} on {table}" for table, mode in sorted(verdict.locks.items()))
        place = f"{migration}: {step}" if step else migration
        print(f"{place}: {'BLOCKS, ' if verdict.blocks else ''}{verdict.words}{f' ({locks})' if locks else ''}")
    if not verdicts:
        print("nothing to apply")
    return int(any(verdict.blocks for _, _, verdict in verdicts))


def _import(options: argparse.Namespace) -> int:
    from app.importer.ingest import ingest
    from app.postgres.migrate import migrate

    with dev.database(os.environ) as dsn:
        _run(migrate(dsn), dsn)
        return _run(ingest(dsn, options.files, strict=options.strict, dry_run=options.dry_run), dsn)


def _prune(options: argparse.Namespace) -> int:
    from app.postgres.retention import prune

    days = options.days
    if days is None:
        try:
            days = _days(os.environ.get("RETENTION_DAYS", ""))
        except argparse.ArgumentTypeError as error:
            raise SystemExit(f"--days, or RETENTION_DAYS, {error}") from error
    return _say(lambda dsn: prune(dsn, days))


def _merge(options: argparse.Namespace) -> int:
    from app.admin.customer import merge

    return _say(lambda dsn: merge(dsn, options.source, options.target, options.channel))


def _password(options: argparse.Namespace) -> int:
    from app.admin.customer import set_password

    text = getpass.getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
    return _say(lambda dsn: set_password(dsn, options.customer, text, options.channel))


def _say(task: Callable[[str], Coroutine[Any, Any, str]]) -> int:
    """Does a task with a migrated database and prints what became of it; the exit status."""
    from app.admin.customer import CustomerError
    from app.postgres.migrate import migration_names
    from app.postgres.startup import check

    with dev.database(os.environ) as dsn:
        _run(check(dsn, migration_names()), dsn)
        try:
            print(_run(task(dsn), dsn))
        except CustomerError as error:
            print(error, file=sys.stderr)
            return 1
    return 0


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
        print(asyncio.run(explain(document, options.variables, Reach(options.reach))), end="")
    except Unexplained as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _listen(settings: Settings) -> socket.socket:
    """The bound socket; it accepts once the application is ready. Raises OSError that names the address."""
    listener = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise _unusable(settings, error) from error
    return listener


def _unusable(settings: Settings, error: OSError) -> OSError:
    return OSError(f"{settings.host}, port {settings.port}: {error.strerror}. Set HOST or PORT.")


def _answer(settings: Settings, listener: socket.socket) -> None:
    """Serves until SIGINT or SIGTERM; KeyboardInterrupt then, after the open requests are answered.

    Raises OSError that names the address where another process listens there by now.
    """
    import uvicorn

    from app.asgi import create_app
    from app.http.address import Forwarded
    from app.http.server import Server, protocol_of, socket_protocol_of

    service = create_app(settings)
    config = uvicorn.Config(
        Forwarded(service, os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1")),
        interface="asgi3",  # it would ask for a coroutine function, and take another callable for an old interface
        proxy_headers=False,
        lifespan="on",
        http=protocol_of(settings),
        ws=socket_protocol_of(settings),
        ws_max_size=settings.limits.frame_bytes,
        ws_per_message_deflate=False,  # 64 KiB a socket, and frames are small
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=GRACE_SECONDS,
        server_header=False,
        log_config=None,
        access_log=False,  # the application writes its own, with request ids
    )
    _spare_the_garbage_collector()
    _on_hangup(service.reload)
    try:
        Server(config, drain_seconds=settings.drain_seconds, on_stop=service.stop).run([listener])
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise _unusable(settings, error) from error


def _on_hangup(reload: Callable[[], None]) -> None:
    """SIGHUP calls `reload`; but when it tells that the terminal we were started from is gone, we end."""
    terminals = [descriptor for descriptor in (0, 1, 2) if os.isatty(descriptor)]

    def handle(_number: int, _frame: object) -> None:
        if terminals and not any(map(os.isatty, terminals)):
            signal.raise_signal(signal.SIGTERM)
        else:
            reload()

    signal.signal(signal.SIGHUP, handle)


def _spare_the_garbage_collector() -> None:
    """Half the time of an answer of a hundred shipments went to looking for garbage where there was none.

    What the application is made of (modules, schema) lives as long as the process, and is taken out of every search. A
    search begins after 50,000 new objects, not 700: an answer's rows are then mostly gone by themselves. What is left
    for it are circles, such as an error with the traceback that led to it. Measured with graphql-core's executor and
    eight such answers at a time, its share fell from 53 % to 20 %.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


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
