"""A small POP3 server that is right, and can be made wrong in one way at a time: to test the suite itself.

Mail is kept in memory; `inject` is the suite's way to deliver. A mutation is a name out of MUTATIONS in
test_mutations.py; wherever the server could go wrong it asks `self.wrong("name")`.
"""

import base64
import hashlib
import itertools
import os
import re
import socket
import ssl
import tempfile
import threading
import time

from toy_auth import Authentication

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


class Session(Authentication):
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
