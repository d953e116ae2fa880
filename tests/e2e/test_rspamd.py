"""rspamd looks at mail before it is stored: a server that plays it, one that hangs and dies, and the real one."""

import contextlib
import http.server
import json
import re
import shutil
import smtplib
import socket
import subprocess
import threading
import time

import dkim
import pytest

from outbound_world import Client, letter, wait_empty, wait_until
from poplar_server import DOMAIN, PATIENCE, free_port
from test_checks import deliver, publish, signed, taking, verified

JANE = f"jane@{DOMAIN}"
SCRIPT = """require ["fileinto", "relational", "comparator-i;ascii-numeric", "spamtestplus"];
if spamtest :percent :value "ge" :comparator "i;ascii-numeric" "50" { fileinto "Spam"; }
"""


class Rspamd:
    """Plays rspamd. `answer`: what it says, or "HANG", "DROP", "NONSENSE", or a status."""

    def __init__(self):
        self.answer, self.asked, self.stopped = {}, [], threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.asked.append((self.path, self.headers, body))
                answer = outer.answer
                if answer == "HANG":
                    outer.stopped.wait(600)
                    return
                if answer == "DROP":
                    self.connection.close()
                    return
                text = b"this is no JSON" if answer == "NONSENSE" else json.dumps(
                    {"action": "no action", "score": 0.5, "required_score": 15, **(answer if isinstance(answer, dict) else {})}
                ).encode()
                self.send_response(answer if isinstance(answer, int) else 200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.stopped.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def rspamd():
    played = Rspamd()
    with contextlib.closing(played):
        yield played


def make(make_server, url, **settings):
    server = make_server(filter={"rspamd": {"url": url, "timeout": "2s", **settings}})
    server.add_user(JANE)
    return server


def send(server, head="", body="A line.\r\n", sender="stranger@far.example"):
    with smtplib.SMTP("127.0.0.1", server.port["smtp"], local_hostname="mx.far.example", timeout=30 * PATIENCE) as client:
        client.sendmail(sender, [JANE], f"From: {sender}\r\nTo: {JANE}\r\nSubject: hello\r\n{head}\r\n{body}".encode())


def refusal(server, **what):
    with pytest.raises(smtplib.SMTPDataError) as refused:
        send(server, **what)
    return refused.value.smtp_code, refused.value.smtp_error.decode()


NAME, AT = JANE.split("@")
JUNK = f"{NAME}+junk@{AT}"  # the mailbox for junk, by POP


def mail(server, account=JANE):
    return [octets for _, octets in server.fetch_all(account)]


def test_it_sees_the_message_as_it_came_and_the_envelope(make_server, rspamd):
    server = make(make_server, rspamd.url)
    body = ".a dot\r\n" + 70 * 1024 * "x\r\n"
    send(server, body=body)
    (path, fields, octets), = rspamd.asked
    assert path == "/checkv2" and fields["From"] == "<stranger@far.example>" and fields.get_all("Rcpt") == [JANE]
    assert fields["IP"] == "127.0.0.1" and fields["Helo"] == "mx.far.example" and fields["Queue-Id"]
    assert octets.startswith(b"From: stranger@far.example\r\n") and octets.endswith(b"\r\n\r\n" + body.encode())
    assert b"X-Spam-Score: 0.50\r\n" in mail(server)[0]
    server.wait_log_match("inspection.judged.*no action")


def test_each_action_does_what_its_name_says(make_server, rspamd):
    server = make(make_server, rspamd.url)
    rspamd.answer = {"action": "reject", "score": 20, "messages": {"smtp_message": "no viagra today"}}
    code, text = refusal(server)
    assert code == 550 and "no viagra today" in text
    rspamd.answer = {"action": "soft reject", "score": 5}
    assert refusal(server)[0] == 451
    assert mail(server) == []
    rspamd.answer = {"action": "add header", "score": 8}
    send(server)
    rspamd.answer = {"action": "rewrite subject", "score": 8, "subject": "[Spam] hällo"}
    send(server)
    rspamd.answer = {"action": "greylist", "score": 4}
    send(server)
    (passed,), (marked, renamed) = mail(server), mail(server, JUNK)
    assert b"\r\nX-Spam: Yes\r\n" in marked and b"X-Spam-Score: 8.00\r\n" in marked
    assert b"Subject: [Spam] =?utf-8?" in renamed.replace(b"UTF-8", b"utf-8") and b"Subject: hello" not in renamed
    assert b"X-Spam:" not in passed and b"Subject: hello\r\n" in passed


def test_fields_are_added_and_removed_and_none_is_believed_that_came_along(make_server, rspamd):
    server = make(make_server, rspamd.url)
    rspamd.answer = {"milter": {"add_headers": {"X-Bar": {"value": "++\nX-Evil: 1", "order": 0}}, "remove_headers": {"X-Old": 0}}}
    send(server, head="X-Old: 1\r\n folded\r\nX-Kept: 2\r\nX-Spam-Score: -100\r\nX-Spam: No\r\n")
    octets, = mail(server)
    assert b"\r\nX-Bar: ++\r\n\tX-Evil: 1\r\n" in octets and b"X-Kept: 2\r\n" in octets
    assert b"X-Old" not in octets and b"folded" not in octets and b"-100" not in octets and b"X-Spam: No" not in octets
    assert octets.endswith(b"\r\n\r\nA line.\r\n")


def test_quarantine_is_the_mailbox_for_junk(make_server, rspamd):
    server = make(make_server, rspamd.url)
    rspamd.answer = {"action": "quarantine", "score": 30}
    send(server)
    assert mail(server) == []
    octets, = mail(server, JUNK)
    assert b"X-Spam: Yes" in octets


def test_junk_goes_to_its_mailbox_by_a_script_that_can_be_read_and_changed(make_server, rspamd):
    server = make(make_server, rspamd.url)
    rspamd.answer = {"action": "add header", "score": 6}  # of 15: 40 percent
    send(server)
    assert mail(server) == [] and len(mail(server, JUNK)) == 1
    (listed,) = server.cli("sieve", "common", "list")["scripts"]
    assert (listed["place"], listed["name"], listed["built_in"], listed["modified"]) == ("after", "all", True, None)
    script = server.cli("sieve", "common", "get", "after", "all")["text"]
    assert '"40"' in script
    assert server.cli("sieve", "common", "put", "after", DOMAIN, input=script.replace('"40"', '"50"'))["valid"]
    send(server)
    assert len(mail(server)) == 1 and len(mail(server, JUNK)) == 1, "the domain has a limit of its own"
    rspamd.answer = {"score": 7.5}
    send(server)
    assert len(mail(server, JUNK)) == 2
    server.cli("sieve", "common", "delete", "after", DOMAIN)
    assert server.cli("sieve", "common", "put", "after", "all", input="# junk stays in INBOX\n")["valid"]
    send(server)
    assert len(mail(server)) == 2 and len(mail(server, JUNK)) == 2


def test_junk_is_neither_answered_nor_sent_on(outbound, rspamd):
    sink = outbound.sink("elsewhere.example")
    server = outbound.server(filter={"rspamd": {"url": rspamd.url, "timeout": "2s"}})
    server.add_user(JANE)
    server.cli("vacation", JANE, input="Away.\n")
    server.cli("forward", JANE, "--to", "jane@elsewhere.example")
    rspamd.answer = {"score": 14}
    send(server, sender="ann@elsewhere.example")
    rspamd.answer = {"score": 0}
    send(server, sender="ann@elsewhere.example")
    assert sorted(one.recipients for one in sink.wait(2)) == [("ann@elsewhere.example",), ("jane@elsewhere.example",)]
    wait_empty(server)
    assert len(sink.taken) == 2 and mail(server) == [] and len(mail(server, JUNK)) == 1


def test_a_digest_tells_users_of_pop_and_an_answer_to_it_releases(make_server, rspamd):
    server = make_server(filter={"rspamd": {"url": rspamd.url, "timeout": "2s"}}, junk={"digest_first": "24h"})
    server.add_user(JANE)
    rspamd.answer = {"score": 14}
    for n in range(3):
        send(server, body=f"Number {n}.\r\n")
    assert mail(server) == []  # by POP
    server.config["junk"]["digest_first"] = "100ms"
    server.stop()
    server.start()
    (digest,) = wait_until(lambda: mail(server), "there is no digest")
    assert b"\r\nSubject: 3 messages in your mailbox for junk\r\n" in digest and digest.count(b"Subject: hello\r\n") == 3
    addresses = [word.decode() for word in re.findall(rb"mailto:([^>]+)", digest)]
    reply_to = re.search(rb"Reply-To: <([^>]+)", digest)[1].decode()
    assert len(addresses) == 3
    rspamd.answer = {"score": 0}

    def write_to(address):
        with smtplib.SMTP("127.0.0.1", server.port["smtp"], timeout=30 * PATIENCE) as client:
            client.sendmail(JANE, [address], f"From: {JANE}\r\nTo: {address}\r\nSubject: please\r\n\r\n".encode())

    write_to(addresses[1])
    assert [b"Number 1." in one for one in mail(server)] == [False, True] and len(mail(server, JUNK)) == 2
    write_to(reply_to.upper().replace(JANE.split("@")[0].upper(), JANE.split("@")[0]))
    assert len(mail(server)) == 4 and mail(server, JUNK) == []
    write_to(reply_to)  # nothing is left to do
    assert len(mail(server)) == 4
    local, domain = reply_to.split("@")
    write_to(f"{local[:-1]}{'0' if local[-1] != '0' else '1'}@{domain}")
    assert b"Subject: please" in mail(server)[4], "another token is any detail"
    server.wait_log("delivery.junk_released")


def test_spamtest_reads_the_score(make_server, rspamd):
    server = make(make_server, rspamd.url)
    server.cli("sieve", "common", "put", "after", "all", input="")
    assert server.cli("sieve", "put", JANE, "spam", input=SCRIPT)["valid"]
    server.cli("sieve", "activate", JANE, "spam")
    server.cli("mailbox", "add", JANE, "Spam")
    rspamd.answer = {"score": 7.4}
    send(server)
    rspamd.answer = {"score": 7.5}
    send(server)
    assert len(mail(server)) == 1
    name, domain = JANE.split("@")
    assert len(mail(server, f"{name}+spam@{domain}")) == 1


@pytest.mark.parametrize("fault", ["HANG", "DROP", "NONSENSE", 500, {"action": "eat it"}, "DEAD"])
@pytest.mark.parametrize("on_error", ["accept", "tempfail"])
def test_one_that_hangs_dies_or_talks_nonsense_does_what_on_error_says(make_server, rspamd, fault, on_error):
    url = f"http://127.0.0.1:{free_port()}" if fault == "DEAD" else rspamd.url
    server = make(make_server, url, on_error=on_error)
    rspamd.answer = fault
    began = time.monotonic()
    if on_error == "accept":
        send(server)
        octets, = mail(server)
        assert b"X-Spam" not in octets
    else:
        assert refusal(server)[0] == 451
        assert mail(server) == []
        rspamd.answer = {}
        if fault != "DEAD":
            send(server)  # it came again
            assert len(mail(server)) == 1
    assert time.monotonic() - began < 10 * PATIENCE
    server.wait_log_match(f"inspection.failed.*then={on_error}")


def test_a_user_who_submits_is_named(outbound, rspamd):
    sink = outbound.sink("far.example")
    server = outbound.server(filter={"rspamd": {"url": rspamd.url}})
    server.add_user(JANE)
    with Client(server, JANE) as client:
        client.sendmail(JANE, ["bob@far.example"], f"From: {JANE}\r\nSubject: x\r\n\r\ny\r\n".encode())
    assert b"X-Spam" not in sink.wait(1)[0].data
    assert rspamd.asked[0][1]["User"] == JANE
    rspamd.answer = {"action": "reject", "score": 20}
    with Client(server, JANE) as client, pytest.raises(smtplib.SMTPDataError) as refused:
        client.sendmail(JANE, ["bob@far.example"], f"From: {JANE}\r\nSubject: x\r\n\r\ny\r\n".encode())
    assert refused.value.smtp_code == 550


def test_what_it_changes_in_mail_that_leaves_is_signed_as_it_leaves(outbound, rspamd):
    sink = outbound.sink("far.example")
    server = outbound.server(filter={"rspamd": {"url": rspamd.url}})
    server.add_user(JANE)
    server.cli("dkim", "add", DOMAIN)
    records = publish(outbound, server, DOMAIN)
    rspamd.answer = {"action": "rewrite subject", "score": 8, "subject": "[Spam] hello", "milter": {"remove_headers": {"Reply-To": 0}}}
    with Client(server, JANE) as client:
        client.sendmail(JANE, ["bob@far.example"], letter(JANE, "bob@far.example", head="Reply-To: eve@far.example\r\n"))
    data = sink.wait(1)[0].data
    assert b"Subject: [Spam] hello\r\n" in data and b"Reply-To" not in data
    assert verified(data, records) == [True, True], data


def test_what_it_changes_in_mail_that_an_alias_sends_on_is_sealed_as_it_leaves(outbound, rspamd):
    sink = outbound.sink("far.example")
    server = taking(outbound, filter={"rspamd": {"url": rspamd.url}})
    server.cli("dkim", "add", DOMAIN, "--selector", "s1")
    records = publish(outbound, server, DOMAIN)
    away = f"away@{DOMAIN}"
    server.cli("alias", "add", away, "bob@far.example")
    rspamd.answer = {"action": "rewrite subject", "score": 8, "subject": "[Spam] hello"}
    deliver(server, "joe@example.org", signed(letter("joe@example.org", away)), away)
    data = sink.wait(1)[0].data
    assert b"Subject: [Spam] hello\r\n" in data

    def lookup(name, timeout=None):
        return records.get((name.decode() if isinstance(name, bytes) else name).rstrip("."))
    verdict, sets, reason = dkim.ARC(data).verify(dnsfunc=lookup)
    assert verdict == dkim.CV_Pass, (reason, sets, data)


# The real one.

def test_an_operator_teaches_it(make_server, rspamd, tmp_path):
    (tmp_path / "password").write_text("open sesame\n")
    server = make(make_server, rspamd.url, controller=rspamd.url + "/c", password_file=str(tmp_path / "password"))
    send(server, body=".dot\r\n")
    message, = server.cli("mail", "list", JANE)["messages"]
    for kind in ("spam", "ham"):
        assert server.cli("mail", "learn", JANE, kind, message["unique_id"])["kind"] == kind
        path, fields, body = rspamd.asked[-1]
        assert path == "/c/learn" + kind and fields["Password"] == "open sesame"
        assert body.endswith(b"\r\n\r\n.dot\r\n") and b"Received" in body
    rspamd.answer = 208  # it knows that already
    server.cli("mail", "learn", JANE, "spam", message["unique_id"])
    rspamd.answer = 403
    failed = server.run_cli("mail", "learn", JANE, "spam", message["unique_id"])
    assert failed.returncode == 1 and "403" in failed.stderr
    assert server.run_cli("mail", "learn", JANE, "eggs", message["unique_id"]).returncode == 1
    assert len(mail(server)) == 1


CONFIGURATION = """
options {{ pidfile = "{0}/pid"; tempdir = "{0}"; control_socket = "{0}/control mode=0600"; hs_cache_dir = "{0}"; rrd = ""; url_tld = "{0}/tld";
  filters = ""; gtube_patterns = "all"; enable_test_patterns = true;
  dns {{ nameserver = "master-slave:127.0.0.1:1"; timeout = 0.1s; retransmits = 1; }} }}
logging {{ type = "console"; level = "info"; }}
metric {{ name = "default"; actions {{ reject = 15; add_header = 6; greylist = 4; rewrite_subject = 8; }} }}
worker "normal" {{ bind_socket = "127.0.0.1:{1}"; count = 1; }}
"""
GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n"


@pytest.mark.skipif(not shutil.which("rspamd"), reason="rspamd is not installed")
def test_the_real_rspamd_rejects_its_test_message_and_lets_others_pass(make_server, tmp_path):
    port = free_port()
    file = tmp_path / "rspamd.conf"
    (tmp_path / "tld").write_text("example\ntest\ncom\n")  # the whole list takes it a minute
    file.write_text(CONFIGURATION.format(tmp_path, port))
    real = subprocess.Popen(["rspamd", "-i", "-f", "-c", str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        def listens():
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return True
        wait_until(listens, "rspamd does not begin", seconds=60)
        server = make(make_server, f"http://127.0.0.1:{port}", on_error="tempfail", timeout="30s")
        assert refusal(server, body=GTUBE)[0] == 550
        send(server)
        send(server, body="Y" + GTUBE[1:])
        send(server, body="Z" + GTUBE[1:])
        (plain,), (marked, renamed) = mail(server), mail(server, JUNK)
        assert b"X-Spam-Score: 0.00\r\n" in plain and b"X-Spam:" not in plain
        assert b"X-Spam-Score: 6.00\r\nX-Spam: Yes\r\n" in marked
        assert b"Subject: *** SPAM *** hello\r\n" in renamed
        real.terminate()
        real.wait()
        assert refusal(server)[0] == 451
    finally:
        real.kill()
        real.wait()
