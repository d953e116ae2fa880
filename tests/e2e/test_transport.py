"""Which TLS a delivery demands: MTA-STS (RFC 8461), DANE (RFC 7672) and routes, and what the sender's operator sees of it."""

import pytest

from authority import DANE_EE, DANE_TA, WHOLE, Authority, tlsa
from outbound_world import JANE, Client, letter, queue_of, wait_until

FAR = "bob@far.example"
HOST = "mx.far.example"


def policy_text(mode="enforce", hosts=(HOST,), max_age=86400):
    return "\r\n".join(["version: STSv1", f"mode: {mode}", *(f"mx: {host}" for host in hosts), f"max_age: {max_age}", ""])


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


def make(world, authority, queue=None, **more):
    server = world.server(queue={"ca_file": str(authority.file), "policy_timeout": "2s", **(queue or {})}, **more)
    server.add_user(JANE)
    return server


def send(server, *recipients):
    with Client(server, JANE) as client:
        client.sendmail(JANE, list(recipients), letter(JANE, recipients[0]))


def last_reply(server, *more):
    """Of the first recipient of the newest message, once it was tried."""
    def found():
        for message in queue_of(server, *more):
            for one in message["recipients"]:
                if one["last_reply"]:
                    return one["last_reply"]
    return wait_until(found, "nothing was tried")


# MTA-STS.


def test_an_enforced_policy_sends_only_to_a_host_with_a_good_certificate(outbound, authority):
    sink = outbound.sink("far.example", certificate=authority.issue("mx.other.example"))
    outbound.policy("far.example", authority.issue("mta-sts.far.example"), policy_text())
    server = make(outbound, authority)
    send(server, FAR)
    reply = last_reply(server)
    assert "certificate" in reply and "demanded by MTA-STS" in reply
    sink.tls.load_cert_chain(*authority.issue(HOST))
    taken, = sink.wait(1)
    assert taken.tls
    reply = wait_until(lambda: last_reply(server, "--all") if not queue_of(server) else None, "it stays in the queue")
    assert "by MTA-STS]" in reply and reply.startswith("250")
    server.wait_log_match(r"outbound.delivered.*tls=\"?TLSv1.3 \(MTA-STS\)")


def test_an_enforced_policy_sends_nothing_in_the_clear(outbound, authority):
    sink = outbound.sink("far.example")
    outbound.policy("far.example", authority.issue("mta-sts.far.example"), policy_text())
    server = make(outbound, authority)
    send(server, FAR)
    assert "STARTTLS, which MTA-STS demands" in last_reply(server)
    assert not sink.taken


def test_a_host_that_the_policy_does_not_name_gets_nothing(outbound, authority):
    """The DNS is forged: a better MX with a good certificate of its own."""
    evil = outbound.sink(certificate=authority.issue("mx.evil.example"))
    good = outbound.sink(certificate=authority.issue("mx1.far.example"))
    outbound.dns.add_mail("far.example", ("mx.evil.example", evil.address), preference=1)
    outbound.dns.add_mail("far.example", ("mx1.far.example", good.address), preference=20)
    outbound.policy("far.example", authority.issue("mta-sts.far.example"), policy_text(hosts=["*.far.example"]))
    server = make(outbound, authority)
    send(server, FAR)
    good.wait(1)
    assert evil.connections == 0


def test_a_policy_in_testing_changes_nothing_but_the_log(outbound, authority):
    sink = outbound.sink("far.example")
    outbound.policy("far.example", authority.issue("mta-sts.far.example"), policy_text(mode="testing"))
    server = make(outbound, authority)
    send(server, FAR)
    sink.wait(1)
    server.wait_log_match("outbound.sts_testing.*far.example.*STARTTLS")


def test_a_policy_is_kept_over_a_restart_and_holds_without_its_web_server(outbound, authority):
    sink = outbound.sink("far.example", certificate=authority.issue(HOST))
    web = outbound.policy("far.example", authority.issue("mta-sts.far.example"), policy_text())
    server = make(outbound, authority)
    send(server, FAR)
    sink.wait(1)
    server.kill()
    web.status = 500
    outbound.dns.records["_mta-sts.far.example"] = {"TXT": ["v=STSv1; id=2;"]}  # somebody wants us to fetch another
    sink.tls.load_cert_chain(*authority.issue("mx.other.example"))
    server.start()
    send(server, FAR)
    assert "demanded by MTA-STS" in last_reply(server)
    del outbound.dns.records["_mta-sts.far.example"]
    assert len(sink.taken) == 1


@pytest.mark.parametrize("fault", ["certificate", "status", "redirect", "type", "hang", "nonsense"])
def test_a_policy_that_cannot_be_had_is_none(outbound, authority, fault):
    sink = outbound.sink("far.example")
    name = "www.far.example" if fault == "certificate" else "mta-sts.far.example"
    web = outbound.policy("far.example", authority.issue(name), policy_text())
    web.status = {"status": 404, "redirect": 301}.get(fault, 200)
    web.type = "text/html" if fault == "type" else "text/plain"
    web.hang = fault == "hang"
    if fault == "nonsense":
        web.text = "version: STSv1\nmode: forbid\nmx: *\n"
    server = make(outbound, authority)
    send(server, FAR)
    sink.wait(1)
    server.wait_log("outbound.sts_unfetched")


