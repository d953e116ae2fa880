"""Domains whose accounts another directory keeps: real slapd, PostgreSQL, SQLite, PAM, a web service, a passwd-file."""

import base64
import contextlib
import hashlib
import os
import pathlib
import shutil
import sqlite3
import subprocess
import time

import pytest

from directories import BASE, DOMAIN, Postgres, Slapd, WebService
from poplar_server import CliError, make_certificate, make_message, to_toml

JANE, JOHN = f"jane@{DOMAIN}", f"john@{DOMAIN}"
RIGHT, NEW = "jane's password", "jane's new password"
NEVER = {"fresh": "0s", "timeout": "1s"}  # nothing is believed without asking


def log_in(server, name, password, tls=True):
    """The reply to PASS. The session is over then, and its lock free."""
    with (server.pop3s() if tls else server.pop3()) as client:
        client.ok(b"USER " + name.encode())
        reply = client.command(b"PASS " + password.encode())
        if reply.startswith(b"+OK"):
            client.quit()
        return reply


def assert_in(server, name, password):
    reply = log_in(server, name, password)
    assert reply.startswith(b"+OK"), (reply, server.log()[-3000:])


def assert_wrong(server, name, password):
    reply = log_in(server, name, password)
    assert reply.startswith(b"-ERR [AUTH]"), (reply, server.log()[-3000:])


def assert_unavailable(server, name, password):
    reply = log_in(server, name, password)
    assert reply.startswith(b"-ERR [SYS/TEMP]"), (reply, server.log()[-3000:])


def rcpt(server, address):
    """The code and the first line for one recipient."""
    with server.smtp() as client:
        client.hello()
        client.expect(250, b"MAIL FROM:<sender@elsewhere.example>")
        code, lines = client.ask(f"RCPT TO:<{address}>".encode())
        return code, lines[0]


def addresses(server):
    return [account["address"] for account in server.cli("user", "list")["accounts"]]


def outside(make_server, *settings, **tables):
    return make_server(domain=None, directory=list(settings), auth={"failure_delay": "0s", "cache_ttl": "5m"} | tables.pop("auth", {}), **tables)


def ordinary_life(server):
    """What every source that knows jane and nobody else must make possible."""
    assert rcpt(server, f"nobody@{DOMAIN}")[0] == 550
    assert_wrong(server, f"nobody@{DOMAIN}", RIGHT)
    assert addresses(server) == []
    server.deliver(f"Jane+news@{DOMAIN}", make_message("first"))
    assert addresses(server) == [JANE]
    server.wait_log("directory.outside_account_made")
    assert_wrong(server, JANE, "wrong")
    assert_wrong(server, JANE, RIGHT + "\x7f")
    assert len(server.fetch_all(JANE, RIGHT)) == 1
    assert_in(server, JANE.upper(), RIGHT)
    with pytest.raises(CliError) as refused:
        server.cli("user", "password", JANE, "--password-stdin", input="x\n")
    assert "kept by another directory" in refused.value.stderr
    with pytest.raises(CliError):
        server.cli("user", "add", JOHN, "--password-stdin", input="x\n")


# LDAP

@pytest.fixture
def slapd(directory):
    if not shutil.which("slapd"):
        pytest.skip("no slapd")
    slapd = Slapd(directory)
    slapd.load(slapd.person("jane", RIGHT))
    slapd.start()
    yield slapd
    slapd.stop()


@pytest.mark.parametrize("way", ["ldaps", "starttls", "attribute"])
def test_ldap(make_server, slapd, way):
    more = {"ldaps": {}, "starttls": {"url": slapd.url},
            "attribute": {"verify": "", "password_attribute": "userPassword"}}[way]
    server = outside(make_server, slapd.settings(**more))
    ordinary_life(server)
    slapd.add("john", "{SSHA}" + base64.b64encode(hashlib.sha1(b"secretsalt").digest() + b"salt").decode())
    assert_in(server, JOHN, "secret")


def test_an_empty_ldap_password_never_binds(make_server, slapd):
    """This slapd takes a name without a password for a success (RFC 4513 s5.1.2)."""
    server = outside(make_server, slapd.settings(**NEVER))
    assert subprocess.run(["ldapwhoami", "-x", "-H", slapd.url, "-D", f"cn=jane,{BASE}", "-w", ""], capture_output=True).returncode == 0
    server.deliver(JANE, make_message("first"))
    for password in ("", " "):
        with server.pop3s() as client:
            client.ok(b"USER " + JANE.encode())
            assert client.command(b"PASS " + password.encode()).startswith(b"-ERR")
    with server.pop3s() as client:
        plain = base64.b64encode(f"\0{JANE}\0".encode())
        assert client.command(b"AUTH PLAIN " + plain).startswith(b"-ERR")


