"""POP3 as the wire sees it: RFC 1939, 2449, 2595, 5034."""

import base64
import poplib
import re
import resource
import threading
import time

import pytest

from poplar_server import DOMAIN, PASSWORD, PATIENCE, Pop3, client_tls, make_message, without_trace


def fill(server, account, count=3, octets=500):
    """Delivers messages and returns them in order."""
    messages = [make_message(f"{account}-{n}", octets) for n in range(count)]
    for message in messages:
        server.deliver(account, message)
    return messages


def poplib_fetch(client, number):
    return b"\r\n".join(client.retr(number)[1]) + b"\r\n"


# Python's own client, over each kind of connection.

def poplib_session(client, account, messages):
    client.user(account)
    client.pass_(PASSWORD)
    assert client.stat()[0] == len(messages)
    for number, message in enumerate(messages, 1):
        assert without_trace(poplib_fetch(client, number)) == message
    uids = client.uidl()[1]
    client.dele(1)
    client.rset()
    client.dele(len(messages))
    client.quit()
    return uids


def test_poplib_plain(server, account):
    messages = fill(server, account)
    uids = poplib_session(poplib.POP3("127.0.0.1", server.port["pop3"], timeout=30), account, messages)
    assert len(server.fetch_all(account)) == len(messages) - 1 == len(uids) - 1


def test_poplib_stls(server, account):
    messages = fill(server, account)
    client = poplib.POP3("127.0.0.1", server.port["pop3"], timeout=30)
    assert "STLS" in client.capa()
    client.stls(context=client_tls())
    assert "STLS" not in client.capa(), "RFC 2595 s4: not offered again"
    poplib_session(client, account, messages)


def test_poplib_tls(server, account):
    messages = fill(server, account)
    poplib_session(poplib.POP3_SSL("127.0.0.1", server.port["pop3s"], context=client_tls(), timeout=30), account, messages)


# The session's states.

def test_an_empty_maildrop(server, account):
    with server.login(account) as client:
        assert client.stat() == (0, 0)
        assert client.multi(b"LIST") == b""
        assert client.multi(b"UIDL") == b""
        client.err(b"RETR 1")
        client.err(b"LIST 1")
        client.quit()


def test_commands_only_in_their_state(server, account):
    with server.pop3() as client:
        for command in (b"STAT", b"LIST", b"RETR 1", b"DELE 1", b"UIDL", b"TOP 1 0", b"NOOP", b"RSET"):
            client.err(command)
        client.err(b"PASS " + PASSWORD.encode())
        client.login(account)
        for command in (b"USER x", b"PASS x", b"STLS", b"AUTH PLAIN", b"XYZZY", b""):
            client.err(command)
        client.quit()


def test_keywords_in_any_case_and_arguments_checked(server, account):
    fill(server, account, 1)
    with server.login(account) as client:
        assert client.ok(b"sTaT").startswith(b"+OK 1 ")
        for bad in (b"RETR", b"RETR 0", b"RETR 2", b"RETR -1", b"RETR 1x", b"RETR 99999999999999999999", b"DELE", b"TOP 1",
                    b"TOP 1 -1", b"TOP 1 x", b"LIST 0", b"UIDL abc"):
            client.err(bad)
        client.quit()


def test_capabilities(server):
    with server.pop3() as client:
        lines = client.multi(b"CAPA").decode().splitlines()
        words = {line.split()[0] for line in lines}
        assert {"TOP", "UIDL", "USER", "RESP-CODES", "PIPELINING", "STLS", "SASL", "AUTH-RESP-CODE"} <= words
        assert "PLAIN" in next(line for line in lines if line.startswith("SASL")).split()
    with server.pop3s() as client:
        assert b"STLS" not in client.multi(b"CAPA")


def test_a_line_too_long_is_refused_and_the_session_goes_on(server, account):
    with server.pop3() as client:
        client.err(b"USER " + b"x" * 100_000)
        client.login(account).quit()


def test_many_bad_commands_end_the_session(server):
    with server.pop3() as client:
        client.send(b"XYZZY\r\n" * 1000)
        answers = client.closed()
        assert 0 < answers.count(b"-ERR") < 1000


# Logging in.

def test_passwords_with_spaces_and_utf8(server):
    for n, password in enumerate((" leading", "trailing ", "two  spaces", "pässwörd €", "{PLAIN}x", "x" * 200)):
        address = server.add_user(f"pass{n}@{DOMAIN}", password)
        server.login(address, password).quit()
        with server.pop3() as client:
            client.ok(b"USER " + address.encode())
            client.err(b"PASS " + password.strip().encode()[:-1])


