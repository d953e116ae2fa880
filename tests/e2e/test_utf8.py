"""Messages with UTF-8 in their headers, for clients that know UTF8 and for those that don't: RFC 6856, RFC 6857."""

import email
import email.policy
import poplib

import pytest

from poplar_server import DOMAIN, PASSWORD, client_tls

SENDER, RECIPIENT = "jürgen@bücher.example", f"größe@{DOMAIN}"
SUBJECT, NAME, FILE = "Grüße – 日本語", "Jürgen Müller", "Übersicht für März.pdf"
MESSAGE = (
    f"From: {NAME} <{SENDER}>\r\nTo: <{RECIPIENT}>\r\nSubject: {SUBJECT}\r\n"
    "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"=_b\"\r\n\r\n"
    "--=_b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    ".Körper\r\nSubject: ü stays, this is the body\r\n"
    f"--=_b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=\"{FILE}\"\r\n\r\n"
    "%PDF\r\n--=_b--\r\n").encode()
PLAIN = b"Subject: plain\r\n\r\nText: \xc3\xbc\r\n"


@pytest.fixture(scope="module")
def mailbox(server):
    server.add_user(RECIPIENT)
    with server.smtp() as client:
        client.hello()
        client.send_message(SENDER, [RECIPIENT], MESSAGE, "SMTPUTF8 BODY=8BITMIME")
    with server.smtp() as client:
        client.hello()
        client.send_message("a@b.example", [RECIPIENT], PLAIN, "SMTPUTF8")
    return RECIPIENT


def poplib_client(server, utf8, tls=False):
    if tls:
        client = poplib.POP3_SSL("127.0.0.1", server.port["pop3s"], context=client_tls(), timeout=30)
    else:
        client = poplib.POP3("127.0.0.1", server.port["pop3"], timeout=30)
    client.encoding = "utf-8"
    assert client.capa()["UTF8"] == ["USER"] and "LANG" in client.capa()
    if utf8:
        client.utf8()
    client.user(RECIPIENT)
    client.pass_(PASSWORD)
    return client


def content(client, number):
    return b"\r\n".join(client.retr(number)[1]) + b"\r\n"


def ascii_fields(message):
    """Each header of the message and its parts is ASCII."""
    for part in email.message_from_bytes(message, policy=email.policy.compat32).walk():
        for name, value in part.items():
            assert str(value).isascii(), (name, value)


@pytest.mark.parametrize("tls", [False, True])
def test_poplib_with_utf8_gets_what_was_sent(server, mailbox, tls):
    client = poplib_client(server, utf8=True, tls=tls)
    first, second = content(client, 1), content(client, 2)
    assert first.endswith(MESSAGE) and second.endswith(PLAIN)
    assert f"Return-Path: <{SENDER}>\r\nDelivered-To: {RECIPIENT}\r\n".encode() in first
    sizes = [int(line.split()[1]) for line in client.list()[1]]
    assert sizes == [len(first), len(second)] and client.stat() == (2, sum(sizes))
    client.quit()


@pytest.mark.parametrize("tls", [False, True])
def test_poplib_without_utf8_gets_ascii_headers_and_exact_sizes(server, mailbox, tls):
    client = poplib_client(server, utf8=False, tls=tls)
    first, second = content(client, 1), content(client, 2)
    ascii_fields(first)
    ascii_fields(second)
    sizes = [int(line.split()[1]) for line in client.list()[1]]
    assert sizes == [len(first), len(second)] and client.stat() == (2, sum(sizes))
    for number, whole in ((1, first), (2, second)):
        head, _, body = whole.partition(b"\r\n\r\n")
        for lines in (0, 1, 3, 100):
            expected = head + b"\r\n\r\n" + b"".join(body.splitlines(True)[:lines])
            assert b"\r\n".join(client.top(number, lines)[1]) + b"\r\n" == expected
    client.quit()

    message = email.message_from_bytes(first, policy=email.policy.default)
    assert message["subject"] == SUBJECT
    assert NAME in str(email.header.make_header(email.header.decode_header(
        email.message_from_bytes(first, policy=email.policy.compat32)["from"])))
    assert SENDER.encode() not in first.partition(b"\r\n\r\n")[0]
    text, attachment = message.iter_parts()
    assert attachment.get_filename() == FILE
    assert ".Körper" in text.get_content() and "ü stays" in text.get_content()
    assert second.endswith(PLAIN), "a body in UTF-8 is no header"


def test_both_kinds_of_sessions_see_the_same_unique_ids(server, mailbox):
    seen = []
    for utf8 in (False, True):
        client = poplib_client(server, utf8)
        seen.append(client.uidl()[1])
        client.quit()
    assert seen[0] == seen[1]


def test_a_server_that_refuses_says_so(make_server):
    server = make_server(pop3={"without_utf8": "refuse", "language": "de"})
    server.add_user(RECIPIENT)
    with server.smtp() as client:
        client.hello()
        client.send_message(SENDER, [RECIPIENT], MESSAGE, "SMTPUTF8")
    with server.login(RECIPIENT) as client:
        assert client.err(b"RETR 1").startswith(b"-ERR [UTF8] ")
        assert client.err(b"TOP 1 0").startswith(b"-ERR [UTF8] ")
        assert client.ok(b"LANG *").startswith(b"+OK de ")
        assert client.err(b"RETR 1") == "-ERR [UTF8] die Nachricht hat UTF-8 im Kopf: bitte UTF8 vor der Anmeldung senden".encode()
        client.quit()
    with server.pop3() as client:
        client.ok(b"UTF8")
        client.login(RECIPIENT)
        assert client.retr(1).endswith(MESSAGE)
        client.quit()


def test_sizes_are_the_same_after_a_restart_and_a_rebuild(make_server):
    server = make_server()
    server.add_user(RECIPIENT)
    with server.smtp() as client:
        client.hello()
        for message in (MESSAGE, PLAIN, MESSAGE):
            client.send_message(SENDER, [RECIPIENT], message, "SMTPUTF8")

    def sizes():
        with server.login(RECIPIENT) as client:
            listed = client.listing()
            assert [len(client.retr(n)) for n in listed] == list(listed.values())
            assert client.stat() == (3, sum(listed.values()))
            client.quit()
            return listed

    before = sizes()
    server.stop()
    assert server.run_cli("rebuild").returncode == 0
    server.start()
    assert sizes() == before
    assert server.run_cli("verify").returncode == 0


def test_languages(server, mailbox):
    with server.pop3() as client:
        listed = dict(line.split(b" ", 1) for line in client.multi(b"LANG").splitlines())
        assert len(listed) >= 5 and listed[b"en"] == b"English"
        seen = set()
        for tag in listed:
            assert client.ok(b"LANG " + tag.upper() + b"-x-any").startswith(b"+OK " + tag + b" ")
            seen.add(client.err(b"STAT").decode())
        assert len(seen) == len(listed), "each language says it in its own words"
        client.err(b"LANG tlh")
        client.ok(b"LANG *")
