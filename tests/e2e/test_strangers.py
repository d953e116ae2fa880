"""Clients that nobody knows: lists of addresses, those who speak too early, names that lead nowhere, and greylisting."""

import email
import smtplib
import socket
import time

import pytest

from outbound_world import JANE, letter, wait_until
from poplar_server import PATIENCE

SENDER = "joe@stranger.example"
CLIENT = "198.51.100.7"


def taking(world, **checks):
    server = world.server(checks=checks)
    server.add_user(JANE)
    return server


def client(server, address=CLIENT):
    return smtplib.SMTP("127.0.0.1", server.port["smtp"], local_hostname="mx.stranger.example", timeout=30 * PATIENCE,
                        source_address=(address, 0))


def send(server, address=CLIENT, sender=SENDER):
    """The code and the text of what the message gets."""
    with client(server, address) as talk:
        try:
            talk.sendmail(sender, [JANE], letter(sender, JANE))
        except smtplib.SMTPRecipientsRefused as refused:
            return refused.recipients[JANE][0], refused.recipients[JANE][1].decode()
        except smtplib.SMTPDataError as refused:
            return refused.smtp_code, refused.smtp_error.decode()
    return 250, ""


def listed(world, zone, address=CLIENT, answer="127.0.0.2"):
    name = ".".join(reversed(address.split("."))) + "." + zone
    world.dns.records[name] = {"A": [answer], "TXT": [f"see https://{zone}/{address}"]}


# Lists.


def test_who_is_on_a_list_is_refused_and_told_by_whom(outbound):
    listed(outbound, "bl.example")
    server = taking(outbound, dnsbl=["other.example", "bl.example"])
    code, text = send(server)
    assert code == 554 and "bl.example: see https://bl.example/198.51.100.7" in text
    server.wait_log_match("smtp.refused.*code=554.*bl.example")
    assert send(server, "198.51.100.8") == (250, "")
    with client(server) as talk:  # who is on it by mistake can tell the postmaster
        talk.ehlo()
        talk.mail(SENDER)
        assert talk.rcpt("postmaster")[0] == 250 and talk.rcpt(JANE)[0] == 554


def test_lists_ask_nobody_of_this_machine_or_whom_the_operator_trusts(outbound):
    listed(outbound, "bl.example")
    listed(outbound, "bl.example", "127.0.0.1")
    server = taking(outbound, dnsbl=["bl.example"], trusted_clients=["198.51.100.0/24"])
    assert send(server) == (250, "") and send(server, "127.0.0.1") == (250, "")
    assert not any(name.endswith("bl.example") for name, _ in outbound.dns.asked)


@pytest.mark.parametrize("case", ["silent", "not for you", "another answer", "allowed"])
def test_what_a_list_does_not_say_refuses_nobody(outbound, case):
    listed(outbound, "bl.example", answer="127.255.255.254" if case == "not for you" else "127.0.0.2")
    if case == "silent":
        outbound.dns.silent.add("7.100.51.198.bl.example")
    if case == "allowed":
        listed(outbound, "wl.example")
    zone = "bl.example=127.0.0.4" if case == "another answer" else "bl.example"
    server = taking(outbound, dnsbl=[zone], dnswl=["wl.example"], list_timeout="1s")
    assert send(server) == (250, "")


# Those who do not wait.


def test_who_speaks_before_the_greeting_is_refused(outbound):
    server = taking(outbound, greeting_delay="2s")
    with socket.create_connection(("127.0.0.1", server.port["smtp"]), 30 * PATIENCE, source_address=(CLIENT, 0)) as talk:
        talk.sendall(b"EHLO mx.stranger.example\r\n")
        assert talk.makefile("rb").read().startswith(b"554 5.5.1 ")
    server.wait_log("smtp.early")
    began = time.monotonic()
    assert send(server) == (250, "") and time.monotonic() - began >= 2
    began = time.monotonic()
    assert send(server, "127.0.0.1") == (250, "") and time.monotonic() - began < 2, "this machine is exempt"


# Names.


def test_names_that_lead_back_are_noted_and_others_too(outbound):
    outbound.dns.records["7.100.51.198.in-addr.arpa"] = {"PTR": ["mx.stranger.example"]}
    outbound.dns.add_host("mx.stranger.example", CLIENT)
    server = taking(outbound, iprev=True, helo=True)
    for address in (CLIENT, "198.51.100.8"):
        assert send(server, address) == (250, "")
    good, bad = [" ".join(email.message_from_bytes(octets)["Authentication-Results"].split())
                 for _, octets in server.fetch_all(JANE)]
    assert "iprev=pass (mx.stranger.example) policy.iprev=198.51.100.7" in good
    assert "x-helo=pass smtp.helo=mx.stranger.example" in good
    assert "iprev=permerror" in bad and "x-helo=fail" in bad


# Greylisting.


def test_unknown_senders_come_twice_and_are_known_then_over_a_restart(outbound):
    server = taking(outbound, greylist="1s")
    code, text = send(server)
    assert code == 451 and text.startswith("4.7.1")
    wait_until(lambda: send(server)[0] == 250, "it is never taken")
    assert send(server, "198.51.100.99") == (250, ""), "the same network"
    assert send(server, sender="x@other.example")[0] == 451
    server.kill()
    server.start()
    assert send(server) == (250, "")
    assert len(server.fetch_all(JANE)) == 3


def test_who_passes_spf_never_waits(outbound):
    outbound.dns.records["stranger.example"] = {"TXT": [f"v=spf1 ip4:{CLIENT} -all"]}
    server = taking(outbound, greylist="1h")
    assert send(server) == (250, "")
    outbound.dns.failing.add("stranger.example")
    assert send(server) == (250, ""), "who passed before is known"
    assert send(server, "203.0.113.7")[0] == 451
    assert send(server, "127.0.0.1") == (250, ""), "this machine is exempt"


def test_nothing_is_asked_where_all_is_off(outbound):
    server = taking(outbound)
    assert send(server) == (250, "")
    assert b"Authentication-Results" not in server.fetch_all(JANE)[0][1]
    assert not outbound.dns.asked
