"""ManageSieve as the wire sees it (RFC 5804), and by sieve-connect."""

import base64
import hashlib
import hmac
import os
import re
import subprocess

import pytest

from poplar_server import DOMAIN, PASSWORD, CliError, Wire, client_tls, free_port, make_message

FRED = f"fred@{DOMAIN}"
KEEP = b"keep;\r\n"


class ManageSieve(Wire):
    """A client. Answers are (status, code, text); what came before them is in `lines`, strings decoded."""

    def __init__(self, server):
        super().__init__(server.port["sieve"], greeting=False)
        self.greeting = self.answer()

    def octets(self, count):
        while len(self.input) < count:
            self._fill()
        taken = bytes(self.input[:count])
        del self.input[:count]
        return taken

    def whole_line(self):
        """A line with the literals in it, each as a quoted string without escapes would not do: as a list of tokens."""
        tokens = []
        while True:
            line = self.line()
            literal = re.search(rb"\{(\d+)\}$", line)
            text = line[:literal.start()] if literal else line
            for word in re.finditer(rb'"((?:[^"\\]|\\.)*)"|([^\s"()]+)|([()])', text):
                quoted, atom, bracket = word.groups()
                tokens.append(bracket or atom or ("s", re.sub(rb"\\(.)", rb"\1", quoted)))
            if not literal:
                return tokens
            tokens.append(("s", self.octets(int(literal[1]))))

    def answer(self):
        self.lines = []
        while True:
            tokens = self.whole_line()
            if tokens and tokens[0] in (b"OK", b"NO", b"BYE"):
                break
            self.lines.append([t[1] if isinstance(t, tuple) else t for t in tokens])
        status, rest, code = tokens[0].decode(), tokens[1:], []
        if rest and rest[0] == b"(":
            end = rest.index(b")")
            code, rest = rest[1:end], rest[end + 1:]
        code = b" ".join(t[1] if isinstance(t, tuple) else t for t in code).decode()
        return status, code, rest[0][1].decode() if rest else ""

    def ask(self, line, *literals):
        for literal in literals:
            line += b" {%d+}\r\n" % len(literal) + literal
        self.send(line + b"\r\n")
        return self.answer()

    def ok(self, line, *literals):
        status, _, text = self.ask(line, *literals)
        assert status == "OK", text
        return self.lines

    def no(self, line, *literals):
        status, code, text = self.ask(line, *literals)
        assert status == "NO", text
        return code, text

    def capabilities(self):
        return {line[0].decode(): line[1].decode() if len(line) > 1 else None for line in self.ok(b"CAPABILITY")}

    def login(self, account=FRED, password=PASSWORD):
        response = base64.b64encode(f"\0{account}\0{password}".encode())
        return self.ask(b'AUTHENTICATE "PLAIN"', response)


@pytest.fixture
def server(make_server):
    port = free_port()
    auth = {"mechanisms": ["SCRAM-SHA-256", "PLAIN"], "scram_keys": ["SHA-256"], "scram_iterations": 4096}
    server = make_server(listen={"sieve": [f"127.0.0.1:{port}"]}, auth=auth)
    server.port["sieve"] = port
    server.add_user(FRED)
    return server


@pytest.fixture
def client(server):
    with ManageSieve(server) as client:
        assert client.login()[0] == "OK"
        yield client


def test_greeting_and_capabilities(server):
    with ManageSieve(server) as client:
        assert client.greeting[0] == "OK"
        greeted = {line[0].decode(): line[1].decode() if len(line) > 1 else None for line in client.lines}
        assert client.lines[0][0] == b"IMPLEMENTATION"
        assert greeted["VERSION"] == "1.0" and "STARTTLS" in greeted and "OWNER" not in greeted
        assert {"fileinto", "vacation", "enotify", "reject"} <= set(greeted["SIEVE"].split())
        assert "PLAIN" in greeted["SASL"].split() and "SCRAM-SHA-256" in greeted["SASL"].split()
        assert greeted["NOTIFY"] == "mailto" and int(greeted["MAXREDIRECTS"]) > 0 and greeted["LANGUAGE"] == "en"
        assert client.capabilities() == greeted
        assert client.login()[0] == "OK"
        after = client.capabilities()
        assert after["OWNER"] == FRED and "STARTTLS" not in after


