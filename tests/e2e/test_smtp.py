"""SMTP from the internet, octet by octet: RFC 5321, 1870, 3030, 6531, 3207, 2034, and smuggling."""

import re
import smtplib
import ssl
import time

import pytest

from poplar_server import DOMAIN, PATIENCE, SANITIZED, CliError, client_tls, make_message, trace_of, without_trace


def session(server):
    client = server.smtp()
    client.hello()
    return client


def stored(server, account):
    return [octets for _, octets in server.fetch_all(account)]


def test_capabilities(server):
    with server.smtp() as client:
        assert client.greeting.startswith(b"220 mx.example.test ")
        words = {line.split()[0] for line in client.hello()[1:]}
        assert {"PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8", "CHUNKING", "STARTTLS", "ENHANCEDSTATUSCODES", "DSN", "HELP"} <= words
        client.starttls()
        assert "STARTTLS" not in client.hello()
        client.expect(221, b"QUIT")
        assert client.closed() == b""


def test_smtplib_delivers(server, account):
    message = make_message("smtplib", 3000)
    with smtplib.SMTP("127.0.0.1", server.port["smtp"], timeout=30) as client:
        client.sendmail("a@elsewhere.example", [account], message)
        client.starttls(context=client_tls())
        client.sendmail("a@elsewhere.example", [account], message)
    assert [without_trace(m) for m in stored(server, account)] == [message] * 2


def test_trace_fields(server, account):
    with session(server) as client:
        client.send_message("From.Case@Elsewhere.example", [account], b"Subject: x\r\n\r\nx\r\n")
        client.starttls()
        client.hello()
        client.send_message("", [account], b"Return-Path: <forged@x.example>\r\nSubject: x\r\n\r\nx\r\n")
    plain, null = (trace_of(m).decode() for m in stored(server, account))
    assert plain.startswith("Return-Path: <From.Case@Elsewhere.example>\r\n")
    assert f"Delivered-To: {account}\r\n" in plain
    received = re.search(r"Received: from client\.example \(.*127\.0\.0\.1.*\)\s+by mx\.example\.test\s", plain, re.S)
    assert received, plain
    assert "with ESMTP" in plain and "with ESMTPS" in null, (plain, null)
    assert null.startswith("Return-Path: <>\r\n")


def test_reply_codes(server, account):
    """One row a command, in one session; each reply has an enhanced code of its class (RFC 2034)."""
    rows = [
        ("RSET", 250), ("NOOP", 250), ("NOOP x", 250), ("HELP", 214), ("VRFY x", 252), ("XYZZY", 500), ("", 500),
        ("RCPT TO:<a@b.example>", 503), ("DATA", 503),
        ("MAIL FROM:<a b@c.example>", 501), ("MAIL", 501), ("MAIL FROM:", 501),
        ("MAIL FROM:<a@elsewhere.example> XYZZY=1", 555),
        ("MAIL FROM:<a@elsewhere.example> SIZE=abc", 501),
        ("MAIL FROM:<a@elsewhere.example> SIZE=99999999999", 552),
        ("MAIL FROM:<a@elsewhere.example>", 250),
        ("MAIL FROM:<a@elsewhere.example>", 503),
        (f"RCPT TO:<nobody@{DOMAIN}>", 550),
        ("RCPT TO:<someone@elsewhere.example>", 550),
        ("DATA", 503),
        (f"RCPT TO:<{account}>", 250),
        (f"RCPT TO:<{account.upper()}>", 250),
        (f"RCPT TO:<{account.replace('@', '+detail@')}>", 250),
        ("RSET", 250), ("DATA", 503), ("QUIT", 221),
    ]
    enhanced = {
        (f"RCPT TO:<nobody@{DOMAIN}>"): "5.1.1",
        ("RCPT TO:<someone@elsewhere.example>"): "5.7.1",
        ("MAIL FROM:<a@elsewhere.example> SIZE=99999999999"): "5.3.4",
    }
    with session(server) as client:
        for command, code in rows:
            got, lines = client.ask(command.encode())
            assert got == code, (command, got, lines)
            if command != "HELP":
                assert re.match(rf"{code // 100}\.\d+\.\d+ ", lines[-1]), (command, lines)
            if command in enhanced:
                assert lines[0].startswith(enhanced[command] + " "), (command, lines)


