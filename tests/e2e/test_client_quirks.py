"""Habits of clients that are not run here, on the wire: what each sends or expects, and that Poplar answers it well.

docs/using/clients.md says which client has which habit, and names these tests.
"""

import base64
import re
import socket
import struct

import pytest

from poplar_server import DOMAIN, PASSWORD, make_message


@pytest.fixture
def filled(server, account):
    for n in range(3):
        server.deliver(account, make_message(f"{account}-{n}", 600))
    return account


def plain(account, password=PASSWORD):
    return base64.b64encode(b"\0" + account.encode() + b"\0" + password.encode())


# Before the login.

@pytest.mark.parametrize("command", (b"AUTH", b"AUTH ", b"auth"))
def test_auth_without_an_argument_lists_the_mechanisms(server, command):
    """K-9 Mail asks for the mechanisms like this before CAPA; so did Thunderbird. The list is CAPA's."""
    with server.pop3s() as client:
        listed = client.multi(command).decode().split()
        capa = client.multi(b"CAPA").decode()
        assert "PLAIN" in listed and set(listed) == set(re.search(r"(?m)^SASL (.*?)\r?$", capa)[1].split())


@pytest.mark.parametrize("mechanism", (b"NTLM", b"MSN", b"GSSAPI", b"KERBEROS_V4", b"DIGEST-MD5", b"X-UNKNOWN"))
def test_after_a_mechanism_that_is_not_there_the_client_may_take_another(server, filled, mechanism):
    """Outlook with "Secure Password Authentication" begins with NTLM; others try a list from the top."""
    with server.pop3() as client:
        client.err(b"AUTH " + mechanism)
        client.ok(b"AUTH PLAIN " + plain(filled))
        client.quit()
    with server.pop3() as client:
        client.err(b"AUTH " + mechanism)
        client.greeting = b"+OK"
        client.login(filled).quit()


def test_auth_plain_waits_for_a_client_that_sends_its_response_in_a_second_line(server, filled):
    """So do curl, mutt and Thunderbird. The continuation is "+ " with its space, which strict parsers want (RFC 5034 s4)."""
    with server.pop3() as client:
        assert client.command(b"AUTH PLAIN") == b"+ "
        client.ok(plain(filled))
        client.quit()


def test_capa_says_top_and_uidl_before_the_login_and_after(server, filled):
    """Jakarta Mail decides by the first CAPA whether it may use TOP and UIDL."""
    with server.pop3() as client:
        before = client.multi(b"CAPA").splitlines()
        client.login(filled)
        after = client.multi(b"CAPA").splitlines()
        for words in (before, after):
            assert b"TOP" in words and b"UIDL" in words
        client.quit()


def test_the_greeting_offers_no_apop_by_accident(server):
    """Clients (fetchmail, MailKit, s-nail) take anything in angle brackets for a challenge (RFC 1939 s7)."""
    with server.pop3() as client:
        assert b"<" not in client.greeting or re.search(rb"<[^<>@ ]+@[^<>@ ]+>", client.greeting)


def test_capabilities_asked_again_and_again(server, filled):
    """mutt asks before and after the login; RFC 2595 s4 wants clients to ask after STLS."""
    with server.pop3() as client:
        client.multi(b"CAPA")
        client.stls()
        client.multi(b"CAPA")
        client.login(filled)
        client.multi(b"CAPA")
        assert client.stat()[0] == 3
        client.quit()


# After it.

@pytest.mark.parametrize("command", (b"LAST", b"XTND XLST", b"XTND ARCHIVE", b"XTND", b"RPOP x", b"XSENDER 1", b"HELP", b"XTP", b"CLNT x",
                                     b"STARTTLS", b"HELO x", b"NOOP now", b"STLS"))
def test_obsolete_and_foreign_commands_are_refused_in_one_line_and_the_session_goes_on(server, filled, command):
    """LAST is from RFC 1460 (mutt's pop_last, old getmail); Netscape's heirs used XTND XLST in place of UIDL and TOP."""
    with server.login(filled) as client:
        client.err(command)
        assert client.stat()[0] == 3
        client.quit()


def test_one_message_asked_for_by_list_and_uidl_and_top(server, filled):
    """fetchmail and mutt ask for each message alone: `LIST n`, `UIDL n`, `TOP n 0`, and get one line for the first two."""
    with server.login(filled) as client:
        sizes, ids = client.listing(), client.uidl()
        for n in (1, 2, 3):
            assert client.ok(b"LIST %d" % n) == b"+OK %d %d" % (n, sizes[n])
            assert client.ok(b"UIDL %d" % n) == b"+OK %d %s" % (n, ids[n].encode())
            assert client.multi(b"TOP %d 0" % n).endswith(b"\r\n\r\n")
        client.quit()


