"""Signatures of what leaves, held against Debian's python3-dkim, and checks of what comes in by SMTP."""

import email
import re
import smtplib

import dkim
import pytest

from outbound_world import JANE, Client, letter, wait_empty, wait_until
from poplar_server import DOMAIN, PATIENCE

FAR = "bob@far.example"
ALL = {"spf": True, "dkim": True, "arc": True, "dmarc": "enforce"}
# The key of RFC 8463 A.1.
RFC_KEY = b"""-----BEGIN RSA PRIVATE KEY-----
MIICXQIBAAKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQi
Y/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqM
KrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB
AoGAH0cxOhFZDgzXWhDhnAJDw5s4roOXN4OhjiXa8W7Y3rhX3FJqmJSPuC8N9vQm
6SVbaLAE4SG5mLMueHlh4KXffEpuLEiNp9Ss3O4YfLiQpbRqE7Tm5SxKjvvQoZZe
zHorimOaChRL2it47iuWxzxSiRMv4c+j70GiWdxXnxe4UoECQQDzJB/0U58W7RZy
6enGVj2kWF732CoWFZWzi1FicudrBFoy63QwcowpoCazKtvZGMNlPWnC7x/6o8Gc
uSe0ga2xAkEA8C7PipPm1/1fTRQvj1o/dDmZp243044ZNyxjg+/OPN0oWCbXIGxy
WvmZbXriOWoSALJTjExEgraHEgnXssuk7QJBALl5ICsYMu6hMxO73gnfNayNgPxd
WFV6Z7ULnKyV7HSVYF0hgYOHjeYe9gaMtiJYoo0zGN+L3AAtNP9huqkWlzECQE1a
licIeVlo1e+qJ6Mgqr0Q7Aa7falZ448ccbSFYEPD6oFxiOl9Y9se9iYHZKKfIcst
o7DUw1/hz2Ck4N5JrgUCQQCyKveNvjzkkd8HjYs0SwM0fPjK16//5qDZ2UiDGnOe
uEzxBDAr518Z8VFbR41in3W4Y3yCDgQlLlcETrS+zYcL
-----END RSA PRIVATE KEY-----
"""
RFC_RECORD = ("v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQi"
              "Y/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kr"
              "yOTIKT+l/K4w3QIDAQAB")


def publish(world, server, domain):
    """Puts the records that `poplar dkim dns` shows into the DNS."""
    records = server.cli("dkim", "dns", domain)["records"]
    for record in records:
        world.dns.records[record["name"]] = {"TXT": [record["value"]]}
    return {record["name"]: record["value"].encode() for record in records}


def verified(octets, records):
    """For each signature, whether python3-dkim says that it fits."""
    def lookup(name, timeout=None):
        return records.get((name.decode() if isinstance(name, bytes) else name).rstrip("."))
    count = len(re.findall(rb"(?im)^dkim-signature:", octets))
    return [dkim.DKIM(octets).verify(index, dnsfunc=lookup) for index in range(count)]


# What leaves.


@pytest.mark.parametrize("body", ["A line.\r\n", "", "\r\n\r\nA  line \t\r\n.\r\n..\r\n\r\n\r\n", "A line.\r\n" * 20000],
                         ids=["short", "empty", "blank", "long"])
def test_what_users_submit_is_signed_by_both_keys(outbound, body):
    sink = outbound.sink("far.example")
    server = outbound.server()
    server.add_user(JANE)
    made = server.cli("dkim", "add", DOMAIN, "--selector", "s1")
    assert [key["selector"] for key in made["keys"]] == ["s1", "s1-ed25519"]
    records = publish(outbound, server, DOMAIN)
    with Client(server, JANE) as client:
        client.sendmail(JANE, [FAR], letter(JANE, FAR, body=body, head="Bcc: secret@far.example\r\n"))
    data = sink.wait(1)[0].data
    assert verified(data, records) == [True, True], data[:3000]
    message = email.message_from_bytes(data)
    algorithms = [re.search(r"a=([\w-]+)", value).group(1) for value in message.get_all("DKIM-Signature")]
    assert algorithms == ["rsa-sha256", "ed25519-sha256"] and message["Message-ID"]
    assert verified(data.replace(b"Subject: hello", b"Subject: hallo"), records) == [False, False]
    assert verified(b"From: eve@example.test\r\n" + data, records) == [False, False], "From is not oversigned"


def test_nothing_is_signed_without_a_key_and_reports_are_with_one(outbound):
    sink = outbound.sink("far.example")
    server = outbound.server()
    server.add_user(JANE)
    with Client(server, JANE) as client:
        client.sendmail(JANE, [FAR], letter(JANE, FAR))
    assert b"DKIM-Signature" not in sink.wait(1)[0].data
    server.cli("dkim", "add", DOMAIN)
    records = publish(outbound, server, DOMAIN)
    # Somebody elsewhere writes to an alias that leads to where nobody is; the report goes out by mx.example.test.
    server.cli("alias", "add", f"gone@{DOMAIN}", "nobody@nowhere.example")
    with smtplib.SMTP("127.0.0.1", server.port["smtp"]) as client:
        client.sendmail(FAR, [f"gone@{DOMAIN}"], letter(FAR, f"gone@{DOMAIN}"))
    report = sink.wait(2)[1].data
    assert b"multipart/report" in report and verified(report, records) == [True, True]