def test_mail_before_hello_is_refused(server):
    with server.smtp() as client:
        client.expect(503, b"MAIL FROM:<a@elsewhere.example>")
        client.expect(501, b"EHLO")


def test_never_an_open_relay(server, account):
    local, domain = account.split("@")
    attempts = ["victim@elsewhere.example", f"victim%elsewhere.example@{domain}", f"elsewhere.example!victim@{domain}",
                f"@{domain}:victim@elsewhere.example", f'"victim@elsewhere.example"@{domain}', f"victim@elsewhere.example@{domain}",
                "victim@[192.0.2.1]", "victim", f"{local}@{domain}.elsewhere.example"]
    with session(server) as client:
        for sender in ("", "a@elsewhere.example", account):
            client.expect(250, f"MAIL FROM:<{sender}>".encode())
            for attempt in attempts:
                code, lines = client.ask(f"RCPT TO:<{attempt}>".encode())
                assert 500 <= code < 600, (attempt, code, lines)
            client.expect(503, b"DATA")
            client.expect(250, b"RSET")


def test_a_disabled_account_gets_no_mail(server, account):
    server.cli("user", "disable", account)
    with session(server) as client:
        client.expect(250, b"MAIL FROM:<a@elsewhere.example>")
        code, lines = client.ask(f"RCPT TO:<{account}>".encode())
        assert code == 550 and lines[0].startswith("5.2.1 "), (code, lines)


def test_pipelining_of_a_whole_transaction(server, account):
    message = make_message("pipelined")
    stuffed = re.sub(rb"(?m)^\.", b"..", message)
    with session(server) as client:
        client.send(b"MAIL FROM:<a@elsewhere.example>\r\nRCPT TO:<nobody@example.test>\r\n" +
                    f"RCPT TO:<{account}>\r\n".encode() + b"DATA\r\n")
        assert [client.reply()[0] for _ in range(4)] == [250, 550, 250, 354]
        client.send(stuffed + b".\r\nQUIT\r\n")
        assert [client.reply()[0] for _ in range(2)] == [250, 221]
    assert [without_trace(m) for m in stored(server, account)] == [message]


def test_data_in_single_octets(server, account):
    message = b"Subject: slow\r\n\r\n.\r\n..\r\nend\r\n"
    with session(server) as client:
        client.envelope("a@elsewhere.example", [account])
        client.expect(354, b"DATA")
        for octet in re.sub(rb"(?m)^\.", b"..", message) + b".\r\n":
            client.send(bytes([octet]))
        assert client.reply()[0] == 250
    assert [without_trace(m) for m in stored(server, account)] == [message]


def test_many_recipients_get_one_copy_each(server):
    users = [server.add_user(f"many{n}@{DOMAIN}") for n in range(20)]
    message = make_message("many")
    with session(server) as client:
        client.send_message("a@elsewhere.example", users + [users[0], users[1].replace("@", "+x@")], message)
    for user in users:
        copies = stored(server, user)
        assert [without_trace(m) for m in copies] == [message]
        assert f"Delivered-To: {user}".encode() in trace_of(copies[0])


# Sizes.

