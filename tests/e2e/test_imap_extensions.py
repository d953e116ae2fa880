"""IMAP's extensions over the wire: the conformance rows, compression, searches beside other sessions, and POP's part in it."""

import re
import sys
import zlib

import pytest

from imap_wire import Imap
from poplar_server import PASSWORD, PATIENCE, ROOT, make_message

sys.path.insert(0, str(ROOT / "tests" / "conformance"))

from imapconformance.cli import run_rows  # noqa: E402
from imapconformance.rows import all_rows  # noqa: E402


@pytest.fixture
def imap(server, account):
    with Imap(server.port["imap"]) as client:
        yield client.login(account)


def test_no_row_of_the_conformance_suite_fails(server, account):
    results = run_rows(all_rows(), "127.0.0.1", server.port["imap"], account, PASSWORD, timeout=8 * PATIENCE)
    failed = [f"{row.id} {row.title}: {reason}" for row, verdict, reason in results if verdict == "FAIL"]
    assert not failed, "\n".join(failed)
    skipped = {row.needs for row, verdict, _ in results if verdict == "SKIP"}
    assert skipped <= {b"SAVEDATE"}, skipped


class Compressed(Imap):
    """An Imap whose octets are compressed, once begin() was called."""
    deflater = inflater = None

    def begin(self):
        self.ok(b"COMPRESS DEFLATE")
        assert not self.input
        self.deflater, self.inflater = zlib.compressobj(wbits=-15), zlib.decompressobj(wbits=-15)

    def send(self, data):
        super().send(self.deflater.compress(data) + self.deflater.flush(zlib.Z_SYNC_FLUSH) if self.deflater else data)

    def _fill(self):
        before = len(self.input)
        super()._fill()
        if self.inflater:
            came = bytes(self.input[before:])
            del self.input[before:]
            self.input += self.inflater.decompress(came)


def test_a_compressed_session_idles_appends_and_fetches(server, account):
    message = b"Subject: large\r\n\r\n" + b"".join(b"line %d\r\n" % number for number in range(200_000))
    with Compressed(server.port["imap"]) as imap:
        imap.login(account)
        imap.begin()
        assert imap.append(message).startswith(b"OK [APPENDUID ")
        imap.ok(b"SELECT INBOX")
        [response] = imap.ok(b"FETCH 1 BODY.PEEK[]")
        assert message in response
        imap.send(b"i IDLE\r\n")
        assert imap.line() == b"+ idling"
        server.deliver(account, make_message("second"))
        assert imap.wait_for(rb"EXISTS") == b"* 2 EXISTS"
        imap.send(b"DONE\r\n")
        assert imap.answer(b"i")[1] == b"OK done"
        imap.send(b"x LOGOUT\r\n")
        assert imap.answer(b"x")[1] == b"OK done"


def test_expunges_wait_for_uid_searches_by_number(server, account, imap):
    for number in range(3):
        server.deliver(account, make_message(f"{number}"))
    imap.ok(b"SELECT INBOX")
    with Imap(server.port["imap"]) as other:
        other.login(account)
        other.ok(b"SELECT INBOX")
        other.ok(rb"STORE 1 +FLAGS.SILENT (\Deleted)")
        other.ok(b"EXPUNGE")
    for command in (b"UID SEARCH 1:3", b"UID SEARCH RETURN (ALL) NOT 1", b"UID SORT (ARRIVAL) UTF-8 2:3"):
        assert not any(b"EXPUNGE" in line for line in imap.ok(command)), command
    assert imap.ok(b"UID SEARCH ALL")[-1] == b"1 EXPUNGE"


def test_what_pop_deletes_vanishes_from_who_synchronizes(server, account, imap):
    for number in range(3):
        server.deliver(account, make_message(f"{number}"))
    imap.ok(b"ENABLE QRESYNC")
    imap.ok(b"SELECT INBOX")
    imap.send(b"i IDLE\r\n")
    assert imap.line() == b"+ idling"
    with server.login(account) as pop:
        pop.ok(b"DELE 1")
        pop.ok(b"DELE 3")
        pop.ok(b"QUIT")
    assert imap.wait_for(rb"VANISHED") == b"* VANISHED 1,3"
    imap.send(b"DONE\r\n")
    assert imap.answer(b"i")[1] == b"OK done"


