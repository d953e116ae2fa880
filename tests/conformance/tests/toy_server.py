"""A small POP3 server that is right, and can be made wrong in one way at a time: to test the suite itself.

Mail is kept in memory; `inject` is the suite's way to deliver. A mutation is a name out of MUTATIONS in
test_mutations.py; wherever the server could go wrong it asks `self.wrong("name")`.
"""

import base64
import hashlib
import hmac
import itertools
import os
import re
import socket
import ssl
import tempfile
import threading
import time
import unicodedata

from pop3conformance.sasl import exported

SALT, ITERATIONS = b"0123456789ab", 4096
# Only after the three connections of the suite's first look, which could not get in otherwise.
LATE = {"greeting is an error", "plain on the TLS port", "TLS 1.0", "TLS 1.1", "greets before TLS",
        "lf line ends", "line after the end", "QUIT refused"}
LANGUAGES = {"en": "English", "de": "Deutsch", "fr": "Français"}
TEXTS = {"en": "no such message", "de": "keine solche Nachricht größer", "fr": "aucun message numéroté ainsi"}


class Message:
    _numbers = itertools.count(1)

    def __init__(self, text):
        self.text = b"Received: by toy; Mon, 01 Jun 2026 12:00:00 +0000\r\n" + text
        self.unique_id = b"u%d" % next(self._numbers)


class Maildrop:
    def __init__(self):
        self.messages, self.lock = [], threading.Lock()
        self.owner, self.last_login = None, 0.0


def surrogate(text):
    """RFC 6858, as far as the suite's messages need it."""
    head, blank, body = text.partition(b"\r\n\r\n")
    lines = []
    for line in head.decode().split("\r\n"):
        name = line.partition(":")[0].lower()
        if line.isascii():
            lines.append(line)
        elif name == "subject":
            encoded = base64.b64encode(line.partition(":")[2].strip().encode()).decode()
            lines.append(f"Subject: =?utf-8?b?{encoded}?=")
        elif name == "from":
            lines.append("From: internationalized <invalid@internationalized.invalid>")
    parts = []
    for line in body.split(b"\r\n"):
        if not line.isascii() and line.lower().startswith(b"content-"):
            line = line.split(b";")[0]
            if not line.isascii():
                continue
        parts.append(line)
    return "\r\n".join(lines).encode() + blank + b"\r\n".join(parts)


class End(Exception):
    """The session is over."""