def test_starttls_tells_capabilities_again_and_forgets_what_came_before(server):
    with ManageSieve(server) as client:
        client.send(b"STARTTLS\r\nNOOP \"smuggled\"\r\n")
        assert client.answer()[0] == "OK"
        client.start_tls()
        assert client.answer()[0] == "OK"
        assert "STARTTLS" not in {line[0].decode() for line in client.lines}
        assert client.ask(b'NOOP "x"') == ("OK", "TAG x", "done")
        assert client.no(b"STARTTLS")
        assert client.login()[0] == "OK"


def test_logins(server):
    with ManageSieve(server) as client:
        for line in (b"LISTSCRIPTS", b'PUTSCRIPT "a" "keep;"', b"UNAUTHENTICATE", b'HAVESPACE "a" 5'):
            assert "log in" in client.no(line)[1]
        assert client.login(password="wrong")[:2] == ("NO", "")
        assert client.no(b'AUTHENTICATE "X-UNKNOWN"')
        client.send(b'AUTHENTICATE "PLAIN"\r\n')
        assert client.whole_line() == [("s", b"")]
        assert client.ask(b'"*"')[0] == "NO", "RFC 5804 s2.1"
        assert client.login()[0] == "OK"
        assert client.no(b'AUTHENTICATE "PLAIN"')
        assert client.ok(b"UNAUTHENTICATE") == []
        assert client.no(b"LISTSCRIPTS")
        assert client.login()[0] == "OK"
        client.ok(b"LISTSCRIPTS")
        client.ok(b"LOGOUT")
        client.closed()
    with ManageSieve(server) as client:
        answers = [client.login(password="wrong")[0] for _ in range(3)]
        assert answers == ["NO", "NO", "BYE"]
        client.closed()
    server.wait_log("managesieve.login")
    server.wait_log("managesieve.auth_failed")


def test_scram(server):
    """RFC 5802, the last message of the server as a challenge of its own."""
    with ManageSieve(server) as client:
        nonce = base64.b64encode(os.urandom(18)).decode()
        bare = f"n={FRED},r={nonce}"
        client.send(b'AUTHENTICATE "SCRAM-SHA-256" "' + base64.b64encode(("n,," + bare).encode()) + b'"\r\n')
        first = base64.b64decode(client.whole_line()[0][1]).decode()
        fields = dict(part.split("=", 1) for part in first.split(","))
        key = hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
        client_key = hmac.digest(key, b"Client Key", "sha256")
        without_proof = f"c=biws,r={fields['r']}"
        message = ",".join((bare, first, without_proof)).encode()
        signature = hmac.digest(hashlib.sha256(client_key).digest(), message, "sha256")
        proof = base64.b64encode(bytes(a ^ b for a, b in zip(client_key, signature))).decode()
        client.send(b'"' + base64.b64encode(f"{without_proof},p={proof}".encode()) + b'"\r\n')
        final = base64.b64decode(client.whole_line()[0][1])
        wanted = hmac.digest(hmac.digest(key, b"Server Key", "sha256"), message, "sha256")
        assert final == b"v=" + base64.b64encode(wanted)
        assert client.ask(b'""')[0] == "OK"
        client.ok(b"LISTSCRIPTS")