def test_answers_of_filters_are_signed_in_the_name_of_who_may_use_it(outbound):
    sink = outbound.sink("far.example")
    server = outbound.server()
    server.add_user(JANE)
    server.cli("dkim", "add", DOMAIN)
    records = publish(outbound, server, DOMAIN)

    def answer(count):
        with smtplib.SMTP("127.0.0.1", server.port["smtp"]) as client:
            sender = f"bob{count}@far.example"
            client.sendmail(sender, [JANE], letter(sender, JANE))
        return sink.wait(count)[-1].data
    server.cli("vacation", JANE, input="Gone.\n")
    data = answer(1)
    assert b"Auto-Submitted: auto-replied" in data and verified(data, records) == [True, True]
    server.cli("vacation", "off", JANE)
    script = f'require "vacation"; vacation :from "boss@{DOMAIN}" "Gone.";'
    server.cli("sieve", "put", JANE, "mine", input=script)
    server.cli("sieve", "activate", JANE, "mine")
    data = answer(2)
    assert f"From: boss@{DOMAIN}".encode() in data.replace(b"<", b"").replace(b">", b"")
    assert b"DKIM-Signature" not in data, "anybody could speak for the boss"


def test_mail_that_only_passes_is_not_signed_in_our_name(outbound):
    sink = outbound.sink("far.example")
    server = outbound.server()
    server.add_user(JANE)
    server.cli("dkim", "add", DOMAIN)
    server.cli("alias", "add", f"away@{DOMAIN}", FAR)
    with smtplib.SMTP("127.0.0.1", server.port["smtp"]) as client:
        client.sendmail(JANE, [f"away@{DOMAIN}"], letter(JANE, f"away@{DOMAIN}"))
    assert b"DKIM-Signature" not in sink.wait(1)[0].data


def test_keys_are_rotated_listed_and_removed(outbound):
    sink = outbound.sink("far.example")
    server = outbound.server()
    server.add_user(JANE)
    server.cli("dkim", "add", DOMAIN, "--selector", "old")
    assert server.run_cli("dkim", "add", DOMAIN, "--selector", "old").returncode == 1
    server.cli("dkim", "rotate", DOMAIN, "--selector", "next")

    def selectors():
        with Client(server, JANE) as client:
            client.sendmail(JANE, [FAR], letter(JANE, FAR))
        wait_empty(server)
        fields = email.message_from_bytes(sink.taken[-1].data).get_all("DKIM-Signature")
        return [re.search(r"s=([\w-]+)", value).group(1) for value in fields]
    assert selectors() == ["old", "old-ed25519"], "a new key signs only once its record could be published"
    server.cli("dkim", "rotate", DOMAIN, "--selector", "now", "--after", "0s")
    assert selectors() == ["now", "now-ed25519"]
    server.stop()
    server.start()
    assert selectors() == ["now", "now-ed25519"]
    assert len(server.cli("dkim", "list")["keys"]) == 6
    assert server.cli("dkim", "remove", DOMAIN, "--selector", "now")["keys"] == 2
    assert selectors() == ["old", "old-ed25519"]
    assert server.cli("dkim", "remove", DOMAIN)["keys"] == 4
    assert server.cli("dkim", "list", DOMAIN)["keys"] == []


# What comes in.


def signed(message, domain="example.org", selector="test"):
    return dkim.sign(message, selector.encode(), domain.encode(), RFC_KEY, canonicalize=(b"relaxed", b"simple")) + message


def taking(world, checks=ALL, **more):
    server = world.server(checks=checks, **more)
    server.add_user(JANE)
    world.dns.records.update({
        "test._domainkey.example.org": {"TXT": [RFC_RECORD]},
        "example.org": {"TXT": ["v=spf1 ip4:127.0.0.1 -all"]},
        "stranger.example": {"TXT": ["v=spf1 -all"]},
        "_dmarc.example.org": {"TXT": ["v=DMARC1; p=reject"]},
        "_dmarc.soft.example": {"TXT": ["v=DMARC1; p=quarantine"]},
    })
    return server


def deliver(server, sender, message, recipient=JANE):
    with smtplib.SMTP("127.0.0.1", server.port["smtp"], timeout=60 * PATIENCE) as client:
        client.ehlo("mx.sender.example")
        client.sendmail(sender, [recipient], message)


def newest(server):
    return email.message_from_bytes(wait_until(lambda: server.fetch_all(JANE), "no mail")[-1][1])


