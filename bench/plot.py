"""The picture of the README: bars, as an SVG that reads on light and on dark ground and needs no library."""

from collections.abc import Collection
from html import escape
from statistics import median

from bench.report import Results
from bench.servers import NO_GRAPHQL
from bench.workload import TITLES

_WIDTH, _GAP, _LABELS, _FIGURES = 860, 30, 104, 78
_BAR, _PITCH, _HEAD = 11, 16, 46
_STYLE = """
text { font: 11px system-ui, sans-serif; fill: #3b4048 }
.title { font-weight: 600; font-size: 12.5px }
.note, .figure { fill: #6b7280 }
.name.ours { font-weight: 600 }
.bar { fill: #9aa5b5 } .bar.bound { fill: #d3d9e2 } .bar.ours { fill: #2f6fde }
.bar.database { opacity: .45 }
@media (prefers-color-scheme: dark) {
  text { fill: #d7dbe2 } .note, .figure { fill: #969ead }
  .bar { fill: #6d7889 } .bar.bound { fill: #444c59 } .bar.ours { fill: #5b93f5 }
}
"""


def svg(results: Results) -> str:
    """For each workload the requests a second on the left, longer is better, and the CPU of one on the right."""
    height = sum(_height(servers) for servers in results.samples.values())
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" role="img">',
        f"<title>{escape(results.machine)}, {results.date}</title>",
        f"<style>{_STYLE}</style>",
    ]
    top = 0
    for workload, servers in results.samples.items():
        parts += _panel(results, workload, top)
        top += _height(servers)
    return "\n".join([*parts, "</svg>", ""])


def _height(servers: Collection[str]) -> int:
    return _HEAD + len(servers) * _PITCH + 14


def _panel(results: Results, workload: str, top: int) -> list[str]:
    samples = {server: results.middle(workload, server) for server in results.samples[workload]}
    bars = list(samples.items())
    if results.orders:  # sizes stay in their sequence
        bars.sort(key=lambda entry: -entry[1].requests_per_second)
    half = (_WIDTH - _GAP) // 2
    left, right = _LABELS, half + _GAP
    room_left, room_right = half - _LABELS - _FIGURES, half - _FIGURES
    most = max(sample.requests_per_second for sample in samples.values())
    # The dearest may be many times dearer than all others: its bar is cut, its figure is not.
    dearest = min(max(sample.cpu for sample in samples.values()), 3 * median(sample.cpu for sample in samples.values()))
    lines = [
        _text(0, top + 16, TITLES[workload], "title"),
        _text(left, top + 35, "requests a second", "note"),
        _text(right, top + 35, "CPU of one, ms: server, PostgreSQL", "note"),
    ]
    for at, (server, sample) in enumerate(bars):
        y = top + _HEAD + at * _PITCH
        kind = "ours" if server.startswith("waybill") else "bound" if server in NO_GRAPHQL else ""
        many = room_left * sample.requests_per_second / most
        own = min(room_right, room_right * sample.server_cpu / dearest)
        database = min(room_right - own, room_right * sample.database_cpu / dearest)
        lines += [
            _text(_LABELS - 8, y + 9, server, f"name {kind}", "end"),
            _bar(left, y, many, kind),
            _text(left + many + 5, y + 9, f"{sample.requests_per_second:,.0f}", "figure"),
            _bar(right, y, own, kind),
            _bar(right + own, y, database, f"{kind} database"),
            _text(
                right + own + database + 5,
                y + 9,
                f"{sample.cpu:.2f}{' (cut)' if sample.cpu > dearest else ''}",
                "figure",
            ),
        ]
    return lines


def _bar(x: float, y: float, width: float, kind: str) -> str:
    return f'<rect class="{f"bar {kind}".strip()}" x="{x:.1f}" y="{y}" width="{max(width, 0):.1f}" height="{_BAR}"/>'


def _text(x: float, y: float, words: str, kind: str, anchor: str = "start") -> str:
    return f'<text class="{kind.strip()}" x="{x:.1f}" y="{y}" text-anchor="{anchor}">{escape(words)}</text>'