def test_size_is_checked_at_mail_and_at_data(make_server):
    server = make_server(limits={"message_size": "100kB"})
    account = server.add_user(f"u@{DOMAIN}")
    with session(server) as client:
        client.expect(552, b"MAIL FROM:<a@elsewhere.example> SIZE=100001")
        client.envelope("a@elsewhere.example", [account], "SIZE=100000")
        client.data(make_message("big", 110_000))
        code, lines = client.reply()
        assert code == 552 and lines[0].startswith("5.3.4 ")
        client.send_message("a@elsewhere.example", [account], make_message("ok", 90_000))
        client.envelope("a@elsewhere.example", [account])
        client.send(b"BDAT 110000 LAST\r\n" + b"x" * 110_000)
        assert client.reply()[0] == 552
        client.send_message("a@elsewhere.example", [account], make_message("ok2", 1000))
    assert len(stored(server, account)) == 2


def test_loops_are_cut(server, account):
    with session(server) as client:
        client.envelope("a@elsewhere.example", [account])
        client.data(b"Received: from a by b; Mon, 5 Jan 2026 00:00:00 +0000\r\n" * 101 + b"Subject: loop\r\n\r\nx\r\n")
        code, lines = client.reply()
        assert code == 554 and lines[0].startswith("5.4.6 "), (code, lines)
    assert stored(server, account) == []


# BDAT (RFC 3030).

def bdat(client, chunk, last=False):
    client.send(b"BDAT %d%s\r\n" % (len(chunk), b" LAST" if last else b"") + chunk)


def test_bdat_keeps_every_octet(server, account):
    message = make_message("bdat", 5000)
    with session(server) as client:
        client.envelope("a@elsewhere.example", [account], "BODY=8BITMIME")
        bdat(client, message[:17])
        assert client.reply()[0] == 250
        bdat(client, message[17:1001])
        bdat(client, message[1001:])
        bdat(client, b"", last=True)
        assert [client.reply()[0] for _ in range(3)] == [250] * 3
        client.expect(503, b"DATA")
        client.envelope("a@elsewhere.example", [account])
        bdat(client, b"Subject: y\r\n\r\n")
        assert client.reply()[0] == 250
        client.expect(503, b"DATA")
        client.expect(250, b"RSET")
        client.expect(503, b"BDAT 0 LAST")
    assert [without_trace(m) for m in stored(server, account)] == [message]


def test_bdat_octets_that_look_like_the_end_do_not_end(server, account):
    body = b"Subject: z\r\n\r\nbefore\r\n.\r\nMAIL FROM:<evil@elsewhere.example>\r\n.\r\nafter\r\n"
    with session(server) as client:
        client.envelope("a@elsewhere.example", [account])
        bdat(client, body, last=True)
        assert client.reply()[0] == 250
        assert client.quiet()
    assert [without_trace(m) for m in stored(server, account)] == [body]


def test_bdat_chunks_share_the_time_of_a_message(make_server):
    server = make_server(smtp={"message_timeout": "1s"})
    account = server.add_user(f"u@{DOMAIN}")
    with session(server) as client:
        client.envelope("a@elsewhere.example", [account])
        begin = time.monotonic()
        while True:
            bdat(client, b"x\r\n")
            code, _ = client.reply()
            if code != 250:
                break
            assert time.monotonic() < begin + 10, "a message may drip in for ever"
            time.sleep(0.2)
        assert code == 421 and client.closed() == b""


def test_bdat_without_a_transaction_swallows_its_chunk(server, account):
    with session(server) as client:
        bdat(client, b"MAIL FROM:<evil@elsewhere.example>\r\n", last=True)
        assert client.reply()[0] == 503
        assert client.quiet(), "the chunk is no command"
        client.expect(250, b"NOOP")
        client.expect(421, b"BDAT x")
        assert client.closed() == b"", "how much follows is unknown, so nothing more may be taken for a command"


# Internationalised mail (RFC 6531).

def test_smtputf8(server):
    address = server.add_user(f"grün@{DOMAIN}")
    message = "From: jürgen@grün.example\r\nSubject: Grüße\r\n\r\n日本語 🌳\r\n".encode()
    with session(server) as client:
        client.send_message("jürgen@grün.example", [address], message, "SMTPUTF8 BODY=8BITMIME")
        code, _ = client.ask("MAIL FROM:<jürgen@grün.example>".encode())
        assert 500 <= code < 600, "UTF-8 in an address needs SMTPUTF8"
    (copy,) = stored(server, address)
    assert without_trace(copy) == message
    assert "Return-Path: <jürgen@grün.example>".encode() in trace_of(copy)
    assert b"with UTF8SMTP" in trace_of(copy)


