"""IMAP as clients see it: raw octets, Python's imaplib, curl and mbsync; beside POP on the same mailboxes, and after kill -9."""

import imaplib
import mailbox
import re
import ssl
import subprocess
import time

import pytest

from imap_wire import Imap
from poplar_server import DOMAIN, PASSWORD, PATIENCE, big_message, make_message


@pytest.fixture
def imap(server, account):
    with Imap(server.port["imap"]) as client:
        yield client.login(account)


def fill(server, account, count):
    messages = [make_message(f"message {number}") for number in range(count)]
    for message in messages:
        server.deliver(account, message)
    return messages


def body(response):
    """The octets of the one literal in a response."""
    found = re.search(rb"\{(\d+)\}\r\n", response)
    return response[found.end():found.end() + int(found[1])]


def test_imaplib_reads_marks_and_removes(server, account):
    messages = fill(server, account, 3)
    client = imaplib.IMAP4("127.0.0.1", server.port["imap"])
    assert client.login(account, PASSWORD)[0] == "OK"
    assert client.select("INBOX") == ("OK", [b"3"])
    kind, data = client.uid("FETCH", "1:*", "(FLAGS RFC822.SIZE BODY.PEEK[])")
    assert kind == "OK"
    bodies = [part[1] for part in data if isinstance(part, tuple)]
    assert len(bodies) == 3
    for original, got in zip(messages, bodies):
        assert got.endswith(original)
    assert client.store("1", "+FLAGS", r"(\Deleted)") == ("OK", [rb"1 (FLAGS (\Deleted))"])
    assert client.expunge() == ("OK", [b"1"])
    assert client.close()[0] == "OK"
    assert client.logout()[0] == "BYE"
    assert len(server.fetch_all(account)) == 2
    server.wait_log_match(rf"imap\.end .*account={account} .*expunged=1")


def test_tls_from_the_first_octet_and_by_starttls(server, account):
    context = ssl.create_default_context(cafile=str(server.certificate))
    context.check_hostname = False
    with imaplib.IMAP4_SSL("127.0.0.1", server.port["imaps"], ssl_context=context) as client:
        assert client.login(account, PASSWORD)[0] == "OK"
    with imaplib.IMAP4("127.0.0.1", server.port["imap"]) as client:
        assert client.starttls(context)[0] == "OK"
        assert client.authenticate("PLAIN", lambda _: f"\0{account}\0{PASSWORD}".encode())[0] == "OK"


def test_a_large_message_comes_back_as_it_went(imap):
    message = big_message("large", 30_000_000)
    end = imap.append(message, options=rb"(\Seen) ")
    uid = re.search(rb"APPENDUID \d+ (\d+)", end)[1]
    imap.ok(b"SELECT INBOX")
    [response] = imap.ok(b"UID FETCH %s BODY.PEEK[]" % uid)
    assert body(response) == message
    [response] = imap.ok(b"UID FETCH %s BODY.PEEK[]<1000.500>" % uid)
    assert body(response) == message[1000:1500]


def test_who_idles_hears_of_mail_and_of_what_pop_deletes(server, account, imap):
    server.deliver(account, make_message("first"))
    imap.ok(b"SELECT INBOX")
    imap.send(b"i IDLE\r\n")
    assert imap.line() == b"+ idling"
    server.deliver(account, make_message("second"))
    assert imap.wait_for(rb"EXISTS") == b"* 2 EXISTS"
    with server.login(account) as pop:
        pop.ok(b"DELE 1")
        pop.ok(b"QUIT")
    assert imap.wait_for(rb"EXPUNGE") == b"* 1 EXPUNGE"
    imap.send(b"DONE\r\n")
    assert imap.answer(b"i")[1] == b"OK done"


def test_mail_is_told_within_milliseconds(server, account, imap):
    imap.ok(b"SELECT INBOX")
    imap.send(b"i IDLE\r\n")
    imap.line()
    times = []
    for number in range(20):
        server.deliver(account, make_message(f"{number}"))
        begun = time.monotonic()
        imap.wait_for(rb"\* %d EXISTS" % (number + 1))
        times.append(time.monotonic() - begun)
    assert sorted(times)[10] < 0.05 * PATIENCE, times


def test_a_pop_session_fetches_what_imap_has_removed(server, account, imap):
    [original] = fill(server, account, 1)
    with server.login(account) as pop:
        pop.ok(b"STAT")
        [(number, unique_id)] = pop.uidl().items()
        imap.ok(b"SELECT INBOX")
        imap.ok(rb"STORE 1 +FLAGS.SILENT (\Deleted)")
        assert imap.ok(b"EXPUNGE") == [b"1 EXPUNGE"]
        assert pop.retr(number).endswith(original)
        pop.ok(b"QUIT")
    assert unique_id and server.fetch_all(account) == []


