"""A POP3 client that hides nothing: it sends the octets it is given and keeps all that crossed the wire."""

import base64
import re
import socket
import ssl
import struct
import time


class Failed(Exception):
    """The server did something else than the case demands."""


class Skipped(Exception):
    """The case can't be tried here; its text says why."""


class Closed(Failed):
    """The connection ended where a reply was due."""


class Reply:
    """The first line of a reply, without its line end. `end` is the line end as it came."""

    def __init__(self, line, end, command=None):
        self.line, self.end, self.command = line, end, command

    @property
    def ok(self):
        return self.line[:3].upper() == b"+OK"

    @property
    def err(self):
        return self.line[:4].upper() == b"-ERR"

    @property
    def more(self):
        """A continuation of AUTH."""
        return self.line[:1] == b"+" and not self.ok

    @property
    def text(self):
        return self.line.partition(b" ")[2]

    @property
    def code(self):
        """The response code in upper case: RFC 2449 s8. None if there is none."""
        found = re.match(rb"\[([^\]]*)\]", self.text)
        return found[1].decode("latin-1").upper() if found else None

    def challenge(self):
        """The decoded challenge of AUTH; Failed if it is not one."""
        if not self.more:
            raise Failed(f"expected a challenge, got {self.line!r}")
        if self.line[1:2] != b" ":
            raise Failed(f'a challenge is "+", one space and base64: {self.line!r}')
        try:
            return base64.b64decode(self.line[2:], validate=True)
        except ValueError:
            raise Failed(f"the challenge is not base64: {self.line!r}") from None

    def __repr__(self):
        return repr(self.line)


