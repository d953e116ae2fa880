"""Runs the rows against a server: each in a mailbox of its own, over a connection of its own."""

import argparse
import collections
import re
import sys
import time

from pop3conformance.wire import Failed, Transcript

from . import client as imap
from .rows import all_rows


def capabilities(client):
    for response in client.ok(b"CAPABILITY"):
        if response.kind == "CAPABILITY":
            return set(response.value)
    raise Failed("CAPABILITY without an untagged CAPABILITY")


def run_row(row, connect, mailbox):
    """Failed, or nothing."""
    client = connect()
    client.ok(b"CREATE " + mailbox)
    for letter in row.letters:
        client.append(mailbox, letter)
    client.ok(b"SELECT " + mailbox)
    if client.count != len(row.letters):
        raise Failed(f"{client.count} messages, and {len(row.letters)} were appended")
    for command, status, wanted, unwanted in row.steps:
        untagged, end = client.ask(command.replace(b"{mailbox}", mailbox))
        if not re.fullmatch(status, end.kind):
            raise Failed(f"{command!r}: {end!r}, and {status} was due")
        said = [response.octets for response in untagged] + [end.octets]
        for pattern in wanted:
            if not any(re.search(pattern, octets, re.S) for octets in said):
                raise Failed(f"{command!r}: {pattern!r} was not said, but {said!r}")
        for pattern in unwanted:
            for octets in said[:-1]:
                if re.search(pattern, octets, re.S):
                    raise Failed(f"{command!r}: {octets!r} was said")
    client.ok(b"NOOP")
    client.ask(b"CLOSE")  # a SELECT that failed has closed it
    client.ok(b"DELETE " + mailbox)
    client.ask(b"LOGOUT")
    client.socket.close()


def run_rows(rows, host, port, user, password, timeout=8):
    """A triple for each row: the row, its verdict (PASS, FAIL or SKIP), and why. Failed if nobody can log in."""
    def connect():
        client = imap.Client(host, port, Transcript(), timeout, time.monotonic() + 10 * timeout)
        client.ok(b'LOGIN "%s" "%s"' % (user.encode(), password.encode()))
        return client

    has = capabilities(connect())
    begun, results = int(time.time()), []
    for number, row in enumerate(rows):
        verdict, reason = "PASS", ""
        if row.needs and row.needs not in has:
            verdict, reason = "SKIP", f"not announced: {row.needs.decode()}"
        else:
            try:
                run_row(row, connect, b"c-%d-%d" % (begun, number))
            except Failed as failed:
                verdict, reason = "FAIL", str(failed)
            except OSError as error:
                verdict, reason = "FAIL", f"{type(error).__name__}: {error}"
        results.append((row, verdict, reason))
    return results


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="poplar-imap-conformance", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True, help="IMAP without TLS; LOGIN has to be allowed there")
    parser.add_argument("--user", required=True)
    parser.add_argument("--password", required=True)
    parser.add_argument("--only", default="", metavar="TEXT", help="rows whose id begins so")
    parser.add_argument("--timeout", type=float, default=8, metavar="SECONDS", help="of silence that fail a row")
    options = parser.parse_args(arguments)
    rows = [row for row in all_rows() if row.id.startswith(options.only)]
    try:
        results = run_rows(rows, options.host, options.port, options.user, options.password, options.timeout)
    except (Failed, OSError) as error:
        print(f"poplar-imap-conformance: {error}", file=sys.stderr)
        return 2
    for row, verdict, reason in results:
        if verdict != "PASS":
            print(f"{verdict} {row.id} {row.title}: {reason}")
    counts = collections.Counter(verdict for _, verdict, _ in results)
    print(", ".join(f"{counts[name]} {name.lower()}" for name in ("PASS", "FAIL", "SKIP")))
    return 1 if counts["FAIL"] else 0
