"""Milters: a scripted one at every step, and Debian's opendkim."""

import contextlib
import email
import re
import shutil
import smtplib
import socket
import struct
import subprocess

import pytest

from milter_server import (ACCEPT, CONTINUE, DISCARD, PROGRESS, QUARANTINE, REJECT, SKIP, TEMPFAIL, MilterServer, add, body,
                           change, insert, packet, reply, text)
from outbound_world import Client, letter, wait_until
from poplar_server import DOMAIN, PATIENCE, free_port
from test_checks import verified

JANE = f"jane@{DOMAIN}"
SENDER = "stranger@far.example"


@pytest.fixture
def milter():
    played = MilterServer()
    with contextlib.closing(played):
        yield played


def make(make_server, *places, **settings):
    server = make_server(filter={"milter": [{"socket": place, "timeout": "2s", **settings} for place in places]})
    server.add_user(JANE)
    return server


def send(server, text_of_body="A line.\r\n", head="X-A: 1\r\nX-A: 2\r\n\t3\r\n"):
    with smtplib.SMTP("127.0.0.1", server.port["smtp"], local_hostname="mx.far.example", timeout=30 * PATIENCE) as client:
        client.sendmail(SENDER, [JANE], letter(SENDER, JANE, body=text_of_body, head=head))


def refusal(server):
    with pytest.raises(smtplib.SMTPDataError) as refused:
        send(server)
    return refused.value.smtp_code, refused.value.smtp_error.decode()


def mail(server):
    return [octets for _, octets in server.fetch_all(JANE)]


def test_it_sees_every_step_of_the_message(make_server, milter):
    server = make(make_server, milter.place)
    send(server, ".dot\r\n" + "x" * 70 + "\r\n")
    (steps,) = milter.messages
    names = [name for name, _ in steps]
    fields = [data for name, data in steps if name == "header"]
    assert [name for name in names if name != "header"] == ["connect", "helo", "mail", "rcpt", "data", "eoh", "body", "eom"]
    told = dict(steps)
    assert told["connect"].startswith(b"[127.0.0.1]\x004") and told["connect"].endswith(b"127.0.0.1\0")
    assert told["helo"] == b"mx.far.example\0" and told["mail"] == b"<" + SENDER.encode() + b">\0"
    assert told["rcpt"] == b"<" + JANE.encode() + b">\0"
    assert b"X-A\x002\n\t3\0" in fields and f"Subject\0hello\0".encode() in fields
    assert told["body"] == b".dot\r\n" + b"x" * 70 + b"\r\n"
    assert milter.macros[b"j"] == b"mx.example.test" and len(milter.macros[b"i"]) == 12
    assert len(mail(server)) == 1


def test_a_large_body_comes_in_pieces_until_it_has_seen_enough(make_server, milter):
    server = make(make_server, milter.place)
    lines = "0123456789" * 7 + "\r\n"
    send(server, lines * 5000)
    pieces = [data for name, data in milter.messages[0] if name == "body"]
    assert b"".join(pieces) == lines.encode() * 5000 and len(pieces) > 4 and max(map(len, pieces)) <= 65535
    milter.answers["body"] = SKIP
    send(server, lines * 5000)
    assert [name for name, _ in milter.messages[1]][-2:] == ["body", "eom"]
    assert [name for name, _ in milter.messages[1]].count("body") == 1


@pytest.mark.parametrize("step", ["connect", "helo", "mail", "rcpt", "data", "header", "eoh", "body", "eom"])
def test_it_may_refuse_or_accept_at_every_step(make_server, milter, step):
    server = make(make_server, milter.place)
    milter.answers[step] = REJECT
    assert refusal(server)[0] == 550
    milter.answers[step] = reply("554 5.7.9 Go away")
    code, said = refusal(server)
    assert code == 550 and "Go away" in said
    milter.answers[step] = TEMPFAIL
    assert refusal(server)[0] == 451
    milter.answers[step] = reply("451 4.7.1 later")
    assert refusal(server)[0] == 451
    assert not mail(server)
    milter.answers[step] = PROGRESS + ACCEPT
    send(server)
    assert len(mail(server)) == 1 and milter.messages[-1][-1][0] == step


def test_it_changes_header_and_body(make_server, milter):
    server = make(make_server, milter.place)
    milter.answers["eom"] = (insert(0, "X-First", "top") + add("X-Last", "one\n\ttwo") + change(2, "X-A", "changed")
                             + change(1, "Subject", "") + body(b"new\r\n") + body(b".more\r\n") + CONTINUE)
    send(server)
    got = email.message_from_bytes(mail(server)[0])
    assert got.get_all("X-A") == ["1", "changed"] and got["Subject"] is None and got["X-Last"] == "one\r\n\ttwo"
    names = [name for name, _ in got.items()]
    assert names.index("X-First") == names.index("Received") + 1
    assert got.get_payload() == "new\r\n.more\r\n"


