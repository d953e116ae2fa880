"""Submission (RFC 6409): who may send what as whom, and what becomes of the message before it leaves."""

import re
import smtplib
import subprocess

import pytest

from outbound_world import JANE, Client, letter, queue_of, wait_empty
from poplar_server import DOMAIN, PASSWORD, Smtp, client_tls

FAR = "bob@far.example"


@pytest.fixture
def world(outbound):
    outbound.far = outbound.sink("far.example")
    return outbound


def make(world, **tables):
    server = world.server(**tables)
    server.add_user(JANE)
    return server


def refusal(call, *arguments):
    with pytest.raises(smtplib.SMTPResponseException) as caught:
        call(*arguments)
    return caught.value.smtp_code, caught.value.smtp_error.decode()


def test_mail_leaves_by_starttls_and_by_tls_and_is_shown_until_it_is_gone(world):
    server = make(world)
    with Client(server, JANE) as client:
        client.sendmail(JANE, [FAR], letter(JANE, FAR, "first"))
    with smtplib.SMTP_SSL("127.0.0.1", server.port["submissions"], context=client_tls()) as client:
        client.login(JANE, PASSWORD)
        client.sendmail(JANE, [FAR], letter(JANE, FAR, "second"))
    taken = world.far.wait(2)
    assert sorted(re.search(rb"Subject: (\w+)", one.data)[1] for one in taken) == [b"first", b"second"]
    assert {one.sender for one in taken} == {JANE} and {one.recipients for one in taken} == {(FAR,)}
    wait_empty(server)
    done = queue_of(server, "--all")
    assert [one["recipients"][0]["state"] for one in done] == ["delivered"] * 2
    shown = server.cli("queue", "show", done[0]["id"])
    assert shown["sender"] == JANE and shown["account"] == JANE and shown["finished"]
    assert shown["recipients"][0]["last_reply"] == "250 2.0.0 taken" and shown["recipients"][0]["host"] == "mx.far.example"
    assert shown["recipients"][0]["attempts"] == 1 and shown["recipients"][0]["next_attempt"] is None


def test_nobody_sends_without_a_login(world):
    server = make(world)
    with Client(server) as client:
        assert refusal(client.sendmail, JANE, [FAR], b"x")[0] == 530
    with Client(server) as client:
        code, text = refusal(client.login, JANE, "wrong")
        assert (code, text.split()[0]) == (535, "5.7.8")
    with Smtp(server.port["smtp"]) as stranger:  # port 25 takes no logins, and relays nothing
        assert not [line for line in stranger.hello() if line.startswith("AUTH")]
        assert stranger.ask(b"AUTH PLAIN AGEAYg==")[0] == 502
        stranger.expect(250, b"MAIL FROM:<x@elsewhere.example>")
        stranger.expect(550, f"RCPT TO:<{FAR}>".encode())
    server.wait_log("smtp.auth_failed")


def test_no_password_is_taken_in_the_clear_where_that_is_forbidden(world):
    server = make(world, auth={"allow_plaintext": "never"})
    with Client(server, tls=False) as client:
        assert "auth" not in client.esmtp_features or "PLAIN" not in client.esmtp_features["auth"]
        code, text = client.docmd("AUTH", "PLAIN AGEAYg==")
        assert (code, text.split()[0]) == (538, b"5.7.11")
    with Client(server) as client:
        assert "PLAIN" in client.esmtp_features["auth"]
        client.login(JANE, PASSWORD)


def test_a_device_for_sending_sends_and_one_for_reading_does_not(world):
    server = make(world)
    passwords = {}
    for name, service in (("printer", "submission"), ("reader", "pop3")):
        passwords[name] = server.cli("device", "add", JANE, "--name", name, "--protocols", service)["password"]
    with Client(server, JANE, passwords["printer"]) as client:
        client.sendmail(JANE, [FAR], letter(JANE, FAR))
    world.far.wait(1)
    with Client(server) as client:
        assert refusal(client.login, JANE, passwords["reader"])[0] == 535


