"""The command line: every command for people and as JSON, exit codes, bulk import, password schemes."""

import base64
import crypt
import hashlib
import json
import os
import re
import time

import pytest

from poplar_server import DOMAIN, PASSWORD, SANITIZED, CliError, make_message, run_poplar, without_trace

COMMANDS = ["serve", "check-config", "rebuild", "backup", "restore", "import", "export", "verify", "status", "deliver", "domain", "domain add", "domain list", "domain remove",
            "user", "user add", "user list", "user show", "user password", "user disable", "user enable", "user remove", "user import",
            "alias", "alias add", "alias list", "alias remove", "mail", "mail list", "mail show", "mail deleted", "mail restore"]


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_command_has_help(command):
    done = run_poplar(*command.split(), "--help")
    assert done.returncode == 0 and "--help" in done.stdout and not done.stderr, done
    for word in [c.split()[-1] for c in COMMANDS if c.rpartition(" ")[0] == command]:
        assert re.search(rf"^\s+{word}\b", done.stdout, re.M), f"{word} is not in the help of '{command}'"


def test_wrong_usage_is_said_on_stderr_and_fails():
    for arguments in ([], ["xyzzy"], ["user", "add"], ["user", "xyzzy"], ["status", "--xyzzy"], ["deliver"]):
        done = run_poplar(*arguments)
        assert done.returncode != 0 and done.stderr.strip() and "terminate" not in done.stderr, (arguments, done)


def test_version():
    done = run_poplar("--version")
    assert done.returncode == 0 and re.search(r"\d+\.\d+\.\d+", done.stdout)


def test_no_server_is_said_plainly(directory):
    done = run_poplar("status", "--socket", directory / "none.sock")
    assert done.returncode == 69 and str(directory / "none.sock") in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_options_stand_before_or_after_the_command(server):
    socket = server.config["admin_socket"]
    for arguments in (["--socket", socket, "--json", "status"], ["status", "--json", "--socket", socket],
                      ["--json", "status", "--config", server.config_file], ["--config", server.config_file, "domain", "list", "--json"],
                      ["domain", "--config", server.config_file, "list", "--json"]):
        done = run_poplar(*arguments)
        assert done.returncode == 0, (arguments, done.stderr)
        json.loads(done.stdout)


def addresses(server, *options):
    return [account["address"] for account in server.cli("user", "list", *options)["accounts"]]


def test_domains(server):
    server.cli("domain", "add", "Second.Example")
    assert "second.example" in [d["name"] for d in server.cli("domain", "list")["domains"]]
    with pytest.raises(CliError) as error:
        server.cli("domain", "add", "SECOND.example")
    assert error.value.code == 1
    server.add_user("x@second.example")
    with pytest.raises(CliError):
        server.cli("domain", "remove", "second.example")
    server.cli("user", "remove", "x@second.example")
    server.cli("domain", "remove", "second.example")
    assert "second.example" not in [d["name"] for d in server.cli("domain", "list")["domains"]]
    for bad in ("", "no spaces.example", "-x.example", "a..b", "x" * 64 + ".example", "x@y.example"):
        with pytest.raises(CliError):
            server.cli("domain", "add", bad)


def test_domains_in_utf8_and_in_ascii_are_the_same(server):
    server.cli("domain", "add", "bücher.example")
    with pytest.raises(CliError):
        server.cli("domain", "add", "xn--bcher-kva.example")
    account = server.add_user("leser@bücher.example")
    server.deliver("leser@xn--bcher-kva.example", make_message("idn"))
    assert len(server.fetch_all(account)) == 1


def test_users(server):
    address = server.add_user(f"Life.Cycle@{DOMAIN.upper()}")
    canonical = f"life.cycle@{DOMAIN}"
    assert canonical in addresses(server)
    shown = server.cli("user", "show", address)
    assert shown["address"] == canonical and shown["status"] == "enabled" and shown["messages"] == 0
    assert "password" not in shown and "$argon2" not in json.dumps(shown)
    for again in (address, canonical):
        with pytest.raises(CliError) as error:
            server.add_user(again)
        assert error.value.code == 1
    server.deliver(canonical, make_message("x"))
    assert server.cli("user", "show", canonical)["messages"] == 1
    server.cli("user", "disable", canonical)
    assert server.cli("user", "show", canonical)["status"] == "disabled"
    server.cli("user", "enable", canonical)
    server.cli("user", "remove", canonical)
    assert canonical not in addresses(server)
    with pytest.raises(CliError):
        server.cli("user", "show", canonical)
    server.add_user(canonical)
    assert server.fetch_all(canonical) == [], "a new account does not inherit the old one's mail"