@pytest.mark.parametrize("count", (b"99999999", b"2147483647", b"4294967295", b"4294967296", b"9" * 40))
def test_top_with_a_huge_count_is_the_whole_message(server, filled, count):
    """fetchmail asks for 99999999 lines when it keeps mail, since some servers take RETR for "seen"."""
    with server.login(filled) as client:
        assert client.multi(b"TOP 2 " + count) == client.multi(b"RETR 2")
        client.quit()


def test_listings_have_one_space_and_no_decoration(server, filled):
    """K-9 Mail and many scripts split lines at single spaces."""
    with server.login(filled) as client:
        assert re.fullmatch(rb"\+OK \d+ \d+", client.ok(b"STAT"))
        assert all(re.fullmatch(rb"\d+ \d+", line) for line in client.multi(b"LIST").splitlines())
        assert all(re.fullmatch(rb"\d+ [\x21-\x7e]{1,70}", line) for line in client.multi(b"UIDL").splitlines())
        client.quit()


def test_any_case_and_spaces_at_the_end(server, filled):
    """Old scripts and devices: `stat`, `Retr 1 `, `LIST `."""
    with server.login(filled) as client:
        client.ok(b"stat ")
        for command in (b"LIST ", b"uidl ", b"Retr 1 ", b"tOp  1  0 ", b"capa "):
            client.multi(command)
        client.ok(b"noop ")
        client.quit()


def test_noop_as_often_as_a_client_likes(server, filled):
    """Clients hold a session open with NOOP while a user looks at a list; it is never a bad command."""
    with server.login(filled) as client:
        client.send(b"NOOP\r\n" * 500)
        assert all(client.line().startswith(b"+OK") for _ in range(500))
        assert client.stat()[0] == 3
        client.quit()


def test_a_message_may_be_fetched_again_and_after_rset(server, filled):
    with server.login(filled) as client:
        first = client.multi(b"RETR 1")
        assert client.multi(b"RETR 1") == first
        client.ok(b"DELE 1")
        client.ok(b"RSET")
        assert client.multi(b"RETR 1") == first
        client.quit()


def test_retr_and_dele_in_turn_without_waiting(server, filled):
    """mpop sends ahead after CAPA's PIPELINING; some devices do without asking."""
    with server.login(filled) as client:
        client.send(b"".join(b"RETR %d\r\nDELE %d\r\n" % (n, n) for n in (1, 2, 3)) + b"QUIT\r\n")
        for _ in range(3):
            assert client.line().startswith(b"+OK")
            client.body()
            assert client.line().startswith(b"+OK")
        assert client.line().startswith(b"+OK")
        assert client.closed() == b""
    assert server.fetch_all(filled) == []


# The end.

@pytest.mark.parametrize("how", ("fin", "reset"))
def test_who_leaves_without_quit_loses_nothing_and_can_come_back_at_once(server, filled, how):
    """s-nail's xit, scripts, phones that lose their network. The lock is free when the server sees the end."""
    before = server.fetch_all(filled)
    client = server.login(filled)
    client.multi(b"RETR 1")
    client.ok(b"DELE 1")
    if how == "reset":
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    server.wait_log(f'account={filled} reason=closed')
    assert server.fetch_all(filled) == before


def test_who_does_not_wait_for_the_reply_to_quit_has_deleted(server, filled):
    """RFC 1939 s6: QUIT is the word that counts, not whether the client stayed to hear the answer."""
    client = server.login(filled)
    client.send(b"DELE 1\r\nDELE 2\r\nQUIT\r\n")
    client.socket.shutdown(socket.SHUT_WR)
    assert client.closed().count(b"+OK") == 3
    client.close()
    assert len(server.fetch_all(filled)) == 1


def test_polling_without_a_pause_never_meets_its_own_lock(server, filled):
    """Scripts do so, and users who press the button again and again."""
    for _ in range(30):
        client = server.login(filled)
        assert client.stat()[0] == 3
        client.quit()


def test_a_second_client_is_told_in_use_and_the_first_is_not_disturbed(server, filled):
    """Two devices, or a client that gave up waiting: "in use" has to be told from a wrong password (RFC 2449 s8.1.2)."""
    with server.login(filled) as first:
        for _ in range(5):
            with server.pop3() as second:
                second.ok(b"USER " + filled.encode())
                assert second.err(b"PASS " + PASSWORD.encode()).startswith(b"-ERR [IN-USE] ")
                second.quit()
        assert first.stat()[0] == 3
        first.quit()
    server.login(filled).quit()


# Names and passwords.

def test_the_login_name_in_any_case_of_its_domain_and_with_spaces_around(server, account):
    """Phones write the first letter large and put a space behind a word that was completed."""
    local, domain = account.split("@")
    for name in (f"{local}@{domain.upper()}", f"{local.capitalize()}@{domain}", f" {account}", f"{account} "):
        with server.pop3() as client:
            client.ok(b"USER " + name.encode())
            client.ok(b"PASS " + PASSWORD.encode())
            client.quit()
