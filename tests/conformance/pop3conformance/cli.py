"""The command line."""

import argparse
import fnmatch
import os
import sys
import time

from . import __version__
from .registry import all_cases
from .report import describe, score_line, table, to_json, to_junit
from .runner import FAIL, Runner
from .target import Target
from .wire import Failed


def arguments(argv):
    parser = argparse.ArgumentParser(
        prog="poplar-pop3-conformance",
        description="Checks a POP3 server against the RFCs. Its accounts are EMPTIED again and again: use test accounts.")
    where = parser.add_argument_group("the server")
    where.add_argument("--target", metavar="FILE", default=os.environ.get("POP3_CONFORMANCE_TARGET"),
                       help="all of this in a JSON file; see docs/reference/conformance.md (default: $POP3_CONFORMANCE_TARGET)")
    where.add_argument("--name", help="what the reports call it")
    where.add_argument("--host", help="default 127.0.0.1")
    where.add_argument("--port", type=int, help="POP3 without implicit TLS")
    where.add_argument("--tls-port", type=int, help="POP3 with implicit TLS")
    where.add_argument("--account", action="append", metavar="NAME:PASSWORD", default=[],
                       help="a test account; several make the run quicker and more complete")
    where.add_argument("--apop", metavar="NAME:SECRET", help="an account with a secret for APOP")
    where.add_argument("--sasl", metavar="NAME:PASSWORD", help="an account for CRAM-MD5 and SCRAM, if not all can")
    where.add_argument("--utf8", metavar="NAME:PASSWORD", help="an account with a name or password outside ASCII")
    where.add_argument("--oauth", metavar="NAME:TOKEN", help="an account and a bearer token for it")
    where.add_argument("--external", metavar="NAME:CERTIFICATE:KEY", help="an account and its client certificate's files")
    mail = parser.add_argument_group("delivering mail to the accounts (without it, many cases are skipped)")
    mail.add_argument("--lmtp", metavar="HOST:PORT")
    mail.add_argument("--smtp", metavar="HOST:PORT")
    mail.add_argument("--deliver", metavar="COMMAND", help="a shell command: message as input, address in $ACCOUNT")
    which = parser.add_argument_group("which cases, and how")
    which.add_argument("--only", metavar="PATTERNS", help="ids, with * and ?, separated by commas: RFC1939-*,RFC2449-6.6-*")
    which.add_argument("--list", action="store_true", help="list the cases and end")
    which.add_argument("--slow", action="store_true", help="also the cases that wait for timers, over ten minutes")
    which.add_argument("--jobs", type=int, help="cases at once, at most one an account (default 6)")
    which.add_argument("--timeout", type=float, default=8, help="seconds of silence that fail a case (default 8)")
    out = parser.add_argument_group("results")
    out.add_argument("--json", metavar="FILE", help="- is standard output")
    out.add_argument("--junit", metavar="FILE")
    out.add_argument("--quiet", action="store_true", help="the table and the score only")
    out.add_argument("--verbose", action="store_true", help="every case, skipped ones with the reason")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser, parser.parse_args(argv)


def make_target(options):
    import json
    description = {}
    if options.target:
        with open(options.target, encoding="utf-8") as file:
            description = json.load(file)
    for key in ("name", "host", "port", "tls_port"):
        if getattr(options, key) is not None:
            description[key] = getattr(options, key)
    if options.account:
        description["accounts"] = [dict(zip(("name", "password"), entry.split(":", 1))) for entry in options.account]
    for kind, secret in (("apop", "secret"), ("sasl", "password"), ("utf8", "password"), ("oauth", "token")):
        if getattr(options, kind):
            description[kind] = dict(zip(("name", secret), getattr(options, kind).split(":", 1)))
    if options.external:
        name, certificate, key = options.external.split(":")
        description["external"] = {"name": name, "certificate": [certificate, key]}
    for kind, how in (("lmtp", options.lmtp), ("smtp", options.smtp), ("command", options.deliver)):
        if how:
            description["inject"] = {kind: how}
    return Target(description)


def chosen(cases, only):
    if not only:
        return cases
    patterns = [pattern.strip() for pattern in only.split(",") if pattern.strip()]
    unknown = [p for p in patterns if not any(fnmatch.fnmatch(case.id, p) for case in cases)]
    if unknown:
        raise ValueError(f"no case is called {', '.join(unknown)}; see --list")
    return [case for case in cases if any(fnmatch.fnmatch(case.id, pattern) for pattern in patterns)]


def write(path, text):
    if path == "-":
        sys.stdout.write(text)
    else:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)


def main(argv=None):
    """0: no case failed; 1: some did; 2: the run could not be made."""
    parser, options = arguments(argv)
    say = (lambda text: print(text, file=sys.stderr)) if options.json == "-" else print
    try:
        cases = chosen(all_cases(), options.only)
        if options.list:
            for case in cases:
                print(f"{case.id:24} {case.level:6} {case.title}{' (slow)' if case.slow else ''}")
            print(f"{len(cases)} cases")
            return 0
        target = make_target(options)
    except (ValueError, KeyError, OSError) as error:
        parser.error(str(error))

    def on_result(result):
        if result.status == FAIL and not options.quiet:
            say(describe(result) + "\n")
        elif options.verbose:
            say(f"{result.status} {result.case.id} {result.case.title}" + (f": {result.reason}" if result.reason else ""))

    runner = Runner(target, options.timeout, jobs=options.jobs, slow=options.slow, on_result=on_result)
    begun = time.monotonic()
    try:
        results = runner.run(cases)
    except Failed as failed:
        print(f"poplar-pop3-conformance: {target.name}: {failed}", file=sys.stderr)
        return 2
    seconds = time.monotonic() - begun
    say(f"{target.name}, {len(results)} cases in {seconds:.0f} s\n")
    say(table(results))
    say("\n" + score_line(results))
    if options.json:
        write(options.json, to_json(target, results, seconds))
    if options.junit:
        write(options.junit, to_junit(target, results, seconds))
    return 1 if any(result.status == FAIL for result in results) else 0