def test_a_name_is_no_part_of_an_ldap_filter(make_server, slapd):
    server = outside(make_server, slapd.settings(**NEVER))
    for name in (f'"*"@{DOMAIN}', f'"ja*"@{DOMAIN}', f'"x)(mail=jane"@{DOMAIN}', f'"jane\\\\2a"@{DOMAIN}'):
        code, line = rcpt(server, name)
        assert code == 550, (name, line)
        assert_wrong(server, name, RIGHT)
    assert addresses(server) == []


def test_an_ldap_certificate_is_checked(make_server, slapd, directory):
    other = directory / "other"
    other.mkdir()
    stranger, _ = make_certificate(other)
    for more in ({"ca_file": str(stranger)}, {"ca_file": str(stranger), "url": slapd.url}, {"url": slapd.misnamed_url}):
        server = outside(make_server, slapd.settings(**more))
        assert rcpt(server, JANE)[0] == 451
        assert_unavailable(server, JANE, RIGHT)


def test_passwords_and_accounts_change_outside(make_server, slapd):
    server = outside(make_server, slapd.settings(fresh="1s", timeout="1s"))
    server.deliver(JANE, make_message("first"))
    assert_in(server, JANE, RIGHT)
    device = server.cli("device", "add", JANE, "--name", "phone")["password"]
    assert_in(server, JANE, device)
    slapd.set_password("jane", NEW)
    assert_in(server, JANE, NEW)
    time.sleep(1.2)
    assert_wrong(server, JANE, RIGHT)
    assert_in(server, JANE, NEW)
    slapd.remove("jane")
    time.sleep(1.2)
    assert_wrong(server, JANE, NEW)
    assert_wrong(server, JANE, device)
    assert rcpt(server, JANE)[0] == 550
    slapd.add("jane", RIGHT)
    time.sleep(1.2)
    assert len(server.fetch_all(JANE, RIGHT)) == 1, "the mail of an account that came back is there"
    assert_in(server, JANE, device)


def test_an_outage(make_server, slapd):
    """What was right lately goes on, over a restart, too; nobody is told that they are wrong."""
    server = outside(make_server, slapd.settings(**NEVER, cache="1h"))
    slapd.add("john", "john's")
    server.deliver(JANE, make_message("first"))
    assert_in(server, JANE, RIGHT)
    server.deliver(JOHN, make_message("first"))
    device = server.cli("device", "add", JANE, "--name", "phone")["password"]
    slapd.stop()
    for restarted in (False, True):
        if restarted:
            server.stop()
            server.start()
        assert_in(server, JANE, RIGHT)
        assert_in(server, JANE, device)
        assert_unavailable(server, JANE, "wrong")
        assert_unavailable(server, JOHN, "john's")  # it never logged in
        assert_unavailable(server, f"nobody@{DOMAIN}", "x")
        assert rcpt(server, JANE)[0] == 250
        code, line = rcpt(server, f"nobody@{DOMAIN}")
        assert code == 451, line
    server.wait_log("outside.silent")
    slapd.start()
    time.sleep(1.1)
    assert_in(server, JOHN, "john's")
    server.wait_log("outside.answers_again")
    time.sleep(10)  # so long nobody is told that they are wrong
    assert_wrong(server, JANE, "wrong")


def test_a_cache_of_nothing(make_server, slapd):
    server = outside(make_server, slapd.settings(**NEVER, cache="0s"))
    server.deliver(JANE, make_message("first"))
    assert_in(server, JANE, RIGHT)
    slapd.stop()
    assert_unavailable(server, JANE, RIGHT)
    assert rcpt(server, JANE)[0] == 451


def test_wrong_passwords_count_as_for_own_accounts(make_server, slapd):
    server = outside(make_server, slapd.settings(), auth={"failures_per_pair": 3, "longest_delay": "8s", "longest_wait": "0s"})
    server.deliver(JANE, make_message("first"))
    replies = [log_in(server, JANE, f"wrong {i}") for i in range(8)]
    assert replies[0].startswith(b"-ERR [AUTH]")
    assert replies[-1].startswith(b"-ERR [SYS/TEMP]")
    assert any(limit["limit"] == "pair" for limit in server.cli("blocked", "list")["blocked"])