def test_generated_passwords_work_and_differ(server):
    passwords = [server.cli("user", "add", f"generated{n}@{DOMAIN}", "--generate")["password"] for n in range(3)]
    assert len(set(passwords)) == 3 and all(len(p) >= 12 for p in passwords)
    for n, password in enumerate(passwords):
        server.login(f"generated{n}@{DOMAIN}", password).quit()
    new = server.cli("user", "password", f"generated0@{DOMAIN}", "--generate")["password"]
    server.login(f"generated0@{DOMAIN}", new).quit()


def test_a_user_for_people(server, account):
    done = server.run_cli("user", "show", account)
    assert done.returncode == 0 and account in done.stdout and not done.stdout.startswith("{")
    done = server.run_cli("user", "list")
    assert done.returncode == 0 and account in done.stdout


def test_aliases_and_catch_all(server, account):
    other = server.add_user(f"other-{account}")
    server.cli("alias", "add", f"both@{DOMAIN}", account, other)
    server.cli("alias", "add", f"nested@{DOMAIN}", f"both@{DOMAIN}")
    server.deliver(f"nested@{DOMAIN}", make_message("nested"))
    assert len(server.fetch_all(account)) == len(server.fetch_all(other)) == 1
    found = {a["address"]: a["targets"] for a in server.cli("alias", "list")["aliases"]}
    assert sorted(found[f"both@{DOMAIN}"]) == sorted([account, other])
    with pytest.raises(CliError):
        server.cli("alias", "add", f"both@{DOMAIN}", account)
    server.cli("alias", "remove", f"nested@{DOMAIN}")
    with server.smtp() as client:
        client.hello()
        client.expect(250, b"MAIL FROM:<>")
        client.expect(550, f"RCPT TO:<nested@{DOMAIN}>".encode())


def test_postmaster_needs_no_domain(server, account):
    server.cli("alias", "add", f"postmaster@{DOMAIN}", account)
    with server.smtp() as client:
        client.hello()
        client.send_message("a@elsewhere.example", [f"PostMaster@{DOMAIN}"], make_message("pm"))
    assert len(server.fetch_all(account)) == 1


def test_deliver_show_and_list(server, account):
    message = b"Subject: by hand\nFrom: me@example.test\n\nline\n.\n..x\n"
    done = server.run_cli("deliver", account, input=message)
    assert done.returncode == 0, done.stderr
    done = server.run_cli("deliver", account, "--json", input=message.replace(b"\n", b"\r\n"))
    assert done.returncode == 0 and json.loads(done.stdout)
    listed = server.cli("mail", "list", account)["messages"]
    assert [m["subject"] for m in listed] == ["by hand"] * 2
    copies = server.fetch_all(account)
    assert [m["unique_id"] for m in listed] == [uid for uid, _ in copies]
    assert [m["octets"] for m in listed] == [len(octets) for _, octets in copies]
    assert all(without_trace(octets) == message.replace(b"\n", b"\r\n") for _, octets in copies)
    shown = server.run_cli("mail", "show", account, copies[0][0])
    assert shown.returncode == 0 and "Subject: by hand" in shown.stdout
    done = server.run_cli("deliver", f"nobody@{DOMAIN}", input=message)
    assert done.returncode != 0 and done.stderr


def test_deleted_mail_is_kept_and_restored(server, account):
    messages = [make_message(f"restore {n}") for n in range(3)]
    for message in messages:
        server.deliver(account, message)
    before = server.fetch_all(account)
    with server.login(account) as client:
        client.ok(b"DELE 1")
        client.ok(b"DELE 2")
        client.quit()
    deleted = server.cli("mail", "deleted", account)["messages"]
    assert {m["unique_id"] for m in deleted} == {uid for uid, _ in before[:2]}
    assert all(m["reason"] == "pop3" and m["expires"] > m["deleted"] for m in deleted)
    server.cli("mail", "restore", account, before[0][0])
    assert server.fetch_all(account) == [before[0], before[2]], "back in its place, with its unique-id"
    again = server.cli("mail", "restore", account, before[0][0])
    assert (again["restored"], again["already"]) == (0, 1), "what is back counts as done"
    assert server.fetch_all(account) == [before[0], before[2]]
    with pytest.raises(CliError, match="no message no-such-id"):
        server.cli("mail", "restore", account, "no-such-id")
    assert len(server.cli("mail", "deleted", account)["messages"]) == 1


