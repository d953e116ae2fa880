"""Mail that leaves: which host it goes to, what each answer means, what the sender hears, and what a crash may cost."""

import email
import random
import re
import smtplib
import threading
import time

import dkim
import pytest

from outbound_world import JANE, Client, letter, queue_of, wait_empty, wait_until
from poplar_server import DOMAIN, PATIENCE, make_certificate

FAR = "bob@far.example"
SIGNED_HEAD = "MIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=b; micalg=sha-256; protocol=\"x/y\"\r\n"
SIGNED_PARTS = "--b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\u00fc\r\n--b\r\nContent-Type: x/y\r\n\r\nz\r\n--b--\r\n"


def make(world, queue=None, **tables):
    server = world.server(queue=queue, **tables)
    server.add_user(JANE)
    return server


def send(server, *recipients, name="hello", sender=JANE, **options):
    with Client(server, JANE) as client:
        client.sendmail(sender, list(recipients), letter(sender, recipients[0], name), **options)


def reports(server, account=JANE):
    found = [email.message_from_bytes(octets) for _, octets in server.fetch_all(account)]
    return [one for one in found if one.get_content_type() == "multipart/report"]


def wait_report(server, account=JANE):
    return wait_until(lambda: reports(server, account), "no report")[0]


def status_fields(report):
    """(of the message, of the first recipient)."""
    parts = report.get_payload()
    assert parts[1].get_content_type() == "message/delivery-status"
    return parts[1].get_payload()[0], parts[1].get_payload()[1]


# Hosts.


def test_the_best_host_is_taken_and_the_next_one_where_it_is_dead(outbound):
    best, backup = outbound.sink(), outbound.sink()
    outbound.dns.add_mail("far.example", ("mx1.far.example", best.address), preference=10)
    outbound.dns.add_mail("far.example", ("mx2.far.example", backup.address), preference=20)
    server = make(outbound)
    send(server, FAR)
    best.wait(1)
    best.close()
    wait_until(lambda: best.open == 0, "the kept connection does not end")
    send(server, FAR, name="second")
    backup.wait(1)
    assert len(best.taken) == 1


@pytest.mark.parametrize("replies", [{"greeting": "HANG"}, {"greeting": "DROP"}, {"greeting": "421 4.3.2 busy"},
                                     {"greeting": "554 5.7.1 no reverse name"}, {"greeting": "no SMTP at all"},
                                     {"EHLO": "DROP"}, {"EHLO": "550 no", "HELO": "550 no"}])
def test_a_host_that_is_no_good_passes_the_mail_to_the_next_one(outbound, replies):
    bad, good = outbound.sink(replies=replies), outbound.sink()
    outbound.dns.add_mail("far.example", ("mx1.far.example", bad.address), preference=10)
    outbound.dns.add_mail("far.example", ("mx2.far.example", good.address), preference=20)
    send(make(outbound), FAR)
    good.wait(1)


def test_both_families_are_tried(outbound):
    """The host refuses IPv6, for want of a reverse name for example, and takes IPv4."""
    six = outbound.sink(address="2001:db8::25", replies={"greeting": "550 5.7.25 no reverse name"})
    four = outbound.sink()
    outbound.dns.add_mail("far.example", ("mx.far.example", six.address, four.address))
    send(make(outbound), FAR)
    four.wait(1)
    assert six.connections == 1


def test_a_domain_without_mx_is_its_own_host_and_one_with_mx_is_not(outbound):
    implicit, never = outbound.sink(), outbound.sink()
    outbound.dns.add_host("plain.example", implicit.address)
    outbound.dns.add_host("far.example", never.address)
    outbound.dns.records["far.example"]["MX"] = [(10, "mx.far.example")]  # which has no address
    server = make(outbound)
    send(server, "bob@plain.example")
    implicit.wait(1)
    send(server, FAR)
    _, recipient = status_fields(wait_report(server))
    assert recipient["Status"] == "5.4.4" and not never.lines


def test_aliases_of_domains_and_hosts_are_followed(outbound):
    sink = outbound.sink()
    outbound.dns.records["far.example"] = {"CNAME": "real.example"}
    outbound.dns.add_mail("real.example", ("mx.real.example", sink.address))
    send(make(outbound), FAR)
    sink.wait(1)


