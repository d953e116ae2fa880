"""Messages with UTF-8 in their headers, for clients that know UTF8 and for those that don't: RFC 6856, RFC 6857."""

import base64
import email
import email.policy
import poplib
import quopri
import re
import urllib.parse

import pytest

from poplar_server import DOMAIN, PASSWORD, client_tls, without_trace

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


def lines(*texts):
    return b"".join((text if isinstance(text, bytes) else text.encode()) + b"\r\n" for text in texts)


def parts(boundary, *contents, end=True):
    """A multipart's body; the boundary in octets."""
    out = b"".join(b"--" + boundary + b"\r\n" + content for content in contents)
    return out + (b"--" + boundary + b"--\r\n" if end else b"")


GBK, LATIN = "发信方已撤回邮件".encode("gbk"), "Grüße aus Köln".encode("latin1")
MBOX = b"From alarm@example.net Thu Jan  1 00:00:00 1970\r\n"
SIGNED = parts(b"s", lines("Content-Description: Übersicht", "", "ä"), lines("Content-Type: application/pgp-signature", "", "x"))
LONG_NAMES = ", ".join(f'"Empfänger Nummer {n}" <r{n}@example.net>' for n in range(2000))
LONG_FILE = "Übersicht über die Größe und den Umfang aller Räume " * 8 + ".pdf"