def test_status(server):
    status = server.cli("status")
    assert status["version"] and status["uptime_seconds"] >= 0
    assert f"127.0.0.1:{server.port['pop3']}" in json.dumps(status)
    done = server.run_cli("status")
    assert done.returncode == 0 and done.stdout


# Passwords brought along.

def dovecot(scheme, octets):
    return "{%s}%s" % (scheme, base64.b64encode(octets).decode())


def schemes():
    salt = b"saltsalt"
    return {
        "PLAIN": "{PLAIN}" + PASSWORD,
        "SHA256": dovecot("SHA256", hashlib.sha256(PASSWORD.encode()).digest()),
        "SHA512": dovecot("SHA512", hashlib.sha512(PASSWORD.encode()).digest()),
        "SSHA": dovecot("SSHA", hashlib.sha1(PASSWORD.encode() + salt).digest() + salt),
        "SSHA256": dovecot("SSHA256", hashlib.sha256(PASSWORD.encode() + salt).digest() + salt),
        "SSHA512": dovecot("SSHA512", hashlib.sha512(PASSWORD.encode() + salt).digest() + salt),
        "SHA512-CRYPT": "{SHA512-CRYPT}" + crypt.crypt(PASSWORD, crypt.METHOD_SHA512),
        "SHA256-CRYPT": "{SHA256-CRYPT}" + crypt.crypt(PASSWORD, crypt.METHOD_SHA256),
        "MD5-CRYPT": "{MD5-CRYPT}" + crypt.crypt(PASSWORD, crypt.METHOD_MD5),
        "BLF-CRYPT": "{BLF-CRYPT}" + crypt.crypt(PASSWORD, crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=32)),
        "CRYPT": "{CRYPT}" + crypt.crypt(PASSWORD, crypt.METHOD_SHA512),
        "none": crypt.crypt(PASSWORD, crypt.METHOD_SHA512),
    }


def test_each_scheme_logs_in_after_an_import(server, directory):
    file = directory / "passwd"
    lines = [f"scheme-{name.lower()}@{DOMAIN}:{stored}:1000:1000::/home/x::" for name, stored in schemes().items()]
    file.write_text("\n".join(lines) + "\n")
    counts = server.cli("user", "import", "--passwd-file", file)
    assert counts["added"] == len(lines) and counts["refused"] == []
    for name in schemes():
        address = f"scheme-{name.lower()}@{DOMAIN}"
        server.login(address).quit()
        with server.pop3() as client:
            client.ok(b"USER " + address.encode())
            client.err(b"PASS " + PASSWORD.encode() + b"x")


def test_a_hash_given_by_hand(server):
    server.cli("user", "add", f"hashed@{DOMAIN}", "--password-hash", schemes()["SSHA512"])
    server.login(f"hashed@{DOMAIN}").quit()
    with pytest.raises(CliError):
        server.cli("user", "add", f"unhashed@{DOMAIN}", "--password-hash", "{NOSUCH}abc")


def test_import_of_twenty_thousand_is_quick_and_idempotent(make_server, directory):
    count = 20_000
    server = make_server()
    stored = schemes()["SHA512-CRYPT"]
    file = directory / "passwd"
    file.write_text("".join(f"bulk{n}@{DOMAIN}:{stored}:::::\n" for n in range(count)))
    begin = time.monotonic()
    counts = server.cli("user", "import", "--passwd-file", file, timeout=120)
    seconds = time.monotonic() - begin
    assert (counts["added"], counts["updated"], counts["unchanged"], counts["refused"]) == (count, 0, 0, [])
    if not SANITIZED:
        assert seconds < 10, f"{count / seconds:.0f} accounts a second"
    counts = server.cli("user", "import", "--passwd-file", "-", input=file.read_bytes(), timeout=120)
    assert (counts["added"], counts["updated"], counts["unchanged"]) == (0, 0, count)
    server.login(f"bulk12345@{DOMAIN}").quit()
    changed = file.read_text().replace(f"bulk7@{DOMAIN}:{stored}", f"bulk7@{DOMAIN}:{{PLAIN}}new")
    counts = server.cli("user", "import", "--passwd-file", "-", input=changed, timeout=120)
    assert (counts["added"], counts["updated"], counts["unchanged"]) == (0, 1, count - 1)
    server.login(f"bulk7@{DOMAIN}", "new").quit()
    assert len(addresses(server)) == count
    server.stop()
    server.start()
    assert len(addresses(server)) == count