def test_scripts_live_and_run(server, client):
    assert client.ok(b"LISTSCRIPTS") == []
    script = b'require "fileinto";\r\nfileinto :create "x";\r\n'.replace(b'"fileinto"', b'["fileinto", "mailbox"]')
    client.ok(b'PUTSCRIPT "main"', script)
    client.ok('PUTSCRIPT "ä \\"b\\""'.encode(), KEEP)
    assert client.ok(b"LISTSCRIPTS") == [[b"main"], ['ä "b"'.encode()]]
    client.ok(b'SETACTIVE "main"')
    assert client.ok(b"LISTSCRIPTS")[0] == [b"main", b"ACTIVE"]
    assert client.ok(b'GETSCRIPT "main"') == [[script]]
    server.deliver(FRED, make_message("one"))
    assert len(server.cli("mail", "list", FRED, "--mailbox", "x")["messages"]) == 1
    assert client.no(b'DELETESCRIPT "main"')[0] == "ACTIVE"
    client.ok(b'RENAMESCRIPT "main" "other"')
    assert client.no(b'GETSCRIPT "main"')[0] == "NONEXISTENT"
    server.deliver(FRED, make_message("two"))
    assert len(server.cli("mail", "list", FRED, "--mailbox", "x")["messages"]) == 2, "it is active under its new name"
    assert client.no('RENAMESCRIPT "other" "ä \\"b\\""'.encode())[0] == "ALREADYEXISTS"
    assert client.no(b'RENAMESCRIPT "none" "x"')[0] == "NONEXISTENT"
    client.ok(b'SETACTIVE ""')
    client.ok(b'DELETESCRIPT "other"')
    assert client.no(b'DELETESCRIPT "other"')[0] == "NONEXISTENT"
    assert client.no(b'SETACTIVE "other"')[0] == "NONEXISTENT"
    assert [one["name"] for one in server.cli("sieve", "list", FRED)["scripts"]] == ['ä "b"']


def test_a_wrong_script_is_refused_with_its_places(client):
    code, text = client.no(b'PUTSCRIPT "bad"', b"keep\r\n")
    assert code == "" and text.startswith("line 2, column 1: ")
    assert client.no(b"CHECKSCRIPT", b"fileinto \"x\";")[1].startswith("line 1, column 1: ")
    assert "\r\n" in client.no(b"CHECKSCRIPT", b"fileinto \"x\";\r\nreject \"x\";")[1], "each on a line"
    client.ok(b"CHECKSCRIPT", KEEP)
    assert client.ok(b"LISTSCRIPTS") == []


def test_a_doubtful_script_is_taken_with_warnings(client):
    for command in (b'PUTSCRIPT "odd"', b"CHECKSCRIPT"):
        status, code, text = client.ask(command, b"stop;\r\nkeep;\r\n")
        assert (status, code) == ("OK", "WARNINGS") and text.startswith("line 2, column 1: ")
    assert client.ok(b"LISTSCRIPTS") == [[b"odd"]]


def test_names_and_room(make_server):
    port = free_port()
    server = make_server(listen={"sieve": [f"127.0.0.1:{port}"]}, sieve={"max_script": 2000, "max_scripts": 2})
    server.port["sieve"] = port
    server.add_user(FRED)
    with ManageSieve(server) as client:
        client.login()
        longest = ("ä" * 256).encode()
        client.ok(b'PUTSCRIPT "' + longest + b'"', KEEP)
        for bad in (longest + b"x", b"", "a\u2028".encode(), b"a\x7f"):
            assert client.ask(b'PUTSCRIPT "' + bad + b'"', KEEP)[0] == "NO"
        client.ok(b'HAVESPACE "b" 2000')
        assert client.no(b'HAVESPACE "b" 2001')[0] == "QUOTA/MAXSIZE"
        client.ok(b'PUTSCRIPT "b"', KEEP)
        assert client.no(b'HAVESPACE "c" 1')[0] == "QUOTA/MAXSCRIPTS"
        assert client.no(b'PUTSCRIPT "c"', KEEP)[0] == "QUOTA/MAXSCRIPTS"
        client.ok(b'HAVESPACE "b" 1')
        client.ok(b'PUTSCRIPT "b"', KEEP)
        assert client.no(b'PUTSCRIPT "b"', b"# " + b"x" * 2000 + b"\r\n")[0] == "QUOTA/MAXSIZE"
        assert client.no(b'PUTSCRIPT "b"', b"x" * 100_000)[0] == "QUOTA/MAXSIZE"
        assert client.ok(b'GETSCRIPT "b"') == [[KEEP]]


