"""A real Poplar on loopback for the tests, and small raw clients that see every octet."""

import http.client
import json
import os
import pathlib
import random
import re
import signal
import socket
import ssl
import subprocess
import time

import standstill

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("POPLAR_BINARY", ROOT / "build/release/poplar"))
PRESET = os.environ.get("POPLAR_PRESET", "release")
SANITIZED = PRESET in ("asan", "tsan")
# How much longer things may take: sanitizers slow the server down several times.
PATIENCE = 6 if SANITIZED else 1
PASSWORD = "correct horse battery staple"
DOMAIN = "example.test"

_ports_given = set()


def free_port():
    """A port nobody listens on, below the range that outgoing connections take theirs from."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in _ports_given:
            _ports_given.add(port)
            return port


def make_certificate(directory, name="localhost"):
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
         "-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True)
    return certificate, key


def client_tls():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def to_toml(config):
    """Tables of scalars and lists, as this configuration has them: {"listen": {"pop3": [...]}, "hostname": ...}; and in them
    lists of tables, {"listener": [{"protocol": ...}]}, and tables."""
    def value(v):
        return json.dumps(v, ensure_ascii=False)

    def members(table):
        return [f"{k} = {value(v)}" for k, v in table.items()]

    def is_list_of_tables(v):
        return isinstance(v, list) and any(isinstance(one, dict) for one in v)
    lines = [f"{k} = {value(v)}" for k, v in config.items() if not isinstance(v, dict) and not is_list_of_tables(v)]
    for name, table in config.items():
        if isinstance(table, dict):
            plain = {k: v for k, v in table.items() if not is_list_of_tables(v) and not isinstance(v, dict)}
            lines += ["", f"[{name}]"] + members(plain)
            for k in table.keys() - plain.keys():
                if isinstance(table[k], dict):
                    lines += ["", f"[{name}.{k}]"] + members(table[k])
                    continue
                for one in table[k]:
                    lines += ["", f"[[{name}.{k}]]"] + members(one)
        elif is_list_of_tables(table):
            for one in table:
                lines += ["", f"[[{name}]]"] + members(one)
    return "\n".join(lines) + "\n"


class CliError(Exception):
    def __init__(self, done):
        super().__init__(f"exit {done.returncode}: {done.stdout}{done.stderr}")
        self.code, self.stdout, self.stderr = done.returncode, done.stdout, done.stderr


def run_poplar(*arguments, input=None, timeout=60, env=None):
    """Runs the program and returns the finished process; nothing is checked."""
    if isinstance(input, str):
        input = input.encode()
    done = subprocess.run([str(BINARY), *map(str, arguments)], input=input, capture_output=True, timeout=timeout * PATIENCE,
                          stdin=subprocess.DEVNULL if input is None else None, env=env)
    done.stdout, done.stderr = (t.decode("utf-8", "surrogateescape") for t in (done.stdout, done.stderr))
    return done


class AdminConnection(http.client.HTTPConnection):
    """HTTP over the admin socket."""

    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Server:
    """One data directory and the process that serves it."""

    def __init__(self, directory, /, **tables):
        self.directory = pathlib.Path(directory)
        self.data = self.directory / "data"
        self.port = {name: free_port() for name in ("pop3", "pop3s", "smtp", "lmtp")}
        self.lmtp_socket = self.directory / "lmtp.sock"
        self.certificate, self.key = make_certificate(self.directory)
        self.config = {
            "hostname": "mx.example.test",
            "data_dir": str(self.data),
            "admin_socket": str(self.directory / "admin.sock"),
            "listen": {
                "pop3": [f"127.0.0.1:{self.port['pop3']}"],
                "pop3s": [f"127.0.0.1:{self.port['pop3s']}"],
                "smtp": [f"127.0.0.1:{self.port['smtp']}"],
                "lmtp": [f"unix:{self.lmtp_socket}", f"127.0.0.1:{self.port['lmtp']}"],
            },
            "tls": {"certificate": str(self.certificate), "private_key": str(self.key)},
            "storage": {"segment_size": "16MiB"},
            "auth": {"failure_delay": "100ms"},
        }
        for name, table in tables.items():
            if isinstance(table, dict):
                self.config.setdefault(name, {}).update(table)
            else:
                self.config[name] = table
        self.config_file = self.directory / "poplar.toml"
        self.log_file = self.directory / "log"
        self.process = None

    # The process.

    def command(self):
        return [str(BINARY), "serve", "--config", str(self.config_file)]

    def spawn(self, **popen):
        """Starts it without waiting."""
        self.config_file.write_text(to_toml(self.config))
        self.log_begin = self.log_file.stat().st_size if self.log_file.exists() else 0
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(popen.pop("command", self.command()), stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, **popen)
        standstill.watch(self)
        return self

    def start(self, **popen):
        self.spawn(**popen)
        self.wait_ready()
        return self

    def wait_ready(self, seconds=30):
        deadline = time.monotonic() + seconds * PATIENCE
        while "server.ready" not in self.log():
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended with {self.process.returncode}:\n{self.log()}")
            if time.monotonic() > deadline:
                raise AssertionError(f"not ready after {seconds * PATIENCE} s:\n{self.log()}")
            time.sleep(0.02)

    def log(self):
        """The log since the last start."""
        with open(self.log_file, "rb") as file:
            file.seek(self.log_begin)
            return file.read().decode("utf-8", "replace")

    def wait_log(self, text, seconds=10):
        """Lines are written by a thread of their own: they may come after the reply to what caused them."""
        self.wait_log_match(re.escape(text), seconds)

    def wait_log_match(self, pattern, seconds=10):
        deadline = time.monotonic() + seconds * PATIENCE
        while not re.search(pattern, self.log()):
            assert time.monotonic() < deadline, f"{pattern!r} is not in the log:\n{self.log()}"
            time.sleep(0.02)

    def wait_log_file(self, file, text="server.ready", seconds=30):
        """The same for a log in a file of its own."""
        deadline = time.monotonic() + seconds * PATIENCE
        while not file.exists() or text not in file.read_text():
            assert self.process.poll() is None and time.monotonic() < deadline, f"{text!r} is not in {file}:\n{self.log()}"
            time.sleep(0.02)

    def stop(self, seconds=30):
        """SIGTERM; a clean end is part of every test."""
        if self.process is None:
            return
        process, self.process = self.process, None
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(seconds * PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"the server did not stop:\n{self.log()[-4000:]}") from None
        assert code == 0, f"the server ended with {code}:\n{self.log()[-8000:]}"
        assert "Sanitizer" not in self.log(), self.log()

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process = None

    def rss(self):
        """Resident memory in octets."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024

    # The command line.

    def run_cli(self, *arguments, **options):
        return run_poplar(*arguments, "--config", self.config_file, **options)

    def cli(self, *arguments, input=None, timeout=60):
        """The command's answer as a value, with --json; CliError if it fails."""
        done = self.run_cli(*arguments, "--json", input=input, timeout=timeout)
        if done.returncode != 0:
            raise CliError(done)
        return json.loads(done.stdout) if done.stdout.strip() else None

    # The admin API itself (docs/reference/admin-api.md): what the command line speaks, without a process each time.

    def admin_octets(self, method, target, body=None, timeout=60):
        """(status, the answer's octets); what breaks off is an error."""
        connection = AdminConnection(self.config["admin_socket"], timeout * PATIENCE)
        try:
            connection.request(method, target, None if body is None else json.dumps(body), {"Content-Type": "application/json"})
            reply = connection.getresponse()
            return reply.status, reply.read()
        finally:
            connection.close()

    def admin(self, method, target, body=None, **options):
        """(status, value)."""
        status, octets = self.admin_octets(method, target, body, **options)
        return status, json.loads(octets)

    def add_domain(self, name=DOMAIN):
        self.cli("domain", "add", name)

    def add_user(self, address, password=PASSWORD):
        self.cli("user", "add", address, "--password-stdin", input=password + "\n")
        return address

    # Peers.

    def pop3(self, **options):
        return Pop3(self.port["pop3"], **options)

    def pop3s(self, **options):
        return Pop3(self.port["pop3s"], tls=True, **options)

    def login(self, address, password=PASSWORD, **options):
        client = self.pop3(**options)
        client.login(address, password)
        return client

    def smtp(self, **options):
        return Smtp(self.port["smtp"], **options)

    def lmtp(self, unix=False, **options):
        return Lmtp(str(self.lmtp_socket) if unix else self.port["lmtp"], **options)

    def deliver(self, recipient, message, sender="sender@elsewhere.example"):
        """By LMTP; asserts that it was taken."""
        with self.lmtp() as client:
            client.hello()
            client.send_message(sender, [recipient], message)

    def fetch_all(self, address, password=PASSWORD):
        """[(unique-id, octets)] of the whole maildrop, in order, as they are stored (UTF8, RFC 6856)."""
        with self.pop3() as client:
            client.ok(b"UTF8")
            client.login(address, password)
            identities = client.uidl()
            messages = [(unique_id, client.retr(number)) for number, unique_id in identities.items()]
            client.quit()  # a login that follows at once must not find the maildrop in use
            return messages