class Session:
    def __init__(self, server, connection, tls, secrets=""):
        self.server, self.socket, self.tls, self.secrets = server, connection, tls, secrets
        self.input = b""
        self.user = self.maildrop = self.account = None
        self.messages, self.deleted = [], set()
        self.utf8, self.language, self.stopped, self.refuses = False, "en", False, frozenset()
        self.failed = self.reset = False

    def wrong(self, name):
        return self.server.wrong(name)

    # Octets.

    def send(self, data):
        if self.wrong("lf line ends"):
            data = data.replace(b"\r\n", b"\n") if data[:1] in b"+-" else data
        self.socket.sendall(data)

    def read_line(self, limit=8192):
        while b"\n" not in self.input:
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                begun, self.input = self.input.strip().upper(), b""
                if self.wrong("QUIT without line end") and begun == b"QUIT" or self.wrong("prefix of QUIT") and begun == b"QUI":
                    return b"QUIT"
                if self.wrong("update at lost connection") and self.maildrop:
                    self.update()
                raise End
            self.input += data
            if self.wrong("lines must come whole") and b"\n" not in self.input:
                line, self.input = self.input, b""
                return line
            if self.wrong("pipelining lost"):
                line, _, rest = self.input.partition(b"\n")
                self.input = b""
                return line.rstrip(b"\r")
        line, _, self.input = self.input.partition(b"\n")
        line = line.rstrip(b"\r")
        if self.wrong("long lines split") and len(line) > 200 and b" " in line[:6]:
            self.input = line[200:] + b"\r\n" + self.input
            line = line[:200]
        return line

    def ok(self, text="fine"):
        if self.wrong("lower case status"):
            return self.send(f"+ok {text}\r\n".encode())
        self.send(f"+OK {text}\r\n".encode())

    def err(self, text="no"):
        if self.wrong("brackets in texts"):
            text = "[ what is this?] " + text
        if self.wrong("two lines for an error"):
            text += "\r\n-ERR really"
        if self.wrong("AUTH for everything") and text[0] != "[":
            text = "[AUTH] " + text
        if self.wrong("long error text"):
            text += "x" * 600
        self.send(f"-ERR {text}\r\n".encode())

    def multi(self, first, body, stuff=True):
        if stuff and not self.wrong("no stuffing"):
            body = re.sub(rb"(\A|\r\n)\.", rb"\1..", body)
        if body and not body.endswith(b"\r\n"):
            body += b"\r\n"
        self.send(f"+OK {first}\r\n".encode() + body + (b".\r\n\r\n" if self.wrong("line after the end") else b".\r\n"))

    # The session.

    def run(self):
        try:
            if self.wrong("login by certificate") and self.certified():
                self.maildrop = self.server.maildrops[self.server.token_account]
            stamp = "" if not self.server.apop else f" <{os.urandom(6).hex()}@toy.example.test>"
            if self.wrong("same timestamp"):
                stamp = " <same@toy.example.test>"
            if self.wrong("timestamp without host"):
                stamp = f" <{os.urandom(6).hex()}>"
            self.stamp = stamp.strip().encode()
            self.send(f"{'-ERR' if self.wrong('greeting is an error') else '+OK'} toy{stamp}\r\n".encode())
            if self.wrong("two greetings"):
                self.send(b"+OK again\r\n")
            while not self.stopped:
                self.command(self.read_line())
        except (End, OSError, ssl.SSLError):
            pass
        finally:
            if not self.wrong("lock for ever"):
                self.release()
            if self.tls and not self.wrong("no close alert"):
                try:
                    self.socket.settimeout(1)
                    self.socket = self.socket.unwrap()
                except (OSError, ssl.SSLError, ValueError):
                    pass
            self.socket.close()

    def release(self):
        if self.maildrop and self.maildrop.owner is self:
            self.maildrop.owner = None

    def command(self, line):
        if self.wrong("leading space forgiven"):
            line = line.lstrip()
        word, _, rest = line.partition(b" ")
        keyword = b"?" if self.wrong("case-sensitive") and word != word.upper() else word.upper()
        if self.wrong("prefixes are enough") and keyword.startswith(b"STAT"):
            keyword = b"STAT"
        if self.wrong("abbreviations") and len(keyword) >= 3 and b"STAT".startswith(keyword):
            keyword = b"STAT"
        if self.wrong("empty line ignored") and not line:
            return None
        try:
            name = keyword.decode("ascii").lower()
        except UnicodeDecodeError:
            name = "?"
        both = {"quit", "capa", "lang"}
        before = {"user", "pass", "apop", "stls", "auth", "utf8"}
        after = {"stat", "list", "retr", "dele", "noop", "rset", "top", "uidl"}
        if self.wrong("UTF8 after login"):
            both = both | {"utf8"}
        if self.wrong("USER after login"):
            both = both | {"user"}
        if self.wrong("STLS after login"):
            both = both | {"stls"}
        if self.wrong("AUTH after login"):
            both = both | {"auth"}
        if name in self.refuses:
            return self.err("no more")
        if name in both | (after if self.maildrop else before) and name not in self.server.without:
            user = self.user
            self.user = user if self.wrong("PASS any time") else None
            return getattr(self, "do_" + name)(rest, user) if name == "pass" else getattr(self, "do_" + name)(rest)
        if name not in both | before | after or name in self.server.without:
            if not self.wrong("PASS any time"):
                self.user = None
            return self.ok() if self.wrong("unknown is fine") else self.err("unknown command")
        self.user = self.user if self.wrong("PASS any time") else None
        if self.wrong("anything after login" if self.maildrop else "anything before login"):
            return self.ok("0 0")
        return self.err("not now")

    # Before login.

    def do_quit(self, rest):
        if self.maildrop and not self.wrong("QUIT deletes nothing"):
            self.update()
        if self.wrong("goes on after QUIT") and b"\n" in self.input:
            return self.ok("later")
        if self.wrong("QUIT refused after failure") and self.failed:
            return self.err()
        if not self.wrong("lock for ever"):
            self.release()
        self.send(b"-ERR no\r\n") if self.wrong("QUIT refused") else self.ok("bye")
        if not self.wrong("open after QUIT"):
            self.stopped = True

    def update(self):
        doomed = {id(self.messages[n - 1]) for n in self.deleted if n <= len(self.messages)}
        if self.wrong("QUIT deletes too much") and doomed:
            doomed = {id(message) for message in self.messages}
        if self.wrong("QUIT deletes what was read"):
            doomed |= {id(message) for message in getattr(self, "seen", [])}
        if self.wrong("QUIT deletes new mail") and doomed:
            doomed = {id(message) for message in self.maildrop.messages}
        if self.wrong("QUIT deletes twins"):
            texts = {message.text for message in self.messages if id(message) in doomed}
            doomed = {id(message) for message in self.messages if message.text in texts}
        with self.maildrop.lock:
            self.maildrop.messages = [message for message in self.maildrop.messages if id(message) not in doomed]

    def do_capa(self, rest):
        inside = self.maildrop is not None
        if self.wrong("CAPA before login only") and inside:
            return self.err()
        self.server.asked += not inside
        if self.wrong("no CAPA") or self.wrong("CAPA a few times only") and self.server.asked > 2:
            return self.err()
        lines = ["TOP", "UIDL", "USER", "PIPELINING", "RESP-CODES", "AUTH-RESP-CODE", "UTF8 USER", "LANG", "EXPIRE 30 USER",
                 "LOGIN-DELAY 0 USER", "IMPLEMENTATION toy"]
        mechanisms = ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"]
        if self.tls:
            mechanisms += ["SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS", "OAUTHBEARER"]
        if self.certified() and not self.wrong("EXTERNAL not announced"):
            mechanisms.append("EXTERNAL")
        if self.refuses_clear():
            mechanisms = [name for name in mechanisms if name not in ("PLAIN", "LOGIN")]
            lines.remove("USER")
        if self.wrong("bearer in the clear"):
            mechanisms = list(dict.fromkeys(mechanisms + ["OAUTHBEARER"]))
        if self.wrong("PLUS in the clear"):
            mechanisms = list(dict.fromkeys(mechanisms + ["SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS"]))
        if self.wrong("no PLAIN"):
            mechanisms.remove("PLAIN")
        if self.wrong("LOGIN without PLAIN"):
            mechanisms.remove("PLAIN")
            lines.remove("USER")
        if self.wrong("announces unknown mechanisms"):
            mechanisms.append("XYZZY")
        if self.wrong("bare mechanisms hidden") and self.tls:
            mechanisms = [name for name in mechanisms if name not in ("SCRAM-SHA-1", "SCRAM-SHA-256")]
        if self.wrong("lower case mechanisms"):
            mechanisms.append("x.bad")
        if not (self.wrong("no SASL after login") and inside):
            lines.append("SASL " + " ".join(mechanisms[:2] if inside and self.wrong("other SASL after login") else mechanisms))
        if inside:
            lines = [line.replace(" USER", "") if line.startswith(("EXPIRE", "LOGIN-DELAY")) else line for line in lines]
            if self.wrong("USER argument after login"):
                lines = [line + " USER" if line.startswith(("EXPIRE", "LOGIN-DELAY")) else line for line in lines]
            if self.wrong("EXPIRE smaller after login"):
                lines = ["EXPIRE 7" if line.startswith("EXPIRE") else line for line in lines]
            if self.wrong("LOGIN-DELAY larger after login"):
                lines = ["LOGIN-DELAY 1" if line.startswith("LOGIN-DELAY") else line for line in lines]
            if self.wrong("IMPLEMENTATION differs"):
                lines = [line.replace("toy", "tool") for line in lines]
        delay = self.server.delay
        lines = [line.replace("LOGIN-DELAY 0", f"LOGIN-DELAY {delay}") for line in lines]
        if self.wrong("differs without USER"):
            lines = [line.replace(" USER", "") if line.startswith(("EXPIRE", "LOGIN-DELAY")) else line for line in lines]
            if inside:
                lines = ["EXPIRE 60" if line.startswith("EXPIRE") else line for line in lines]
        if self.wrong("delay differs without USER"):
            lines = ["LOGIN-DELAY 9" if line.startswith("LOGIN-DELAY") and not inside else line for line in lines]
        if self.wrong("EXPIRE nonsense"):
            lines = ["EXPIRE SOON" if line.startswith("EXPIRE") else line for line in lines]
        if self.wrong("LOGIN-DELAY nonsense"):
            lines = ["LOGIN-DELAY long" if line.startswith("LOGIN-DELAY") else line for line in lines]
        if self.wrong("IMPLEMENTATION empty"):
            lines = ["IMPLEMENTATION" if line.startswith("IMPL") else line for line in lines]
        tag = self.server.mutation or ""
        if tag.startswith("hides before login ") and not inside or tag.startswith("hides after login ") and inside:
            lines = [line for line in lines if line.split()[0] != tag.split()[-1]]
        if tag.startswith("never announces "):
            lines = [line for line in lines if line.split()[0] != tag.split()[-1]]
        if tag.startswith("argument for "):
            lines = [line.split()[0] + " x" if line.split()[0] == tag.split()[-1] else line for line in lines]
        if self.wrong("dots in CAPA"):
            lines.append("X.Y")
        if self.wrong("two spaces in CAPA"):
            lines.append("XYZ  A")
        if self.wrong("long CAPA line"):
            lines.append("XYZ " + "a" * 600)
        stls = not self.tls and not inside
        if self.wrong("STLS announced inside TLS"):
            stls = True
        if self.wrong("STLS not announced"):
            stls = False
        if self.wrong("STLS announced after login") and inside:
            stls = True
        if self.server.context and stls:
            lines.append("STLS please" if self.wrong("argument for STLS") else "STLS")
        self.multi("list follows", "".join(line + "\r\n" for line in lines).encode())

    def do_lang(self, rest):
        if self.wrong("LANG refused after login") and self.maildrop and rest:
            return self.err()
        if not rest:
            listing = "".join(f"{tag} {name}\r\n" for tag, name in LANGUAGES.items())
            if self.wrong("odd language listing"):
                listing = "english: English\r\n"
            return self.multi("languages", listing.encode("latin-1" if self.wrong("texts in Latin-1") else "utf-8"))
        wanted = rest.decode("ascii", "replace")
        wanted = wanted if self.wrong("case-sensitive languages") else wanted.lower()
        if wanted == "*" and not self.wrong("no LANG *"):
            wanted = "de"
        if wanted not in LANGUAGES:
            if self.wrong("language changes on failure"):
                self.language = "en" if self.language != "en" else "de"
            return self.ok("mul fine") if self.wrong("every language known") else self.err("no such language")
        if not self.wrong("one language"):
            self.language = wanted
        return self.ok("fine" if self.wrong("LANG without the tag") else f"{wanted} größer" if wanted == "de" else f"{wanted} fine")

    def no_such(self):
        text = TEXTS[self.language]
        self.send(b"-ERR " + text.encode("latin-1" if self.wrong("texts in Latin-1") else "utf-8") + b"\r\n")

    def do_utf8(self, rest):
        if self.wrong("UTF8 refused"):
            return self.err()
        if not self.wrong("UTF8 does nothing"):
            self.utf8 = True
        if self.wrong("UTF8 for ever"):
            self.server.always_utf8 = True
        return self.ok()

    def do_stls(self, rest):
        if self.tls or not self.server.context or self.maildrop and not self.wrong("STLS after login"):
            return self.err("not now")
        self.server.handshakes += 1
        if self.wrong("STLS refused") or self.wrong("one handshake only") and self.server.handshakes > 1:
            return self.err()
        self.ok("begin")
        if not self.wrong("injection before TLS"):
            self.input = b""
        if self.wrong("no handshake after STLS"):
            return None
        self.socket, self.secrets = self.server.wrap(self.socket)
        self.tls = True
        if self.wrong("greeting after STLS"):
            self.ok("again")
        if self.wrong("login by STLS"):
            self.enter(self.server.first())
        return None

    def refuses_clear(self):
        """A server for TLS only says no to any login in the clear, whatever the password."""
        return self.server.tls_only and not self.tls

    def do_user(self, rest):
        if self.maildrop:
            return self.ok()
        if self.refuses_clear() and not self.wrong("tells passwords in the clear"):
            return self.err("use TLS")
        if not rest and not self.wrong("empty USER"):
            return self.err("who?")
        self.server.users += 1
        if self.wrong("USER refused later") and self.server.users > 1:
            return self.err()
        maildrop = self.server.maildrops.get(self.decoded(rest))
        if self.wrong("delay at USER") and maildrop and time.monotonic() - maildrop.last_login < self.server.delay:
            return self.err("[LOGIN-DELAY] too soon")
        if self.wrong("USER tells") and self.decoded(rest) not in self.server.accounts:
            return self.err("unknown")
        if self.wrong("AUTH code at USER") and self.decoded(rest) not in self.server.accounts:
            return self.err("[AUTH] unknown")
        self.user = rest
        return self.ok("password?")

    def decoded(self, octets):
        if self.wrong("bad UTF-8 dropped"):
            text = octets.decode("utf-8", "ignore").replace("\ue000", "")
        else:
            try:
                text = octets.decode("utf-8")
            except UnicodeDecodeError:
                return None
        if self.wrong("no SASLprep"):
            return text
        return unicodedata.normalize("NFKC", text.replace("\u00ad", ""))

    def do_pass(self, rest, user=None):
        if user is None and self.wrong("PASS without USER"):
            user = next((name.encode() for name, password in self.server.accounts.items() if password.encode() == rest), None)
        if user is None:
            return self.err("USER first")
        if self.wrong("long passwords refused") and len(rest) > 200:
            return self.err("too long")
        if self.refuses_clear():
            known = self.server.accounts.get(self.decoded(user)) == self.decoded(rest)
            return self.err("use TLS for this good password" if known else "wrong password")
        if self.wrong("PASS twice"):
            self.user = user
        name, password = self.decoded(user), self.decoded(rest)
        if self.wrong("ASCII only") and not (user + rest).isascii():
            return self.err("ASCII only")
        good = name in self.server.accounts and password is not None and (
            password == self.server.accounts[name] or
            self.wrong("any password") or self.wrong("any known password") and password in self.server.accounts.values() or
            self.wrong("prefix of a password") and password and self.server.accounts[name].startswith(password) or
            self.wrong("more than a password") and password.startswith(self.server.accounts[name]))
        if self.wrong("empty PASS") and not rest:
            good = True
        if name in self.server.apop_only and not self.wrong("APOP and PASS"):
            good = False
        if self.wrong("unknown users too") and name not in self.server.accounts:
            return self.enter(self.server.first())
        if self.wrong("IN-USE for all") and name in self.server.accounts and self.server.maildrops[name].owner:
            return self.err("[IN-USE] busy")
        return self.enter(name) if good else self.denied()

    def denied(self):
        self.failed = True
        if self.wrong("failure keeps the lock"):
            for maildrop in self.server.maildrops.values():
                maildrop.owner = maildrop.owner or self
        if self.wrong("login after denial"):
            return self.enter(self.server.first(), lock=False, say=lambda: self.err("[AUTH] denied"))
        if self.wrong("SYS for a password"):
            return self.err("[SYS/TEMP] denied")
        return self.err("denied" if self.wrong("no AUTH code") else "[AUTH] denied")

    def enter(self, name, lock=True, say=None):
        maildrop = self.server.maildrops[name]
        with maildrop.lock:
            self.server.logins += 1
            if self.wrong("only one login") and self.server.logins > 1 or self.wrong("nobody can log in inside TLS") and self.tls:
                return self.err("[AUTH] not you")
            if maildrop.owner and lock and not self.wrong("no lock"):
                if self.wrong("second login disturbs") and maildrop.owner.messages:
                    maildrop.owner.messages.pop()
                code = "[AUTH]" if self.wrong("locked is AUTH") else "[IN-USE]"
                return self.err(f"{code} busy")
            if self.server.delay and time.monotonic() - maildrop.last_login < self.server.delay + (
                    5 if self.wrong("delay too long") else 0) and not self.wrong("delay not enforced"):
                return self.err("[AUTH] too soon" if self.wrong("delay is AUTH") else "[LOGIN-DELAY] too soon")
            maildrop.owner, maildrop.last_login = self, time.monotonic()
            self.maildrop, self.account = maildrop, name
            self.messages = maildrop.messages if self.wrong("live list") else list(maildrop.messages)
            if self.wrong("marks survive"):
                self.deleted = self.server.marks.setdefault(name, set())
        return say() if say else self.ok("logged in")

    def do_apop(self, rest):
        words = rest.split(b" ")
        if not self.server.apop or len(words) != 2 and not self.wrong("APOP without digest"):
            return self.ok() if self.wrong("APOP is fine") else self.err("no APOP here")
        if len(words) != 2:
            return self.enter(self.server.first())
        name = words[0].decode()
        secret = self.server.accounts.get(name, "")
        wanted = hashlib.md5(self.stamp + secret.encode()).hexdigest().encode()
        good = bool(secret) and (words[1] == wanted or self.wrong("any digest") or
                                 self.wrong("short digest") and len(words[1]) < 32 or
                                 self.wrong("digest without secret") and words[1] == hashlib.md5(self.stamp).hexdigest().encode())
        if self.wrong("APOP for unknown") and not secret:
            return self.enter(self.server.first())
        if self.wrong("APOP refused"):
            good = False
        return self.enter(name) if good else self.denied()

    # AUTH.

    def challenge(self, data):
        text = base64.b64encode(data)
        if self.wrong("challenge with text"):
            text += b" please"
        if self.wrong("empty challenge without space") and not data:
            self.send(b"+\r\n")
        else:
            self.send(b"+ " + text + b"\r\n")
        line = self.read_line(1 << 16)
        if line == b"*":
            if self.wrong("* logs in"):
                self.maildrop = self.server.maildrops[self.server.first()]
            if self.wrong("* is success"):
                self.ok()
                raise ValueError("handled")
            self.err("cancelled")
            raise ValueError("handled")
        return self.decode(line)

    def decode(self, line):
        if self.wrong("lenient base64"):
            kept = re.sub(rb"[^A-Za-z0-9+/]", b"", line)
            kept = kept[:-1] if len(kept) % 4 == 1 else kept
            return base64.b64decode(kept + b"=" * (-len(kept) % 4)).rstrip(b"\0")
        if not re.fullmatch(rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", line):
            self.err("not base64")
            raise ValueError("handled")
        return base64.b64decode(line)

    def do_auth(self, rest):
        mechanism, _, initial = rest.partition(b" ")
        mechanism = mechanism if self.wrong("case-sensitive mechanisms") else mechanism.upper()
        name = mechanism.decode("ascii", "replace")
        if self.wrong("AUTH alone logs in") and not rest:
            return self.enter(self.server.first())
        if self.maildrop:
            return self.ok() if self.wrong("AUTH after login") else self.err()
        if self.refuses_clear() and name in ("PLAIN", "LOGIN"):
            return self.err("use TLS")
        plus = name.endswith("-PLUS")
        try:
            if name == "PLAIN":
                return self.auth_plain(initial)
            if name == "LOGIN":
                return self.auth_login()
            if name == "CRAM-MD5":
                return self.auth_cram(initial)
            if name in ("SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS") and (self.tls or not plus):
                return self.auth_scram("sha1" if "SHA-1" in name else "sha256", plus, initial)
            if name == "OAUTHBEARER" and self.tls:
                return self.auth_bearer(initial)
        except ValueError:
            return None
        if self.wrong("EXTERNAL for all") and name == "EXTERNAL":
            return self.enter(self.server.first())
        if name == "EXTERNAL" and self.certified():
            try:
                wanted = self.first_response(initial).decode()
            except ValueError:
                return None
            own = self.server.token_account
            good = wanted in ("", own) or self.wrong("any external identity")
            if self.wrong("EXTERNAL refused"):
                good = False
            return self.enter(own) if good else self.denied()
        return self.ok() if self.wrong("unknown mechanism is fine") else self.err("unknown mechanism")

    def certified(self):
        """Whether the client has shown the certificate that this server knows."""
        return bool(self.server.external and self.tls and self.socket.getpeercert(binary_form=True))

    def first_response(self, initial):
        if initial == b"=":
            return b""
        if self.wrong("initial response ignored"):
            initial = b""
        if self.wrong("challenge not empty") and not initial:
            return self.challenge(b"hello")
        return self.decode(initial) if initial else self.challenge(b"")

    def auth_plain(self, initial):
        data = self.first_response(initial)
        if self.wrong("empty PLAIN is fine") and not data:
            return self.enter(self.server.first())
        parts = data.split(b"\0")
        if self.wrong("lenient PLAIN") and b"\0" in data or self.wrong("lenient PLAIN") and data:
            for name in self.server.accounts:
                if name.encode() in data or self.server.accounts[name].encode() in data:
                    return self.enter(name)
        if self.wrong("long responses refused") and len(data) > 190:
            return self.err("too long")
        if self.wrong("long responses twice") and len(data) > 190:
            self.err("too long")
        if len(parts) != 3 and not (len(parts) == 4 and self.wrong("third NUL")):
            return self.err("malformed")
        authorization, name, password = (self.decoded(part) for part in parts[:3])
        if None in (authorization, name, password):
            return self.denied()
        good = name in self.server.accounts and (self.server.accounts[name] == password or self.wrong("any PLAIN password"))
        if self.wrong("ASCII only") and not data.isascii():
            good = False
        if self.wrong("PLAIN refused"):
            good = False
        if self.wrong("unknown PLAIN users too") and name not in self.server.accounts:
            return self.enter(self.server.first())
        if authorization and authorization != name and not self.wrong("any authorization"):
            good = False
        if self.wrong("no authorization identity") and authorization:
            good = False
        if self.wrong("authorization identity needed") and not authorization:
            good = False
        if self.wrong("AUTH needs no lock") and good:
            return self.enter(name, lock=False)
        if not good and self.wrong("AUTH after failure refused"):
            self.refuses = {"auth", "user"}
        return self.enter(name) if good else self.denied()

    def auth_login(self):
        first, second = (b"Who?", b"Secret?") if self.wrong("odd LOGIN prompts") else (b"Username:", b"Password:")
        name = self.challenge(first).decode()
        if self.wrong("LOGIN tells") and name not in self.server.accounts:
            return self.denied()
        password = self.challenge(second).decode()
        good = self.server.accounts.get(name) == password or self.wrong("any LOGIN password")
        if self.wrong("LOGIN refused"):
            good = False
        return self.enter(name if name in self.server.accounts else self.server.first()) if good else self.denied()

    def auth_cram(self, initial):
        if initial and not self.wrong("CRAM with initial response"):
            return self.err("no initial response")
        stamp = f"<{os.urandom(6).hex()}@toy.example.test>".encode()
        if self.wrong("same challenge"):
            stamp = b"<same@toy.example.test>"
        if self.wrong("odd challenge"):
            stamp = os.urandom(6).hex().encode()
        name, _, digest = self.challenge(stamp).decode("utf-8", "replace").rpartition(" ")
        secret = self.server.accounts.get(name)
        if secret is None:
            return self.enter(self.server.first()) if self.wrong("any CRAM") else self.denied()
        wanted = hmac.new(secret.encode(), stamp, "md5").hexdigest()
        good = digest == wanted or self.wrong("any CRAM") or self.wrong("CRAM prefix") and wanted.startswith(digest) or \
            self.wrong("CRAM without brackets") and digest == hmac.new(secret.encode(), stamp[1:-1], "md5").hexdigest()
        if self.wrong("CRAM refused"):
            good = False
        return self.enter(name) if good else self.denied()

    def auth_scram(self, digest, plus, initial):
        first = self.first_response(initial).decode()
        found = re.fullmatch(r"(n|y|p=([A-Za-z0-9.-]+)),(?:a=([^,]*))?,(n=([^,]*),r=([^,]+)(?:,[a-z]=[^,]*)*)", first)
        if self.wrong("lenient SCRAM") and not found:
            loose = first.replace("m=ext,", "").replace("=41", "")
            loose = "n" + loose[1:] if loose[0] == "x" else loose
            loose = loose if ",r=" in loose else loose + ",r=none"
            found = re.fullmatch(r"(n|y|p=([A-Za-z0-9.-]+)),(?:a=([^,]*))?,(n=([^,]*),r=([^,]+)(?:,[a-z]=[^,]*)*)", loose)
            if not found:
                return self.denied()
            bare = first.split(",", 2)[2]
        else:
            bare = found[4] if found else ""
        if not found or self.wrong("no SCRAM extensions") and ",x=" in first:
            return self.denied()
        flag, binding_type, authorization, name, nonce = found[1], found[2], found[3], found[5], found[6]
        if re.search("=(?!2C|3D)", name) and not self.wrong("lenient SCRAM"):
            return self.denied()
        name = name.replace("=2C", ",").replace("=3D", "=")
        if self.wrong("lenient SCRAM"):
            name = name.replace("=41", "")
        if flag == "y" and self.tls and not self.wrong("y is fine"):
            return self.denied()
        if authorization and authorization != name and not self.wrong("any SCRAM authorization"):
            return self.denied()
        if authorization and self.wrong("no SCRAM authorization"):
            return self.denied()
        binding = b""
        if plus and binding_type == "tls-unique":
            binding = self.socket.get_channel_binding("tls-unique")
        elif plus and binding_type == "tls-exporter" and self.secrets and not self.wrong("no tls-exporter"):
            binding = exported(self.socket.cipher()[0], bytes.fromhex(self.secrets))
        elif plus and binding_type == "tls-server-end-point":
            binding = self.server.end_point
        elif flag.startswith("p") and not self.wrong("any channel binding"):
            return self.denied()
        if self.wrong("bindings refused") and plus:
            return self.denied()
        secret = self.server.accounts.get(name)
        if secret is None and name.endswith(tuple(self.server.accounts)) and self.wrong("SCRAM unknown users too"):
            name = next(known for known in self.server.accounts if name.endswith(known))
            secret = self.server.accounts[name]
        own = nonce + ("" if self.wrong("no server nonce") else "same" if self.wrong("same server nonce") else os.urandom(9).hex())
        iterations = 1000 if self.wrong("few iterations") else ITERATIONS
        server_first = f"r={own},s={base64.b64encode(SALT).decode()},i={iterations}"
        if self.wrong("odd SCRAM message"):
            server_first = f"s={base64.b64encode(SALT).decode()},r={own},i={iterations}"
        final = self.challenge(server_first.encode()).decode()
        without_proof, _, proof = final.rpartition(",p=")
        attributes = dict(part.partition("=")[::2] for part in without_proof.split(","))
        if self.wrong("no SCRAM extensions") and "z" in attributes:
            return self.denied()
        gs2 = first[:len(first) - len(bare)].encode()
        channel_good = base64.b64decode(attributes.get("c", "")) == gs2 + binding or self.wrong("c is not checked") or \
            self.wrong("lenient SCRAM") or self.wrong("any channel binding")
        nonce_good = attributes.get("r") == own or self.wrong("nonce is not checked")
        salted = hashlib.pbkdf2_hmac(digest, (secret or "?").encode(), SALT, iterations)
        mac = lambda key, data: hmac.new(key, data, digest).digest()  # noqa: E731
        key = mac(salted, b"Client Key")
        message = f"{bare},{server_first},{without_proof}".encode()
        signature = mac(hashlib.new(digest, key).digest(), message)
        proof_good = base64.b64decode(proof) == bytes(a ^ b for a, b in zip(key, signature)) or self.wrong("proof is not checked")
        if not (secret and channel_good and nonce_good and proof_good) or self.wrong("SCRAM refused"):
            if self.wrong("odd SCRAM error"):
                self.challenge(b"sorry")
            return self.denied()
        server_signature = mac(mac(salted, b"Server Key"), message)
        if self.wrong("wrong server signature"):
            server_signature = bytes(len(server_signature))
        if not self.wrong("no server signature"):
            self.challenge(b"v=" + base64.b64encode(server_signature))
        return self.enter(name)

    def auth_bearer(self, initial):
        response = self.first_response(initial).decode()
        found = re.fullmatch(r"(?:n|y),(?:a=([^,]*))?,\x01((?:[A-Za-z]+=[^\x01]*\x01)*)\x01", response)
        pairs = dict(pair.partition("=")[::2] for pair in found[2].split("\x01")[:-1]) if found else {}
        if self.wrong("lenient bearer") and not found:
            pairs = {"auth": f"Bearer {self.server.token}"} if self.server.token in response else {}
        scheme, _, token = pairs.get("auth", "").partition(" ")
        if self.wrong("lenient bearer") and "auth" not in pairs and found:
            scheme, token = "Bearer", self.server.token
        same = scheme == "Bearer" if self.wrong("case-sensitive Bearer") else scheme.lower() == "bearer"
        good = same and token == self.server.token and not (self.wrong("unknown keys refused") and "xyzzy" in pairs)
        if found and found[1] and found[1] != self.server.token_account and not self.wrong("lenient bearer"):
            good = False
        if self.wrong("bearer refused"):
            good = False
        if good:
            return self.enter(self.server.token_account)
        if self.wrong("no bearer error"):
            return self.denied()
        error = b'{"status":"invalid_token"}'
        if self.wrong("bearer error without status"):
            error = b'{"error":"invalid_token"}'
        if self.wrong("bearer error is no JSON"):
            error = b"invalid_token"
        if self.wrong("odd bearer status"):
            error = b'{"status":"sorry"}'
        self.challenge(error)
        return self.enter(self.server.token_account) if self.wrong("bearer error forgiven") else self.denied()

    # After login.

    def shown(self, number):
        """A message as this session is sent it."""
        text = self.messages[number - 1].text
        head = text.partition(b"\r\n\r\n")[0]
        utf8 = self.utf8 or self.server.always_utf8 or self.wrong("UTF-8 for all")
        if not utf8 and (not head.isascii() or re.search(rb"(?m)^Content-[^\r]*[\x80-\xff]", text)):
            text = self.surrogate(text)
        elif utf8 and self.wrong("surrogates in UTF-8 mode") and not text.isascii():
            text = surrogate(text)
        if self.wrong("RETR wraps lines"):
            text = re.sub(rb"([^\r\n]{500})(?=[^\r\n])", rb"\1\r\n", text)
        if self.wrong("RETR strips blanks"):
            text = re.sub(rb"[ \t]+\r\n", b"\r\n", text)
        if self.wrong("RETR drops empty lines"):
            text = re.sub(rb"(\r\n)+\Z", b"\r\n", text)
        if self.wrong("RETR unfolds"):
            text = re.sub(rb"\r\n[ \t]+", b" ", text)
        if self.wrong("RETR in seven bits"):
            text = bytes(octet & 127 for octet in text)
        if self.wrong("RETR is cut"):
            text = text[:60000] + (b"\r\n" if len(text) > 60000 else b"")
        if self.wrong("bare line feeds"):
            text = text.replace(b"\r\n", b"\n", 1)
        if self.wrong("fields at the end"):
            text = text.replace(b"\r\n\r\n", b"\r\nX-Added: yes\r\n\r\n", 1)
        if self.wrong("UTF-8 mode adds a field") and self.utf8:
            text = b"X-Mode: UTF-8\r\n" + text
        if self.wrong("junk in the header"):
            text = b"From somebody Mon Jun 1\r\n" + text
        if self.wrong("RETR differs each time"):
            text = b"X-Now: %d\r\n" % time.monotonic_ns() + text
        return text

    def surrogate(self, text):
        mutation = self.server.mutation
        if mutation == "surrogate keeps parts":
            head, blank, body = text.partition(b"\r\n\r\n")
            return surrogate(head + blank) + body
        out = surrogate(text)
        head, blank, body = out.partition(b"\r\n\r\n")
        if mutation == "surrogate without Subject":
            head = re.sub(rb"Subject:[^\r]*\r\n|\r\nSubject:[^\r]*", b"", head)
        elif mutation == "surrogate invents an address":
            head = head.replace(b"invalid@internationalized.invalid", b"jrg@bcher.example")
        elif mutation == "surrogate changes the body":
            body = body.upper()
        elif mutation == "surrogate loses fields":
            head = re.sub(rb"\r\nDate:[^\r]*", b"", head)
        elif mutation == "surrogate differs":
            head += b"\r\nX-Now: %d" % time.monotonic_ns()
        elif mutation == "surrogate with plain parameters":
            body = body.replace(b"Content-Disposition: attachment", b'Content-Disposition: attachment; filename="gre.bin"')
        elif mutation == "surrogate with odd parameters":
            body = body.replace(b"Content-Disposition: attachment", b"Content-Disposition: attachment; filename*=gr%C3%B6")
        elif mutation == "surrogate without parts":
            body = b"it had parts\r\n"
        return head + blank + body

    def sized(self, number):
        text = self.messages[number - 1].text if self.wrong("sizes of the original") else self.shown(number)
        size = len(text) + (7 if self.wrong("sizes are wrong") else 0)
        if self.wrong("sizes of stuffed messages"):
            size = len(re.sub(rb"(\A|\r\n)\.", rb"\1..", text))
        if self.wrong("sizes with line feeds"):
            size = len(text.replace(b"\r\n", b"\n"))
        return size

    def number(self, text):
        """The message's number, or None if there is none to be had; it has been answered then."""
        if self.wrong("lenient numbers"):
            found = re.match(rb"-?(\d*)", text)
            text = found[1] or b"1"
        if self.wrong("every number is the first"):
            return 1
        if not text.isdigit():
            self.err("not a number")
            return None
        number = int(text)
        if self.wrong("numbers wrap"):
            number = number % 4 or 1
        if self.wrong("deleted can be named") and number in self.deleted:
            return number
        if self.wrong("numbers move") and self.deleted:
            left = [n for n in range(1, len(self.messages) + 1) if n not in self.deleted]
            number = left[number - 1] if 1 <= number <= len(left) else 0
        if not 1 <= number <= len(self.messages) or number in self.deleted:
            self.no_such()
            return None
        return number

    def visible(self):
        if self.wrong("deleted are listed"):
            return list(range(1, len(self.messages) + 1))
        return [number for number in range(1, len(self.messages) + 1) if number not in self.deleted]

    def do_stat(self, rest):
        numbers = self.visible()
        if self.wrong("STAT counts deleted"):
            numbers = list(range(1, len(self.messages) + 1))
        octets = sum(self.sized(number) for number in numbers)
        if self.wrong("STAT counts deleted octets"):
            octets = sum(self.sized(number) for number in range(1, len(self.messages) + 1))
        if self.wrong("STAT is wrong"):
            octets += 1
        if self.wrong("STAT is translated") and self.language != "en":
            return self.ok(f"Nachrichten {len(numbers)} {octets}")
        if self.wrong("STAT in one number"):
            return self.ok(str(len(numbers)))
        return self.ok(f"{len(numbers)} {octets}" + (" (messages and octets)" if self.wrong("STAT says more") else ""))

    def do_list(self, rest):
        more = " octets" if self.wrong("LIST says more") else ""
        if rest:
            number = self.number(rest)
            if number:
                size = self.sized(number) + (1 if self.wrong("LIST n is wrong") else 0)
                self.ok(f"message {number} {size}" if self.wrong("LIST n is free text") else f"{number} {size}{more}")
            return
        if self.wrong("LIST of nothing refused") and not self.messages:
            self.err("no messages")
            return
        numbers = self.visible()[:-1] if self.wrong("LIST leaves one out") and len(self.messages) > 1 else self.visible()
        base = 0 if self.wrong("numbers from 0") else 1
        form = "{:x} {:x}{}\r\n" if self.wrong("hexadecimal") else "{} {}{}\r\n"
        if self.wrong("LIST without sizes"):
            form = "{0} -\r\n"
        self.multi("listing", "".join(form.format(n - 1 + base, self.sized(n), more) for n in numbers).encode())

    def do_uidl(self, rest):
        if rest:
            number = self.number(rest)
            if number:
                self.ok(f"{number} {self.unique_id(number)}" + ("x" if self.wrong("UIDL n is wrong") else ""))
            return
        if self.wrong("UIDL of nothing has a line") and not self.messages:
            self.multi("listing", b"0 none\r\n")
            return
        if self.wrong("UIDL refused"):
            self.err()
            return
        self.multi("listing", "".join(f"{n} {self.unique_id(n)}\r\n" for n in self.visible()).encode())

    def unique_id(self, number):
        message = self.messages[number - 1]
        if self.wrong("unique-ids are numbers"):
            return f"n{number}"
        if self.wrong("one unique-id"):
            return "same"
        if self.wrong("unique-ids of the session"):
            return f"{id(self)}.{number}"
        if self.wrong("long unique-ids"):
            return "x" * 70 + message.unique_id.decode()
        if self.wrong("UIDL says more"):
            return message.unique_id.decode() + " more"
        return message.unique_id.decode()

    def do_retr(self, rest):
        number = self.number(rest)
        if not number:
            return
        if self.wrong("RETR deletes"):
            self.deleted.add(number)
        self.seen = [*getattr(self, "seen", []), self.messages[number - 1]]
        text = self.shown(number)
        if self.wrong("RETR gives the first"):
            text = self.shown(1)
        if self.wrong("RETR adds a line"):
            text += b"extra\r\n"
        if self.wrong("RETR without text"):
            text = b""
        if self.wrong("[UTF8] on success"):
            self.multi("[UTF8] converted", text)
        elif self.wrong("odd code for UTF-8") and not self.utf8 and not self.messages[number - 1].text.isascii():
            self.err("[SYS/PERM] no")
        else:
            self.multi(f"{len(text)} octets", text)

    def do_top(self, rest):
        words = rest.split(b" ")
        if self.wrong("TOP refused"):
            self.err()
            return
        if self.wrong("lenient TOP"):
            words = (words + [b"0", b"0"])[:2]
            words = [re.sub(rb"\D", b"", word) or b"1" for word in words]
        if len(words) != 2 or not words[1].isdigit():
            self.err("TOP what?")
            return
        number = self.number(words[0])
        if not number:
            return
        if self.wrong("TOP deletes"):
            self.deleted.add(number)
        text = self.shown(number)
        if self.wrong("TOP of the original"):
            text = self.messages[number - 1].text
        head, _, body = text.partition(b"\r\n\r\n")
        lines, count = body.split(b"\r\n"), int(words[1])
        if self.wrong("TOP counts the header"):
            count = max(0, count - head.count(b"\r\n") - 2)
        if self.wrong("TOP skips empty lines"):
            lines = [line for line in lines if line] + [b""]
        if self.wrong("TOP one more"):
            count += 1
        if self.wrong("TOP at most five"):
            count = min(count, 5)
        part = head + b"\r\n\r\n" + b"\r\n".join(lines[:count]) + (b"\r\n" if lines[:count] and count < len(lines) else b"")
        if self.wrong("TOP without blank line") and count == 0:
            part = head + b"\r\n"
        if self.wrong("TOP leaves the last line out") and body:
            part = part[:part.rindex(b"\r\n", 0, -2) + 2]
        if self.wrong("TOP in capitals"):
            part = part.upper()
        self.multi("top", part, stuff=not self.wrong("TOP does not stuff"))

    def do_dele(self, rest):
        number = self.number(rest)
        if number:
            if not (self.wrong("RSET for ever") and self.reset):
                self.deleted.add(number)
            self.err() if self.wrong("DELE refused") else self.ok("marked")

    def do_noop(self, rest):
        if self.wrong("NOOP resets"):
            self.deleted.clear()
        self.err() if self.wrong("NOOP refused") else self.ok()

    def do_rset(self, rest):
        self.reset = True
        if not self.wrong("RSET does nothing"):
            self.deleted.clear()
        self.err() if self.wrong("RSET refused") and not self.deleted else self.ok()


class ToyServer:
    """Listens on two ports until it is stopped. certificate: (certificate file, key file) for TLS."""

    def __init__(self, certificate=None, mutation=None, without=(), delay=0, external=None, tls_only=False,
                 apop=True):
        self.mutation, self.without, self.delay, self.external = mutation, frozenset(without), delay, external
        self.tls_only, self.apop = tls_only, apop
        self.accounts = {f"user{n}@example.test": f"secret-{n}" for n in range(1, 7)}
        self.accounts["jörg@example.test"] = "Schlüssel"
        self.accounts["apop@example.test"] = "shared secret"
        self.apop_only = {"apop@example.test"}
        self.token, self.token_account = "good-token", "user6@example.test"
        self.maildrops = {name: Maildrop() for name in self.accounts}
        self.marks, self.always_utf8, self.end_point = {}, False, b""
        self.connections = self.logins = self.asked = self.users = self.handshakes = 0
        self.context = certificate
        if certificate:
            der = ssl.PEM_cert_to_DER_cert(open(certificate[0], encoding="ascii").read())
            self.end_point = hashlib.sha256(der).digest()
        self.listeners = []
        self.port, self.tls_port = self._listen(False), self._listen(True) if certificate else None

    def first(self):
        return next(iter(self.accounts))

    def wrong(self, name):
        return self.mutation == name and (name not in LATE or self.connections > 3)

    def _listen(self, tls):
        listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.listeners.append(listener)
        threading.Thread(target=self._accept, args=(listener, tls), daemon=True).start()
        return listener.getsockname()[1]

    def _accept(self, listener, tls):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(connection, tls), daemon=True).start()

    def _serve(self, connection, tls):
        connection.settimeout(30)
        self.connections += 1
        try:
            if tls and self.wrong("plain on the TLS port"):
                tls = False
            elif tls and self.wrong("answers without TLS"):
                tls = connection.recv(1, socket.MSG_PEEK) == b"\x16"
            elif tls and self.wrong("greets before TLS"):
                connection.sendall(b"+OK early\r\n")
            secrets = ""
            if tls:
                connection, secrets = self.wrap(connection)
        except (OSError, ssl.SSLError):
            connection.close()
            return
        Session(self, connection, tls, secrets).run()

    def wrap(self, connection):
        """TLS, and the secret of RFC 9266's exporter in hexadecimal: "" before TLS 1.3."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.context)
        if self.wrong("TLS 1.0") or self.wrong("TLS 1.1"):
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = context.maximum_version = ssl.TLSVersion["TLSv1" if self.mutation == "TLS 1.0" else "TLSv1_1"]
        if self.wrong("asks for certificates") or self.external:
            context.verify_mode = ssl.CERT_OPTIONAL
            context.load_verify_locations(self.external[0] if self.external else self.context[0])
        handle, path = tempfile.mkstemp(prefix="toy-")
        os.close(handle)
        context.keylog_filename = path
        try:
            connection = context.wrap_socket(connection, server_side=True)
            with open(path, encoding="ascii") as file:
                found = re.search(r"^EXPORTER_SECRET \S+ (\S+)$", file.read(), re.M)
        finally:
            os.unlink(path)
        return connection, found[1] if found else ""

    def inject(self, address, message):
        maildrop = self.maildrops[address]
        with maildrop.lock:
            maildrop.messages.append(Message(message))

    def target(self, certificate=None):
        """What the suite is told."""
        names = [name for name in self.accounts if name.startswith("user") and name != self.token_account]
        target = {"name": "toy", "host": "127.0.0.1", "port": self.port, "inject": self.inject,
                  "accounts": [{"name": name, "password": self.accounts[name]} for name in names],
                  "apop": {"name": "apop@example.test", "secret": self.accounts["apop@example.test"]},
                  "utf8": {"name": "jörg@example.test", "password": self.accounts["jörg@example.test"]},
                  "oauth": {"name": self.token_account, "token": self.token}}
        if self.tls_port:
            target["tls_port"] = self.tls_port
        if self.external:
            target["external"] = {"name": self.token_account, "certificate": list(self.external)}
        return target

    def stop(self):
        for listener in self.listeners:
            try:
                listener.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            listener.close()