# STARTTLS.

def test_starttls_discards_what_was_injected(server, account):
    """CVE-2011-0411: commands behind STARTTLS in plain text must not run inside TLS."""
    with session(server) as client:
        client.send(b"STARTTLS\r\nMAIL FROM:<evil@elsewhere.example>\r\n")
        assert client.reply()[0] == 220
        try:
            client.start_tls()
        except OSError:
            return
        client.expect(503, f"RCPT TO:<{account}>".encode())
        client.hello()
        client.expect(503, f"RCPT TO:<{account}>".encode())


def test_starttls_forgets_what_was_said(server, account):
    with session(server) as client:
        client.envelope("a@elsewhere.example", [account])
        client.starttls()
        client.expect(503, b"MAIL FROM:<a@elsewhere.example>")
        client.hello()
        client.expect(503, b"DATA")


# Smuggling: CVE-2023-51764, -51765, -51766 and the like. One message never becomes two.

LINE_ENDS = {"LF.LF": b"\n.\n", "LF.CRLF": b"\n.\r\n", "CRLF.LF": b"\r\n.\n", "CR.CR": b"\r.\r", "CR.CRLF": b"\r.\r\n",
             "CRLF.CR": b"\r\n.\r", "CR.LF": b"\r.\n", "LF.CR": b"\n.\r", "CRLFNUL.CRLF": b"\r\n\0.\r\n", "CRLF.NULCRLF": b"\r\n.\0\r\n",
             "CRCRLF.CRCRLF": b"\r\r\n.\r\r\n", "CRLF.CRCRLF": b"\r\n.\r\r\n", "LFLF.CRLF": b"\n\n.\r\n",
             "CRLF. CRLF": b"\r\n. \r\n", "CRLFCR.CRLF": b"\r\n\r.\r\n"}


@pytest.mark.parametrize("name", LINE_ENDS)
def test_only_crlf_dot_crlf_ends_a_message(server, account, name):
    victim = account
    smuggled = (b"MAIL FROM:<admin@example.test>\r\n" + f"RCPT TO:<{victim}>\r\n".encode() +
                b"DATA\r\nSubject: smuggled\r\n\r\nsmuggled\r\n.\r\n")
    # The last CRLF.CRLF is smuggled's own: the outer message ends there, and only there.
    with session(server) as client:
        client.envelope("a@elsewhere.example", [victim])
        client.expect(354, b"DATA")
        client.send(b"Subject: outer\r\n\r\nouter" + LINE_ENDS[name] + smuggled)
        replies = [client.reply()]
        client.send(b"NOOP\r\n")
        replies.append(client.reply())
        assert client.quiet(0.1), "one message gets one reply"
        accepted = replies[0][0] == 250
        assert accepted or 500 <= replies[0][0] < 600, replies
        assert replies[1][0] == 250, replies
    copies = stored(server, victim)
    assert len(copies) == (1 if accepted else 0)
    if accepted:
        assert b"Subject: outer" in copies[0] and b"Return-Path: <a@elsewhere.example>" in copies[0]
        assert b"\r\n\r\nsmuggled\r\n" in copies[0]


def test_bare_line_feeds_do_not_split_what_pop_sends(server, account):
    """A stored bare LF must not make a line for a POP client either: `.` behind it must not end the message there."""
    with session(server) as client:
        client.envelope("a@elsewhere.example", [account])
        client.expect(354, b"DATA")
        client.send(b"Subject: x\r\n\r\na\n.\nb\r\n..\r\n.\r\n")
        code, _ = client.reply()
    if code != 250:
        assert 500 <= code < 600
        return
    with server.login(account) as client:
        wire = client.multi(b"RETR 1")
        assert b"\n.\n" not in wire and b"\n.\r\n" not in wire
        client.quit()