@pytest.mark.parametrize("records, status", [({"far.example": {"MX": [(0, "")]}}, "5.1.10"), ({}, "5.1.2"),
                                             ({"far.example": {"MX": [(10, "mx.example.test")]}}, "5.4.6")])
def test_where_nobody_takes_mail_the_sender_hears_it_at_once(outbound, records, status):
    outbound.dns.records.update(records)
    server = make(outbound)
    send(server, FAR)
    message, recipient = status_fields(wait_report(server))
    assert recipient["Status"] == status and recipient["Action"] == "failed"
    assert recipient["Final-Recipient"] == f"rfc822; {FAR}" and message["Reporting-MTA"] == "dns; mx.example.test"


@pytest.mark.parametrize("trouble", ["silent", "failing"])
def test_while_the_dns_has_no_answer_the_mail_waits(outbound, trouble):
    sink = outbound.sink("far.example")
    getattr(outbound.dns, trouble).add("far.example")
    server = make(outbound, dns={"timeout": "500ms"})
    send(server, FAR)
    waiting = wait_until(lambda: [one for one in queue_of(server) if one["recipients"][0]["attempts"]], "not tried")
    assert "far.example" in waiting[0]["recipients"][0]["last_reply"]
    getattr(outbound.dns, trouble).clear()
    sink.wait(1, 90)


# Answers.


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA", "END"])
@pytest.mark.parametrize("pipelining", [True, False])
def test_a_permanent_refusal_goes_back_to_the_sender(outbound, stage, pipelining):
    extensions = ["8BITMIME"] + (["PIPELINING"] if pipelining else [])
    sink = outbound.sink("far.example", replies={stage: "550 5.7.1 not wanted"}, extensions=extensions)
    server = make(outbound)
    send(server, FAR, name="unwanted")
    report = wait_report(server)
    assert report["From"] == "Mail server <postmaster@mx.example.test>" and report["Auto-Submitted"] == "auto-replied"
    assert report["Return-Path"] == "<>"
    _, recipient = status_fields(report)
    assert recipient["Status"] == "5.7.1" and recipient["Remote-MTA"] == "dns; mx.far.example"
    assert recipient["Diagnostic-Code"] == "smtp; 550 5.7.1 not wanted"
    assert "not delivered" in report.get_payload()[0].get_payload()
    assert "Subject: unwanted" in report.get_payload()[2].as_string()
    assert not sink.taken and not queue_of(server)
    server.wait_log("outbound.failed")


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA", "END"])
@pytest.mark.parametrize("trouble", ["450 4.2.1 later", "DROP", "HANG", "nonsense"])
def test_what_may_be_better_later_is_tried_again(outbound, stage, trouble):
    times = iter([trouble])
    sink = outbound.sink("far.example", replies={stage: lambda _: next(times, None)})
    server = make(outbound)
    send(server, FAR)
    sink.wait(1, 40)
    wait_empty(server)
    assert len(sink.taken) == 1 and not reports(server)
    [done] = queue_of(server, "--all")
    assert done["recipients"][0]["attempts"] >= 2 and done["recipients"][0]["state"] == "delivered"


def test_each_recipient_has_its_own_fate(outbound):
    outbound.sink("far.example", replies={"RCPT": lambda line: "550 5.1.1 who?" if "nobody@" in line else
                                          "450 4.2.1 full" if "full@" in line else None})
    other = outbound.sink("other.example")
    server = make(outbound, queue={"give_up_after": "4s"})
    send(server, "nobody@far.example", "full@far.example", "good@far.example", "good@other.example")
    other.wait(1)
    wait_empty(server, 60)
    states = {one["address"]: one["state"] for one in queue_of(server, "--all")[0]["recipients"]}
    assert states == {"nobody@far.example": "failed", "full@far.example": "failed", "good@far.example": "delivered",
                      "good@other.example": "delivered"}
    told = {status_fields(one)[1]["Final-Recipient"]: status_fields(one)[1]["Status"] for one in reports(server)}
    assert told == {"rfc822; nobody@far.example": "5.1.1", "rfc822; full@far.example": "5.4.7"}