@pytest.mark.parametrize("answer", [QUARANTINE + CONTINUE, DISCARD])
def test_what_it_quarantines_or_would_drop_is_in_junk(make_server, milter, answer):
    server = make(make_server, milter.place)
    milter.answers["eom"] = answer
    send(server)
    assert not mail(server)
    listed = {one["name"]: one["messages"] for one in server.cli("mailbox", "list", JANE)["mailboxes"]}
    assert listed["Junk"] == 1


def test_it_is_not_shown_what_it_does_not_want(make_server):
    quiet = 0x01 | 0x02 | 0x10 | 0x80 | 0x8000  # no connect, no helo, no body; header and rcpt without an answer
    played = MilterServer(terms=(6, 0x01, quiet), answers={"header": b"", "rcpt": b""})
    with contextlib.closing(played):
        server = make(make_server, played.place)
        send(server)
        names = [name for name, _ in played.messages[0]]
        assert names[:3] == ["mail", "rcpt", "data"] and names[-2:] == ["eoh", "eom"] and "body" not in names


@pytest.mark.parametrize("on_error", ["accept", "tempfail"])
@pytest.mark.parametrize("fault", ["hang", "drop", "nonsense", "size", "envelope", "terms", "gone", "early change"])
def test_one_that_fails_does_what_on_error_says(make_server, fault, on_error):
    played = MilterServer(terms=b"?" if fault == "terms" else (6, 0x33, 0))
    with contextlib.closing(played):
        server = make(make_server, played.place, on_error=on_error)
        step, answer = {"hang": ("mail", "HANG"), "drop": ("body", "DROP"), "nonsense": ("helo", packet("?")),
                        "size": ("eom", struct.pack("!I", 1 << 30)), "envelope": ("eom", packet("+", text("<a@b.example>"))),
                        "early change": ("eoh", add("X", "y"))}.get(fault, ("", b""))
        played.answers[step] = answer
        if fault == "gone":
            played.close()
        if on_error == "accept":
            send(server)
            assert len(mail(server)) == 1
        else:
            assert refusal(server)[0] == 451 and not mail(server)
        server.wait_log("inspection.failed")


def test_several_are_asked_in_order_each_sees_what_the_one_before_left(make_server, tmp_path):
    first = MilterServer(path=str(tmp_path / "first"), answers={"eom": add("X-One", "1") + CONTINUE})
    second = MilterServer(answers={"eom": add("X-Two", "2") + CONTINUE})
    with contextlib.closing(first), contextlib.closing(second):
        server = make(make_server, first.place, second.place)
        send(server)
        assert ("header", b"X-One\x001\0") in second.messages[0]
        got = email.message_from_bytes(mail(server)[0])
        assert got["X-One"] == "1" and got["X-Two"] == "2"


def test_what_it_changes_in_mail_that_leaves_is_signed_as_it_leaves(outbound, milter):
    sink = outbound.sink("far.example")
    server = outbound.server(filter={"milter": [{"socket": milter.place}]})
    server.add_user(JANE)
    server.cli("dkim", "add", DOMAIN)
    records = {record["name"]: record["value"].encode() for record in server.cli("dkim", "dns", DOMAIN)["records"]}
    milter.answers["eom"] = body(b"a disclaimer\r\n") + CONTINUE
    with Client(server, JANE) as client:
        client.sendmail(JANE, ["bob@far.example"], letter(JANE, "bob@far.example"))
    data = sink.wait(1)[0].data
    assert data.endswith(b"\r\n\r\na disclaimer\r\n") and verified(data, records) == [True, True]
    assert milter.macros[b"{auth_authen}"] == JANE.encode()


@pytest.mark.skipif(not shutil.which("opendkim"), reason="opendkim is not installed")
def test_the_real_opendkim_signs(make_server, tmp_path):
    """It adds its field to what comes from this machine, and python3-dkim finds that it fits."""
    port = free_port()
    key, public = tmp_path / "key.pem", None
    subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
    public = subprocess.run(["openssl", "rsa", "-in", str(key), "-pubout"], check=True, capture_output=True).stdout
    record = b"v=DKIM1; k=rsa; p=" + b"".join(public.splitlines()[1:-1])
    config = tmp_path / "opendkim.conf"
    config.write_text(f"Domain far.example\nSelector s\nKeyFile {key}\nMode s\nSocket inet:{port}@127.0.0.1\n"
                      f"InternalHosts 127.0.0.1\nRequireSafeKeys no\nCanonicalization relaxed/simple\n")
    real = subprocess.Popen(["opendkim", "-f", "-x", str(config), "-P", str(tmp_path / "pid")],
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        def listens():
            assert real.poll() is None, real.stderr.read()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return True
        wait_until(listens, "opendkim does not begin")
        server = make(make_server, f"inet:127.0.0.1:{port}", on_error="tempfail")
        send(server, "Hello.\r\n.\r\nworld \r\n")
        octets, = mail(server)
        assert len(re.findall(rb"(?m)^DKIM-Signature:", octets)) == 1, octets
        assert verified(octets, {"s._domainkey.far.example": record}) == [True]
        real.terminate()
        real.wait()
        assert refusal(server)[0] == 451
    finally:
        real.kill()
        real.wait()