def test_results_stand_on_top_and_forged_ones_are_gone(outbound):
    server = taking(outbound)
    forged = "Authentication-Results: MX.example.test;\r\n\tdkim=pass header.d=bank.example\r\n"
    foreign = "Authentication-Results: other.example; dkim=fail\r\n"
    message = signed(letter("joe@example.org", JANE, body="Hello.\r\n\r\n.\r\n", head=forged + foreign))
    deliver(server, "joe@example.org", message)
    got = newest(server)
    results = got.get_all("Authentication-Results")
    assert len(results) == 2 and results[1].startswith("other.example"), results
    plain = " ".join(results[0].split())
    assert plain.startswith("mx.example.test; spf=pass smtp.mailfrom=joe@example.org; dkim=pass (1024 bits)"), plain
    assert "header.d=example.org" in plain and "dmarc=pass (p=reject) header.from=example.org" in plain
    assert got["Received-SPF"].startswith("pass (mx.example.test:") and "bank.example" not in got.as_string()
    names = [name for name, _ in got.items()]
    assert names.index("Authentication-Results") < names.index("Received")


def test_a_policy_of_reject_is_obeyed_at_the_end_of_data(outbound):
    server = taking(outbound)
    with pytest.raises(smtplib.SMTPDataError) as refused:
        deliver(server, "eve@stranger.example", letter("joe@example.org", JANE))
    assert refused.value.smtp_code == 550 and b"5.7.1" in refused.value.smtp_error
    assert not server.fetch_all(JANE)


@pytest.mark.parametrize("script", ["", "keep;\r\n"])
def test_quarantine_goes_to_junk_and_mark_only_tells(outbound, script):
    server = taking(outbound, mailboxes={"default": []})
    if script:
        server.cli("sieve", "put", JANE, "plain", input=script)
        server.cli("sieve", "activate", JANE, "plain")
    deliver(server, "eve@stranger.example", letter("joe@soft.example", JANE))
    junk = [box for box in server.cli("mailbox", "list", JANE)["mailboxes"] if box["name"] == "Junk"]
    assert junk and junk[0]["messages"] == 1 and not server.fetch_all(JANE)
    server.stop()
    server.config["checks"]["dmarc"] = "mark"
    server.start()
    deliver(server, "eve@stranger.example", letter("joe@example.org", JANE))
    assert "dmarc=fail (p=reject)" in " ".join(newest(server)["Authentication-Results"].split())


def test_what_goes_to_junk_is_neither_forwarded_nor_answered(outbound):
    server = taking(outbound)
    far, stranger = outbound.sink("far.example"), outbound.sink("stranger.example")
    server.cli("forward", JANE, "--to", "bob@far.example")
    server.cli("vacation", JANE, input="Gone.\n")
    deliver(server, "eve@stranger.example", letter("joe@soft.example", JANE))
    junk = [box for box in server.cli("mailbox", "list", JANE)["mailboxes"] if box["name"] == "Junk"]
    assert junk and junk[0]["messages"] == 1 and not server.fetch_all(JANE)
    wait_until(lambda: not server.cli("queue", "list")["messages"], "the queue is not empty")
    assert far.taken == [] and stranger.taken == []


@pytest.mark.parametrize("trouble", ["silent", "failing"])
def test_a_dns_without_answers_refuses_nothing(outbound, trouble):
    server = taking(outbound, {**ALL, "timeout": "1s"})
    for name in ("test._domainkey.example.org", "example.org", "_dmarc.example.org", "stranger.example"):
        getattr(outbound.dns, trouble).add(name)
    deliver(server, "eve@stranger.example", signed(letter("joe@example.org", JANE)))
    assert "temperror" in newest(server)["Authentication-Results"]


def test_what_an_alias_sends_on_is_sealed(outbound):
    sink = outbound.sink("far.example")
    server = taking(outbound)
    server.cli("dkim", "add", DOMAIN, "--selector", "s1")
    records = publish(outbound, server, DOMAIN)
    records["test._domainkey.example.org"] = RFC_RECORD.encode()
    server.cli("alias", "add", f"away@{DOMAIN}", FAR)
    deliver(server, "joe@example.org", signed(letter("joe@example.org", f"away@{DOMAIN}")), f"away@{DOMAIN}")
    data = sink.wait(1)[0].data

    def lookup(name, timeout=None):
        return records.get((name.decode() if isinstance(name, bytes) else name).rstrip("."))
    verdict, sets, reason = dkim.ARC(data).verify(dnsfunc=lookup)
    assert verdict == dkim.CV_Pass, (reason, sets, data)
    assert "dmarc=pass" in email.message_from_bytes(data)["ARC-Authentication-Results"]
    assert verified(data, records) == [True]


def test_nothing_is_asked_or_added_where_all_is_off(outbound):
    server = taking(outbound, {})
    deliver(server, "eve@stranger.example", letter("joe@example.org", JANE))
    got = newest(server)
    assert got["Authentication-Results"] is None and got["Received-SPF"] is None and not outbound.dns.asked