def test_the_sender_hears_of_a_delay_once_and_of_the_end(outbound):
    outbound.sink("far.example", replies={"RCPT": "450 4.2.1 later"})
    server = make(outbound, queue={"warn_after": "1s", "give_up_after": "6s"})
    send(server, FAR)
    wait_empty(server, 60)
    actions = [status_fields(one)[1]["Action"] for one in reports(server)]
    assert actions == ["delayed", "failed"]


def test_nobody_hears_of_a_report_that_does_not_arrive(outbound):
    """Mail with the null sender never makes a report (RFC 5321 s4.5.5)."""
    outbound.sink("far.example", replies={"RCPT": "550 5.1.1 who?"})
    server = make(outbound)
    with Client(server, JANE) as client:
        client.sendmail("", [FAR], letter(JANE, FAR))
    server.wait_log("outbound.failed")
    wait_empty(server)
    assert not reports(server) and "outbound.reported" not in server.log()


def test_wishes_for_reports_are_kept_and_handed_on(outbound):
    silent = outbound.sink("far.example", replies={"RCPT": "550 5.1.1 who?"})
    knowing = outbound.sink("knowing.example", extensions=["DSN"])
    plain = outbound.sink("plain.example")
    server = make(outbound)
    with Client(server, JANE) as client:
        client.sendmail(JANE, [FAR], letter(JANE, FAR), rcpt_options=["NOTIFY=NEVER"])
        client.sendmail(JANE, ["a@knowing.example"], letter(JANE, FAR), mail_options=["RET=HDRS", "ENVID=abc+2B"],
                        rcpt_options=["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;old@far.example"])
        client.sendmail(JANE, ["b@plain.example"], letter(JANE, FAR), rcpt_options=["NOTIFY=SUCCESS"])
    knowing.wait(1), plain.wait(1)
    assert knowing.said("MAIL")[0].endswith(" RET=HDRS ENVID=abc+2B")
    assert knowing.said("RCPT")[0].endswith(" NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;old@far.example")
    wait_empty(server)
    assert silent.said("RCPT")
    _, recipient = status_fields(wait_report(server))
    assert recipient["Action"] == "relayed" and recipient["Final-Recipient"] == "rfc822; b@plain.example"
    assert len(reports(server)) == 1


def test_what_the_next_host_can_not_take_goes_back(outbound):
    plain = outbound.sink("far.example", extensions=["SIZE 1000"])
    utf8 = outbound.sink("utf8.example", extensions=["8BITMIME", "SMTPUTF8"])
    server = make(outbound)
    with Client(server, JANE) as client:
        client.sendmail(JANE, [FAR], letter(JANE, FAR, body="x" * 70 + "\r\n" + "y\r\n" * 500))
        client.sendmail(JANE, [FAR], letter(JANE, FAR, body=SIGNED_PARTS, head=SIGNED_HEAD))
        client.sendmail(JANE, ["b\u00f6b@far.example"], letter(JANE, FAR), mail_options=["SMTPUTF8"])
        client.sendmail(JANE, ["b\u00f6b@utf8.example"], letter(JANE, FAR), mail_options=["SMTPUTF8"])
        client.sendmail(JANE, ["bob@utf8.example"], letter(JANE, FAR, body="\u00fc\r\n"))
    utf8.wait(2)
    assert {one.options.split(" SIZE")[0] for one in utf8.taken} <= {"SMTPUTF8", "BODY=8BITMIME", "BODY=8BITMIME SMTPUTF8"}
    wait_until(lambda: len(reports(server)) == 3, "three reports")
    text = "".join(one.as_string() for one in reports(server))
    for status in ("5.3.4", "5.6.3", "5.6.7"):
        assert f"Status: {status}" in text
    assert not plain.taken


def test_a_domain_of_other_letters_is_told_in_ascii(outbound):
    plain = outbound.sink("far.example", extensions=["PIPELINING"])
    server = make(outbound)
    server.cli("alias", "add", f"away@{DOMAIN}", FAR)
    with smtplib.SMTP("127.0.0.1", server.port["smtp"]) as client:
        client.ehlo()
        client.sendmail("x@b\u00fccher.example", [f"away@{DOMAIN}"], letter("x@else.example", FAR), mail_options=["SMTPUTF8"])
    assert plain.wait(1)[0].sender == "x@xn--bcher-kva.example"


