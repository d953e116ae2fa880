"""A strict parser of what servers say (RFC 9051 s9, RFC 3501 s9, and extensions). Whatever is not of the grammar is Failed."""

import re

from pop3conformance.wire import Failed

ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
ASTRING = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\]+')
FLAG = re.compile(rb'\\?[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
DATE_TIME = re.compile(rb'"[ 0-3][0-9]-(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)-[0-9]{4} '
                       rb'[0-2][0-9]:[0-5][0-9]:[0-6][0-9] [+-][0-9]{4}"')
SECTION = re.compile(rb'(?i)\[([1-9][0-9]*(\.[1-9][0-9]*)*)?(\.?(HEADER|TEXT|MIME|HEADER\.FIELDS(\.NOT)? \([^)]*\)))?\](<[0-9]+>)?')
SET = re.compile(rb'[1-9][0-9]*(:[1-9][0-9]*)?(,[1-9][0-9]*(:[1-9][0-9]*)?)*')

PARTIAL = re.compile(rb'\((?:[1-9][0-9]*:[1-9][0-9]*|-[1-9][0-9]*:-[1-9][0-9]*) (?:NIL|' + SET.pattern + rb')\)')


class Reader:
    """One response, its literals in place, without its last CRLF."""

    def __init__(self, octets):
        self.octets, self.at = octets, 0

    def fail(self, what):
        raise Failed(f"{what} at octet {self.at} of {self.octets[:300]!r}")

    def peek(self, size=1):
        return self.octets[self.at:self.at + size]

    def end(self):
        if self.at != len(self.octets):
            self.fail("something stands behind the end")

    def take(self, literal):
        if self.octets[self.at:self.at + len(literal)].upper() != literal.upper():
            self.fail(f"{literal!r} is missing")
        self.at += len(literal)

    def took(self, literal):
        if self.octets[self.at:self.at + len(literal)].upper() != literal.upper():
            return False
        self.at += len(literal)
        return True

    def match(self, pattern, what):
        found = pattern.match(self.octets, self.at)
        if not found:
            self.fail(f"no {what}")
        self.at = found.end()
        return found[0]

    def space(self):
        self.take(b" ")

    def number(self, least=0):
        text = self.match(re.compile(rb"[0-9]+"), "number")
        if len(text) > 1 and text[:1] == b"0" or int(text) < least or int(text) >= 1 << 63:
            self.fail(f"{text!r} is no such number")
        return int(text)

    def string(self, literal8=False):
        if self.peek() == b'"':
            found = self.match(re.compile(rb'"(?:[^"\\\r\n\x00]|\\["\\])*"'), "quoted string")
            text = found[1:-1]
            if any(octet >= 0x80 for octet in text):
                try:
                    text.decode("utf-8")
                except UnicodeDecodeError:
                    self.fail("a quoted string is no UTF-8")
            return re.sub(rb"\\(.)", rb"\1", text)
        binary = literal8 and self.took(b"~")
        size = int(self.match(re.compile(rb"\{(0|[1-9][0-9]*)\}\r\n"), "string")[1:-3])
        octets = self.octets[self.at:self.at + size]
        if len(octets) != size:
            self.fail("a literal is longer than the response")
        if b"\0" in octets and not binary:
            self.fail("a literal has a NUL")
        self.at += size
        return octets

    def nstring(self, literal8=False):
        if self.peek() in (b'"', b"{", b"~"):
            return self.string(literal8)
        self.take(b"NIL")
        return None

    def astring(self):
        return self.string() if self.peek() in (b'"', b"{") else self.match(ASTRING, "astring")

    def list_of(self, item, least=0, between=b" "):
        self.take(b"(")
        found = []
        while self.peek() != b")":
            if found and between:
                self.take(between)
            found.append(item())
        self.take(b")")
        if len(found) < least:
            self.fail("a list is empty")
        return found

    # FETCH.

    def address_list(self):
        if self.took(b"NIL"):
            return None
        return self.list_of(self.address, 1, b"")

    def address(self):
        self.take(b"(")
        found = [self.nstring()]
        for _ in range(3):
            self.space()
            found.append(self.nstring())
        self.take(b")")
        return tuple(found)

    def envelope(self):
        self.take(b"(")
        found = [self.nstring()]
        self.space()
        found.append(self.nstring())
        for _ in range(6):
            self.space()
            found.append(self.address_list())
        for _ in range(2):
            self.space()
            found.append(self.nstring())
        self.take(b")")
        return found

    def parameters(self):
        if self.took(b"NIL"):
            return None

        def pair():
            name = self.string()
            self.space()
            return name, self.string()
        return self.list_of(pair, 1)

    def extensions(self):
        """disposition, language, location, and what a later RFC may add."""
        for part in (self.disposition, self.language, self.nstring):
            if self.peek() == b")":
                return
            self.space()
            part()
        while self.peek() != b")":
            self.space()
            self.extension()

    def extension(self):
        if self.peek() == b"(":
            self.list_of(self.extension, 1)
        elif re.match(rb"[0-9]", self.peek()):
            self.number()
        else:
            self.nstring()

    def disposition(self):
        if not self.took(b"NIL"):
            self.take(b"(")
            self.string()
            self.space()
            self.parameters()
            self.take(b")")

    def language(self):
        if self.peek() == b"(":
            self.list_of(self.string, 1)
        else:
            self.nstring()

    def body(self, extended):
        """("type/subtype", parts or octets)."""
        self.take(b"(")
        if self.peek() == b"(":
            parts = []
            while self.peek() == b"(":
                parts.append(self.body(extended))
            self.space()
            kind = b"multipart/" + self.string()
            if self.peek() == b" ":
                self.need(extended, "BODY has extension data")
                self.space()
                self.parameters()
                self.extensions()
            self.take(b")")
            return kind.lower(), parts
        kind = self.string()
        self.space()
        kind = (kind + b"/" + self.string()).lower()
        self.space()
        self.parameters()
        for _ in range(2):
            self.space()
            self.nstring()
        self.space()
        self.string()
        self.space()
        size = self.number()
        content = size
        if kind in (b"message/rfc822", b"message/global"):
            self.space()
            self.envelope()
            self.space()
            content = [self.body(extended)]
        if kind.startswith(b"text/") or kind in (b"message/rfc822", b"message/global"):
            self.space()
            self.number()
        if self.peek() == b" ":
            self.need(extended, "BODY has extension data")
            self.space()
            self.nstring()
            self.extensions()
        self.take(b")")
        return kind, content

    def need(self, condition, what):
        if not condition:
            self.fail(what)

    def fetch_item(self):
        name = self.match(re.compile(rb"[A-Za-z0-9.]+"), "name of an item").upper()
        if name in (b"BODY", b"BINARY", b"BINARY.SIZE") and self.peek() == b"[":
            name += self.match(SECTION, "section").upper()
            self.space()
            if name.startswith(b"BINARY.SIZE"):
                return name, self.number()
            return name, self.nstring(literal8=name.startswith(b"BINARY"))
        self.space()
        if name == b"FLAGS":
            return name, self.list_of(lambda: self.match(FLAG, "flag"))
        if name == b"UID":
            return name, self.number(1)
        if name == b"RFC822.SIZE":
            return name, self.number()
        if name == b"INTERNALDATE":
            return name, self.match(DATE_TIME, "date-time")
        if name == b"SAVEDATE":
            return name, None if self.took(b"NIL") else self.match(DATE_TIME, "date-time")
        if name == b"ENVELOPE":
            return name, self.envelope()
        if name in (b"BODY", b"BODYSTRUCTURE"):
            return name, self.body(name == b"BODYSTRUCTURE")
        if name == b"MODSEQ":
            return name, self.list_of(lambda: self.number(1), 1)[0]
        if name in (b"EMAILID", b"THREADID"):
            if name == b"THREADID" and self.took(b"NIL"):
                return name, None
            return name, self.list_of(lambda: self.match(re.compile(rb"[A-Za-z0-9_-]{1,255}"), "object id"), 1)[0]
        if name in (b"RFC822", b"RFC822.HEADER", b"RFC822.TEXT", b"PREVIEW"):
            return name, self.nstring()
        self.fail(f"{name!r} is no item of FETCH")

    # The rest.

    def text_of_status(self):
        """(code, its argument, text) of resp-text."""
        code = argument = None
        if self.took(b"["):
            code = self.match(ATOM, "response code").upper()
            argument = b""
            if self.peek() == b" ":
                self.space()
                argument = self.match(re.compile(rb"(?:[^\]\r\n\x00]|\"[^\"]*\")+"), "argument of a code")
            self.take(b"]")
            self.space()
        text = self.octets[self.at:]
        if not text or re.search(rb"[\r\n\x00]", text):
            self.fail("no text, or one with a line end")
        self.at = len(self.octets)
        return code, argument, text

    def threads(self):
        """thread-list: `(1 2 (3)(4))`."""
        def thread():
            self.take(b"(")
            if self.peek() != b"(":
                self.number(1)
                while self.took(b" "):
                    if self.peek() == b"(":
                        break
                    self.number(1)
            count = 0
            while self.peek() == b"(":
                thread()
                count += 1
            if count == 1:
                self.fail("one thread alone is nested")
            self.take(b")")
        while self.peek() == b"(":
            thread()


class Response:
    """kind: OK, NO, BAD, BYE, PREAUTH; FETCH, EXISTS, ...; + for a continuation. value: by kind."""

    def __init__(self, tag, kind, value, octets):
        self.tag, self.kind, self.value, self.octets = tag, kind, value, octets

    def __repr__(self):
        return repr(self.octets)


def read(octets):
    """A whole response without its last CRLF."""
    reader = Reader(octets)
    if reader.took(b"+"):
        if octets[1:2] not in (b" ", b""):
            reader.fail("no space behind +")
        return Response(None, "+", octets[2:], octets)
    tag = None
    if not reader.took(b"* "):
        tag = reader.match(re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\+]+'), "tag")
        reader.space()
    if re.match(rb"[0-9]", reader.peek()):
        number = reader.number()
        reader.space()
        kind = reader.match(ATOM, "response").decode().upper()
        if tag or kind not in ("EXISTS", "RECENT", "EXPUNGE", "FETCH", "UIDFETCH"):
            reader.fail("no such response with a number")
        value = number
        if kind in ("EXPUNGE", "FETCH", "UIDFETCH") and number == 0:
            reader.fail("message number 0")
        if kind in ("FETCH", "UIDFETCH"):
            reader.space()
            items = reader.list_of(reader.fetch_item, 1)
            if len(dict(items)) != len(items):
                reader.fail("an item twice")
            value = number, dict(items)
        reader.end()
        return Response(tag, kind, value, octets)
    kind = reader.match(ATOM, "response").decode().upper()
    if kind in ("OK", "NO", "BAD") or kind in ("BYE", "PREAUTH") and not tag:
        reader.space()
        return Response(tag, kind, reader.text_of_status(), octets)
    if tag:
        reader.fail("no such tagged response")
    value = None
    if kind in ("CAPABILITY", "ENABLED"):
        value = []
        while reader.took(b" "):
            value.append(reader.match(ATOM, "capability").upper())
    elif kind == "FLAGS":
        reader.space()
        value = reader.list_of(lambda: reader.match(FLAG, "flag"))
    elif kind in ("LIST", "LSUB"):
        reader.space()
        flags = reader.list_of(lambda: reader.match(FLAG, "flag"))
        reader.space()
        if not reader.took(b"NIL"):
            reader.match(re.compile(rb'"(?:[^"\\\r\n\x80-\xff]|\\["\\])"'), "hierarchy separator")
        reader.space()
        value = [flag.lower() for flag in flags], reader.astring()
        if reader.took(b" "):
            reader.list_of(lambda: (reader.astring(), reader.space(), reader.list_of(reader.astring)))
    elif kind == "STATUS":
        reader.space()
        name = reader.astring()
        reader.space()

        def pair():
            item = reader.match(ATOM, "item").upper()
            reader.space()
            if item == b"MAILBOXID":
                return item, reader.list_of(lambda: reader.match(ATOM, "object id"), 1)
            return item, None if reader.took(b"NIL") else reader.number()
        value = name, dict(reader.list_of(pair))
    elif kind in ("SEARCH", "SORT"):
        value, mod_sequence = [], None
        while reader.took(b" "):
            if reader.peek() == b"(":
                reader.take(b"(MODSEQ ")
                mod_sequence = reader.number()
                reader.take(b")")
                break
            value.append(reader.number(1))
    elif kind == "ESEARCH":
        value = {}
        if reader.took(b" (TAG "):
            value["TAG"] = reader.string()
            reader.take(b")")
        if reader.took(b" UID"):
            value["UID"] = True
        while reader.took(b" "):
            name = reader.match(ATOM, "name").decode().upper()
            reader.space()
            if name == "PARTIAL":
                value[name] = reader.match(PARTIAL, "partial results")
            else:
                value[name] = reader.match(SET, "set") if name == "ALL" else reader.number()
    elif kind == "METADATA":
        reader.space()
        name = reader.astring()
        reader.space()
        if reader.peek() != b"(":  # RFC 5464 s4.4.2: names alone
            names = [reader.astring()]
            while reader.took(b" "):
                names.append(reader.astring())
            reader.end()
            return Response(None, kind, (name, names), octets)

        def entry():
            item = reader.astring()
            reader.space()
            return item, reader.nstring(literal8=True)
        value = name, dict(reader.list_of(entry, 1))
    elif kind == "THREAD":
        if reader.took(b" "):
            begin = reader.at
            reader.threads()
            value = octets[begin:reader.at]
    elif kind == "VANISHED":
        reader.space()
        earlier = reader.took(b"(EARLIER) ")
        value = earlier, reader.match(SET, "set")
    else:
        return Response(None, kind, octets[reader.at:], octets)
    reader.end()
    return Response(None, kind, value, octets)