class Wire:
    """A connection seen as octets. A server that says nothing for `timeout` fails the test. `source`: the client's
    address (netns.py), else 127.0.0.1."""

    def __init__(self, where, tls=False, timeout=30, greeting=True, source=None):
        if isinstance(where, str):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout * PATIENCE)
            self.socket.connect(where)
        else:
            host = "::1" if source and ":" in source else "127.0.0.1"
            self.socket = socket.create_connection((host, where), timeout * PATIENCE, source and (source, 0))
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.start_tls()
        self.input = bytearray()
        self.greeting = self.line() if greeting else b""

    def start_tls(self, context=None):
        self.socket = (context or client_tls()).wrap_socket(self.socket, server_hostname="localhost")

    def send(self, data):
        self.socket.sendall(data)

    def _receive(self):
        data = self.socket.recv(1 << 18)
        if not data:
            raise EOFError(f"the server closed the connection; unread: {bytes(self.input)!r}")
        self.input += data

    def _fill(self):
        try:
            self._receive()
        except TimeoutError:
            raise TimeoutError(f"the server said nothing for {self.socket.gettimeout():g} s; unread: {bytes(self.input[-200:])!r}\n"
                               f"{standstill.describe()}") from None

    def line(self):
        while (end := self.input.find(b"\n")) < 0:
            self._fill()
        line = bytes(self.input[:end + 1])
        del self.input[:end + 1]
        assert line.endswith(b"\r\n"), f"a reply ends with a bare LF: {line!r}"
        return line[:-2]

    def command(self, line):
        self.send(line + b"\r\n")
        return self.line()

    def closed(self):
        """Reads to the end of the connection and returns what was left."""
        try:
            while True:
                self._fill()
        except (EOFError, ConnectionResetError, ssl.SSLError):
            return bytes(self.input)

    def quiet(self, seconds=0.3):
        """True if the server says nothing for a moment: for answers that must not come."""
        if self.input:
            return False
        self.socket.settimeout(seconds)
        try:
            self._receive()
            return False
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(30 * PATIENCE)

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


