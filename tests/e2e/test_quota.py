"""Quotas: who is told that a mailbox is full, how, and who is warned before."""

import email
import email.policy
import shutil
import smtplib
import socket
import subprocess
import threading
import time

import pytest

from poplar_server import DOMAIN, PATIENCE, CliError, free_port, make_message
from test_postfix import PATH, Postfix


def mail_from(octets=None):
    return b"MAIL FROM:<a@elsewhere.example>" + (b"" if octets is None else b" SIZE=%d" % octets)


def rcpt(recipient):
    return f"RCPT TO:<{recipient}>".encode()


def status_of(reply):
    """(code, enhanced code) of a reply."""
    code, lines = reply
    return f"{code} {lines[0].split()[0]}"


def ask_rcpt(client, recipient, octets=None):
    client.expect(250, mail_from(octets))
    status = status_of(client.ask(rcpt(recipient)))
    client.expect(250, b"RSET")
    return status


def used(server, name):
    shown = server.cli("quota", "show", name)
    return shown["used_messages"], shown["used_bytes"]


def subjects(server, address):
    parsed = [email.message_from_bytes(octets, policy=email.policy.default) for _, octets in server.fetch_all(address)]
    return [str(message["Subject"]) for message in parsed]


def wait_for(what, seconds=10):
    deadline = time.monotonic() + seconds * PATIENCE
    while not (found := what()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
    return found


@pytest.mark.parametrize("full_reply, refusal", [("defer", "452 4.2.2"), ("reject", "552 5.2.2")])
def test_a_full_mailbox_is_refused_at_rcpt(make_server, full_reply, refusal):
    server = make_server(quota={"full_reply": full_reply})
    full, other = server.add_user(f"full@{DOMAIN}"), server.add_user(f"other@{DOMAIN}")
    server.cli("quota", "set", full, "--messages", "2")
    for n in range(2):
        server.deliver(full, make_message(f"quota {n}"))
    wait_for(lambda: len(server.cli("mail", "list", full)["messages"]) == 3)  # the server's warning counts, too
    for client in (server.smtp(), server.lmtp()):
        with client:
            client.hello()
            assert ask_rcpt(client, full) == refusal
            assert ask_rcpt(client, full, 10) == refusal
            assert ask_rcpt(client, other) == "250 2.1.5"
    done = server.run_cli("deliver", full, input=make_message("by hand"))
    assert done.returncode == 1 and "is full" in done.stderr, done.stderr
    # Two messages go, and the next may come; the deleted ones do not count, though they are kept.
    with server.login(full) as client:
        client.ok(b"DELE 1")
        client.ok(b"DELE 2")
        client.quit()
    server.deliver(full, make_message("again"))
    with server.smtp() as client:
        client.hello()
        assert ask_rcpt(client, full) == refusal
    # Restoring is not bound by the limit.
    deleted = server.cli("mail", "deleted", full)["messages"][0]["unique_id"]
    server.cli("mail", "restore", full, deleted)
    assert used(server, full)[0] >= 3


def test_one_message_may_pass_the_limit_and_a_declared_size_counts(make_server):
    server = make_server(quota={"full_reply": "reject"})
    user = server.add_user(f"size@{DOMAIN}")
    server.cli("quota", "set", user, "--bytes", "20kB")
    with server.smtp() as client:
        client.hello()
        assert ask_rcpt(client, user, 20_001) == "552 5.2.2", "more than the whole limit"
        assert ask_rcpt(client, user, 20_000) == "250 2.1.5"
        for n in range(2):
            message = make_message(f"size {n}", 12_000)
            client.send_message("a@elsewhere.example", [user], message, f"SIZE={len(message)}")
        assert ask_rcpt(client, user, 10) == "552 5.2.2"
    assert used(server, user)[1] > 24_000


def test_messages_under_way_count_as_they_begin(make_server):
    server = make_server(quota={"full_reply": "reject"})
    user = server.add_user(f"parallel@{DOMAIN}")
    server.cli("quota", "set", user, "--messages", "3", "--bytes", "1MB")
    clients = [server.smtp() for _ in range(5)]
    taken = []
    for n, client in enumerate(clients):
        client.hello()
        client.expect(250, mail_from(1000))
        status = status_of(client.ask(rcpt(user)))
        # Those under way may come to nothing: never refused for good because of them.
        assert status == ("250 2.1.5" if n < 3 else "452 4.2.2")
        if n < 3:
            taken.append(client)
    taken.pop().close()  # one gives up
    clients[3].expect(250, b"RSET")
    wait_for(lambda: ask_rcpt(clients[3], user, 10) == "250 2.1.5")
    for n, client in enumerate(taken):
        client.data(make_message(f"parallel {n}"))
        assert client.reply()[0] == 250
    for client in clients:
        client.close()
    assert used(server, user)[0] == 2


def test_many_at_once_never_pass_the_limits(make_server):
    """Three accounts of a domain, eight senders: no account has more messages than it may, the domain no more octets."""
    server = make_server()
    users = [server.add_user(f"crowd{n}@{DOMAIN}") for n in range(3)]
    server.cli("quota", "set", DOMAIN, "--messages", "12", "--total-bytes", "45kB")
    outcome = []

    def send(number):
        with server.smtp() as client:
            client.hello()
            for n in range(12):
                message = make_message(f"crowd {number} {n}", 1000)
                client.expect(250, mail_from(len(message)))
                if client.ask(rcpt(users[n % 3]))[0] == 250:
                    client.data(message)
                    outcome.append(client.reply()[0])
                else:
                    client.expect(250, b"RSET")
                    outcome.append(452)

    threads = [threading.Thread(target=send, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_for(lambda: server.log().count("quota.warned") == server.log().count("quota.reached"))
    stored = [[m for m in subjects(server, user) if m.startswith("crowd")] for user in users]
    assert sum(map(len, stored)) == outcome.count(250), "250 for just those that are there"
    assert all(len(messages) <= 12 for messages in stored)
    shown = server.cli("quota", "show", DOMAIN)
    assert 30_000 < shown["used_bytes"] and sum(used(server, user)[1] for user in users) == shown["used_bytes"]
    # The server's own warnings are not bound: without them the total holds.
    own = sum(len(octets) for user in users for _, octets in server.fetch_all(user) if b"Auto-Submitted" in octets)
    assert shown["used_bytes"] - own <= 45_000
    counted = server.cli("quota", "recount", DOMAIN)
    assert counted["corrected"] == [] and counted["accounts"] == 3 and counted["used_bytes"] == shown["used_bytes"]
    server.cli("verify")


def test_the_total_of_a_domain(make_server):
    server = make_server()
    one, two = server.add_user(f"one@{DOMAIN}"), server.add_user(f"two@{DOMAIN}")
    server.add_domain("free.test")
    free = server.add_user("free@free.test")
    server.deliver(one, make_message("before", 5_000))
    server.cli("quota", "set", DOMAIN, "--total-bytes", "20kB")
    with server.smtp() as client:
        client.hello()
        assert ask_rcpt(client, two, 16_000) == "452 4.2.2"
        assert ask_rcpt(client, two, 10_000) == "250 2.1.5"
        # Of unknown size: alone, and refused at the end if it does not fit.
        client.expect(250, mail_from())
        assert status_of(client.ask(rcpt(two))) == "250 2.1.5"
        assert status_of(client.ask(rcpt(free))) == "452 4.5.3"
        client.data(make_message("too large", 16_000))
        assert status_of(client.reply()) == "452 4.2.2"
    with server.lmtp() as client:
        client.hello()
        client.envelope("a@elsewhere.example", [two, free])
        client.data(make_message("each", 16_000))
        assert [status_of(client.reply()) for _ in range(2)] == ["452 4.2.2", "250 2.0.0"]
    assert len(server.fetch_all(two)) == 0 and len(server.fetch_all(free)) == 1
    before = used(server, DOMAIN)
    assert before == used(server, one)
    # A crash forgets the sum; the next start counts it anew.
    server.kill()
    server.start()
    assert used(server, DOMAIN) == before
    with server.smtp() as client:
        client.hello()
        assert ask_rcpt(client, two, 16_000) == "452 4.2.2"
    server.cli("user", "remove", one)
    assert used(server, DOMAIN) == (0, 0), "its mail is kept, but not the domain's any more"
    with server.smtp() as client:
        client.hello()
        assert ask_rcpt(client, two, 16_000) == "250 2.1.5"


def test_warnings_come_once_each_in_the_users_language(make_server):
    server = make_server()
    user = server.add_user(f"warned@{DOMAIN}")
    server.cli("user", "set", user, "--language", "DE")
    assert server.cli("user", "show", user)["language"] == "de"
    server.cli("quota", "set", user, "--bytes", "100kB")

    def fill(octets):
        server.deliver(user, make_message(f"filling {octets}", octets))

    def warnings(count):
        wait_for(lambda: server.log().count("quota.warned") >= count)
        return [text for text in subjects(server, user) if "Postfach" in text]

    fill(70_000)
    fill(12_000)
    assert warnings(1) == ["Ihr Postfach ist zu 80 % voll"]
    fill(1_000)
    fill(11_000)
    assert warnings(2) == ["Ihr Postfach ist zu 80 % voll", "Ihr Postfach ist zu 95 % voll"]
    fill(10_000)
    assert warnings(3)[2] == "Ihr Postfach ist voll", "it comes though the mailbox is full"
    octets, messages = used(server, user)[1], used(server, user)[0]
    assert messages == 8 and octets > 100_000, "warnings count"
    _, last = server.fetch_all(user)[-1]
    warning = email.message_from_bytes(last, policy=email.policy.default)
    assert warning["Auto-Submitted"] == "auto-generated" and warning["From"] == f"Mail server <postmaster@{DOMAIN}>"
    text = warning.get_content()
    assert f"Das Postfach von {user} enthält:" in text and "warten neue Nachrichten" in text
    # Below again, and over it again: told again. A poll sees it like any mail.
    with server.login(user) as client:
        for number in range(1, 9):
            client.ok(b"DELE %d" % number)
        client.quit()
    server.cli("user", "set", user, "--language", "ja")
    fill(85_000)
    wait_for(lambda: server.log().count("quota.warned") >= 4)
    with server.login(user) as client:
        assert client.stat()[0] == 2
    assert "80" in subjects(server, user)[1]
    assert server.log().count("quota.reached") == 4
    # A lower limit tells at once.
    server.cli("quota", "set", user, "--bytes", "88kB")
    wait_for(lambda: server.log().count("quota.warned") >= 5)


def test_setting_and_showing(make_server):
    server = make_server()
    user = server.add_user(f"shown@{DOMAIN}")
    server.cli("quota", "set", DOMAIN, "--bytes", "2GB", "--messages", "100", "--total-messages", "1000")
    shown = server.cli("quota", "set", user, "--messages", "none")
    assert (shown["bytes"], shown["messages"], shown["most_bytes"], shown["most_messages"]) == (None, 0, 2_000_000_000, 0)
    assert server.cli("quota", "set", user, "--messages", "default")["most_messages"] == 100
    server.deliver(user, make_message("shown", 5_000))
    text = server.run_cli("quota", "show", user).stdout
    assert "of 2.0 GB (0 %)" in text and "1 of 100 (1 %)" in text, text
    assert "1 of 1000 (0 %)" in server.run_cli("quota", "show", DOMAIN).stdout
    for wrong in (["quota", "set", user, "--total-bytes", "5"], ["quota", "set", user, "--bytes", "much"],
                  ["quota", "set", user], ["quota", "set", f"nobody@{DOMAIN}", "--bytes", "1MB"],
                  ["quota", "show", "nowhere.test"], ["user", "set", user, "--language", "tlh"]):
        with pytest.raises(CliError):
            server.cli(*wrong)


# Postfix's policy protocol.

def policy_request(recipient, size=0, state="RCPT"):
    return (f"request=smtpd_access_policy\nprotocol_state={state}\nprotocol_name=ESMTP\nsender=a@elsewhere.example\n"
            f"recipient={recipient}\nsize={size}\ninstance=1.2\n\n").encode()


def read_answer(connection):
    answer = b""
    while not answer.endswith(b"\n\n"):
        part = connection.recv(4096)
        if not part:
            return answer
        answer += part
    return answer


def test_the_policy_protocol(make_server, directory):
    path = directory / "policy.sock"
    server = make_server(listen={"policy": [f"unix:{path}"]})
    user = server.add_user(f"policy@{DOMAIN}")
    server.cli("quota", "set", user, "--messages", "1")

    def connect():
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(30 * PATIENCE)
        connection.connect(str(path))
        return connection

    with connect() as connection:
        for recipient in (user, f"nobody@{DOMAIN}", "a@elsewhere.example"):
            connection.sendall(policy_request(recipient))
            assert read_answer(connection) == b"action=DUNNO\n\n", recipient
        server.deliver(user, make_message("policy"))
        connection.sendall(policy_request(user))
        assert read_answer(connection) == b"action=452 4.2.2 Mailbox full, try later\n\n"
    server.wait_log("policy.refused")
    with connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert read_answer(connection) == b"", "closed"
    server.wait_log("policy.bad_request")
    assert server.cli("status")["connections"]["by_protocol"]["policy"]["total"] == 2


@pytest.mark.parametrize("full_reply, code, dsn", [("defer", 452, "4.2.2"), ("reject", 552, "5.2.2")])
def test_postfix_refuses_mail_for_a_full_mailbox(make_server, directory, as_root, full_reply, code, dsn):
    if shutil.which("postfix", path=PATH) is None:
        assert shutil.which("sendmail", path=PATH), "postfix is not installed; ./test installs it"
        pytest.skip("another mail server is installed here: Postfix would replace it")
    port = free_port()
    server = make_server(quota={"full_reply": full_reply}, listen={"policy": [f"127.0.0.1:{port}"]})
    full, other = server.add_user(f"full@{DOMAIN}"), server.add_user(f"other@{DOMAIN}")
    server.cli("quota", "set", full, "--messages", "1", "--bytes", "100kB")
    home = directory / "postfix"
    home.mkdir()
    directory.chmod(0o755)
    postfix = Postfix(home, as_root, f"inet:127.0.0.1:{server.port['lmtp']}")
    main = postfix.etc / "main.cf"
    changed = main.read_text().replace("permit_mynetworks, reject", f"check_policy_service inet:127.0.0.1:{port}, permit_mynetworks, reject")
    subprocess.run([*as_root, "tee", str(main)], input=changed.encode(), stdout=subprocess.DEVNULL, check=True)
    try:
        postfix.start()
        with smtplib.SMTP("127.0.0.1", postfix.port, timeout=60) as client:
            client.ehlo("client.example")
            client.mail("a@elsewhere.example", ["SIZE=200000"])
            assert client.rcpt(full)[0] == code, "by its declared size"
            client.rset()
        postfix.send("a@elsewhere.example", [full], make_message("first"))
        postfix.wait_log(rf"to=<{full}>.*status=sent")
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            postfix.send("a@elsewhere.example", [full], make_message("second"))
        (answer,) = refused.value.recipients.values()
        assert answer[0] == code and dsn.encode() in answer[1] and b"Mailbox full" in answer[1]
        assert list(postfix.send("a@elsewhere.example", [full, other], make_message("both"))) == [full], "others get theirs"
        postfix.wait_log(rf"to=<{other}>.*status=sent")
        assert "status=bounced" not in postfix.logged()
    finally:
        postfix.stop()
        subprocess.run([*as_root, "rm", "-rf", postfix.queue, postfix.etc, postfix.data, postfix.log], check=False)
    assert len([text for text in subjects(server, full) if text == "first"]) == 1