def test_noop_echoes_its_tag(client):
    for tag in (b"x", b'a "b" \\', b"\r\nLOGOUT\r\n", b""):
        status, code, _ = client.ask(b"NOOP", tag)
        assert (status, code) == ("OK", "TAG " + tag.decode())
    assert client.ask(b"noop") == ("OK", "", "done")


def test_octets_of_a_literal_are_never_commands(server):
    smuggled = b"\r\nNOOP \"smuggled\"\r\n"
    with ManageSieve(server) as client:
        assert client.ask(b'PUTSCRIPT "a"', smuggled)[0] == "NO", "before the login"
        assert client.ask(b"NONSENSE", smuggled)[0] == "NO"
        assert client.ask(b'GETSCRIPT "unfinished', smuggled)[0] == "NO"
        assert client.ask(b'PUTSCRIPT "a"', b"x" * 60_000)[0] == "NO", "too large before the login"
        assert client.ask(b'NOOP "real"') == ("OK", "TAG real", "done")
        client.send(b'NOOP {16}\r\n' + smuggled)
        assert client.answer()[0] == "BYE", "a client's literal waits for nobody"
        assert b"smuggled" not in client.closed()
    with ManageSieve(server) as client:
        client.send(b'PUTSCRIPT "a" {999999999+}\r\n' + smuggled)
        assert client.answer()[:2] == ("BYE", "QUOTA/MAXSIZE")
        assert b"smuggled" not in client.closed()
    with ManageSieve(server) as client:
        client.send(b"NOOP \"" + b"x" * 20_000 + b"\" {18+}\r\n" + smuggled)
        assert client.answer()[0] == "BYE"
        assert b"smuggled" not in client.closed()


def test_bad_commands_and_browsers_are_shown_out(server):
    with ManageSieve(server) as client:
        answers = [client.ask(b"NONSENSE")[0] for _ in range(20)]
        assert answers == ["NO"] * 19 + ["BYE"]
        client.closed()
    with ManageSieve(server) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.answer()[0] == "BYE"
        client.closed()


def test_a_device_needs_the_protocol(server):
    for protocol, allowed in (("pop3", "NO"), ("sieve", "OK")):
        made = server.cli("device", "add", FRED, "--name", protocol, "--protocols", protocol)
        with ManageSieve(server) as client:
            assert client.login(password=made["password"])[0] == allowed


def test_a_session_ends_with_its_account(server, client):
    server.cli("user", "password", FRED, "--password-stdin", input="Another-1-password\n")
    assert client.answer()[0] == "BYE"
    client.closed()


def test_sieve_connect(server, directory, need):
    """Debian's client, over TLS, with a mechanism of its own choice."""
    need("sieve-connect")
    script = directory / "mine.sieve"
    script.write_bytes(b'require "fileinto";\nfileinto "x";\n')
    host = ["--server", "localhost", "--port", str(server.port["sieve"]), "--user", FRED, "--passwordfd", "0", "--4",
            "--tlscafile", str(server.certificate), "--nosslverify"]

    def run(*arguments):
        done = subprocess.run(["sieve-connect", *host, *arguments], input=PASSWORD + "\n", capture_output=True, text=True,
                              timeout=60, cwd=directory)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("--upload", "--localsieve", str(script), "--remotesieve", "mine")
    run("--activate", "--remotesieve", "mine")
    assert re.search(r'"?mine"?\s+ACTIVE', run("--list"))
    run("--download", "--remotesieve", "mine", "--localsieve", str(directory / "back.sieve"))
    assert (directory / "back.sieve").read_bytes().strip() == script.read_bytes().strip()
    run("--deactivate")
    run("--delete", "--remotesieve", "mine")
    with pytest.raises(CliError):
        server.cli("sieve", "get", FRED, "mine")
