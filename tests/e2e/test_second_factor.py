"""Second factors for clients that know a user name and a password, nothing else."""

import re
import secrets
import subprocess
import time

import pytest

from clients.curl import Curl
from clients.fetchmail import Fetchmail
from clients.mpop import Mpop
from credentials import Authority, Issuer, everything
from poplar_server import DOMAIN, PASSWORD, PATIENCE, CliError
from test_auth import Scram, scram_login

BOB = f"bob@{DOMAIN}"
HOME, AWAY, ABROAD = "127.0.0.1", "127.0.2.1", "127.0.3.1"  # three networks (/24)
MESSAGE = b"Subject: one\r\n\r\nHello\r\n"


@pytest.fixture
def server(make_server):
    server = make_server(auth={"failure_delay": "0s"})
    server.add_user(BOB)
    return server


class Authenticator:
    """What a person has on a phone: oathtool, and a clock."""

    def __init__(self, server):
        self.server = server
        made = server.cli("totp", "enroll", BOB)
        self.secret, self.recovery = made["secret"], made["recovery_codes"]
        self.taken = -1
        server.cli("totp", "confirm", BOB, self.code())

    def code(self):
        """A code that was not used yet: the clock may be half a minute fast. Waits if it must."""
        while True:
            step = max(int(time.time()) // 30, self.taken + 1)
            if step <= int(time.time()) // 30 + 1:
                break
            time.sleep(0.5)
        self.taken = step
        return subprocess.run(["oathtool", "--totp", "--base32", "--now", f"@{step * 30}", self.secret], check=True,
                              capture_output=True, text=True).stdout.strip()


def policy(server, need, ways=None):
    server.cli("user", "set", BOB, "--second-factor", need, *(["--second-factor-ways", ways] if ways else []))


def log_in(server, password=PASSWORD, source=HOME, tls=False):
    """The reply to PASS."""
    with (server.pop3s if tls else server.pop3)(source=source) as client:
        client.ok(b"USER " + BOB.encode())
        reply = client.command(b"PASS " + password.encode()).decode()
        if reply.startswith("+OK"):
            client.quit()
        return reply


def is_in(reply):
    return reply.startswith("+OK")


def test_a_program_with_a_stored_wrong_code_uses_up_one_guess(server):
    """It used to keep all ten used up, so that nobody got in with a right code."""
    phone = Authenticator(server)
    policy(server, "required", "totp")
    for _ in range(12):
        assert "wrong" in log_in(server, PASSWORD + "000000")
    assert is_in(log_in(server, PASSWORD + phone.code(), ABROAD))
    for number in range(1, 10):
        assert "wrong" in log_in(server, PASSWORD + f"00000{number}", AWAY)
    blocked = server.cli("blocked", "list")["blocked"]
    assert [(one["limit"], one["account"]) for one in blocked] == [("code", BOB)]
    assert "too many" in log_in(server, PASSWORD + phone.code())
    assert server.cli("blocked", "clear", BOB)["released"] == 1
    assert is_in(log_in(server, PASSWORD + phone.code()))


def test_a_new_policy_ends_a_session_that_it_does_not_let_in(server):
    with server.pop3() as client:
        client.ok(b"USER " + BOB.encode())
        client.ok(b"PASS " + PASSWORD.encode())
        assert server.cli("domain", "set", DOMAIN, "--second-factor", "required")["sessions_ended"] == 1
        assert client.closed() is not None
    assert not is_in(log_in(server))


def test_enrolling_prints_what_an_authenticator_reads(server):
    shown = server.run_cli("totp", "enroll", BOB).stdout
    uri = re.search(r"otpauth://totp/\S+", shown)[0]
    secret = re.search(r"secret: ([A-Z2-7]{32})", shown)[1]
    assert uri == f"otpauth://totp/mx.example.test:bob%40{DOMAIN}?secret={secret}&issuer=mx.example.test"
    assert len(re.findall(r"\b[0-9a-z]{4}-[0-9a-z]{4}-[0-9a-z]{4}\b", shown)) == 10
    assert "▀" in shown and "█" in shown
    assert log_in(server).startswith("+OK"), "nothing counts before it was confirmed"
    with pytest.raises(CliError):
        server.cli("totp", "confirm", BOB, "000000")
    policy(server, "optional")
    assert is_in(log_in(server))


def test_the_password_with_a_code_opens_a_window_in_which_a_client_polls(server, directory):
    phone = Authenticator(server)
    assert is_in(log_in(server)), "no policy asks for it"
    policy(server, "optional")
    server.deliver(BOB, MESSAGE)
    reply = log_in(server)
    assert reply.startswith("-ERR [AUTH] a code is needed"), reply
    assert log_in(server, "wrong") == "-ERR [AUTH] wrong name or password"
    code = phone.code()
    assert len(Curl(server, BOB, PASSWORD + code, directory / "curl").fetch(keep=True)) == 1
    server.wait_log_match("pop3.login .*second_factor=totp")
    assert len(Mpop(server, BOB, PASSWORD, directory / "mpop").fetch(keep=True)) == 1
    assert len(Fetchmail(server, BOB, PASSWORD, directory / "fetchmail").fetch(keep=True)) == 1
    server.wait_log_match("pop3.login .*second_factor=window")
    # A thief with the password, somewhere else, who overheard the code.
    assert log_in(server, source=AWAY).startswith("-ERR [AUTH] a code is needed")
    assert log_in(server, PASSWORD + code, source=AWAY).startswith("-ERR [AUTH] the code is wrong or was used")
    server.stop()
    server.start()
    assert log_in(server, PASSWORD + code, source=AWAY).startswith("-ERR [AUTH] the code is wrong or was used")
    assert is_in(log_in(server)), "a restart closes no window"
    server.cli("user", "password", BOB, "--password-stdin", input="another\n")
    assert log_in(server, "another").startswith("-ERR [AUTH] a code is needed")
    assert is_in(log_in(server, "another" + phone.recovery[0]))
    assert log_in(server, "another" + phone.recovery[0], source=AWAY).startswith("-ERR [AUTH] the code")
    server.cli("totp", "remove", BOB)
    assert is_in(log_in(server, "another", source=AWAY)), "optional, and no authenticator any more"
    policy(server, "required")
    assert log_in(server, "another").startswith("-ERR [AUTH] use the password of a device")


def test_a_window_ends(make_server):
    server = make_server(auth={"failure_delay": "0s", "second_factor_window": "2s"})
    server.add_user(BOB)
    phone = Authenticator(server)
    policy(server, "required")
    assert is_in(log_in(server, PASSWORD + phone.code()))
    opened = time.monotonic()
    while is_in(log_in(server)):
        assert time.monotonic() < opened + 10 * PATIENCE
        time.sleep(0.1)
    assert log_in(server).startswith("-ERR [AUTH] a code is needed")


def test_guessing_codes_stops_neither_a_window_nor_a_device(server):
    phone = Authenticator(server)
    policy(server, "required")
    device = server.cli("device", "add", BOB, "--name", "laptop")["password"]
    assert is_in(log_in(server, PASSWORD + phone.code()))
    for guess in range(10):
        reply = log_in(server, f"{PASSWORD}{guess:06}", source=f"127.0.{guess + 4}.1")
        assert reply.startswith("-ERR [AUTH] the code is wrong"), reply
    assert log_in(server, PASSWORD + "000010", source=AWAY).startswith("-ERR [SYS/TEMP] too many codes")
    assert log_in(server, PASSWORD + phone.code(), source=ABROAD).startswith("-ERR [SYS/TEMP] too many codes")
    assert is_in(log_in(server))
    assert is_in(log_in(server, device, source=ABROAD))
    assert is_in(log_in(server, PASSWORD + phone.recovery[3], source=ABROAD)), "nobody guesses those"


def test_a_device_alone_opens_the_mail_where_nothing_else_counts(server, directory):
    policy(server, "required", "device")
    server.deliver(BOB, MESSAGE)
    assert log_in(server).startswith("-ERR [AUTH] use the password of a device")
    assert log_in(server, "wrong") == "-ERR [AUTH] wrong name or password"
    device = server.cli("device", "add", BOB, "--name", "laptop")["password"]
    assert len(Mpop(server, BOB, device, directory / "mpop").fetch(keep=False)) == 1
    server.wait_log_match("pop3.login .*second_factor=device")
    policy(server, "required", "totp,certificate")
    assert log_in(server, device).startswith("-ERR [AUTH] the account needs a second factor, which this login")


def test_a_domain_can_ask_for_it(server):
    server.cli("domain", "set", DOMAIN, "--second-factor", "required", "--second-factor-ways", "totp,device")
    assert log_in(server).startswith("-ERR [AUTH] use the password of a device")
    phone = Authenticator(server)
    assert log_in(server).startswith("-ERR [AUTH] a code is needed")
    assert is_in(log_in(server, PASSWORD + phone.code()))
    policy(server, "none")
    assert is_in(log_in(server, source=AWAY))
    policy(server, "default")
    assert not is_in(log_in(server, source=AWAY))
    assert "required (totp, device)" in server.run_cli("domain", "set", DOMAIN, "--second-factor", "required").stdout


def test_every_mechanism_keeps_the_rule(make_server, directory):
    authority, issuer = Authority(directory), Issuer(directory)
    settings = everything(issuer, authority)
    settings.setdefault("auth", {})["failure_delay"] = "0s"
    settings["oauth"]["required_amr"] = ["mfa"]
    server = make_server(**settings)
    server.add_user(BOB, "pencil")
    server.cli("user", "secret", BOB, "--secret-stdin", input="a-secret-shared-by-both\n")
    server.deliver(BOB, MESSAGE)
    phone = Authenticator(server)
    identity = authority.client(BOB)

    def fetch(mechanism, password):
        client = Curl(server, BOB, password, directory / secrets.token_hex(4))
        client.identity = identity
        try:
            return len(client.fetch(keep=True, transport="tls", mechanism=mechanism)) == 1
        except AssertionError:
            return False

    def scram():
        with server.pop3s() as client:
            return scram_login(client, "SCRAM-SHA-256", Scram(BOB, "pencil")).startswith(b"+OK")

    weak = issuer.token(email=BOB)
    strong = issuer.token(email=BOB, amr=["pwd", "mfa"])
    for mechanism, password in (("PLAIN", "pencil"), ("CRAM-MD5", "a-secret-shared-by-both"),
                                ("APOP", "a-secret-shared-by-both"), ("EXTERNAL", ""), ("OAUTHBEARER", weak)):
        assert fetch(mechanism, password), mechanism
    assert scram()
    policy(server, "required", "totp")
    for mechanism, password in (("PLAIN", "pencil"), ("CRAM-MD5", "a-secret-shared-by-both"),
                                ("APOP", "a-secret-shared-by-both"), ("EXTERNAL", ""), ("OAUTHBEARER", weak)):
        assert not fetch(mechanism, password), mechanism
    assert not scram()
    assert fetch("OAUTHBEARER", strong)
    assert fetch("PLAIN", "pencil" + phone.code())
    assert scram(), "in the window that the code opened"
    for mechanism in ("CRAM-MD5", "APOP"):
        assert not fetch(mechanism, "a-secret-shared-by-both"), mechanism
    policy(server, "required", "totp,certificate")
    assert fetch("EXTERNAL", "")


def test_a_new_network_waits_for_the_user_who_has_a_mail_about_it(server):
    policy(server, "required", "approval")
    assert log_in(server, "wrong") == "-ERR [AUTH] wrong name or password"
    assert server.cli("approve", "list", BOB)["sites"] == []
    assert log_in(server).startswith("-ERR [AUTH] you were not here before")
    assert log_in(server, source=AWAY).startswith("-ERR [AUTH] you were not here before")
    home, away = server.cli("approve", "list", BOB)["sites"]
    assert (home["network"], home["kind"]) == ("127.0.0.0/24", "pending")
    server.cli("approve", "accept", BOB, home["id"])
    mails = server.fetch_all(BOB)
    assert len(mails) == 1, "one a day, whoever tries"
    text = mails[0][1].decode()
    assert "Auto-Submitted: auto-generated" in text and HOME in text
    code = re.search(r"^ +([0-9a-z-]{14})\r$", text, re.M)[1]
    # Read at home, typed at the new place.
    assert is_in(log_in(server, PASSWORD + code, source=AWAY))
    assert is_in(log_in(server, source=AWAY))
    assert log_in(server, PASSWORD + code, source=ABROAD).startswith("-ERR [AUTH] the code is wrong")
    server.stop()
    server.start()
    assert is_in(log_in(server, source=AWAY))
    site = next(s for s in server.cli("approve", "list", BOB)["sites"] if s["network"] == "127.0.2.0/24")
    assert site["kind"] == "accepted"
    server.cli("approve", "deny", BOB, site["id"])
    assert log_in(server, source=AWAY).startswith("-ERR [AUTH] logins from this network were denied")
    assert log_in(server, "wrong", source=AWAY) == "-ERR [AUTH] wrong name or password"
    device = server.cli("device", "add", BOB, "--name", "laptop")["password"]
    policy(server, "required", "approval,device")
    assert is_in(log_in(server, device, source=AWAY)), "denying is for the account's password"


def test_places_of_the_past_are_learned_before_the_policy_is_switched_on(server):
    assert is_in(log_in(server, source=HOME))
    assert not is_in(log_in(server, "wrong", source=AWAY))
    learned = server.cli("approve", "learn", "--domain", DOMAIN)
    assert learned["sites"] >= 1 and learned["accounts"] >= 1
    policy(server, "required", "approval")
    assert is_in(log_in(server, source=HOME)), "it surprises nobody"
    assert server.cli("approve", "learn", BOB)["sites"] == 0
    assert not is_in(log_in(server, source=AWAY)), "a wrong password taught nothing"
    server.wait_log("admin.sites_learned")


def test_the_secret_is_in_no_log(server):
    phone = Authenticator(server)
    policy(server, "required")
    code = phone.code()
    log_in(server, PASSWORD + code)
    log_in(server, PASSWORD + "654321", source=AWAY)
    log_in(server, PASSWORD + phone.recovery[0], source=AWAY)
    server.wait_log("second_factor=recovery")
    for secret in (PASSWORD, phone.secret, code, "654321", phone.recovery[0], phone.recovery[0].replace("-", "")):
        assert secret not in server.log()
