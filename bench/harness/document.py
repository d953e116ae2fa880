"""Puts tables between their markers in docs/performance.md, charts beside it."""

import re

from .servers import ROOT

DOCUMENT = ROOT / "docs/performance.md"
CHARTS = ROOT / "docs/performance"


def figure(value):
    """Three digits that count."""
    if value is None:
        return "-"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def table(head, rows):
    def line(cells):
        return "| " + " | ".join(map(str, cells)) + " |"
    return "\n".join([line(head), line(["---"] + ["---:"] * (len(head) - 1)), *map(line, rows)])


def publish(name, text):
    """Replaces what stands between <!-- name --> and <!-- /name -->."""
    before = DOCUMENT.read_text()
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    after, count = re.subn(re.escape(begin) + ".*?" + re.escape(end), lambda _: begin + text.rstrip("\n") + "\n" + end, before,
                           flags=re.S)
    if count != 1:
        raise ValueError(f"{DOCUMENT} has no place for {name}")
    DOCUMENT.write_text(after)


def chart(name, svg):
    CHARTS.mkdir(exist_ok=True)
    (CHARTS / f"{name}.svg").write_text(svg)