_STUFFED = re.compile(rb"(?:(?<=\r\n)|\A)\.")


def stuffed(message):
    """As it goes over the wire, without the line that ends it."""
    return re.sub(rb"(?m)^\.", b"..", message)


class Pop3(Wire):
    def ok(self, line):
        reply = self.command(line)
        assert reply.startswith(b"+OK"), f"{line!r}: {reply!r}"
        return reply

    def err(self, line):
        reply = self.command(line)
        assert reply.startswith(b"-ERR"), f"{line!r}: {reply!r}"
        return reply

    def login(self, address, password=PASSWORD):
        assert self.greeting.startswith(b"+OK"), self.greeting
        self.ok(b"USER " + address.encode())
        self.ok(b"PASS " + password.encode())
        return self

    def body(self):
        """The lines behind a multi-line +OK, octet by octet as sent (stuffed), without the terminating line."""
        while len(self.input) < 3:
            self._fill()
        if self.input[:3] == b".\r\n":
            del self.input[:3]
            return b""
        searched = 0
        while (end := self.input.find(b"\r\n.\r\n", searched)) < 0:
            searched = max(0, len(self.input) - 4)
            self._fill()
        body = bytes(self.input[:end + 2])
        del self.input[:end + 5]
        return body

    def multi(self, command):
        self.ok(command)
        return self.body()

    def retr(self, number):
        """The message as it was sent: byte-stuffing undone."""
        return _STUFFED.sub(b"", self.multi(b"RETR %d" % number))

    def stat(self):
        _, count, octets = self.ok(b"STAT").split()[:3]
        return int(count), int(octets)

    def listing(self):
        return {int(n): int(size) for n, size in (line.split() for line in self.multi(b"LIST").splitlines())}

    def uidl(self):
        return {int(n): uid.decode() for n, uid in (line.split() for line in self.multi(b"UIDL").splitlines())}

    def quit(self):
        reply = self.ok(b"QUIT")
        assert self.closed() == b""
        self.close()
        return reply

    def stls(self):
        self.ok(b"STLS")
        self.start_tls()


