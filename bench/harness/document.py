"""Puts tables between their markers in docs/performance.md or docs/performance/tables.md, charts beside the latter."""

import re

from .servers import ROOT

CHARTS = ROOT / "docs/performance"
PAGES = ROOT / "docs/performance.md", CHARTS / "tables.md"


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
    """Replaces what stands between <!-- name --> and <!-- /name --> on the page that has these."""
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    place = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.S)
    pages = [page for page in PAGES if place.search(page.read_text())]
    if len(pages) != 1:
        raise ValueError(f"there must be one place for {name}, and there are {len(pages)}")
    pages[0].write_text(place.sub(lambda _: begin + text.rstrip("\n") + "\n" + end, pages[0].read_text(), count=1))


def chart(name, svg):
    CHARTS.mkdir(exist_ok=True)
    (CHARTS / f"{name}.svg").write_text(svg)