def test_one_sends_as_oneself_as_ones_aliases_and_as_nobody_else(world):
    server = make(world)
    other = server.add_user(f"other@{DOMAIN}")
    server.cli("alias", "add", f"sales@{DOMAIN}", JANE)
    server.cli("user", "set", JANE, "--may-send-as", "news@partner.example", "--may-send-as", "@shop.example")
    with Client(server, JANE) as client:
        for sender in (JANE, f"jane+list@{DOMAIN}", f"sales@{DOMAIN}", "news@partner.example", "any@shop.example"):
            client.sendmail(sender, [FAR], letter(sender, FAR))
        for sender in (other, "x@elsewhere.example", f"nobody@{DOMAIN}"):
            client.rset()
            assert client.mail(sender)[0] == 550
            code, text = refusal(client.sendmail, JANE, [FAR], letter(sender, FAR))
            assert code == 550 and sender in text, "From is held to the same"
    world.far.wait(5)
    shown = server.cli("user", "show", JANE)
    assert shown["may_send_as"] == ["news@partner.example", "@shop.example"]
    server.cli("user", "set", JANE, "--may-send-as", "none")
    assert server.cli("user", "show", JANE)["may_send_as"] == []


def test_what_a_message_lacks_is_added_and_bcc_is_taken_out(world):
    server = make(world)
    message = letter(JANE, FAR, head="Bcc: secret@far.example,\r\n another@far.example\r\nX-After: kept\r\n", body="..dots\r\n.x\r\n")
    with Client(server, JANE) as client:
        client.sendmail(JANE, [FAR, JANE], message)
    data = world.far.wait(1)[0].data
    head, body = data.split(b"\r\n\r\n", 1)
    assert body == b"..dots\r\n.x\r\n"
    assert b"secret" not in data and b"another" not in data and b"X-After: kept" in head
    assert re.search(rb"^Message-ID: <\S+@mx.example.test>\r$", head, re.M)
    assert re.search(rb"^Date: \w{3}, \d+ \w{3} \d{4} ", head, re.M)
    received = re.search(rb"^Received: (.*(?:\r\n[ \t].*)*)", head, re.M)[1]
    assert b"127.0.0.1" not in received and b"laptop" not in received and b"ESMTPSA" in received
    [(_, stored)] = server.fetch_all(JANE)
    assert b"secret" not in stored and b"Message-ID: <" in stored, "local recipients get the same message"


def test_what_is_there_already_is_left_alone(world):
    server = make(world)
    own = "Message-ID: <mine@laptop>\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\n"
    with Client(server, JANE) as client:
        client.sendmail(JANE, [FAR], letter(JANE, FAR, head=own))
        assert refusal(client.sendmail, JANE, [FAR], b"Subject: no author\r\n\r\nx\r\n")[0] == 550
    data = world.far.wait(1)[0].data
    assert data.endswith(letter(JANE, FAR, head=own)) and data.count(b"Message-ID") == data.count(b"Date:") == 1


def test_local_recipients_and_others_in_one_transaction(world):
    server = make(world)
    local = server.add_user(f"local@{DOMAIN}")
    with Client(server, JANE) as client:
        refused = client.sendmail(JANE, [local, FAR, f"nobody@{DOMAIN}"], letter(JANE, FAR))
        assert list(refused) == [f"nobody@{DOMAIN}"] and refused[f"nobody@{DOMAIN}"][0] == 550
    assert world.far.wait(1)[0].recipients == (FAR,)
    assert len(server.fetch_all(local)) == 1


def test_a_stolen_password_can_not_send_much(world):
    server = make(world, submission={"messages_per_hour": 3, "new_recipients_per_day": 2, "recipients_per_hour": 6})
    with Client(server, JANE) as client:
        client.sendmail(JANE, ["a@far.example", "b@far.example"], letter(JANE, FAR))
        refused = client.sendmail(JANE, ["a@far.example", "c@far.example"], letter(JANE, FAR))
        assert refused["c@far.example"][0] == 450, "a third one it never wrote to"
        client.sendmail(JANE, ["a@far.example"], letter(JANE, FAR))
        assert refusal(client.sendmail, JANE, ["a@far.example"], letter(JANE, FAR))[0] == 450
    server.wait_log("smtp.sending_limit")
    server.stop()
    server.start()
    with Client(server, JANE) as client:
        assert client.mail(JANE)[0] == 450, "a restart forgets nothing"