def test_an_alias_leads_to_an_account_that_is_kept_outside(make_server, slapd):
    server = outside(make_server, slapd.settings(**NEVER))
    server.cli("alias", "add", f"team@{DOMAIN}", JANE, JOHN)
    server.deliver(f"team@{DOMAIN}", make_message("first"))
    assert addresses(server) == [JANE]
    slapd.add("john", "john's")
    server.deliver(f"team@{DOMAIN}", make_message("second"))
    assert addresses(server) == [JANE, JOHN]
    assert len(server.fetch_all(JANE, RIGHT)) == 2
    assert len(server.fetch_all(JOHN, "john's")) == 1


# SQL

def test_sqlite(make_server, directory):
    file = directory / "users.db"
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TABLE users (local TEXT, domain TEXT, password TEXT)")
        database.execute("INSERT INTO users VALUES ('jane', ?, ?)", (DOMAIN, "{PLAIN}" + RIGHT))
        database.commit()
    query = "SELECT password FROM users WHERE local = {local} AND domain = {domain}"
    server = outside(make_server, {"domains": [DOMAIN], "source": "sqlite", "connect": str(file), "password_query": query})
    ordinary_life(server)
    for name in (f"\"x' or '1'='1\"@{DOMAIN}", f"\"jane'--\"@{DOMAIN}"):
        assert rcpt(server, name)[0] == 550
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.execute("INSERT INTO users VALUES ('mute', ?, NULL)", (DOMAIN,))
        database.commit()
    assert rcpt(server, f"mute@{DOMAIN}")[0] == 250
    assert_wrong(server, f"mute@{DOMAIN}", "x")


def test_a_locked_sqlite_database_is_waited_for_no_longer_than_the_timeout(make_server, directory):
    file = directory / "users.db"
    query = "SELECT password FROM users WHERE address = {address}"
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.execute("CREATE TABLE users (address TEXT, password TEXT)")
        server = outside(make_server, {"domains": [DOMAIN], "source": "sqlite", "connect": str(file), "password_query": query, "timeout": "500ms"})
        assert rcpt(server, JANE)[0] == 550
        database.execute("BEGIN EXCLUSIVE")
        begun = time.monotonic()
        assert rcpt(server, JOHN)[0] == 451
        assert 0.4 < time.monotonic() - begun < 10


@pytest.fixture
def postgres():
    if Postgres.BIN is None:
        pytest.skip("no PostgreSQL")
    postgres = Postgres()
    postgres.start()
    yield postgres
    postgres.close()


def test_postgresql(make_server, postgres):
    postgres.sql("CREATE TABLE users (address text PRIMARY KEY, password text)")
    crypted = subprocess.run(["openssl", "passwd", "-6", RIGHT], check=True, capture_output=True, text=True).stdout.strip()
    postgres.sql(f"INSERT INTO users VALUES ('{JANE}', '{{CRYPT}}{crypted}')")
    settings = {"domains": [DOMAIN], "source": "postgresql", "connect": f"host=127.0.0.1 port={postgres.port} user=postgres dbname=postgres",
                "password_query": "SELECT password FROM users WHERE address = {address}", "fresh": "1s", "timeout": "2s"}
    server = outside(make_server, settings)
    ordinary_life(server)
    for name in (f"\"x' or '1'='1\"@{DOMAIN}", f"\"jane';--\"@{DOMAIN}"):
        assert rcpt(server, name)[0] == 550
    postgres.sql("DELETE FROM users")
    time.sleep(1.2)
    assert_wrong(server, JANE, RIGHT)
    quoted_new = NEW.replace("'", "''")
    postgres.sql(f"INSERT INTO users VALUES ('{JANE}', '{{PLAIN}}{quoted_new}')")
    time.sleep(1.2)
    assert_in(server, JANE, NEW)
    postgres.stop()
    time.sleep(1.2)
    assert_in(server, JANE, NEW)  # from the cache
    assert_unavailable(server, JANE, "wrong")
    postgres.start()
    time.sleep(1.2)
    assert_in(server, JANE, NEW)