def test_wrong_password_and_unknown_user_answer_alike(server, account):
    answers = []
    for name in (account, f"nobody@{DOMAIN}"):
        with server.pop3() as client:
            client.ok(b"USER " + name.encode())
            answers.append(client.err(b"PASS wrong"))
    assert answers[0] == answers[1]
    assert answers[0].startswith(b"-ERR [AUTH]")


def test_auth_plain(server, account):
    response = base64.b64encode(b"\0" + account.encode() + b"\0" + PASSWORD.encode())
    with server.pop3() as client:
        client.ok(b"AUTH PLAIN " + response)
        client.quit()
    with server.pop3() as client:
        assert client.command(b"AUTH PLAIN").startswith(b"+ ")
        client.ok(response)
        client.quit()
    with server.pop3() as client:
        assert client.command(b"AUTH PLAIN").startswith(b"+ ")
        client.err(b"*")
        client.err(b"AUTH PLAIN !!!!")
        client.err(b"AUTH XYZZY")
        client.err(b"AUTH PLAIN " + base64.b64encode(b"\0" + account.encode() + b"\0wrong"))
        client.login(account).quit()


def test_plaintext_login_only_where_the_operator_allows_it(make_server):
    server = make_server(auth={"allow_plaintext": "never"})
    account = server.add_user(f"u@{DOMAIN}")
    with server.pop3() as client:
        lines = client.multi(b"CAPA").decode().splitlines()
        assert "USER" not in lines and not any(line.startswith("SASL") for line in lines)
        client.err(b"USER " + account.encode())
        client.stls()
        assert b"USER" in client.multi(b"CAPA")
        client.greeting = b"+OK"
        client.login(account).quit()


def test_the_maildrop_is_locked_for_one_session(server, account):
    fill(server, account, 1)
    first = server.login(account)
    with server.pop3() as second:
        second.ok(b"USER " + account.encode())
        assert second.err(b"PASS " + PASSWORD.encode()).startswith(b"-ERR [IN-USE]")
    first.quit()
    server.login(account).quit()


def test_the_lock_goes_with_a_lost_connection(server, account):
    fill(server, account, 2)
    client = server.login(account)
    client.ok(b"DELE 1")
    client.close()
    for _ in range(50):
        with server.pop3() as again:
            again.ok(b"USER " + account.encode())
            if again.command(b"PASS " + PASSWORD.encode()).startswith(b"+OK"):
                assert again.stat()[0] == 2, "only QUIT enters the UPDATE state (RFC 1939 s6)"
                return
    pytest.fail("the lock stays")


# Messages, octet by octet.

TRICKY = {
    "dots": b"Subject: dots\r\n\r\n.\r\n..\r\n...\r\n.x\r\n\r\n.\r\n",
    "no body": b"Subject: no body\r\n\r\n",
    "a header alone": b"Subject: no blank line\r\nX: y\r\n",
    "no header": b"\r\nonly a body\r\n",
    "long line": b"Subject: long\r\n\r\n" + b"x" * 900 + b"\r\n.\r\n",
    "eight bits": b"Subject: eight\r\n\r\n" + bytes(range(128, 256)) + b"\r\n",
    "spaces at the ends": b"Subject: spaces\r\n\r\nx \r\n \t\r\n\r\n\r\n\r\n",
    "only dots": b"Subject: d\r\n\r\n" + b".\r\n" * 3000,
    "dots at block ends": b"Subject: d\r\n\r\n" + b"".join(b"." + b"y" * n + b"\r\n" for n in range(900)),
}


@pytest.mark.parametrize("name", TRICKY)
def test_messages_come_back_byte_for_byte(server, account, name):
    message = TRICKY[name]
    server.deliver(account, message)
    with server.login(account) as client:
        stored = client.retr(1)
        assert without_trace(stored) == message
        assert client.stat() == (1, len(stored)), "sizes count what a client stores (RFC 1939 s11)"
        assert client.listing() == {1: len(stored)}
        client.quit()


def test_top_sends_the_header_and_n_lines(server, account):
    message = b"Subject: top\r\nX: y\r\n\r\none\r\n.two\r\n..three\r\nfour\r\n"
    server.deliver(account, message)
    with server.login(account) as client:
        whole = client.multi(b"RETR 1")
        header, body = whole.split(b"\r\n\r\n", 1)
        lines = body.splitlines(keepends=True)
        for count in (0, 1, 2, 3, 4, 5, 4294967295):
            assert client.multi(b"TOP 1 %d" % count) == header + b"\r\n\r\n" + b"".join(lines[:count])
        client.quit()


