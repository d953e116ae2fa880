"""LMTP from a front MTA: RFC 2033, an answer for each recipient."""

import re

from poplar_server import DOMAIN, make_message, trace_of, without_trace


def session(server, **options):
    client = server.lmtp(**options)
    client.hello()
    return client


def stored(server, account):
    return [octets for _, octets in server.fetch_all(account)]


def test_an_answer_for_each_recipient(server):
    users = [server.add_user(f"lmtp{n}@{DOMAIN}") for n in range(3)]
    message = make_message("lmtp")
    with session(server) as client:
        client.expect(250, b"MAIL FROM:<a@elsewhere.example>")
        for recipient, code in ((users[0], 250), (f"nobody@{DOMAIN}", 550), (users[1], 250), (users[0], 250), (users[2], 250)):
            assert client.ask(f"RCPT TO:<{recipient}>".encode())[0] == code
        client.data(message)
        assert [client.reply()[0] for _ in range(4)] == [250] * 4, "one reply an accepted RCPT, repeated ones too"
        assert client.quiet()
        client.expect(221, b"QUIT")
    for user in users:
        assert [without_trace(m) for m in stored(server, user)] == [message]


def test_the_same_over_a_unix_socket(server, account):
    message = make_message("unix")
    with session(server, unix=True) as client:
        client.send_message("a@elsewhere.example", [account], message)
    (copy,) = stored(server, account)
    assert without_trace(copy) == message
    assert b"with LMTP" in trace_of(copy) and b"Return-Path: <a@elsewhere.example>\r\n" in trace_of(copy)


def test_smtp_greetings_are_refused_and_lhlo_only_here(server):
    with server.lmtp() as client:
        assert client.ask(b"EHLO x.example")[0] == 500
        assert client.ask(b"HELO x.example")[0] == 500
        words = {line.split()[0] for line in client.hello()[1:]}
        assert {"PIPELINING", "ENHANCEDSTATUSCODES", "SIZE", "8BITMIME", "SMTPUTF8", "CHUNKING"} <= words
    with server.smtp() as client:
        assert client.ask(b"LHLO x.example")[0] == 500


def test_data_without_a_valid_recipient(server):
    with session(server) as client:
        client.expect(250, b"MAIL FROM:<a@elsewhere.example>")
        client.expect(550, f"RCPT TO:<nobody@{DOMAIN}>".encode())
        code, _ = client.ask(b"DATA")
        assert code in (503, 554), "RFC 2033 s4.2"
        client.expect(250, b"RSET")


def test_a_chunk_without_a_valid_recipient_is_refused_once(server, account):
    with session(server) as client:
        client.expect(250, b"MAIL FROM:<a@elsewhere.example>")
        client.expect(550, f"RCPT TO:<nobody@{DOMAIN}>".encode())
        client.send(b"BDAT 3\r\na\r\nBDAT 6 LAST\r\nNOOP\r\nNOOP\r\n")
        assert [client.reply()[0] for _ in range(3)] == [503, 503, 250]
        assert client.quiet()
        client.send_message("a@elsewhere.example", [account], make_message("next"))
    assert len(stored(server, account)) == 1


def test_bare_line_ends_from_a_front_server_become_crlf(server, account):
    """The front server has taken the message already, so refusing it would only make a bounce. One message stays one,
    whatever its line ends."""
    with session(server) as client:
        client.envelope("a@elsewhere.example", [account])
        client.expect(354, b"DATA")
        client.send(b"Subject: x\n\na\n.\nMAIL FROM:<evil@elsewhere.example>\r.\rb\r\n.\nc\r\n.\r\n")
        assert client.reply()[0] == 250
        assert client.quiet()
    (copy,) = stored(server, account)
    body = without_trace(copy)
    assert body.startswith(b"Subject: x\r\n\r\na\r\n") and body.endswith(b"c\r\n") and b"MAIL FROM:<evil" in body
    assert re.search(rb"(?<!\r)\n|\r(?!\n)", body) is None


def test_bdat_answers_for_each_recipient_at_the_last_chunk(server):
    users = [server.add_user(f"bdat{n}@{DOMAIN}") for n in range(3)]
    message = make_message("bdat lmtp", 2000)
    with session(server) as client:
        client.envelope("a@elsewhere.example", users)
        client.send(b"BDAT 1000\r\n" + message[:1000])
        assert client.reply()[0] == 250 and client.quiet(0.2)
        client.send(b"BDAT %d LAST\r\n" % (len(message) - 1000) + message[1000:])
        assert [client.reply()[0] for _ in users] == [250] * 3
    for user in users:
        assert [without_trace(m) for m in stored(server, user)] == [message]


def test_details_aliases_and_catch_all(server):
    target = server.add_user(f"target@{DOMAIN}")
    server.cli("alias", "add", f"team@{DOMAIN}", target)
    message = make_message("alias")
    with session(server) as client:
        client.send_message("a@elsewhere.example", [f"team@{DOMAIN}", f"target+shopping@{DOMAIN}", f"TARGET@{DOMAIN.upper()}"], message)
    copies = stored(server, target)
    assert all(without_trace(copy) == message for copy in copies)
    assert len(copies) == 1, "an account that several recipients lead to gets one copy"


def test_a_thousand_messages_one_connection_each_answer_durable(server, account):
    with session(server) as client:
        batch = b"".join(b"MAIL FROM:<a@elsewhere.example>\r\n" + f"RCPT TO:<{account}>\r\n".encode() + b"DATA\r\n" for _ in range(1))
        for n in range(1000):
            client.send(batch)
            assert [client.reply()[0] for _ in range(3)] == [250, 250, 354]
            client.send(b"Subject: %d\r\n\r\n%d\r\n.\r\n" % (n, n))
            assert client.reply()[0] == 250
    with server.login(account) as client:
        assert client.stat()[0] == 1000
        subjects = [int(re.search(rb"Subject: (\d+)", client.multi(b"TOP %d 0" % n))[1]) for n in range(1, 1001)]
        assert subjects == list(range(1000)), "in order of delivery"
        client.quit()