def test_a_slow_query_ends_at_the_timeout_and_stalls_no_other_directory(make_server, postgres, directory):
    slow = {"domains": ["slow.test"], "source": "postgresql", "connect": f"host=127.0.0.1 port={postgres.port} user=postgres dbname=postgres",
            "password_query": "SELECT 'x' FROM pg_sleep(30) WHERE {address}::text <> ''", "timeout": "1s"}
    file = directory / "passwd"
    file.write_text(f"jane:{{PLAIN}}{RIGHT}\n")
    server = outside(make_server, slow, {"domains": [DOMAIN], "source": "passwd-file", "file": str(file)})
    begun = time.monotonic()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.smtp()) for _ in range(6)]
        for number, client in enumerate(clients):
            client.hello()
            client.expect(250, b"MAIL FROM:<sender@elsewhere.example>")
            client.send(f"RCPT TO:<user{number}@slow.test>\r\n".encode())
        assert_in(server, JANE, RIGHT)
        assert time.monotonic() - begun < 10
        assert [client.reply()[0] for client in clients] == [451] * 6


# PAM

@pytest.fixture
def unix_user():
    """A user of this machine, and services of PAM that know it."""
    if os.geteuid() != 0 or not shutil.which("useradd"):
        pytest.skip("pam_unix needs root")
    name = f"poplar{os.getpid() % 100000}"
    crypted = subprocess.run(["openssl", "passwd", "-6", RIGHT], check=True, capture_output=True, text=True).stdout.strip()
    subprocess.run(["useradd", "--no-create-home", "--shell", "/usr/sbin/nologin", "--password", crypted, name], check=True, capture_output=True)
    services = {kind: pathlib.Path(f"/etc/pam.d/poplar-test-{os.getpid()}-{kind}") for kind in ("unix", "slow", "crash")}
    services["unix"].write_text("auth required pam_unix.so nodelay\naccount required pam_unix.so\n")
    services["slow"].write_text("auth required pam_exec.so quiet /bin/sleep 30\naccount required pam_unix.so\n")
    try:
        yield name, services
    finally:
        subprocess.run(["userdel", name], check=True, capture_output=True)
        for service in services.values():
            service.unlink(missing_ok=True)


def test_pam(make_server, unix_user):
    name, services = unix_user
    server = outside(make_server, {"domains": [DOMAIN], "source": "pam", "service": services["unix"].name, **NEVER})
    account = f"{name}@{DOMAIN}"
    assert rcpt(server, f"nobody-at-all@{DOMAIN}")[0] == 550
    server.deliver(account, make_message("first"))
    assert_in(server, account, RIGHT)
    assert_wrong(server, account, "wrong")
    assert len(server.fetch_all(account, RIGHT)) == 1
    maps = pathlib.Path(f"/proc/{server.process.pid}/maps").read_text()
    assert "pam_unix" not in maps, "the server itself loads no module"
    helpers = subprocess.run(["pgrep", "-P", str(server.process.pid), "-x", "poplar-pam"], capture_output=True, text=True).stdout.split()
    assert len(helpers) == 1
    server.stop()
    deadline = time.monotonic() + 10
    while pathlib.Path(f"/proc/{helpers[0]}").exists():
        assert time.monotonic() < deadline, "the PAM process ends with the server"
        time.sleep(0.05)


def test_a_pam_module_that_hangs_is_killed_at_the_timeout(make_server, unix_user):
    name, services = unix_user
    server = outside(make_server, {"domains": [DOMAIN], "source": "pam", "service": services["slow"].name, "timeout": "1s", "connections": 1})
    account = f"{name}@{DOMAIN}"
    server.deliver(account, make_message("first"))
    begun = time.monotonic()
    assert_unavailable(server, account, RIGHT)
    assert time.monotonic() - begun < 15
    assert rcpt(server, account)[0] == 250


def test_a_pam_service_that_is_not_there_is_refused_at_the_start(make_server):
    server = make_server(start=False, directory=[{"domains": [DOMAIN], "source": "pam", "service": "poplar-no-such-service"}])
    server.spawn()
    assert server.process.wait(30) == 78
    assert "there is no /etc/pam.d/poplar-no-such-service" in server.log()
    server.process = None


# HTTP

@pytest.fixture
def web():
    service = WebService({JANE: RIGHT})
    yield service
    service.close()


def test_http(make_server, web):
    server = outside(make_server, {"domains": [DOMAIN], "source": "http", "url": web.url})
    ordinary_life(server)
    asked = [question for question in web.asked if question["address"] == JANE and "password" in question]
    assert {question["password"] for question in asked} >= {RIGHT, "wrong"}
    assert asked[0].keys() == {"address", "password", "protocol", "peer"}
    assert (asked[0]["protocol"], asked[0]["peer"]) == ("pop3", "127.0.0.1")
    before = len(web.asked)
    for _ in range(5):
        assert_in(server, JANE, RIGHT)
    assert len(web.asked) == before, "a fresh answer is not asked for again"


