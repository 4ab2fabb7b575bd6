"""graphql-core's own execution tests, run by plans: `make conformance`.

They come with the source distribution of the version in requirements.lock, whose hash is checked.
"""

import os
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent

# What plans do otherwise, by the name of the test, and why that is right for this service.
DEVIATIONS = {
    "test_cancellation.py::describe_execute_cancellation::suppresses_sibling_errors_after_a_non_null_error_bubbles": (
        "counts the turns of the event loop until an error wins over its sibling's; plans take fewer"
    ),
    "test_executor.py::describe_execute_handles_basic_execution_tasks::provides_info_about_current_execution_state": (
        "compares `info` as a tuple; plans make its path only when somebody reads it"
    ),
    "test_sync.py::describe_execute_synchronously_when_possible::describe_execute_sync"
    "::throws_if_encountering_async_operation_without_check_sync": (
        "wants a coroutine taken for a value; the service executes asynchronously only"
    ),
    "test_sync.py::describe_execute_synchronously_when_possible::describe_graphql_sync"
    "::throws_if_encountering_async_operation_without_check_sync": "the same",
    "test_too_deeply_nested_selections.py::describe_too_deeply_nested_selections_at_the_root"
    "::reports_a_too_deep_chain_inside_a_field_as_a_field_error": (
        "wants the stack to overflow; plans go level by level and answer"
    ),
}


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="waybill-conformance.") as folder:
        return _run(_download(Path(folder)))


def _download(folder: Path) -> Path:
    """The unpacked source distribution."""
    locked = re.search(r"^graphql-core==(?:.*\\\n)+.*\n", (ROOT / "requirements.lock").read_text("utf-8"), re.MULTILINE)
    assert locked, "requirements.lock names no graphql-core"
    (folder / "requirements.txt").write_text(locked[0], "utf-8")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download", "--no-deps"]
    subprocess.run(
        [*pip, "--require-hashes", "--no-binary", "graphql-core", "--requirement", "requirements.txt"],
        cwd=folder,
        check=True,
    )
    [archive] = folder.glob("*.tar.gz")
    with tarfile.open(archive) as sources:
        sources.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")


def _run(sources: Path) -> int:
    tests = ["tests/execution", *sorted(str(path.relative_to(sources)) for path in sources.glob("tests/test_*.py"))]
    for name, reason in DEVIATIONS.items():
        print(f"Left out: {name.rpartition('::')[2]} {reason}.")
    left_out = [f"--deselect=tests/execution/{name}" for name in DEVIATIONS]
    # Their settings ask for plugins that measure, which are not needed.
    pytest = [sys.executable, "-m", "pytest", "-q", "-o", "addopts=", "-W", "ignore::pytest.PytestUnknownMarkWarning"]
    return subprocess.run(
        [*pytest, "-p", "rebind", "-p", "no:cacheprovider", *left_out, *tests],
        cwd=sources,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (HERE, ROOT)))},
        check=False,
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