def test_8_bit_text_is_encoded_for_a_host_that_does_not_take_it(outbound):
    plain = outbound.sink("far.example", extensions=["PIPELINING", "SIZE 1000000"])
    server = make(outbound)
    server.cli("dkim", "add", DOMAIN, "--selector", "s1")
    records = {record["name"]: record["value"].encode() for record in server.cli("dkim", "dns", DOMAIN)["records"]}
    text = "Gr\u00fc\u00dfe, und ein Satz, der lang genug ist. \r\n.\r\n"
    part = ("--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + text
            + "--b\r\nContent-Type: application/x\r\n\r\n\u00e9\u00e9\r\n--b--\r\n")
    head = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n"
    with Client(server, JANE) as client:
        client.sendmail(JANE, [FAR, "al@far.example"], letter(JANE, FAR, body=part, head=head))
    taken, = plain.wait(1)
    assert "BODY" not in taken.options and len(taken.recipients) == 2
    assert f"SIZE={len(taken.data)}" in taken.options
    taken.data.decode("ascii")
    message = email.message_from_bytes(taken.data)
    first, second = message.get_payload()
    assert first["Content-Transfer-Encoding"] == "quoted-printable"
    assert first.get_payload(decode=True).decode() == text.removesuffix("\r\n").replace("\r\n", "\r\n")
    assert second.get_payload(decode=True) == "\u00e9\u00e9".encode()
    # The signatures are those of the message as it left.
    assert len(message.get_all("DKIM-Signature")) == 2

    def lookup(name, timeout=None):
        return records.get((name.decode() if isinstance(name, bytes) else name).rstrip("."))
    assert all(dkim.DKIM(taken.data).verify(index, dnsfunc=lookup) for index in range(2)), taken.data


# TLS.


def test_tls_is_used_where_it_is_offered_and_left_where_it_is_broken(outbound, directory):
    certificate = make_certificate(directory)
    sound = outbound.sink("far.example", certificate=certificate)
    broken = outbound.sink("broken.example", certificate=certificate)
    broken.break_tls = True
    refusing = outbound.sink("refusing.example", certificate=certificate, replies={"STARTTLS": "454 4.7.0 not now"})
    server = make(outbound)
    send(server, FAR, "a@broken.example", "a@refusing.example")
    assert sound.wait(1)[0].tls and not broken.wait(1)[0].tls and not refusing.wait(1)[0].tls


def test_a_route_may_demand_tls(outbound, directory):
    plain = outbound.sink("plain.example")
    other = outbound.sink("other.example", certificate=make_certificate(directory, "wrong.example"))
    vouched = directory / "vouched"
    vouched.mkdir()
    certificate, key = make_certificate(vouched, "mx.good.example")
    good = outbound.sink("good.example", certificate=(certificate, key))
    none = outbound.sink("none.example", certificate=(certificate, key))
    routes = [{"domain": "plain.example", "tls": "encrypt"}, {"domain": "other.example", "tls": "verify"},
              {"domain": "none.example", "tls": "none"}]
    server = make(outbound, queue={"route": routes, "ca_file": str(certificate)})
    send(server, "a@plain.example", "a@other.example", "a@none.example", "a@good.example")
    assert not none.wait(1)[0].tls and good.wait(1)[0].tls
    wait_until(lambda: len([r for one in queue_of(server) for r in one["recipients"] if r["attempts"] and r["state"] == "queued"]) == 2,
               "both are tried")
    said = {r["address"]: r["last_reply"] for r in queue_of(server)[0]["recipients"]}
    assert "STARTTLS" in said["a@plain.example"] and "certificate" in said["a@other.example"]
    assert not plain.taken and not other.taken


# Routes.


