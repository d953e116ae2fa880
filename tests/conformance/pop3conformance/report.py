"""Results for people, for programs and for build servers."""

import json
import time
import xml.etree.ElementTree as ElementTree

from . import __version__
from .runner import FAIL, PASS, SKIP


def _count(results, level, status):
    return sum(1 for r in results if r.case.level == level and r.status == status)


def score(results):
    """{"MUST": [passed, tried], "SHOULD": [passed, tried], "skipped": n}"""
    levels = {level: [_count(results, level, PASS), _count(results, level, PASS) + _count(results, level, FAIL)]
              for level in ("MUST", "SHOULD")}
    return {**levels, "skipped": sum(1 for r in results if r.status == SKIP)}


def by_rfc(results):
    groups = {}
    for result in results:
        groups.setdefault(result.case.rfc, []).append(result)
    return groups


def table(results):
    """The table per RFC, and the score under it."""
    rows = [("", "MUST pass", "fail", "SHOULD pass", "fail", "skipped")]
    for rfc, some in [*by_rfc(results).items(), ("all", results)]:
        rows.append((rfc, *(str(_count(some, level, status)) for level in ("MUST", "SHOULD") for status in (PASS, FAIL)),
                     str(sum(1 for r in some if r.status == SKIP))))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join([row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])])
             for row in rows]
    lines.insert(1, "-" * len(lines[0]))
    lines.insert(-1, "-" * len(lines[0]))
    return "\n".join(lines)


def score_line(results):
    total = score(results)
    parts = []
    for level in ("MUST", "SHOULD"):
        passed, tried = total[level]
        parts.append(f"{level} {passed}/{tried}" + (f" ({100 * passed / tried:.1f} %)" if tried else ""))
    return f"{', '.join(parts)}, {total['skipped']} skipped"


def describe(result):
    """A failed case in full."""
    case = result.case
    lines = [f"{result.status} {case.id} ({case.rfc} section {case.section}, {case.level}): {case.title}",
             f'    The text: "{case.quote}"', *("    " + line for line in result.reason.splitlines())]
    return "\n".join(lines + ["      " + line for line in result.transcript])


def to_json(target, results, seconds):
    return json.dumps({
        "suite": "poplar-pop3-conformance", "version": __version__, "target": target.name,
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "seconds": round(seconds, 1), "score": score(results),
        "cases": [{"id": r.case.id, "rfc": r.case.rfc, "section": r.case.section, "level": r.case.level,
                   "title": r.case.title, "quote": r.case.quote, "status": r.status, "reason": r.reason,
                   "seconds": round(r.seconds, 3), "transcript": r.transcript} for r in results],
    }, indent=1, ensure_ascii=False) + "\n"


def _printable(text):
    """XML 1.0 has no control characters."""
    return "".join(c if c in "\n\t" or ord(c) >= 32 else "?" for c in text)


def to_junit(target, results, seconds):
    suites = ElementTree.Element("testsuites", name="poplar-pop3-conformance", time=f"{seconds:.1f}")
    for rfc, some in by_rfc(results).items():
        suite = ElementTree.SubElement(
            suites, "testsuite", name=f"{rfc} ({target.name})", tests=str(len(some)),
            failures=str(sum(1 for r in some if r.status == FAIL)), errors="0",
            skipped=str(sum(1 for r in some if r.status == SKIP)))
        for result in some:
            case = ElementTree.SubElement(suite, "testcase", classname=rfc.replace(" ", ""),
                                          name=f"{result.case.id} {result.case.title}", time=f"{result.seconds:.3f}")
            if result.status == FAIL:
                failure = ElementTree.SubElement(case, "failure", message=_printable(result.reason.splitlines()[0]))
                failure.text = _printable(describe(result))
            elif result.status == SKIP:
                ElementTree.SubElement(case, "skipped", message=_printable(result.reason))
    ElementTree.indent(suites) if hasattr(ElementTree, "indent") else None
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"
