"""Where the time of a server goes: py-spy looks at the running process many times a second, while it is under load."""

import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from bench.run import Running

_RATE = 500  # samples a second
_TOP = 25
# The first that is part of the innermost frame's file names the layer.
_LAYERS = (
    ("app/http/", "app/http"),
    ("app/auth/", "app/auth"),
    ("app/execution/", "app/execution"),
    ("app/resolvers/", "app/resolvers"),
    ("app/", "app: context, database, ..."),
    ("loaders/", "loaders"),
    ("sql/", "sql"),
    ("graphql/validation", "graphql-core: validate"),
    ("graphql/language", "graphql-core: parse"),
    ("graphql/", "graphql-core: execute"),
    ("ariadne/", "ariadne"),
    ("aiodataloader", "aiodataloader"),
    ("asyncpg/", "asyncpg"),
    ("starlette/", "starlette"),
    ("uvicorn/", "uvicorn"),
    ("asyncio/", "asyncio"),
    ("logging/", "logging"),
    ("json/", "json"),
)
_NATIVE = (
    (("uvloop", "libuv", "uv_", "uv__"), "uvloop"),
    (("orjson",), "orjson"),
    (("asyncpg",), "asyncpg"),
    (("httptools", "llhttp"), "httptools"),
    (("msgspec",), "msgspec"),
    (("gc_collect", "collect_with_callback", "gcmodule"), "garbage collection"),
)
_FRAME = re.compile(r"(?P<function>.*) \((?P<file>[^()]*?)(?::\d+)?\)$")


def check_tools() -> str:
    """The program's path. Raises `RuntimeError` where it is not installed."""
    program = shutil.which("py-spy") or str(Path(sys.executable).with_name("py-spy"))
    if not Path(program).exists():
        raise RuntimeError("The profile needs py-spy on the PATH: pip install py-spy.")
    return program


def profile(contender: Running, workload: str, folder: Path, seconds: int) -> str:
    """A table of layers and one of functions, in percent of the samples in which the server was at work."""
    output = folder / f"{contender.server.name}.{workload}.stacks"
    spy = subprocess.Popen(
        [check_tools(), "record", "--native", "--format", "raw", "--rate", str(_RATE), "--duration", str(seconds),
         "--output", str(output), "--pid", str(contender.process.pid)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    sample = contender.turn(workload, seconds + 1)
    _, errors = spy.communicate()
    if spy.returncode:
        raise RuntimeError(f"py-spy: {errors[-1000:]}")
    return _table(workload, contender.server.name, sample.server_cpu, output.read_text().splitlines())


def _table(workload: str, server: str, milliseconds: float, lines: Iterable[str]) -> str:
    layers: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        layers[layer(frames)] += int(count)
        functions[_python(frames)] += int(count)
    total = layers.total() or 1
    heading = (
        f"{server}, {workload}: {milliseconds:.3f} ms CPU a request, {total} samples (slowed down by the profiler)"
    )
    rows = [
        f"{count / total:7.1%}  {milliseconds * count / total:7.3f} ms  {name}" for name, count in layers.most_common()
    ]
    top = [f"{count / total:7.1%}  {name}" for name, count in functions.most_common(_TOP)]
    return "\n".join([heading, *rows, "", "by function, with the C code it calls:", *top, ""])


def layer(frames: Iterable[str]) -> str:
    """Who is at work in a stack, outermost frame first: the innermost frame that belongs to somebody we know."""
    for frame in reversed(list(frames)):
        match = _FRAME.match(frame)
        file = match["file"] if match else ""
        if file.endswith(".py"):
            return next((name for part, name in _LAYERS if part in file), f"other Python: {Path(file).name}")
        text = frame.lower()
        for words, name in _NATIVE:
            if any(word in text for word in words):
                return name
    return "Python itself"


def _python(frames: Iterable[str]) -> str:
    """The innermost frame of Python."""
    for frame in reversed(list(frames)):
        match = _FRAME.match(frame)
        if match and match["file"].endswith(".py"):
            return f"{match['function']} ({match['file']})"
    return "no Python frame"