def test_a_smart_host_gets_all_mail_and_a_login(outbound, directory):
    relay = outbound.sink(port=2525, extensions=["AUTH PLAIN LOGIN", "PIPELINING"])
    special = outbound.sink()
    direct = outbound.sink("direct.example")
    password = directory / "password"
    password.write_text("s3cret\n")
    routes = [{"domain": ".inside.example", "host": special.address},
              {"domain": "direct.example"},
              {"domain": "*", "host": f"{relay.address}:2525", "login": "me", "password_file": str(password),
               "tls": "none"}]
    server = make(outbound, queue={"route": routes})
    send(server, "a@any.example", "b@x.inside.example", "c@direct.example")
    assert relay.wait(1)[0].recipients == ("a@any.example",) and special.wait(1)[0].recipients == ("b@x.inside.example",)
    direct.wait(1)
    assert relay.said("AUTH") == ["AUTH PLAIN AG1lAHMzY3JldA=="]


# Forwarding.


def test_an_alias_leads_elsewhere(outbound):
    far = outbound.sink("far.example")
    server = make(outbound)
    server.cli("alias", "add", f"team@{DOMAIN}", JANE, FAR)
    server.cli("alias", "add", f"away@{DOMAIN}", FAR)
    server.deliver(f"team@{DOMAIN}", letter("x@elsewhere.example", FAR, "team"), sender="x@elsewhere.example")
    with server.smtp() as stranger:
        stranger.hello()
        stranger.send_message("x@elsewhere.example", [f"away@{DOMAIN}"], letter("x@elsewhere.example", FAR, "away"))
    taken = far.wait(2)
    assert {one.sender for one in taken} == {"x@elsewhere.example"} and {one.recipients for one in taken} == {(FAR,)}
    assert len(server.fetch_all(JANE)) == 1


def test_a_report_goes_to_a_sender_elsewhere(outbound):
    outbound.sink("far.example", replies={"RCPT": "550 5.1.1 who?"})
    elsewhere = outbound.sink("elsewhere.example")
    server = make(outbound)
    server.cli("alias", "add", f"away@{DOMAIN}", FAR)
    server.deliver(f"away@{DOMAIN}", letter("x@elsewhere.example", FAR), sender="x@elsewhere.example")
    [report] = elsewhere.wait(1)
    assert report.sender == "" and report.recipients == ("x@elsewhere.example",)


# The queue as an operator sees it.


def test_an_operator_holds_releases_retries_and_removes(outbound):
    sink = outbound.sink("far.example", replies={"RCPT": "450 4.2.1 later"})
    server = make(outbound, queue={"retry": ["1h"]})
    send(server, FAR)
    [message] = wait_until(lambda: [one for one in queue_of(server) if one["recipients"][0]["attempts"] == 1], "not tried")
    assert set(message) >= {"id", "sender", "recipients"}
    assert set(message["recipients"][0]) >= {"address", "state", "last_reply", "attempts", "next_attempt"}
    assert message["recipients"][0]["last_reply"] == "450 4.2.1 later"
    wait_until(lambda: server.cli("queue", "hold", message["id"])["recipients"] == 1, "not held")
    assert queue_of(server)[0]["recipients"][0]["state"] == "held"
    assert server.cli("queue", "retry")["recipients"] == 0, "what is held is not tried"
    sink.replies.clear()
    server.cli("queue", "release", message["id"])
    sink.wait(1)
    sink.replies["RCPT"] = "450 4.2.1 later"
    send(server, FAR, "x@other.example", name="second")
    outbound.sink("other.example")
    wait_until(lambda: [one for one in queue_of(server) if all(r["attempts"] for r in one["recipients"])], "not tried")
    assert server.cli("queue", "retry", "--domain", "far.example")["recipients"] <= 1
    [second] = queue_of(server)
    wait_until(lambda: server.cli("queue", "remove", second["id"])["busy"] == 0 and not queue_of(server), "not removed")
    done = server.run_cli("queue", "show", "nosuchmessag")
    assert done.returncode == 1 and "no message" in done.stderr
    assert server.run_cli("queue", "list").returncode == 0


# Many destinations.