def test_top_of_a_header_alone_is_all_of_it_and_no_line_more(server, account):
    """RFC 5322 s3.5: without a body there is no line that separates it. What TOP sends is the beginning of what RETR sends."""
    server.deliver(account, TRICKY["a header alone"])
    with server.login(account) as client:
        whole = client.multi(b"RETR 1")
        assert whole.endswith(TRICKY["a header alone"])
        assert [client.multi(b"TOP 1 %d" % count) for count in (0, 1, 4294967295)] == [whole] * 3
        client.quit()


def test_unique_ids_are_stable_and_wellformed(server, account):
    fill(server, account, 5)
    with server.login(account) as client:
        before = client.uidl()
        assert all(re.fullmatch(r"[\x21-\x7e]{1,70}", uid) for uid in before.values())
        assert len(set(before.values())) == 5
        assert client.ok(b"UIDL 3").split()[1:] == [b"3", before[3].encode()]
        client.ok(b"DELE 2")
        assert set(client.uidl()) == {1, 3, 4, 5}
        client.err(b"UIDL 2")
        client.quit()
    fill(server, account, 1)
    with server.login(account) as client:
        after = list(client.uidl().values())
        assert after[:4] == [before[n] for n in (1, 3, 4, 5)]
        assert after[4] not in before.values()
        client.quit()


def test_deletion_waits_for_quit_and_rset_undoes_it(server, account):
    fill(server, account, 3)
    with server.login(account) as client:
        client.ok(b"DELE 1")
        client.err(b"DELE 1")
        client.err(b"RETR 1")
        assert client.stat()[0] == 2 and set(client.listing()) == {2, 3}
        client.ok(b"RSET")
        assert client.stat()[0] == 3
        client.ok(b"DELE 3")
        client.quit()
    with server.login(account) as client:
        assert client.stat()[0] == 2
        client.quit()


def test_mail_that_arrives_during_a_session_shows_in_the_next(server, account):
    fill(server, account, 1)
    with server.login(account) as client:
        fill(server, account, 2)
        assert client.stat()[0] == 1 and len(client.uidl()) == 1
        client.ok(b"DELE 1")
        client.quit()
    with server.login(account) as client:
        assert client.stat()[0] == 2
        client.quit()


# How octets arrive.

def test_commands_byte_by_byte(server, account):
    fill(server, account, 1)
    with server.pop3() as client:
        for octet in b"USER " + account.encode() + b"\r\nPASS " + PASSWORD.encode() + b"\r\nSTAT\r\nQUIT\r\n":
            client.send(bytes([octet]))
        answers = client.closed().split(b"\r\n")
        assert [a[:3] for a in answers[:4]] == [b"+OK"] * 4 and answers[2].startswith(b"+OK 1 ")


def test_pipelining(server, account):
    messages = fill(server, account, 20)
    with server.pop3() as client:
        client.send(b"USER " + account.encode() + b"\r\nPASS " + PASSWORD.encode() + b"\r\nSTAT\r\n" +
                    b"".join(b"RETR %d\r\n" % n for n in range(1, 21)) + b"BOGUS\r\nDELE 20\r\nQUIT\r\n")
        for _ in range(3):
            assert client.line().startswith(b"+OK")
        for message in messages:
            assert client.line().startswith(b"+OK")
            body = client.body()
            assert without_trace(re.sub(rb"(?m)^\.", b"", body)) == message
        assert client.line().startswith(b"-ERR")
        assert client.line().startswith(b"+OK")
        assert client.line().startswith(b"+OK")
        assert client.closed() == b""


def test_a_client_that_pipelines_and_does_not_read_is_bounded(server, account):
    """Output waits for the client; the server must not gather it all in memory."""
    server.deliver(account, make_message("bulk", 1 << 20))
    before = server.rss()
    with server.login(account) as client:
        client.send(b"RETR 1\r\n" * 200)
        assert server.rss() - before < 40 << 20
        for _ in range(200):
            assert client.line().startswith(b"+OK")
            client.body()
        client.quit()


def test_what_came_before_the_tls_handshake_is_discarded(server, account):
    """RFC 2595 s4: commands injected in plain text behind STLS must not run inside TLS."""
    with server.pop3() as client:
        client.send(b"STLS\r\nUSER " + account.encode() + b"\r\nPASS " + PASSWORD.encode() + b"\r\n")
        assert client.line().startswith(b"+OK")
        try:
            client.start_tls()
        except OSError:
            return  # the octets were taken for a broken handshake: also safe
        client.err(b"STAT")
        client.send(b"NOOP\r\n")
        client.line()
        assert client.quiet()


