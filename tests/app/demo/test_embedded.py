"""The embedded server through every way in which its predecessor can have ended."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from app.demo import embedded
from app.demo.embedded import EmbeddedError
from tests.conftest import FAR_TOO_LONG
from tests.server import temporary

SERVE = """
import sys, time
from pathlib import Path
from app.demo import embedded
server = embedded.start(Path(sys.argv[1]))
print(server.dsn, flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def data_dir() -> Iterator[Path]:
    """A directory with a cluster that nobody serves."""
    with temporary() as server:
        server.stop()
        yield server.data_dir


def answer(dsn: str, query: str, password: str | None = None) -> object:
    async def ask() -> object:
        connection = await asyncpg.connect(dsn, password=password)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    return asyncio.run(ask())


def serve_elsewhere(data_dir: Path) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(data_dir)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(embedded.__file__).parents[2],
    )
    assert process.stdout
    return process, process.stdout.readline().strip()


def postmaster(data_dir: Path) -> int:
    return int((data_dir / "postgres" / "postmaster.pid").read_text().split("\n")[0])


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except OSError:
        return False


def test_start_serves_postgresql_18_with_a_password(data_dir: Path) -> None:
    with embedded.start(data_dir) as server:
        assert str(answer(server.dsn, "SHOW server_version")).startswith("18")
        assert answer(server.dsn, "SHOW server_encoding") == "UTF8"
        assert answer(server.dsn, "SELECT lower('ÄŠ')") == "äš"
        with pytest.raises(asyncpg.InvalidPasswordError):
            answer(server.dsn, "SELECT 1", password="wrong")
    assert (data_dir / "postgres.password").stat().st_mode & 0o777 == 0o600


def test_start_refuses_a_directory_in_use(data_dir: Path) -> None:
    with embedded.start(data_dir), pytest.raises(EmbeddedError, match=f"{data_dir} is in use"):
        embedded.start(data_dir)


def test_server_ends_with_the_process_that_started_it(data_dir: Path) -> None:
    process, _ = serve_elsewhere(data_dir)
    pid = postmaster(data_dir)
    process.kill()
    process.communicate()
    deadline = time.monotonic() + FAR_TOO_LONG
    while lives(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not lives(pid)


def test_start_stops_the_server_of_a_killed_predecessor(data_dir: Path) -> None:
    process, dsn = serve_elsewhere(data_dir)
    answer(dsn, "CREATE TABLE IF NOT EXISTS kept (n int)")
    pid = postmaster(data_dir)
    process.kill()
    process.communicate()
    with embedded.start(data_dir) as server:
        assert not lives(pid)
        assert answer(server.dsn, "SELECT count(*) FROM kept") == 0


def test_start_recovers_from_a_kill_of_everything(data_dir: Path) -> None:
    process, dsn = serve_elsewhere(data_dir)
    answer(dsn, "CREATE TABLE IF NOT EXISTS kept (n int)")
    os.kill(postmaster(data_dir), signal.SIGKILL)
    process.kill()
    process.communicate()
    with embedded.start(data_dir) as server:
        assert answer(server.dsn, "SELECT count(*) FROM kept") == 0


def test_start_ignores_a_lock_file_whose_number_another_process_has(data_dir: Path) -> None:
    bystander = subprocess.Popen(["sleep", "600"])
    try:
        stale = data_dir / "postgres" / "postmaster.pid"
        stale.write_text(f"{bystander.pid}\n{data_dir / 'postgres'}\n1\n5432\n\n127.0.0.1\n  123  456\nready   \n")
        with embedded.start(data_dir) as server:
            assert answer(server.dsn, "SELECT 1") == 1
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


@pytest.mark.parametrize("remains", ["", "123"])
def test_start_ignores_an_unfinished_lock_file(data_dir: Path, remains: str) -> None:
    (data_dir / "postgres" / "postmaster.pid").write_text(remains)
    with embedded.start(data_dir) as server:
        assert answer(server.dsn, "SELECT 1") == 1


def test_start_makes_an_unfinished_cluster_anew(data_dir: Path) -> None:
    kept = (data_dir / "postgres").rename(data_dir / "postgres.kept")
    unfinished = data_dir / "postgres.new"
    unfinished.mkdir()
    (unfinished / "PG_VERSION").write_text("1")
    try:
        with embedded.start(data_dir, {"fsync": "off"}) as server:
            assert answer(server.dsn, "SELECT current_database()") == "waybill"
        assert not unfinished.exists()
    finally:
        shutil.rmtree(data_dir / "postgres", ignore_errors=True)
        kept.rename(data_dir / "postgres")


def test_start_says_what_the_log_says(data_dir: Path) -> None:
    with pytest.raises(EmbeddedError, match='"many"'):
        embedded.start(data_dir, {"max_connections": "many"})


def test_start_refuses_the_cluster_of_another_version(data_dir: Path) -> None:
    version = data_dir / "postgres" / "PG_VERSION"
    version.write_text("17\n")
    try:
        with pytest.raises(EmbeddedError, match="made by PostgreSQL 17"):
            embedded.start(data_dir)
    finally:
        version.write_text("18\n")


def test_start_names_the_missing_extra(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "find_spec", lambda _name: None)
    with pytest.raises(EmbeddedError, match="extra `embedded`"):
        embedded.start(data_dir)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to give its rights up")
def test_start_as_root_works_below_a_directory_that_is_roots_alone(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    hidden = tmp_path / "data"
    try:
        with embedded.start(hidden) as server:
            assert str(answer(server.dsn, "SHOW server_version")).startswith("18")
            home = (hidden / "home").readlink()
            assert home.stat().st_mode & 0o777 == 0o711
        with embedded.start(hidden):
            assert (hidden / "home").readlink() == home
    finally:
        embedded.remove(hidden)
    assert not home.exists()
    assert not hidden.exists()


def test_remove_refuses_a_directory_in_use(data_dir: Path) -> None:
    with embedded.start(data_dir), pytest.raises(EmbeddedError, match="in use"):
        embedded.remove(data_dir)


def test_secret_is_made_once_and_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "token.secret"
    text = embedded.secret(path)
    assert len(text) >= 32
    assert embedded.secret(path) == text
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]