def client_tls(version=None, certificate=None, legacy=False):
    """A context that checks no certificate: tests are not about trust. version: the only TLS version offered."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)  # cases ask how the connection ends
    if legacy:
        context.set_ciphers("ALL:@SECLEVEL=0")
    if version is not None:
        context.minimum_version = context.maximum_version = version
    if certificate:
        context.load_cert_chain(*certificate)
    return context


class Client:
    """One connection. timeout: seconds without an octet that fail a case; deadline: when the case must have ended."""

    def __init__(self, host, port, transcript, timeout, deadline, source=None):
        self.transcript, self.timeout, self.deadline = transcript, timeout, deadline
        self.input = bytearray()
        self.tls = None
        self.greeting = None
        self.state = "authorization"  # as far as this client knows
        self.deleted = False
        self.name = transcript.connection()
        self.note(f"connect to {host}:{port}")
        self.socket = socket.create_connection((host, port), self._patience())
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def note(self, text):
        self.transcript.add(self.name, "--", text)

    def _patience(self):
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise Failed("the case took longer than its time limit")
        return min(self.timeout, left)

    # Octets.

    def send(self, data):
        self.transcript.add(self.name, "C:", data)
        if re.search(rb"(?i)\bDELE\b", data):
            self.deleted = True
        self.socket.settimeout(self._patience())
        try:
            self.socket.sendall(data)
        except (OSError, ssl.SSLError) as error:
            raise Closed(f"sending failed: {error}") from None

    def fill(self, patience=None):
        """Receives something; False at the end of the connection."""
        self.socket.settimeout(patience or self._patience())
        try:
            data = self.socket.recv(1 << 16)
        except socket.timeout:
            raise TimeoutError from None
        except (ConnectionError, ssl.SSLError) as error:
            self.note(f"end of the connection: {error}")
            return False
        if not data:
            self.note("end of the connection")
            return False
        self.transcript.add(self.name, "S:", data)
        self.input += data
        return True

    def _more(self, what):
        try:
            if self.fill():
                return
        except TimeoutError:
            raise Failed(f"no {what} within {self.timeout:g} s") from None
        raise Closed(f"the server closed the connection where {what} was due")

    def reply(self, command=None):
        """The next line, tolerant of its line end: there are cases for that."""
        while True:
            end = self.input.find(b"\n")
            if end >= 0:
                line = bytes(self.input[:end + 1])
                del self.input[:end + 1]
                stripped = line.rstrip(b"\r\n")
                return Reply(stripped, line[len(stripped):], command)
            self._more("reply")

    def command(self, line):
        self.send(line + b"\r\n")
        return self.reply(line)

    def ok(self, line):
        reply = self.command(line)
        if not reply.ok:
            raise Failed(f"{line!r} was answered with {reply!r}, expected +OK")
        return reply

    def err(self, line):
        reply = self.command(line)
        if not reply.err:
            raise Failed(f"{line!r} was answered with {reply!r}, expected -ERR")
        return reply

    def body(self):
        """The rest of a multi-line reply as sent: stuffed, without the terminating line. Ends at CRLF.CRLF only."""
        searched = 0
        while True:
            if self.input[:3] == b".\r\n":
                del self.input[:3]
                return b""
            end = self.input.find(b"\r\n.\r\n", searched)
            if end >= 0:
                body = bytes(self.input[:end + 2])
                del self.input[:end + 5]
                return body
            searched = max(0, len(self.input) - 4)
            self._more("end of the multi-line reply (CRLF.CRLF)")

    def multi(self, line):
        self.ok(line)
        return self.body()

    def lines(self, command):
        return self.multi(command).split(b"\r\n")[:-1]

    def quiet(self, seconds=0.3):
        """True if nothing comes for a moment: for replies that must not come."""
        if self.input:
            return False
        try:
            return not self.fill(seconds)
        except TimeoutError:
            return True

    def closes(self, seconds=None):
        """True if the server ends the connection; what it still said is in `input`."""
        try:
            while self.fill(seconds):
                pass
            return True
        except TimeoutError:
            return False

    # POP3.

    def greet(self):
        self.greeting = self.reply()
        return self.greeting

    def start_tls(self, context=None):
        self.note("TLS handshake")
        self.socket.settimeout(self._patience())
        try:
            self.socket = (context or client_tls()).wrap_socket(self.socket, server_hostname="localhost",
                                                                suppress_ragged_eofs=False)
        except (OSError, ssl.SSLError) as error:
            raise Closed(f"the TLS handshake failed: {error}") from None
        self.tls = self.socket.version()
        self.note(f"{self.tls}, {self.socket.cipher()[0]}")

    def stls(self, context=None):
        self.ok(b"STLS")
        self.start_tls(context)

    def retr(self, number):
        """A message with the byte-stuffing undone."""
        return unstuff(self.multi(b"RETR %d" % number))

    def stat(self):
        reply = self.ok(b"STAT")
        found = re.match(rb"\+OK (\d+) (\d+)", reply.line)
        if not found:
            raise Failed(f"STAT's reply can't be read: {reply!r}")
        return int(found[1]), int(found[2])

    def listing(self, command=b"LIST"):
        """{message number: the rest of its line}"""
        listed = {}
        for line in self.lines(command):
            number, _, rest = line.partition(b" ")
            if not number.isdigit() or not rest:
                raise Failed(f"a line of {command.decode()} can't be read: {line!r}")
            listed[int(number)] = rest
        return listed

    def sizes(self):
        return {number: int(rest.split()[0]) for number, rest in self.listing().items()}

    def uidl(self):
        return self.listing(b"UIDL")

    def capabilities(self):
        """{TAG: [arguments]}, or None if CAPA is refused."""
        reply = self.command(b"CAPA")
        if not reply.ok:
            return None
        found = {}
        for line in self.body().split(b"\r\n")[:-1]:
            words = line.decode("latin-1").split(" ")
            found[words[0].upper()] = words[1:]
        return found

    def quit(self):
        reply = self.ok(b"QUIT")
        self.close()
        return reply

    def close(self):
        try:
            self.socket.close()
        except OSError:
            pass
        self.state = "closed"

    def abort(self):
        """Ends the connection with a TCP reset."""
        self.note("reset the connection")
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def finish(self):
        """The end of a case: nothing that it marked as deleted may be deleted by tidying up."""
        if self.state == "transaction":
            try:
                self.deadline = max(self.deadline, time.monotonic() + 2)
                self.timeout = min(self.timeout, 2)
                self.command(b"RSET")
                self.command(b"QUIT")
            except (Failed, OSError, TimeoutError):
                pass
        self.close()


def unstuff(body):
    """Undoes RFC 1939 s3's byte-stuffing."""
    return re.sub(rb"(\A|\r\n)\.", rb"\1", body)


class Transcript:
    """What crossed the wire in one case, over all of its connections."""

    LIMIT = 4000  # octets kept of one piece: enough for every reply, not for a large message

    def __init__(self):
        self.entries, self.connections = [], 0

    def connection(self):
        self.connections += 1
        return self.connections

    def add(self, connection, who, data):
        if self.entries and isinstance(data, bytes) and self.entries[-1][:2] == [connection, who]:
            self.entries[-1][2] += data[:self.LIMIT]
        else:
            self.entries.append([connection, who, data[:self.LIMIT]])

    def lines(self):
        """Readable lines: '1 C: b"..."', a line of the protocol each."""
        out = []
        for connection, who, data in self.entries:
            if isinstance(data, str):
                out.append(f"{connection} {who} {data}")
                continue
            shown = data[:self.LIMIT]
            pieces = shown.splitlines(keepends=True)
            for piece in pieces[:60]:
                out.append(f"{connection} {who} {ascii(piece)[1:]}")
            if len(pieces) > 60 or len(data) > len(shown):
                out.append(f"{connection} {who} ... ({len(data)} octets or more)")
        return out
