"""Keeps what was measured beside the code, and shows it in the README."""

import json
from pathlib import Path

from bench import plot, report
from bench.report import Results
from bench.servers import HERE
from bench.workload import DISTINCT

_FROM, _TO = "<!-- bench -->", "<!-- /bench -->"
_KINDS = ("comparison", "growth")
_SHARED = "The same caller all the time, so that requests for single rows share their statements:"


def publish(results: Results, kind: str) -> None:
    """`kind` is `comparison` or `growth`: the data and the picture of the last run of each are kept."""
    folder = HERE / "results"
    folder.mkdir(exist_ok=True)
    (folder / f"{kind}.json").write_text(json.dumps(results.as_json(), indent=1) + "\n")
    (folder / f"{kind}.svg").write_text(plot.svg(results))
    readme = HERE.parent / "README.md"
    before, mark, rest = readme.read_text().partition(_FROM)
    _, end, after = rest.partition(_TO)
    if not mark or not end:
        raise RuntimeError(f"README.md has no place for the figures: {_FROM} … {_TO}")
    readme.write_text(f"{before}{_FROM}\n{_section(folder)}\n{_TO}{after}")


def _section(folder: Path) -> str:
    parts = []
    for kind in _KINDS:
        if (folder / f"{kind}.json").exists():
            results = Results.of_json(json.loads((folder / f"{kind}.json").read_text()))
            picture = f"![{kind}](bench/results/{kind}.svg)"
            distinct, shared = results.only(DISTINCT), results.only(set(results.samples) - set(DISTINCT))
            parts.append(report.caption(results))
            if distinct.samples:
                parts += [report.verdicts(distinct), report.markdown(distinct)]
            if shared.samples:
                # With one caller those who ask at the same time share what is fetched for them.
                parts += [_SHARED if distinct.samples else "", report.verdicts(shared), report.markdown(shared)]
            parts.append(picture)
    return "\n\n".join(part for part in parts if part)