def test_who_wants_to_hear_of_it_is_told_while_silent(server, account, imap):
    imap.ok(b"CREATE Work")
    imap.ok(b"SELECT INBOX")
    imap.ok(b"NOTIFY SET (selected (MessageNew (UID BODY.PEEK[HEADER.FIELDS (Subject)]) MessageExpunge FlagChange))"
            b" (mailboxes Work (MessageNew MessageExpunge)) (personal (MailboxName SubscriptionChange))")
    server.deliver(account, make_message("first"))
    assert imap.wait_for(rb"EXISTS") == b"* 1 EXISTS"
    assert b"Subject: first" in imap.wait_for(rb"FETCH")
    with Imap(server.port["imap"]) as other:
        other.login(account)
        other.ok(b"SELECT INBOX")
        other.ok(rb"STORE 1 +FLAGS (\Flagged)")
        assert re.match(rb"\* 1 FETCH \(UID 1 .*Flagged", imap.wait_for(rb"FETCH"))
        other.ok(b"COPY 1 Work")
        assert imap.wait_for(rb"STATUS").startswith(b"* STATUS Work (MESSAGES 1 UIDNEXT 2 ")
        other.ok(b"CREATE Play")
        assert imap.wait_for(rb"LIST").endswith(b'"/" Play')
        other.ok(b"SUBSCRIBE Play")
        assert rb"\Subscribed" in imap.wait_for(rb"LIST")
        other.ok(b"DELETE Play")
        assert rb"\NonExistent" in imap.wait_for(rb"LIST")
    with server.login(account) as pop:
        pop.ok(b"DELE 1")
        pop.ok(b"QUIT")
    assert imap.wait_for(rb"EXPUNGE") == b"* 1 EXPUNGE"
    imap.ok(b"NOTIFY NONE")
    server.deliver(account, make_message("second"))
    assert imap.ok(b"NOOP") == []


def test_a_pop_session_fetches_a_message_that_imap_replaced(server, account, imap):
    original = make_message("draft")
    server.deliver(account, original)
    with server.login(account) as pop:
        pop.ok(b"STAT")
        [number] = pop.uidl()
        imap.ok(b"SELECT INBOX")
        untagged = imap.ok(b"REPLACE 1 INBOX {3+}\r\nnew")
        assert b"1 EXPUNGE" in untagged
        assert pop.retr(number).endswith(original)
        pop.ok(b"QUIT")
    assert [body for _, body in server.fetch_all(account)] == [b"new\r\n"]


def test_pop_marks_what_it_retrieved_where_that_is_wanted(make_server):
    server = make_server(pop3={"marks_seen": True})
    account = "seen@example.test"
    server.add_user(account, PASSWORD)
    for number in range(3):
        server.deliver(account, make_message(f"{number}"))
    with Imap(server.port["imap"]) as imap:
        imap.login(account)
        imap.ok(b"SELECT INBOX")
        imap.send(b"i IDLE\r\n")
        assert imap.line() == b"+ idling"
        with server.login(account) as pop:
            pop.retr(2)
            pop.ok(b"QUIT")
        assert re.fullmatch(rb"\* 2 FETCH \(.*FLAGS \(\\Seen\)\)", imap.wait_for(rb"FETCH"))
        imap.send(b"DONE\r\n")
        imap.answer(b"i")
        assert imap.ok(b"SEARCH UNSEEN") == [b"SEARCH 1 3"]


def test_a_search_ends_with_its_client_and_keeps_nobody_waiting(server, account, imap):
    """A search in 60 MB: another session of the same server is answered meanwhile."""
    message = b"Subject: large\r\n\r\n" + b"nothing is to be found in here, really\r\n" * 25_000
    for _ in range(60):
        imap.append(message)
    imap.ok(b"SELECT INBOX")
    imap.send(b"s SEARCH BODY needle\r\n")
    with Imap(server.port["imap"]) as other:
        other.login(account)
        for _ in range(20):
            other.ok(b"NOOP")
    assert imap.answer(b"s") == ([b"SEARCH"], b"OK done")
    with Imap(server.port["imap"]) as gone:
        gone.login(account)
        gone.ok(b"SELECT INBOX")
        gone.send(b"s SEARCH BODY needle\r\n")
    assert imap.ok(b"NOOP") == []