def test_a_sender_may_hold_a_message_back_and_take_it_back(world):
    server = make(world)
    with Client(server, JANE) as client:
        assert "futurerelease" in client.esmtp_features
        client.sendmail(JANE, [FAR], letter(JANE, FAR, "later"), mail_options=["HOLDFOR=3600"])
        client.sendmail(JANE, [FAR], letter(JANE, FAR, "soon"), mail_options=["HOLDFOR=2"])
        assert client.docmd("MAIL", f"FROM:<{JANE}> HOLDFOR=999999999")[0] == 501
        assert client.docmd("MAIL", f"FROM:<{JANE}> HOLDFOR=60")[0] == 250
        assert client.rcpt(JANE)[0] == 550, "mail for somebody here would not wait"
    assert re.search(rb"Subject: soon", world.far.wait(1)[0].data)
    [waiting] = queue_of(server)
    assert waiting["recipients"][0]["state"] == "queued" and waiting["recipients"][0]["attempts"] == 0
    assert server.cli("queue", "retry")["recipients"] == 0, "nobody meant this one"
    assert server.cli("queue", "release", waiting["id"])["recipients"] == 0, "no operator holds it"
    server.cli("queue", "remove", waiting["id"])
    assert not queue_of(server) and server.cli("queue", "show", waiting["id"])["recipients"][0]["state"] == "removed"


def test_what_is_sent_is_kept_for_accounts_that_want_it(world):
    server = make(world, submission={"copy_to_sent": [JANE]})
    bob = f"bob@{DOMAIN}"
    server.add_user(bob)
    for sender in (JANE, bob):
        with Client(server, sender) as client:
            client.sendmail(sender, [FAR], letter(sender, FAR))
            with pytest.raises(smtplib.SMTPRecipientsRefused):
                client.sendmail(sender, [f"nobody@{DOMAIN}"], letter(sender, FAR))
    world.far.wait(2)

    def sent(account):
        boxes = {one["name"]: one["messages"] for one in server.cli("mailbox", "list", account)["mailboxes"]}
        return boxes.get("Sent", 0)
    assert sent(JANE) == 1 and sent(bob) == 0


def test_bare_newlines_are_refused(world):
    server = make(world)
    with Client(server, JANE) as client:
        client.mail(JANE)
        client.rcpt(FAR)
        assert client.docmd("DATA")[0] == 354
        client.send(letter(JANE, FAR) + b"bare\nline\r\n.\r\n")
        assert client.getreply()[0] == 554
    assert not queue_of(server, "--all")


@pytest.mark.parametrize("program", ["swaks", "msmtp", "curl"])
def test_clients_of_the_field(world, need, directory, program):
    need(program)
    server = make(world)
    port, secure_port = server.port["submission"], server.port["submissions"]
    file = directory / "letter"
    file.write_bytes(letter(JANE, FAR, program))
    commands = {
        "swaks": ["swaks", "--server", "127.0.0.1", "--port", port, "--tls", "--auth", "PLAIN", "--auth-user", JANE,
                  "--auth-password", PASSWORD, "--from", JANE, "--to", FAR, "--header", f"Subject: {program}"],
        "msmtp": ["msmtp", "--host=127.0.0.1", f"--port={port}", "--tls=on", "--tls-certcheck=off", "--auth=on",
                  f"--user={JANE}", f"--passwordeval=printf %s '{PASSWORD}'", f"--from={JANE}", FAR],
        "curl": ["curl", "-sS", "--insecure", f"smtps://127.0.0.1:{secure_port}", "--user", f"{JANE}:{PASSWORD}", "--mail-from",
                 JANE, "--mail-rcpt", FAR, "--upload-file", file],
    }
    done = subprocess.run([*map(str, commands[program])], input=file.read_bytes() if program == "msmtp" else None,
                          capture_output=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Subject: {program}".encode() in world.far.wait(1)[0].data