def test_flags_and_moves_leave_the_unique_id(server, account, imap):
    fill(server, account, 2)
    before = server.fetch_all(account)
    imap.ok(b"SELECT INBOX")
    imap.ok(rb"STORE 1 +FLAGS (\Seen $Work)")
    imap.ok(b"CREATE Work")
    imap.ok(b"MOVE 1 Work")
    assert [unique_id for unique_id, _ in server.fetch_all(account)] == [before[1][0]]
    imap.ok(b"SELECT Work")
    imap.ok(b"MOVE 1 INBOX")
    assert sorted(server.fetch_all(account)) == sorted(before)


def test_expunges_wait_while_messages_are_named_by_numbers(server, account, imap):
    fill(server, account, 3)
    imap.ok(b"SELECT INBOX")
    with Imap(server.port["imap"]) as other:
        other.login(account)
        other.ok(b"SELECT INBOX")
        other.ok(rb"STORE 1 +FLAGS.SILENT (\Deleted)")
        other.ok(b"EXPUNGE")
    untagged, end = imap.ask(b"FETCH 1:3 (UID RFC822.SIZE)")
    assert end.startswith(b"NO [EXPUNGEISSUED]")
    assert [re.match(rb"(\d+) FETCH", line)[1] for line in untagged] == [b"2", b"3"]
    assert not any(b"EXPUNGE" in line for line in imap.ok(rb"STORE 2 +FLAGS (\Seen)"))
    assert not any(b"EXPUNGE" in line for line in imap.ok(b"SEARCH ALL"))
    assert imap.ok(b"NOOP") == [b"1 EXPUNGE"]


def test_moved_out_of_a_mailbox_that_is_only_examined_is_refused(server, account, imap):
    fill(server, account, 1)
    imap.ok(b"EXAMINE INBOX")
    assert imap.no(b"MOVE 1 Trash").startswith(b"NO [CANNOT]")
    assert len(server.fetch_all(account)) == 1


def test_a_device_that_only_reads_changes_nothing(server, account):
    fill(server, account, 1)
    made = server.cli("device", "add", account, "--name", "reader", "--read-only")
    password = made["password"]
    with Imap(server.port["imap"]) as client:
        client.login(account, password)
        _, end = client.ask(b"SELECT INBOX")
        assert end.startswith(b"OK [READ-ONLY]")
        for command in (rb"STORE 1 +FLAGS (\Deleted)", b"EXPUNGE", b"MOVE 1 Trash", b"COPY 1 INBOX", b"CREATE x", b"DELETE Trash"):
            client.no(command)
    assert len(server.fetch_all(account)) == 1


def test_what_was_answered_survives_kill(make_server):
    server = make_server()
    account = server.add_user(f"jane@{DOMAIN}")
    with Imap(server.port["imap"]) as client:
        client.login(account)
        client.ok(b"CREATE Work")
        assert client.append(make_message("kept"), b"Work", rb"(\Flagged $Label) ").startswith(b"OK [APPENDUID ")
        client.ok(b"SUBSCRIBE Work")
        server.kill()
    server.start()
    with Imap(server.port["imap"]) as client:
        client.login(account)
        assert rb'LSUB () "/" Work' in client.ok(b'LSUB "" *')
        client.ok(b"SELECT Work")
        [response] = client.ok(b"FETCH 1 (FLAGS UID)")
        assert rb"FLAGS (\Flagged $Label)" in response and b"UID 1" in response


def test_a_client_that_came_back_hears_what_vanished(server, account, imap):
    fill(server, account, 3)
    imap.ok(b"ENABLE QRESYNC")
    untagged = imap.ok(b"SELECT INBOX")
    number = re.search(rb"HIGHESTMODSEQ (\d+)", b"\n".join(untagged))[1]
    validity = re.search(rb"UIDVALIDITY (\d+)", b"\n".join(untagged))[1]
    imap.ok(b"UNSELECT")
    with server.login(account) as pop:
        pop.ok(b"DELE 2")
        pop.ok(b"QUIT")
    assert b"VANISHED (EARLIER) 2" in imap.ok(b"SELECT INBOX (QRESYNC (%s %s))" % (validity, number))


def test_a_set_of_two_megabytes_is_read(server, account, imap):
    fill(server, account, 2)
    imap.ok(b"SELECT INBOX")
    uids = b",".join(b"%d" % uid for uid in range(1, 600_000, 2))
    assert len(uids) > 1_900_000
    assert len(imap.ok(b"UID FETCH " + uids + b" FLAGS")) == 1


def test_a_store_hides_no_change_of_others(server, account, imap):
    fill(server, account, 2)
    imap.ok(b"SELECT INBOX")
    with Imap(server.port["imap"]) as other:
        other.login(account)
        other.ok(b"SELECT INBOX")
        imap.ok(rb"STORE 1 FLAGS.SILENT ()")  # it has none
        other.ok(rb"STORE 1 +FLAGS (\Flagged)")
        assert rb"1 FETCH (FLAGS (\Flagged))" in imap.ok(rb"STORE 1 +FLAGS.SILENT (\Seen)")
        assert rb"1 FETCH (FLAGS (\Seen \Flagged))" in other.ok(b"NOOP")