def test_an_import_names_what_it_refuses_and_takes_the_rest(server, directory):
    file = directory / "passwd"
    file.write_text(f"# a comment\n\ngood@{DOMAIN}:{{PLAIN}}x\nbad@{DOMAIN}:{{NOSUCH}}x\nno-colon\nspa ce@{DOMAIN}:{{PLAIN}}x\n"
                    "other@unknown.example:{PLAIN}x\n")
    done = server.run_cli("user", "import", "--passwd-file", file)
    assert done.returncode != 0
    for word in (f"bad@{DOMAIN}", "passwd:5:", "spa ce", "unknown.example"):
        assert word in done.stdout + done.stderr, word
    server.login(f"good@{DOMAIN}", "x").quit()


def test_an_import_drops_no_restriction_in_silence(server, directory):
    file = directory / "passwd"
    file.write_bytes(b"\xef\xbb\xbf" + f"first@{DOMAIN}:{{PLAIN}}x:5:5::/home/first::\r\n"
                     f"gone@{DOMAIN}:{{PLAIN}}x::::::nologin=y\n"
                     f"lan@{DOMAIN}:{{PLAIN}}x::::::userdb_quota_rule=*:storage=1G allow_nets=192.0.2.0/24,fe80::/10\n"
                     f"*@{DOMAIN}:{{PLAIN}}x\n".encode())
    done = server.run_cli("user", "import", "--passwd-file", file)
    assert done.returncode == 1
    assert "passwd:3: passwd-file: no such field here: userdb_quota_rule, allow_nets;" in done.stderr, done.stderr
    assert f"passwd:4: *@{DOMAIN}: " in done.stderr and "catch-all" in done.stderr, done.stderr
    assert "added 2, updated 0, unchanged 0, refused 2" in done.stdout
    assert "without a password, so that nobody can log in: 1" in done.stdout
    assert "not used: home, in 1 lines" in done.stdout
    server.login(f"first@{DOMAIN}", "x").quit()
    with server.pop3() as client:
        client.ok(b"USER gone@" + DOMAIN.encode())
        client.err(b"PASS x")
    server.deliver(f"gone@{DOMAIN}", make_message("for gone"))

    counts = server.run_cli("user", "import", "--passwd-file", file, "--json", "--ignore-field", "allow_nets", "--ignore-field",
                            "userdb_quota_rule")
    counts = json.loads(counts.stdout)
    assert (counts["added"], counts["unchanged"], counts["no_password"], len(counts["refused"])) == (1, 2, 1, 1)
    assert counts["unused"] == {"allow_nets": 1, "gid": 1, "home": 1, "uid": 1, "userdb_quota_rule": 1}


def test_an_import_of_utf_16_is_named_as_such(server, directory):
    file = directory / "passwd"
    file.write_text(f"wide@{DOMAIN}:{{PLAIN}}x\n", encoding="utf-16")
    done = server.run_cli("user", "import", "--passwd-file", file)
    assert done.returncode == 1 and "is in UTF-16; save it as UTF-8" in done.stderr and len(done.stderr.splitlines()) == 1


def test_hashes_are_upgraded_where_the_operator_wants_it(make_server):
    server = make_server(auth={"upgrade_hashes": True, "failure_delay": "100ms"})
    address = f"old@{DOMAIN}"
    server.cli("user", "add", address, "--password-hash", schemes()["MD5-CRYPT"])
    assert server.cli("user", "show", address)["password_scheme"] == "MD5-CRYPT"
    server.login(address).quit()
    deadline = time.monotonic() + 20
    while server.cli("user", "show", address)["password_scheme"] != "ARGON2ID":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    server.login(address).quit()


def test_the_admin_socket_is_the_owners_alone(server):
    mode = os.stat(server.config["admin_socket"]).st_mode & 0o777
    assert mode & 0o077 == 0, oct(mode)


def test_passwords_are_never_logged(server):
    secret = "Unmistakable-Secret-4711"
    address = server.add_user(f"secret@{DOMAIN}", secret)
    server.login(address, secret).quit()
    with server.pop3() as client:
        client.ok(b"USER " + address.encode())
        client.err(b"PASS " + secret.encode() + b"-wrong")
        client.send(b"PASS " + secret.encode() + b"\r\n")
    with server.smtp() as client:
        client.hello()
        client.ask(b"AUTH PLAIN " + base64.b64encode(b"\0x\0" + secret.encode()))
    server.deliver(address, b"Subject: Unmistakable-Content-4712\r\n\r\nx\r\n")
    log = server.log_file.read_text()
    assert address in log
    assert secret not in log and "4712" not in log and base64.b64encode(secret.encode()).decode()[:12] not in log
