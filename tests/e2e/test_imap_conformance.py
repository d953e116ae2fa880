"""Poplar and the IMAP conformance rows: none fails, and none is skipped."""

import sys

from poplar_server import PASSWORD, PATIENCE, ROOT

sys.path.insert(0, str(ROOT / "tests" / "conformance"))

from imapconformance.cli import run_rows  # noqa: E402
from imapconformance.rows import all_rows  # noqa: E402


def test_every_row_passes(server, account):
    results = run_rows(all_rows(), "127.0.0.1", server.port["imap"], account, PASSWORD, timeout=8 * PATIENCE)
    assert len(results) > 100
    other = [f"{verdict} {row.id} {row.title}: {reason}" for row, verdict, reason in results if verdict != "PASS"]
    assert not other, "\n".join(other)