def test_header_injection_by_parameters_is_impossible(server, account):
    for evil in (b"a\r@b.example", b"a\0@b.example", b"a\n@b.example"):
        with session(server) as client:
            code, lines = client.ask(b"MAIL FROM:<" + evil + b">")
            assert 500 <= code < 600, (evil, code, lines)
            client.expect(250, b"RSET")
    with session(server) as client:
        assert client.ask(b"EHLO x\ry.example")[0] == 500


def test_a_bare_lf_ends_no_command(server, account):
    for client in (session(server), server.lmtp()):
        with client:
            client.hello()
            client.send(b"NOOP\n")
            assert client.quiet(0.3), "the line is not over (RFC 5321 s2.3.8)"
            client.send(b"MAIL FROM:<a@elsewhere.example>\r\nNOOP\r\n")
            assert [client.reply()[0] for _ in range(2)] == [500, 250], "one line, one reply"
            client.expect(421, b"MAIL FROM:<a@elsewhere.example>")


def test_a_bare_lf_ends_a_command_where_the_operator_says_so(make_server):
    server = make_server(smtp={"bare_lf_commands": True, "bare_newlines": "normalize"})
    account = server.add_user(f"device@{DOMAIN}")
    with server.smtp() as client:
        for command, code in ((b"HELO scanner", 250), (b"MAIL FROM:<a@elsewhere.example>", 250),
                              (b"RCPT TO:<" + account.encode() + b">", 250), (b"DATA", 354)):
            client.send(command + b"\n")
            assert client.reply()[0] == code, command
        client.send(b"Subject: scan\n\npage 1\n\r\n.\r\n")
        assert client.reply()[0] == 250
    assert [without_trace(m) for m in stored(server, account)] == [b"Subject: scan\r\n\r\npage 1\r\n\r\n"]


def test_chunks_may_carry_bare_line_feeds(server, account):
    message = b"Subject: report\r\n\r\nfirst\nsecond\r\n.\nthird\n.\n"
    with session(server) as client:
        client.envelope("a@elsewhere.example", [account])
        client.send(b"BDAT %d LAST\r\n" % len(message) + message)
        assert client.reply()[0] == 250
        client.expect(250, b"MAIL FROM:<a@elsewhere.example>")
    assert [without_trace(m) for m in stored(server, account)] == [re.sub(rb"\r?\n", b"\r\n", message)]


def old_tls(*ciphers):
    """A client of TLS 1.2 with these, whatever the key of the server's certificate."""
    context = client_tls()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(":".join(cipher.replace("ECDHE", f"ECDHE-{key}") for cipher in ciphers for key in ("RSA", "ECDSA")))
    return context


# The ECDHE that Windows Server 2012 R2 offers a server with an RSA certificate.
OLD_CIPHERS = ("ECDHE-AES256-SHA384", "ECDHE-AES128-SHA256", "ECDHE-AES256-SHA", "ECDHE-AES128-SHA")


def test_older_peers_get_tls_and_a_failed_handshake_says_with_whom_and_why(server, account):
    for cipher in OLD_CIPHERS:
        with session(server) as client:
            client.starttls(old_tls(cipher))
            client.hello()
    with session(server) as client, pytest.raises((ssl.SSLError, OSError)):
        client.starttls(old_tls("AES128-SHA", "AES256-SHA"))
    server.wait_log("smtp.tls_failed")
    (line,) = [line for line in server.log().splitlines() if "smtp.tls_failed" in line]
    assert "peer=127.0.0.1" in line and "no shared cipher" in line, line
    with pytest.raises((ssl.SSLError, OSError)):
        with server.pop3() as client:
            client.send(b"STLS\r\n")
            client.line()
            client.start_tls(old_tls(*OLD_CIPHERS))