def test_who_resynchronizes_learns_the_number_of_an_expunge(server, account, imap):
    fill(server, account, 3)
    imap.ok(b"ENABLE QRESYNC")
    imap.ok(b"SELECT INBOX")
    imap.ok(rb"STORE 1:2 +FLAGS.SILENT (\Deleted)")
    for command in (b"UID EXPUNGE 1", b"EXPUNGE"):
        untagged, end = imap.ask(command)
        number = re.match(rb"OK \[HIGHESTMODSEQ (\d+)\]", end)[1]
        assert [line[:8] for line in untagged] == [b"VANISHED"]
        assert b"STATUS INBOX (HIGHESTMODSEQ %s)" % number in imap.ok(b"STATUS INBOX (HIGHESTMODSEQ)")


def test_status_counts_what_an_expunge_would_free(server, account, imap):
    messages = [make_message(f"message {number}", octets=1000 * number) for number in (1, 2)]
    for message in messages:
        imap.append(message)
    assert b"STATUS INBOX (DELETED-STORAGE 0)" in imap.ok(b"STATUS INBOX (DELETED-STORAGE)")
    imap.ok(b"SELECT INBOX")
    imap.ok(rb"STORE 2 +FLAGS (\Deleted)")
    assert b"STATUS INBOX (DELETED-STORAGE %d)" % len(messages[1]) in imap.ok(b"STATUS INBOX (DELETED-STORAGE)")
    assert any(b"(DELETED-STORAGE %d)" % len(messages[1]) in line for line in imap.ok(b'LIST "" * RETURN (STATUS (DELETED-STORAGE))'))


def test_octets_behind_a_line_that_is_too_long_are_no_command(server, account, imap):
    imap.ok(b"SELECT INBOX")
    imap.send(b"i IDLE\r\n")
    imap.line()
    imap.send(b"x" * 100 + b"{12+}\r\nz CREATE no\r\n\r\n")
    assert imap.line().startswith(b"* BYE [TOOBIG]")
    with Imap(server.port["imap"]) as other:
        assert not any(b" no" in line for line in other.login(account).ok(b'LIST "" *'))


def test_curl_lists_and_fetches(server, account, need):
    need("curl")
    [original] = fill(server, account, 1)
    common = ["curl", "--silent", "--show-error", "--max-time", "30", "--cacert", str(server.certificate), "--user",
              f"{account}:{PASSWORD}"]
    base = f"imaps://localhost:{server.port['imaps']}"
    listed = subprocess.run([*common, f"{base}/"], capture_output=True, check=True).stdout
    assert b"INBOX" in listed
    got = subprocess.run([*common, f"{base}/INBOX;UID=1"], capture_output=True, check=True).stdout
    assert got.endswith(original)


class Mbsync:
    def __init__(self, server, account, home):
        home.mkdir()
        self.mail = home / "mail"
        self.mail.mkdir()
        self.config = home / "mbsyncrc"
        self.config.write_text(f"""
IMAPAccount poplar
Host localhost
Port {server.port['imaps']}
User {account}
Pass "{PASSWORD}"
SSLType IMAPS
CertificateFile {server.certificate}
AuthMechs LOGIN

IMAPStore far
Account poplar

MaildirStore near
Path {self.mail}/
Inbox {self.mail}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState *
""")

    def __call__(self):
        done = subprocess.run(["mbsync", "-c", str(self.config), "-a"], capture_output=True, timeout=120 * PATIENCE)
        assert done.returncode == 0, done.stderr.decode()

    def box(self, name="INBOX"):
        return mailbox.Maildir(self.mail / name, factory=None, create=False)


def test_mbsync_keeps_a_maildir_and_the_account_the_same(server, account, directory, need):
    need("mbsync")
    fill(server, account, 200)
    sync = Mbsync(server, account, directory / "mbsync")
    sync()
    assert len(sync.box()) == 200
    sync()
    assert len(sync.box()) == 200  # nothing comes twice
    # Flags there, deletions there, new mail there.
    box = sync.box()
    keys = sorted(box.keys())
    for key in keys[:10]:
        message = box[key]
        message.set_subdir("cur")
        message.add_flag("F")
        box[key] = message
    for key in keys[10:20]:
        box.remove(key)
    sync()
    with Imap(server.port["imap"]) as client:
        client.login(account)
        client.ok(b"SELECT INBOX")
        assert b"190 EXISTS" in client.ok(b"EXAMINE INBOX")
        [found] = [line for line in client.ok(b"SEARCH FLAGGED") if line.startswith(b"SEARCH")]
        assert len(found.split()) - 1 == 10
        client.ok(b"SELECT INBOX")
        client.ok(rb"STORE 1:5 +FLAGS.SILENT (\Deleted)")
        client.ok(b"EXPUNGE")
        client.ok(b"CREATE Archive/2026")
        client.ok(b"MOVE 1:5 Archive/2026")
    sync()
    assert len(sync.box()) == 180
    assert len(sync.box("Archive/2026")) == 5