# Each row: a name; the message; what delivery makes of it, if not itself; what a client without UTF8 must find in what it
# gets, as text that a reader can decode, or as octets.
STRANGE = {row[0]: row[1:] for row in (
    ("a text without a header", lines("Störung: Kühlraum 3 über 8 °C", "请检查"), lambda m: b"\r\n" + m, ["Störung: Kühlraum 3 über 8 °C", "请检查"]),
    ("a text of which the second line has the letters", lines("Alarm", "Störung: x", "", "ä"), lambda m: b"\r\n" + m, ["Störung: x"]),
    ("one endless line of text", lines("ü" * 100_000), lambda m: b"\r\n" + m, ["ü" * 100_000]),
    ("one endless word that is no name", lines("w" * 3000 + ": ü"), lambda m: b"\r\n" + m, ["w: ü"]),
    ("no empty line behind the header", lines("Subject: Tür", "Die Tür im Büro", "Grüße: x", "", "zweiter Absatz: ähnlich"),
     lambda m: m.replace(b"Die", b"\r\nDie"), ["Subject: Tür", b"\r\n\r\n" + "Die Tür im Büro\r\nGrüße: x".encode(), "ähnlich"]),
    ("a field that lacks its colon", lines("From: a@b.example", "Subject Störung", "Date: x", "", "ä"),
     lambda m: m.replace(b"Subject", b"\r\nSubject"), ["Subject Störung", "ä"]),
    ("a field without a name", lines("From: a@b.example", ": ü", "", "x"), lambda m: m.replace(b": \xc3", b"\r\n: \xc3"), [": ü"]),
    ("a name that is not ASCII", lines("From: a@b.example", "Größe: 5", "", "x"), lambda m: m.replace("G".encode(), b"\r\nG"), ["Größe: 5"]),
    ("folded lines on top", lines(" über", "Subject: ü", "", "x"), lambda m: b"\r\n" + m, [" über", "Subject: ü"]),
    ("an mbox's line on top", MBOX + lines("Subject: Grüße", "", "ä"), lambda m: b"X-Mailbox-Line: " + m, ["Subject: Grüße", "ä"]),
    ("an mbox's line on top, quoted", b">" + MBOX + lines("Subject: Grüße", "", "ä"), lambda m: b"X-Mailbox-Line: " + m, ["Subject: Grüße"]),
    ("a text that begins as an mbox does", lines("From now on: 5 €"), lambda m: b"\r\n" + m, ["From now on: 5 €"]),
    ("a header alone", lines("Subject: ü"), None, ["Subject: ü"]),
    ("a boundary line in the header", lines("Content-Type: multipart/mixed; boundary=b") + parts(b"b", lines("Content-Description: ü", "", "ä")),
     lambda m: m.replace(b"--b\r", b"\r\n--b\r", 1), ["Content-Description: ü", "ä"]),
    ("raw GBK", lines(b"Subject: " + GBK, "Content-Type: text/plain; charset=gb2312", "", GBK), None, [b"Subject: " + GBK]),
    ("raw ISO 8859-1", lines(b"Subject: " + LATIN, b"From: " + LATIN + b" <a@b.example>", "", "x"), None, [b"Subject: " + LATIN, b"From: " + LATIN]),
    ("raw GBK beside a field in UTF-8", lines(b"Subject: " + GBK, "From: Jörg <a@b.example>", "", "x"), None, [b"Subject: " + GBK, "From: Jörg"]),
    ("a character cut in two", lines("Subject: Grüße".encode()[:-2], "", "x"), None, ["Subject: Grü"]),
    ("NUL in a field", lines(b"Subject: \0" + "Grüße\0 Köln".encode(), "", b"\0"), None, ["Grüße\0 Köln"]),
    ("a boundary in UTF-8", lines('Content-Type: multipart/mixed; boundary="Teil-übersicht"; x=ä', "") +
     parts("Teil-übersicht".encode(), lines("Content-Description: ö", "", "ä"), lines("", "ß")), None,
     ['boundary="Teil-übersicht"'.encode(), "Content-Description: ö", "x=ä", "ß"]),
    ("a boundary in ISO 8859-1", lines(b"Content-Type: multipart/mixed; boundary=" + LATIN[:4], "") +
     parts(LATIN[:4], lines("Content-Description: ö", "", "ä")), None, [b"boundary=" + LATIN[:4], b"--" + LATIN[:4], "Content-Description: ö"]),
    ("a multipart without a boundary", lines("Content-Type: multipart/mixed", "", "--b", "Content-Description: ö", "", "ä"), None, ["Content-Description: ö".encode()]),
    ("parts without headers", lines("Content-Type: multipart/mixed; boundary=b", "") +
     parts(b"b", lines("Störung: ü"), lines("Content-Description: ö", "Text ohne Leerzeile: ä"), lines("Content-Description: ö", "", "x")), None,
     ["Störung: ü".encode(), b"\r\n" + "Text ohne Leerzeile: ä".encode(), "Content-Description: ö"]),
    ("multiparts without an end", lines("Content-Type: multipart/mixed; boundary=b", "") +
     parts(b"b", lines("Content-Type: multipart/mixed; boundary=c", "") + parts(b"c", lines("Content-Description: ö", "", "ä"), end=False), end=False), None,
     ["Content-Description: ö", "ä"]),
    ("what is signed", lines('Content-Type: multipart/signed; boundary="s"', "Subject: Grüße", "") + SIGNED, None, ["Subject: Grüße", SIGNED]),
    ("what is signed, in a part", lines("Content-Type: multipart/mixed; boundary=b", "") +
     parts(b"b", lines("Content-Type: multipart/signed; boundary=s", "") + SIGNED, lines("Content-Description: ö", "", "ä")), None, [SIGNED, "Content-Description: ö"]),
    ("messages in it", lines("Content-Type: multipart/mixed; boundary=b", "") +
     parts(b"b", lines("Content-Type: message/rfc822", "", "Subject: Größe", "", "ä"), lines("Content-Type: message/global", "", "Subject: ö", "ohne Zeile: ß"),
           lines("Content-Type: message/rfc822", "Content-Transfer-Encoding: base64", "", "U3ViamVjdDogw7w="), lines("Content-Type: message/rfc822", "", MBOX + "Subject: ü".encode())),
     None, ["Subject: Größe", "Subject: ö", "\r\nohne Zeile: ß".encode(), "Subject: ü".encode()]),
    ("a delivery report with a text in it", lines("Content-Type: message/delivery-status", "", "Reporting-MTA: dns; ö.example", "", "Final-Recipient: utf-8; jörg@example.net", "Text ü", "", "Ä: ß"), None,
     ["Reporting-MTA: dns; ö", "jörg@example.net", "Text ü\r\n\r\nÄ: ß".encode()]),
    ("white space before the colon", lines("Subject : Grüße", "From\t: Jörg <a@b.example>", "", "x"), None, ["Subject : Grüße", "Jörg"]),
    ("trace fields", lines("Subject: x", "Received: from bücher.example (größer) by x id ü for <jörg@example.net>; Mon", "Message-ID: <ä@b>", "References: <ä@b> (ß)", "", "x"), None,
     ["bücher.example", "größer", "id ü", "for <jörg@example.net>", "<ä@b>", "ß"]),
    ("Received of no grammar", lines("Subject: x", "Received: größer für ü; ä", "", "x"), None, ["größer", "für", "ü", "ä"]),
    ("encoded-words beside raw octets", lines("Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= aus Köln =?utf-8?q?=C3=BC?=ä", "", "x"), None, ["Grüße", "aus Köln", "ä"]),
    ("a field over the limit", lines("To: " + LONG_NAMES, "Subject: ü", "", "x"), None, [LONG_NAMES[:50], LONG_NAMES[-50:], "Subject: ü"]),
    ("a long display-name", lines("From: " + "Jörg " * 300 + "<a@b.example>", "", "x"), None, ["Jörg " * 300 + "<a@b.example>"]),
    ("a long file name", lines(f'Content-Disposition: attachment; filename="{LONG_FILE}"', "", "x"), None, [LONG_FILE]),
    ("groups", lines("To: Räte: a@b.example, Jörg <jörg@b.example>;, Straße <c@b.example>, Leere: ;", "", "x"), None, ["Räte", "Jörg <jörg@b.example>", "Straße"]),
    ("comments anywhere", lines("From: (Ä) Jörg (Ö (ü)) <a(ß)@bücher.example> (é)", "Date: Mon (Zürich)", "MIME-Version: 1.0 (ñ)", "", "x"), None,
     ["Ä", "Jörg", "Ö", "ü", "ß", "bücher.example", "é", "Zürich", "ñ"]),
    ("addresses of no grammar", lines('From: "Jörg <a@b.example', "To: Müller", "Cc: ü@@b, <<ä>>", "", "x"), None, ["Jörg", "Müller", "ü@@b", "ä"]),
    ("parameters said twice and otherwise", lines("Content-Disposition: attachment; filename=\"Größe.pdf\"; filename*0*=UTF-8''anders; filename*1=.pdf", "", "x"), None, ["Größe.pdf", b"filename*0*=UTF-8''anders"]),
    ("parameters in parts", lines("Content-Disposition: attachment; filename*0=\"Über\"; filename*1=\"sicht\"; filename*2=\".pdf\"", "", "x"), None, ["filename=Übersicht.pdf"]),
    ("parameters of no grammar", lines("Content-Type: text/ü; ü=1; name=Größe; März.pdf; name*0=ä", "", "x"), None, ["text/ü", "ü=1", "Größe", "März.pdf", "ä"]),
    ("two types", lines("Content-Type: text/plain; name=ü", "Content-Type: multipart/mixed; boundary=b; x=ö", "", "--b", "Ä: ü"), None, ["name=ü", "x=ö"]),
    ("lines of white space in the header", lines("Subject: ü", " ", "\t", " ö", "", "ä"), None, ["ü", "ö", "ä"]),
)}