class Smtp(Wire):
    hello_command = b"EHLO client.example"

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        if self.greeting[3:4] == b"-":
            self.reply_rest()

    def reply_rest(self):
        while self.line()[3:4] == b"-":
            pass

    def reply(self):
        """One whole reply: (code, lines)."""
        lines = [self.line()]
        while lines[-1][3:4] == b"-":
            lines.append(self.line())
        code = int(lines[0][:3])
        assert all(int(line[:3]) == code for line in lines), lines
        return code, [line[4:].decode() for line in lines]

    def ask(self, command):
        self.send(command + b"\r\n")
        return self.reply()

    def expect(self, code, command):
        got = self.ask(command)
        assert got[0] == code, f"{command!r}: {got}"
        return got[1]

    def hello(self):
        return self.expect(250, self.hello_command)

    def starttls(self, context=None):
        self.expect(220, b"STARTTLS")
        self.start_tls(context)

    def envelope(self, sender, recipients, options=""):
        self.expect(250, f"MAIL FROM:<{sender}>{' ' + options if options else ''}".encode())
        for recipient in recipients:
            self.expect(250, f"RCPT TO:<{recipient}>".encode())

    def data(self, message):
        """Sends the message after 354, stuffed and terminated; replies are for the caller."""
        self.expect(354, b"DATA")
        octets = stuffed(message)
        self.send(octets + (b"" if octets.endswith(b"\r\n") else b"\r\n") + b".\r\n")

    def send_message(self, sender, recipients, message, options=""):
        self.envelope(sender, recipients, options)
        self.data(message)
        for code, lines in self.final_replies(len(recipients)):
            assert code == 250, (code, lines)

    def final_replies(self, _recipients):
        return [self.reply()]


class Lmtp(Smtp):
    hello_command = b"LHLO client.example"

    def final_replies(self, recipients):
        return [self.reply() for _ in range(recipients)]


_TRACE = re.compile(rb"(?:(?:Return-Path|Delivered-To|Received):(?:[^\r\n]*\r\n)(?:[ \t][^\r\n]*\r\n)*)*")


def without_trace(stored):
    """The stored message without the trace fields put in front of it at delivery."""
    head = _TRACE.match(stored)
    assert head.end() > 0, f"no trace fields: {stored[:200]!r}"
    return stored[head.end():]


def trace_of(stored):
    return _TRACE.match(stored)[0]


def make_message(name, octets=400, seed=None):
    """A message with CRLF line ends whose bytes depend on `name` only: some lines begin with dots, some are empty."""
    rng = random.Random(f"{name}/{seed}")
    head = f"From: sender@elsewhere.example\r\nTo: someone@example.test\r\nSubject: {name}\r\nX-Test-Name: {name}\r\n\r\n".encode()
    lines, size = [head], len(head)
    while size < octets:
        kind = rng.randrange(8)
        text = b"" if kind == 0 else b"." * rng.randrange(1, 4) if kind == 1 else b".x" if kind == 2 else \
            bytes(rng.choices(b"abcdefghijklmnopqrstuvwxyz .=", k=rng.randrange(1, 76)))
        lines.append(text + b"\r\n")
        size += len(lines[-1])
    return b"".join(lines)


def big_message(name, octets):
    """Like make_message, but made quickly: one block again and again, numbered."""
    block = make_message(name, 60000).split(b"\r\n\r\n", 1)[1]
    parts, size = [make_message(name, 0)], 0
    while size < octets:
        part = b"block %d\r\n" % size + block
        parts.append(part)
        size += len(part)
    return b"".join(parts)