def test_the_operator_chooses_the_ciphers(make_server):
    server = make_server(smtp={"tls_ciphers": "ECDHE+AES128+AESGCM"}, tls={"ciphers": "ECDHE+AES256"})
    with session(server) as client, pytest.raises((ssl.SSLError, OSError)):
        client.starttls(old_tls("ECDHE-AES256-GCM-SHA384"))
    with session(server) as client:
        client.starttls(old_tls("ECDHE-AES128-GCM-SHA256"))
        client.hello()
    with server.pop3() as client:
        client.send(b"STLS\r\n")
        assert client.line().startswith(b"+OK")
        client.start_tls(old_tls(*OLD_CIPHERS))


def test_postmaster_is_taken_while_nobody_is(make_server):
    server = make_server()
    message = make_message("to nobody yet")
    with session(server) as client:
        for address in ("PostMaster", f"postmaster@{DOMAIN}", f"POSTMASTER@{DOMAIN.upper()}"):
            client.send_message("a@elsewhere.example", [address], message)
        client.expect(250, b"MAIL FROM:<>")
        client.expect(550, b"RCPT TO:<postmaster@elsewhere.example>")
    kept = server.cli("mail", "list", "postmaster")["messages"]
    assert len(kept) == 3
    status = server.cli("status")["postmaster"]
    assert status["named"] is False and status["kept_messages"] == 3
    assert "nobody" in server.run_cli("status").stdout
    # An administrator hands it on.
    account = server.add_user(f"jane@{DOMAIN}")
    octets = server.admin_octets("GET", f"/v1/accounts/postmaster/messages/{kept[0]['unique_id']}/content")[1]
    server.cli("deliver", account, input=octets.decode())
    assert server.admin("DELETE", f"/v1/accounts/postmaster/messages/{kept[0]['unique_id']}")[0] == 200
    assert len(server.fetch_all(account)) == 1 and len(server.cli("mail", "list", "postmaster")["messages"]) == 2
    for name in ("postmaster", f"postmaster@{DOMAIN}"):
        with server.pop3() as client:
            client.send(f"USER {name}\r\nPASS x\r\n".encode())
            assert client.line().startswith(b"+OK") and client.line().startswith(b"-ERR")
    server.cli("alias", "add", f"postmaster@{DOMAIN}", account)
    with session(server) as client:
        client.send_message("a@elsewhere.example", ["postmaster"], message)
    assert len(server.fetch_all(account)) == 2
    now = server.cli("status")["postmaster"]
    assert now["named"] is True and now["kept_messages"] == 2 and 0 < now["kept_octets"] < status["kept_octets"]
    assert server.run_cli("verify").returncode == 0


def test_a_postmaster_named_with_the_domain(make_server):
    server = make_server()
    server.cli("domain", "add", "second.example", "--postmaster", "jane@second.example")
    server.add_user("jane@second.example")
    server.deliver("postmaster@second.example", make_message("for jane"))
    server.deliver("postmaster", make_message("for her too"))
    assert len(server.fetch_all("jane@second.example")) == 2
    assert server.cli("status")["postmaster"] == {"named": True, "kept_messages": 0, "kept_octets": 0}
    with pytest.raises(CliError):
        server.cli("domain", "add", "third.example", "--postmaster", "nobody@second.example")
    assert "third.example" not in [d["name"] for d in server.cli("domain", "list")["domains"]]


def test_a_line_too_long_is_refused_and_the_session_goes_on(server):
    with session(server) as client:
        client.send(b"NOOP " + b"x" * 100_000 + b"\r\n")
        assert client.reply()[0] == 500
        client.expect(250, b"NOOP")


def test_a_lost_connection_in_data_delivers_nothing(server, account):
    with session(server) as client:
        client.envelope("a@elsewhere.example", [account])
        client.expect(354, b"DATA")
        client.send(b"Subject: half\r\n\r\nhalf a message\r\n.")
    with session(server) as client:
        client.send_message("a@elsewhere.example", [account], make_message("whole"))
    assert len(stored(server, account)) == 1