def test_silent_destinations_delay_nobody_else(outbound):
    """50 black holes, with several messages each, and 300 good messages among them."""
    holes = [outbound.sink(f"hole{n}.example", replies={"greeting": "HANG"}) for n in range(50)]
    good = [outbound.sink(f"good{n}.example") for n in range(10)]
    server = make(outbound, queue={"reply_timeout": "60s", "retry": ["1h"]},
                  submission={"new_recipients_per_day": 0, "messages_per_day": 0, "recipients_per_day": 0})
    begun = time.monotonic()
    with Client(server, JANE) as client:
        for n in range(300):
            recipients = [f"u{n}@hole{n % 50}.example", f"v{n}@hole{(n + 7) % 50}.example", f"u{n}@good{n % 10}.example"]
            client.sendmail(JANE, recipients, letter(JANE, recipients[0], f"m{n}"))
    submitted = time.monotonic() - begun
    for sink in good:
        sink.wait(30, 30)
    took = time.monotonic() - begun
    assert took < submitted + 20 * PATIENCE, f"{took:.1f} s, of which {submitted:.1f} for submission"
    assert sum(hole.connections for hole in holes) > 25 and max(hole.most_open for hole in holes) <= 2
    assert max(sink.connections for sink in good) < 30, "connections are used again"


def test_domains_with_the_same_hosts_are_one_destination(outbound):
    sink = outbound.sink()
    for n in range(20):
        outbound.dns.add_mail(f"d{n}.example", ("mx.provider.example", sink.address))
        outbound.dns.records["mx.provider.example"]["A"] = [sink.address]
    server = make(outbound, queue={"connections_per_destination": 3})
    send(server, *[f"u@d{n}.example" for n in range(20)])
    sink.wait(20)
    assert sink.most_open <= 3


# Crashes.


class Submitter(threading.Thread):
    """Submits message after message until the server is gone. Notes which were acknowledged, and which may have been."""

    def __init__(self, server, number):
        super().__init__(daemon=True)
        self.server, self.number = server, number
        self.acknowledged, self.begun = [], []

    def run(self):
        try:
            with Client(self.server, JANE) as client:
                for n in range(100_000):
                    name = f"s{self.number}n{n}t{random.randrange(10**9)}"
                    self.begun.append(name)
                    client.sendmail(JANE, [f"u{n % 5}@far.example", "v@other.example"], letter(JANE, FAR, name))
                    self.acknowledged.append(name)
        except Exception:  # noqa: BLE001  the server was killed, at whatever point that was
            pass


def names_of(sink):
    with sink.lock:
        return [(re.search(rb"X-Test-Name: (\w+)", one.data)[1].decode(), one.when) for one in sink.taken]


def test_kill_9_under_load_loses_nothing_and_repeats_only_what_was_under_way(outbound, long):
    far, other = outbound.sink("far.example"), outbound.sink("other.example")
    server = make(outbound, submission={"new_recipients_per_day": 0, "messages_per_day": 0, "recipients_per_day": 0},
                  storage={"segment_size": "1MiB", "write_buffer": "1MiB"})
    acknowledged, begun, kills = [], [], []
    for round_number in range(30 if long else 6):
        submitters = [Submitter(server, f"{round_number}x{n}") for n in range(4)]
        for one in submitters:
            one.start()
        # On a machine that is busy with other things, logins alone may take as long as the load.
        wait_until(lambda: sum(len(one.acknowledged) for one in submitters) > 10, "the submitters are stuck")
        time.sleep(random.uniform(0.0, 1.2) * PATIENCE)
        server.kill()
        kills.append(time.monotonic())
        for one in submitters:
            one.join(30)
            acknowledged += one.acknowledged
            begun += one.begun
        server.start()
    assert len(acknowledged) > 50, "the load was no load"
    wait_empty(server, 120)
    for sink in (far, other):
        arrived = {}
        for name, when in names_of(sink):
            arrived.setdefault(name, []).append(when)
        lost = [name for name in acknowledged if name not in arrived]
        assert not lost, f"{len(lost)} acknowledged messages were lost: {lost[:5]}"
        assert set(arrived) <= set(begun)
        for name, times in arrived.items():
            # A message comes again only if the server died before it had written down the answer to it.
            for earlier in times[:-1]:
                gap = min((kill - earlier for kill in kills if kill >= earlier), default=None)
                assert gap is not None and gap < 1.0 * PATIENCE, f"{name} came {len(times)} times: {times}, kills {kills}"
    assert not reports(server)
    assert server.run_cli("verify").returncode == 0