def test_a_web_service_that_answers_nonsense_or_late_counts_as_silent(make_server, web):
    server = outside(make_server, {"domains": [DOMAIN], "source": "http", "url": web.url, "timeout": "500ms", "fresh": "0s", "cache": "0s"})
    assert_in(server, JANE, RIGHT)
    for broken in (b"", b"[]", b"{}", b'{"exists": "yes", "ok": true}', b'{"exists": false, "ok": true}', b"[" * 5000):
        web.broken = broken
        assert_unavailable(server, JANE, RIGHT)
        web.broken = None
        time.sleep(1.1)
        assert_in(server, JANE, RIGHT)
    web.delay = 3
    begun = time.monotonic()
    assert_unavailable(server, JANE, RIGHT)
    assert time.monotonic() - begun < 3


# A passwd-file

def test_passwd_file(make_server, directory):
    file = directory / "passwd"
    file.write_text(f"jane:{{PLAIN}}{RIGHT}::::::\n")
    server = outside(make_server, {"domains": [DOMAIN], "source": "passwd-file", "file": str(file), "fresh": "0s"},
                     auth={"mechanisms": ["CRAM-MD5", "PLAIN"]}, pop3={"apop": True})
    ordinary_life(server)
    with server.pop3() as client:  # APOP works where the password is handed out in clear
        stamp = client.greeting[client.greeting.index(b"<"):client.greeting.index(b">") + 1]
        client.ok(b"APOP %s %s" % (JANE.encode(), hashlib.md5(stamp + RIGHT.encode()).hexdigest().encode()))
        client.quit()
    time.sleep(1.2)
    file.write_text(f"jane:{{PLAIN}}{NEW}\n"
                    f"out@{DOMAIN}:{{PLAIN}}x::::::nologin\n"
                    f"home@{DOMAIN}:{{PLAIN}}x::::::allow_nets=127.0.0.0/8\n"
                    f"away@{DOMAIN}:{{PLAIN}}x::::::allow_nets=192.0.2.0/24\n"
                    f"odd@{DOMAIN}:{{PLAIN}}x::::::proxy=y\n"
                    "other@elsewhere.test:{PLAIN}x\n")
    time.sleep(1.2)
    assert_in(server, JANE, NEW)
    assert_wrong(server, JANE, RIGHT)
    assert_in(server, f"home@{DOMAIN}", "x")
    for name in ("out", "away", "odd"):
        assert rcpt(server, f"{name}@{DOMAIN}")[0] == 250
        assert_wrong(server, f"{name}@{DOMAIN}", "x")
    assert rcpt(server, "other@elsewhere.test")[0] == 550
    server.wait_log_match(r"outside\.line_refused.*line=5.*proxy")
    file.unlink()
    assert_unavailable(server, JANE, "wrong")


# The configuration

def test_a_wrong_directory_is_refused_at_the_start(make_server, directory):
    ldap = {"domains": [DOMAIN], "source": "ldap", "url": "ldaps://x", "verify": "bind"}
    sql = {"domains": [DOMAIN], "source": "sqlite", "connect": "/x"}
    for settings, complaint in (({"source": "pam", "service": "login"}, "domains is missing"),
                                ({"domains": [DOMAIN]}, "source is missing"),
                                ({"domains": [DOMAIN], "source": "nis"}, "must be one of"),
                                (ldap | {"verify": ""}, "give one of verify"),
                                (ldap | {"url": "ldap://ldap.example", "starttls": False}, "in the clear"),
                                (ldap | {"filter": "(mail={adress})"}, "is none of {address}"),
                                (ldap | {"bind_dn": "cn=x"}, "need each other"),
                                (ldap | {"file": "/x"}, "file is not for this source"),
                                (ldap | {"ca_file": "/nonexistent"}, "/nonexistent is not there"),
                                (ldap | {"cache": "1s"}, "cache must be as long as fresh"),
                                (sql | {"password_query": "SELECT 1"}, "no {address}"),
                                (sql | {"password_query": "SELECT p FROM u WHERE a = '{address}'"}, "between quotation marks"),
                                ({"domains": [DOMAIN], "source": "http", "url": "http://elsewhere.example/"}, "for this machine alone")):
        server = make_server(start=False, directory=[settings])
        server.config_file.write_text(to_toml(server.config))
        done = server.run_cli("check-config")
        assert done.returncode == 78 and complaint in done.stdout + done.stderr, (settings, done.stdout, done.stderr)