def encoded_word(match):
    octets = match[2].encode()
    octets = base64.b64decode(octets) if match[1] in "Bb" else quopri.decodestring(octets, header=True)
    return octets.decode()


def said(message):
    """A message and its ASCII form, decoded: encoded-words, RFC 2231, A-labels, RFC 6533."""
    text = message.decode("utf-8", "replace")
    words = re.sub(r"(?i)=\?utf-8\?([BQ])\?([^?]*)\?=", encoded_word, re.sub(r"\?=(\r\n)?[ \t]+=\?", "?==?", text))
    flat = re.sub(r"\r\n([ \t])", r"\1", words)
    return "\n".join((text, flat, urllib.parse.unquote(re.sub(r"; \w+\*\d+\*=", "", flat).replace("*=UTF-8''", "=")),
                      re.sub(r"xn--[a-z0-9-]+", lambda m: m[0].encode().decode("idna"), flat),
                      re.sub(r"\\x\{([0-9A-F]+)\}", lambda m: chr(int(m[1], 16)), flat)))


@pytest.fixture(scope="module")
def strange(server):
    address = f"strange@{DOMAIN}"
    server.add_user(address)
    with server.smtp() as client:
        client.hello()
        for message, *_ in STRANGE.values():
            client.send_message("a@b.example", [address], message, "SMTPUTF8 BODY=8BITMIME")
    return address


@pytest.mark.parametrize("utf8", [False, True], ids=["without", "with"])
def test_of_strange_messages_every_size_is_of_what_is_sent(server, strange, utf8):
    with server.pop3() as client:
        if utf8:
            client.ok(b"UTF8")
        client.login(strange)
        listed = client.listing()
        assert client.stat() == (len(STRANGE), sum(listed.values()))
        for number, what in enumerate(STRANGE, 1):
            whole = client.retr(number)
            assert len(whole) == listed[number], what
            assert client.ok(b"LIST %d" % number).split()[2] == b"%d" % len(whole)
            for lines_of_body in (0, 2):
                top = re.sub(rb"(?m)^\.", b"", client.multi(b"TOP %d %d" % (number, lines_of_body)))
                assert whole.startswith(top), what
                assert top.partition(b"\r\n\r\n")[0] == whole.partition(b"\r\n\r\n")[0].rstrip(b"\r\n") or b"\r\n\r\n" not in whole, what
        client.quit()


@pytest.mark.parametrize("what", STRANGE)
def test_strange_messages_lose_no_letter(server, strange, what):
    message, mended, words = STRANGE[what]
    number = list(STRANGE).index(what) + 1
    with server.pop3() as client:
        client.ok(b"UTF8")
        client.login(strange)
        assert without_trace(client.retr(number)) == (mended(message) if mended else message)
        client.quit()
    with server.login(strange) as client:
        got = without_trace(client.retr(number))
        client.quit()
    for word in words:
        assert word in (got if isinstance(word, bytes) else said(got)), (word, got[:3000])
    assert got.count(b"?") - 4 * got.count(b"=?UTF-8?") <= message.count(b"?"), got[:3000]