def test_a_route_that_says_how_has_the_last_word(outbound, authority):
    sink = outbound.sink("far.example")
    web = outbound.policy("far.example", authority.issue("mta-sts.far.example"), policy_text())
    server = make(outbound, authority, queue={"route": [{"domain": "far.example", "tls": "opportunistic"}]})
    send(server, FAR)
    sink.wait(1)
    assert not web.asked


# DANE.


def secure_world(outbound, authority, tmp_path, *records, certificate=None, port=25, **options):
    """A sink for far.example with these TLSA records, in a signed zone."""
    anchor = outbound.dns.sign(tmp_path / "anchor")
    sink = outbound.sink("far.example", certificate=certificate, **options)
    if records:
        outbound.dns.records[f"_{port}._tcp.{HOST}"] = {"TLSA": list(records)}
    return sink, make(outbound, authority, dns={"trust_anchors": anchor})


@pytest.mark.parametrize("usage, number, name", [(DANE_EE, 0, "other.example"), (DANE_TA, 1, HOST), (DANE_TA, 1, "far.example")])
def test_a_certificate_that_a_tlsa_record_knows_is_good(outbound, tmp_path, authority, usage, number, name):
    strange = Authority(tmp_path_of(tmp_path, "strange"))  # no authority that the server trusts
    certificate = strange.issue(name, old=usage == DANE_EE)
    sink, server = secure_world(outbound, authority, tmp_path, tlsa(usage, certificate[0], WHOLE, number),
                                certificate=certificate)
    send(server, FAR)
    taken, = sink.wait(1)
    assert taken.tls
    reply = wait_until(lambda: last_reply(server, "--all") if not queue_of(server) else None, "it stays in the queue")
    assert "by DANE]" in reply


def tmp_path_of(tmp_path, name):
    (tmp_path / name).mkdir()
    return tmp_path / name


@pytest.mark.parametrize("fault", ["certificate", "name", "clear"])
def test_a_host_that_its_tlsa_records_do_not_know_gets_nothing(outbound, tmp_path, authority, fault):
    certificate = authority.issue("mx.other.example" if fault == "name" else HOST)
    record = tlsa(DANE_TA, certificate[0], number=1) if fault == "name" else tlsa(DANE_EE, authority.issue(HOST)[0])
    sink, server = secure_world(outbound, authority, tmp_path, record,
                                certificate=None if fault == "clear" else certificate)
    send(server, FAR)
    assert "DANE" in last_reply(server)
    assert not sink.taken


def test_records_of_usages_for_the_web_demand_encryption_alone(outbound, tmp_path, authority):
    certificate = authority.issue("mx.other.example")
    record = (1, *tlsa(DANE_EE, authority.issue(HOST)[0])[1:])
    sink, server = secure_world(outbound, authority, tmp_path, record, certificate=certificate)
    send(server, FAR)
    assert sink.wait(1)[0].tls


def test_records_that_are_no_use_leave_the_rest_to_mta_sts(outbound, tmp_path, authority):
    certificate = authority.issue("mx.other.example")
    record = (1, *tlsa(DANE_EE, certificate[0])[1:])
    sink, server = secure_world(outbound, authority, tmp_path, record, certificate=certificate)
    outbound.policy("far.example", authority.issue("mta-sts.far.example"), policy_text())
    send(server, FAR)
    assert "demanded by MTA-STS" in last_reply(server)
    assert not sink.taken
    sink.tls.load_cert_chain(*authority.issue(HOST))
    assert sink.wait(1)[0].tls


def test_the_name_of_one_domain_is_not_good_for_another_with_the_same_hosts(outbound, tmp_path, authority):
    strange = Authority(tmp_path_of(tmp_path, "strange"))
    certificate = strange.issue("far.example")
    outbound.dns.records["near.example"] = {"MX": [(10, HOST)]}
    sink, server = secure_world(outbound, authority, tmp_path, tlsa(DANE_TA, certificate[0], WHOLE, 1),
                                certificate=certificate)
    send(server, FAR)
    sink.wait(1)
    send(server, "bob@near.example")
    assert "DANE" in last_reply(server)
    assert len(sink.taken) == 1


def test_records_that_are_forged_hold_the_mail_back(outbound, tmp_path, authority):
    certificate = authority.issue(HOST)
    sink, server = secure_world(outbound, authority, tmp_path, tlsa(DANE_EE, certificate[0]), certificate=certificate)
    outbound.dns.forged.add(f"_25._tcp.{HOST}")
    send(server, FAR)
    assert "TLSA" in last_reply(server)
    assert not sink.taken
    outbound.dns.forged.clear()


def test_records_are_not_asked_for_where_the_host_is_not_secure(outbound, tmp_path, authority):
    outbound.dns.insecure.add("far.example")
    sink, server = secure_world(outbound, authority, tmp_path, tlsa(DANE_EE, authority.issue(HOST)[0]),
                                certificate=authority.issue("mx.other.example"))
    send(server, FAR)
    sink.wait(1)
    assert not [name for name, kind in outbound.dns.asked if kind == 52]


def test_dane_goes_before_mta_sts(outbound, tmp_path, authority):
    """The policy would take the certificate, the record does not."""
    certificate = authority.issue(HOST)
    sink, server = secure_world(outbound, authority, tmp_path, tlsa(DANE_EE, authority.issue(HOST)[0]),
                                certificate=certificate)
    outbound.policy("far.example", authority.issue("mta-sts.far.example"), policy_text())
    send(server, FAR)
    assert "DANE" in last_reply(server)
    assert not sink.taken