def test_many_bad_commands_end_the_session(server):
    with session(server) as client:
        client.send(b"XYZZY\r\n" * 1000)
        answers = client.closed()
        assert 0 < answers.count(b"500 ") < 1000 and b"\r\n421 " in answers


@pytest.mark.skipif(SANITIZED, reason="freed memory is kept back")
def test_an_envelope_of_a_thousand_recipients_costs_little_memory(make_server):
    server = make_server()
    account = server.add_user(f"one@{DOMAIN}")
    server.cli("user", "import", "--passwd-file", "-", input="".join(f"m{n}@{DOMAIN}:{{PLAIN}}{'x' * 200}\n" for n in range(500)))
    server.cli("alias", "add", f"all@{DOMAIN}", *(f"m{n}@{DOMAIN}" for n in range(500)))
    connections = 20

    def envelopes(recipient, times):
        clients = [session(server) for _ in range(connections)]
        before = server.rss()
        for client in clients:
            client.send(b"MAIL FROM:<a@elsewhere.example>\r\n" + f"RCPT TO:<{recipient}>\r\n".encode() * times + b"DATA\r\n")
            assert [client.reply()[0] for _ in range(times + 2)] == [250] * (times + 1) + [354]
        grown = server.rss() - before
        for client in clients:
            client.socket.close()
        return grown / connections

    envelopes(account, 10)  # what a server takes once
    assert envelopes(account, 1000) < 200_000
    assert envelopes(f"all@{DOMAIN}", 19) < 200_000


def test_short_commands_make_no_long_log(server, account):
    """At most 20 octets of log for each octet sent, whatever is refused; many refusals have a few lines and their number."""
    evil = "\u00e9".encode()
    begin = b"EHLO " + b"\xff" * 250 + b"\r\n"
    mail = b"MAIL FROM:<" + b"x" * 60 + b"@" + b"y" * 60 + b".example>\r\n"
    for what, rcpt in (("utf-8", b"RCPT TO:<" + evil + b"@b.c>\r\n"), ("relay", b"RCPT TO:<a@b.c>\r\n"),
                       ("syntax", b"RCPT TO:<>\r\n"), ("data", b"DATA\r\n"), ("bdat", b"BDAT 0\r\n")):
        before = len(server.log().encode())
        sent = begin + mail + rcpt * 5000
        with server.smtp() as client:
            try:
                client.send(sent)
            except OSError:
                pass  # it has hung up
            try:
                client.closed()
            except OSError:
                pass
        deadline = time.monotonic() + 30 * PATIENCE
        while b"smtp.end" not in (lines := server.log().encode()[before:]):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert len(lines) < 8000, (what, len(lines))
        if what in ("utf-8", "relay"):
            assert lines.count(b"smtp.refused") == 10 and b" refused_not_logged=" in lines, what


def test_recipients_of_a_large_alias_keep_nobody_waiting(make_server):
    server = make_server()
    account = server.add_user(f"by@{DOMAIN}")
    server.cli("user", "import", "--passwd-file", "-", input="".join(f"m{n}@{DOMAIN}:{{PLAIN}}x\n" for n in range(1000)))
    server.cli("alias", "add", f"all@{DOMAIN}", *(f"m{n}@{DOMAIN}" for n in range(1000)))
    server.login(account).quit()  # its password is known then
    clients = [session(server) for _ in range(8)]
    for client in clients:
        client.send(b"MAIL FROM:<a@elsewhere.example>\r\n" + f"RCPT TO:<all@{DOMAIN}>\r\n".encode() * 1500)
    begun = time.monotonic()
    server.login(account).quit()
    assert time.monotonic() - begun < 2 * PATIENCE
    for client in clients:
        assert [client.reply()[0] for _ in range(12)] == [250] * 11 + [452], "ten thousand accounts are enough"
        client.socket.close()
