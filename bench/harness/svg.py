"""Charts as SVG text: nothing but the standard library, readable on light and dark pages."""

import html
import math

COLOURS = ("#0b7285", "#868e96", "#e8590c", "#ae3ec9", "#2f9e44", "#e03131", "#5f3dc4", "#1971c2")
_STYLE = ("text{font:12px sans-serif;fill:#333}.title{font-size:14px;font-weight:bold}.small{font-size:11px}"
          ".grid{stroke:#ddd}.axis{stroke:#999}.bar{stroke:#0b7285;stroke-width:2}"
          "@media(prefers-color-scheme:dark){text{fill:#ccc}.grid{stroke:#444}.page{fill:#1b1b1b}}")


def _text(x, y, text, anchor="start", kind=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{f" class={chr(34)}{kind}{chr(34)}" if kind else ""}>{html.escape(str(text))}</text>'


def _page(width, height, parts):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
            f'<style>{_STYLE}</style><rect class="page" width="{width}" height="{height}" fill="#fff"/>\n'
            + "\n".join(parts) + "\n</svg>\n")


def _number(value):
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:g}{unit}"
    return f"{value:g}"


def _ticks(low, high):
    """1, 10, 100 ..., and 2, 5 between them where there is room."""
    decades = math.log10(high / low)
    steps = (1,) if decades > 3.5 else (1, 3) if decades > 2 else (1, 2, 5)
    for power in range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1):
        for step in steps:
            value = step * 10.0 ** power
            if low * 0.999 <= value <= high * 1.001:
                yield value


def _bounds(values):
    values = [v for v in values if v > 0]
    return min(values) * 0.8, max(values) * 1.25


def dots(title, subtitle, rows, names):
    """One line a row with a dot for each series, on a logarithmic axis. rows: (label, {name: value}, bar or None); the
    bar is a vertical stroke: what the first series must reach. names: {name: what the legend says}."""
    left, right, top, step = 300, 30, 84, 22
    width, height = 900, top + step * len(rows) + 34
    low, high = _bounds([v for _, values, bar in rows for v in [*values.values(), *([bar] if bar else [])]])
    scale = (width - left - right) / math.log(high / low)

    def x(value):
        return left + math.log(value / low) * scale
    parts = [_text(16, 24, title, kind="title"), _text(16, 42, subtitle, kind="small")]
    at = 16
    for colour, label in zip(COLOURS, names.values()):
        parts += [f'<circle cx="{at + 5}" cy="60" r="5" fill="{colour}"/>', _text(at + 15, 64, label)]
        at += 28 + 7 * len(label)
    parts += [f'<line class="bar" x1="{at + 4}" y1="53" x2="{at + 4}" y2="67"/>', _text(at + 12, 64, "Poplar's bar")]
    for tick in _ticks(low, high):
        parts += [f'<line class="grid" x1="{x(tick):.1f}" y1="{top - 6}" x2="{x(tick):.1f}" y2="{height - 28}"/>',
                  _text(x(tick), height - 12, _number(tick), "middle", "small")]
    for index, (label, values, bar) in enumerate(rows):
        y = top + step * index + 8
        parts.append(_text(left - 10, y + 4, label, "end"))
        if bar:
            parts.append(f'<line class="bar" x1="{x(bar):.1f}" y1="{y - 8}" x2="{x(bar):.1f}" y2="{y + 8}"/>')
        for colour, name in reversed(list(zip(COLOURS, names))):
            if values.get(name, 0) > 0:
                parts.append(f'<circle cx="{x(values[name]):.1f}" cy="{y}" r="5" fill="{colour}" fill-opacity="0.85"/>')
    return _page(width, height, parts)


def lines(title, x_label, y_label, series):
    """Curves on two logarithmic axes. series: {label: [(x, y), ...]}."""
    height, left, top, bottom = 400, 70, 50, 50
    right = 50 + 7 * max(map(len, series))  # for the legend
    width = 550 + right
    points = [p for curve in series.values() for p in curve]
    x_low, x_high = min(p[0] for p in points), max(p[0] for p in points)
    x_high = max(x_high, x_low * 1.01)
    y_low, y_high = _bounds([p[1] for p in points])
    if y_high / y_low < 10:  # a flat curve must look flat
        middle = math.sqrt(y_low * y_high)
        y_low, y_high = middle / 3.2, middle * 3.2

    def x(value):
        return left + math.log(value / x_low) / math.log(x_high / x_low) * (width - left - right)

    def y(value):
        return height - bottom - math.log(max(value, y_low) / y_low) / math.log(y_high / y_low) * (height - top - bottom)
    parts = [_text(16, 24, title, kind="title"), _text((left + width - right) / 2, height - 12, x_label, "middle"),
             _text(left - 50, top - 10, y_label, kind="small")]
    for tick in _ticks(x_low, x_high):
        parts += [f'<line class="grid" x1="{x(tick):.1f}" y1="{top}" x2="{x(tick):.1f}" y2="{height - bottom}"/>',
                  _text(x(tick), height - bottom + 18, _number(tick), "middle", "small")]
    for tick in _ticks(y_low, y_high):
        parts += [f'<line class="grid" x1="{left}" y1="{y(tick):.1f}" x2="{width - right}" y2="{y(tick):.1f}"/>',
                  _text(left - 8, y(tick) + 4, _number(tick), "end", "small")]
    for index, (colour, (label, curve)) in enumerate(zip(COLOURS, series.items())):
        path = " ".join(f"{x(px):.1f},{y(py):.1f}" for px, py in sorted(curve))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x(px):.1f}" cy="{y(py):.1f}" r="3.5" fill="{colour}"/>' for px, py in curve]
        parts += [f'<circle cx="{width - right + 20}" cy="{top + 10 + 20 * index}" r="5" fill="{colour}"/>',
                  _text(width - right + 30, top + 14 + 20 * index, label)]
    return _page(width, height, parts)