def test_garbage_instead_of_tls_does_not_disturb_others(server, account):
    with Pop3(server.port["pop3s"], greeting=False) as garbage:
        garbage.send(b"USER x\r\n" * 100)
        garbage.closed()
    server.login(account).quit()


def test_bare_lf_ends_a_command(server, account):
    with server.pop3() as client:
        client.send(b"USER " + account.encode() + b"\nPASS " + PASSWORD.encode() + b"\nQUIT\n")
        assert [client.line()[:3] for _ in range(3)] == [b"+OK"] * 3


def test_a_disabled_account_cannot_log_in(server, account):
    server.login(account).quit()
    server.cli("user", "disable", account)
    with server.pop3() as client:
        client.ok(b"USER " + account.encode())
        client.err(b"PASS " + PASSWORD.encode())
    server.cli("user", "enable", account)
    server.login(account).quit()


@pytest.mark.parametrize("shut_out", [("disable",), ("remove",), ("password", "--password-stdin")])
def test_shutting_an_account_out_ends_its_sessions(server, account, shut_out):
    fill(server, account, 1)
    client = server.login(account)
    client.ok(b"DELE 1")
    server.cli("user", shut_out[0], account, *shut_out[1:], input="another one\n")
    assert client.closed().startswith(b"-ERR "), "it is told"
    if shut_out[0] != "remove":
        assert server.cli("user", "show", account)["messages"] == 1, "nothing is deleted"


def test_expire_and_login_delay_are_announced_and_enforced(make_server):
    """RFC 2449 s6.5, s6.7: before the login the strictest of all accounts is announced, after it the account's own."""
    server = make_server(pop3={"expire": 30, "login_delay": "1h"})
    one, other = server.add_user(f"one@{DOMAIN}"), server.add_user(f"other@{DOMAIN}")

    def announced(client):
        return [line for line in client.multi(b"CAPA").decode().splitlines() if line.split()[0] in ("EXPIRE", "LOGIN-DELAY")]

    with server.pop3() as client:
        assert announced(client) == ["EXPIRE 30", "LOGIN-DELAY 3600"]
        client.login(one)
        assert announced(client) == ["EXPIRE 30", "LOGIN-DELAY 3600"]
        client.quit()
    with server.pop3() as client:
        client.ok(b"USER " + one.encode())
        assert client.err(b"PASS " + PASSWORD.encode()).startswith(b"-ERR [LOGIN-DELAY] ")
        client.err(b"STAT")
    server.cli("user", "set", one, "--expire-days", "0", "--login-delay", "0s")
    server.cli("user", "set", other, "--login-delay", "2h")
    server.stop()
    server.start()
    fill(server, one, 2)
    for left in (1, 0):
        with server.pop3() as client:
            assert announced(client) == ["EXPIRE 0 USER", "LOGIN-DELAY 7200 USER"]
            client.login(one)
            assert announced(client) == ["EXPIRE 0", "LOGIN-DELAY 0"]
            client.retr(1)
            assert b"deleted: 1" in client.ok(b"QUIT")
        assert server.cli("user", "show", one)["messages"] == left


def test_a_changed_password_counts_at_once(server, account):
    server.login(account).quit()
    server.cli("user", "password", account, "--password-stdin", input="another one\n")
    with server.pop3() as client:
        client.ok(b"USER " + account.encode())
        client.err(b"PASS " + PASSWORD.encode())
    server.login(account, "another one").quit()


# Strangers.

def test_a_stranger_who_never_pauses_gets_no_more_time_than_others(make_server):
    server = make_server(pop3={"login_total": "2s"})
    with server.pop3() as client:
        def talk():
            try:
                while True:
                    client.send(b"CAPA\r\n" * 1000)
            except OSError:
                pass  # the server has closed
        begun = time.monotonic()
        talker = threading.Thread(target=talk)
        talker.start()
        try:
            while client.socket.recv(1 << 16) and time.monotonic() - begun < 20 * PATIENCE:
                pass
        except ConnectionResetError:
            pass
        took = time.monotonic() - begun
        client.close()
        talker.join()
        assert took < 10 * PATIENCE


def test_many_connections_leave_the_store_what_it_needs(make_server):
    """The store opens files while it works: connections must not take the last descriptor."""
    server = make_server(start=False)
    server.start(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (160, 160)))
    server.add_domain()
    account = server.add_user(f"few@{DOMAIN}")
    message = make_message("few", 3_000_000)
    server.deliver(account, message)
    client = server.login(account)
    others = [server.pop3() for _ in range(150)]
    assert others[-1].greeting.startswith(b"-ERR [SYS/TEMP]")
    assert without_trace(client.retr(1)) == message
    client.ok(b"DELE 1")
    client.quit()
    for other in others:
        other.close()
