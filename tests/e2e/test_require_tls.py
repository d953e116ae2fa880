"""A sender who demands TLS on the whole way, or who does not need it (RFC 8689)."""

import email
import smtplib

import pytest

from authority import Authority
from outbound_world import JANE, Client, letter, wait_until
from test_transport import HOST, policy_text

FAR = "bob@far.example"


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


def make(world, authority):
    server = world.server(queue={"ca_file": str(authority.file), "policy_timeout": "2s"})
    server.add_user(JANE)
    return server


def send(server, head="", options=("REQUIRETLS",), recipient=FAR):
    with Client(server, JANE) as client:
        client.sendmail(JANE, [recipient], letter(JANE, recipient, head=head, body="The secret.\r\n"), mail_options=options)


def wait_report(server):
    def found():
        parsed = [email.message_from_bytes(octets) for _, octets in server.fetch_all(JANE)]
        return [one for one in parsed if one.get_content_type() == "multipart/report"]
    return wait_until(found, "no report")[0]


def test_it_is_offered_and_taken_within_tls_alone(outbound, authority):
    server = make(outbound, authority)
    with Client(server, tls=False) as client:
        assert not client.has_extn("requiretls")
    with Client(server, JANE) as client:
        assert client.has_extn("requiretls")
        assert client.docmd(f"MAIL FROM:<{JANE}> REQUIRETLS=yes")[0] == 501
        assert client.docmd(f"MAIL FROM:<{JANE}> REQUIRETLS")[0] == 250
    with smtplib.SMTP("127.0.0.1", server.port["smtp"]) as client:
        client.ehlo()
        assert not client.has_extn("requiretls")
        assert client.docmd(f"MAIL FROM:<{FAR}> REQUIRETLS")[0] == 555


def test_the_demand_goes_on_to_a_host_that_has_proved_its_name(outbound, authority):
    sink = outbound.sink("far.example", certificate=authority.issue(HOST), extensions=["PIPELINING", "REQUIRETLS"])
    outbound.policy("far.example", authority.issue("mta-sts.far.example"), policy_text(mode="testing"))
    server = make(outbound, authority)
    send(server)
    send(server, options=())
    asked, plain = sink.wait(2)
    if "REQUIRETLS" in plain.options:
        asked, plain = plain, asked
    assert asked.tls and "REQUIRETLS" in asked.options and "REQUIRETLS" not in plain.options


@pytest.mark.parametrize("fault, status", [("extension", "5.7.30"), ("certificate", "5.7.10"), ("plain", "5.7.10"), ("dns", "5.7.10")])
def test_where_the_demand_can_not_be_met_the_message_goes_back(outbound, authority, fault, status):
    name = "mx.other.example" if fault == "certificate" else HOST
    extensions = [] if fault == "extension" else ["REQUIRETLS"]
    sink = outbound.sink("far.example", certificate=None if fault == "plain" else authority.issue(name), extensions=extensions)
    if fault != "dns":  # the name of the host is no more than what an unsigned DNS says
        outbound.policy("far.example", authority.issue("mta-sts.far.example"), policy_text(mode="testing"))
    server = make(outbound, authority)
    send(server, options=("REQUIRETLS", "RET=FULL"))
    report = wait_report(server)
    assert f"Status: {status}" in report.as_string()
    assert "The secret" not in report.as_string(), "RET=FULL does not count (RFC 8689 s5)"
    assert not sink.taken
    send(server, options=())  # others may have the host still
    sink.wait(1)


def test_who_does_not_need_tls_is_not_held_up_by_a_policy(outbound, authority):
    sink = outbound.sink("far.example", certificate=authority.issue("mx.other.example"))
    outbound.policy("far.example", authority.issue("mta-sts.far.example"), policy_text())
    server = make(outbound, authority)
    server.cli("alias", "add", "away@example.test", FAR)
    send(server, options=(), head="TLS-Required: No\r\n")
    taken, = sink.wait(1)
    assert taken.tls and b"TLS-Required: No" in taken.data
    with smtplib.SMTP("127.0.0.1", server.port["smtp"]) as client:  # so for what an alias sends on
        client.sendmail("x@else.example", ["away@example.test"], letter("x@else.example", FAR, head="TLS-Required: No\r\n"))
    sink.wait(2)
