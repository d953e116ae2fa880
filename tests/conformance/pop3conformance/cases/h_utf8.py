"""RFC 6856 (UTF8 and LANG), the surrogates of RFC 6857 and RFC 6858, and messages as RFC 5322 and RFC 6532 have them."""

import email.header
import re
import unicodedata

from ..context import same_message, split_message
from ..messages import DOTS, FOLDED, KINDS, SHORT, THREE, message
from ..registry import Group
from ..sasl import start
from ..wire import unstuff

SUBJECT = "Grüße aus Köln, 你好"


def _international(body=b"a body in ASCII\r\n", extra=b"", subject=SUBJECT):
    """A message as RFC 6532 has it: UTF-8 in the header, an internationalized address."""
    return ("From: Jörg Müller <jörg@bücher.example>\r\nTo: Leser <leser@example.test>\r\n"
            "Date: Mon, 01 Jun 2026 12:00:00 +0000\r\nMessage-ID: <utf8@elsewhere.example>\r\n"
            f"Subject: {subject}\r\n").encode() + extra + b"\r\n" + body


INTERNATIONAL = _international()
PARTS = _international(
    "--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nR3LDvMOfZQ==\r\n"
    "--b\r\nContent-Type: application/octet-stream; name=\"größe.bin\"\r\nContent-Disposition: attachment; filename=\"größe.bin\"\r\n"
    "Content-Description: die Größe\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--b--\r\n".encode(),
    "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nX-Colour: grün\r\nComments: größer\r\n".encode())

case = Group("RFC 6856").case

_AS_IS = "When UTF-8 mode has not been enabled, character strings outside the ASCII repertoire MUST NOT be sent to the client as is. If a client " \
         "requests a UTF-8 message when UTF-8 mode is not enabled, the server MUST either send the client a surrogate message that complies with " \
         "unextended POP and Internet Mail Format without UTF-8 mode support, or fail the request with an -ERR response."


def _utf8_session(t, *messages):
    """A session in UTF-8 mode whose maildrop holds these messages."""
    t.need("UTF8")
    t.open(*messages).quit()
    client = t.connect(t.facts.over)
    client.ok(b"UTF8")
    reply = t.try_login(client, t.account)
    t.check(reply.ok, f"after UTF8 the login was answered with {reply!r}")
    return client


# The capability and the command.

@case("2-001", "MUST", "UTF8 is announced with no argument or with USER", "Arguments with CAPA tag: USER")
def _(t):
    t.check(t.need("UTF8") in ([], ["USER"]), f"its arguments are {t.need('UTF8')}")


@case("2.1-001", "SHOULD", "UTF8, when announced, is accepted before login",
      'This capability adds the "UTF8" command to POP3. [...] The server MAY respond to the "UTF8" command with an -ERR response.')
def _(t):
    t.need("UTF8")
    t.connect().ok(b"UTF8")


@case("2.1-002", "MUST", "UTF8 after login is refused", "Commands valid in states: AUTHORIZATION [s2]")
def _(t):
    t.need("UTF8")
    client = t.session()
    client.err(b"UTF8")
    client.ok(b"NOOP")


@case("2.1-003", "MUST", "UTF8 is understood in lower case", "a case-insensitive keyword [RFC 1939 s3]")
def _(t):
    t.need("UTF8")
    t.connect().ok(b"utf8")


@case("2.1-004", "MUST", "a login succeeds after UTF8", 'The "UTF8" command switches the session from the ASCII-only mode of POP3 [RFC1939] to UTF-8 mode.')
def _(t):
    _utf8_session(t).ok(b"STAT")


@case("2.1-005", "MUST", "in UTF-8 mode a message of RFC 6532 is sent as it is",
      "In UTF-8 mode, if the character encoding format of maildrops is UTF-8 or ASCII, the messages are sent to the client as is")
def _(t):
    client = _utf8_session(t, INTERNATIONAL)
    t.check(same_message(client.retr(1), INTERNATIONAL), "the message is not as it was delivered")


@case("2.1-006", "MUST", "in UTF-8 mode TOP sends the header as it is", "the messages are sent to the client as is")
def _(t):
    t.need("UTF8")
    t.need_top()
    head = unstuff(_utf8_session(t, INTERNATIONAL).multi(b"TOP 1 0"))
    t.check(split_message(INTERNATIONAL)[0] in head, "the header is not as it was delivered")


@case("2.1-007", "MUST", "UTF-8 mode changes nothing in messages of ASCII", "UTF-8 mode has no effect on messages in an ASCII-only maildrop.")
def _(t):
    t.need("UTF8")
    plain = t.open(*THREE)
    wanted = plain.listing(), [plain.retr(number) for number in (1, 2, 3)]
    plain.quit()
    client = _utf8_session(t, *THREE)
    t.check((client.listing(), [client.retr(number) for number in (1, 2, 3)]) == wanted, "LIST or RETR differ")


@case("2.1-008", "MUST", "without UTF8, RETR sends a header of ASCII, or -ERR", _AS_IS)
def _(t):
    t.need("UTF8")
    client = t.open(INTERNATIONAL)
    reply = client.command(b"RETR 1")
    if reply.err:
        return
    head = split_message(unstuff(client.body()))[0]
    t.check(head.isascii(), f"the header has {bytes(c for c in head if c > 127)!r}")


@case("2.1-009", "MUST", "without UTF8, TOP sends a header of ASCII, or -ERR", _AS_IS)
def _(t):
    t.need("UTF8")
    t.need_top()
    client = t.open(INTERNATIONAL)
    reply = client.command(b"TOP 1 0")
    if reply.err:
        return
    t.check(client.body().isascii(), "the header is not ASCII")


@case("2.1-010", "MUST", "without UTF8, the header fields of parts are ASCII too, or -ERR", _AS_IS)
def _(t):
    _, got = _surrogate(t, PARTS)
    t.check(got.isascii(), f"there is {bytes(c for c in got if c > 127)!r}")


def _sizes(number, what, text, utf8):
    @case(number, "SHOULD", f"LIST's size is what RETR sends, {'in' if utf8 else 'without'} UTF-8 mode: {what}",
          'The octet count (size) of a message reported in a response to the "LIST" command SHOULD match the actual number of octets sent in a "RETR" '
          'response (not counting byte-stuffing).')
    def _(t):
        t.need("UTF8")
        client = _utf8_session(t, text) if utf8 else t.open(text)
        listed = client.command(b"LIST 1")
        got = client.command(b"RETR 1")
        if got.err or listed.err:
            t.check(not utf8, f"LIST: {listed!r}, RETR: {got!r}")
            return
        size, said = len(unstuff(client.body())), int(listed.line.split()[2])
        t.check(size == said, f"LIST says {said}, RETR sends {size} octets")


_sizes("2.1-011", "a header with UTF-8", INTERNATIONAL, False)
_sizes("2.1-012", "parts with UTF-8", PARTS, False)
_sizes("2.1-013", "a header with UTF-8", INTERNATIONAL, True)
_sizes("2.1-014", "parts with UTF-8", PARTS, True)


@case("2.1-015", "MUST", "UTF8 holds for its own session only", 'The "UTF8" command switches the session')
def _(t):
    _utf8_session(t, INTERNATIONAL).quit()
    client = t.session()
    reply = client.command(b"RETR 1")
    if reply.ok:
        head = split_message(unstuff(client.body()))[0]
        t.check(head.isascii(), "the next session, without UTF8, gets UTF-8")


@case("5-001", "MUST", "a refusal for want of UTF-8 mode has no response code or [UTF8]",
      'The "UTF8" response code indicates that a failure is due to a request for message content that contains a UTF-8 string when the client is not in '
      'UTF-8 mode.')
def _(t):
    t.need("UTF8")
    client = t.open(INTERNATIONAL)
    reply = client.command(b"RETR 1")
    if reply.ok:  # a surrogate: then the code may not come at all, on +OK least of all
        client.body()
        t.check(reply.code != "UTF8", f"RETR was answered with {reply!r}: valid for -ERR only")
        return
    t.check(reply.code in (None, "UTF8"), f"RETR was answered with {reply!r}")


# Names and passwords.

_ACCEPTS = "If the USER argument is included with this capability, it indicates that the server accepts UTF-8 usernames and passwords."


def _need_user_argument(t):
    if "USER" not in t.need("UTF8"):
        t.skip("not announced: UTF8 USER")
    return t.special("utf8")


def _utf8_login(number, what, first, quote=_ACCEPTS):
    @case(number, "MUST", f"USER and PASS accept UTF-8 {what}", quote)
    def _(t):
        account = _need_user_argument(t)
        client = t.connect(t.facts.over)
        if first:
            client.ok(first)
        client.ok(b"USER " + account.name.encode())
        client.ok(b"PASS " + account.password.encode())
        client.state = "transaction"
        client.ok(b"STAT")


_utf8_login("2.2-001", "after UTF8", b"UTF8")
_utf8_login("2.2-002", "without UTF8", None, 'the client MAY use UTF-8 characters with a "USER", "PASS", or "APOP" command; the client MAY do so before '
            'issuing the "UTF8" command.')


def _prepared(number, what, form):
    @case(number, "SHOULD", f"names and passwords are prepared with SASLprep: {what}",
          'Servers that include the USER argument in the "UTF8" capability response SHOULD apply SASLprep [RFC4013] or one of its Standards Track '
          'successors to the arguments of the "USER" and "PASS" commands.')
    def _(t):
        account = _need_user_argument(t)
        name, password = form(account.name), form(account.password)
        if (name, password) == (account.name, account.password):
            t.skip("this account's name and password have no such form")
        client = t.connect(t.facts.over)
        client.command(b"USER " + name.encode())
        reply = client.command(b"PASS " + password.encode())
        t.check(reply.ok, f"PASS was answered with {reply!r}")
        client.state = "transaction"


_prepared("2.2-003", "decomposed letters", lambda text: unicodedata.normalize("NFD", text))
_prepared("2.2-004", "a soft hyphen, which is mapped to nothing", lambda text: text[:2] + "\u00ad" + text[2:])


def _invalid(number, what, where, octets):
    @case(number, "MUST", f"a {where} with {what} is refused",
          "The server MUST reject UTF-8 usernames or passwords that fail to comply with the formal syntax in UTF-8 [RFC3629]." if "prohibited" not in what
          else "When applying SASLprep, servers MUST reject UTF-8 usernames or passwords that contain a UTF-8 character listed in Section 2.3 of SASLprep.")
    def _(t):
        account = _need_user_argument(t)
        client = t.connect(t.facts.over)
        name, password = account.name.encode(), account.password.encode()
        if where == "name":
            name = octets + name
        else:
            password += octets
        if client.command(b"USER " + name).ok:
            client.err(b"PASS " + password)


for _n, (_what, _octets) in enumerate((("an octet that UTF-8 does not have", b"\xff"), ("an overlong form", b"\xc0\xaf"),
                                       ("half a character", b"\xc3"), ("a surrogate code point", b"\xed\xa0\x80"),
                                       ("a prohibited character (U+E000)", b"\xee\x80\x80"))):
    _invalid(f"2.2-{10 + _n:03}", _what, "name", _octets)
    _invalid(f"2.2-{20 + _n:03}", _what, "password", _octets)


@case("2.2-005", "MUST", "AUTH PLAIN accepts a UTF-8 name and password",
      "The client presents [...] a string of [UTF-8] encoded [Unicode] characters [RFC 4616 s2]")
def _(t):
    account = t.special("utf8")
    client = t.connect(t.way_to("PLAIN"))
    reply = start(client, "PLAIN", f"\0{account.name}\0{account.password}", False)
    t.check(reply.ok, f"AUTH was answered with {reply!r}")
    client.state = "transaction"


# LANG.

_LANG = "If the command succeeds, the server returns a +OK response followed by a single space, the exact language tag selected, and another space. " \
        "Human-readable text in the appropriate language then appears in the rest of the line."


def _languages(t, client):
    t.need("LANG")
    reply = client.command(b"LANG")
    if reply.err:
        t.skip("the server does not list its languages (it need not)")
    return [line.partition(b" ")[0] for line in client.body().split(b"\r\n")[:-1]]


@case("3-001", "MUST", "LANG is announced without arguments", "Arguments with CAPA tag: none [s3.1]")
def _(t):
    t.check(t.need("LANG") == [], f"its arguments are {t.need('LANG')}")


def _lang_listing(number, when):
    @case(number, "MUST", f"LANG lists language tags, perhaps with a description in UTF-8 ({when} login)",
          "A language listing consists of the language tag [RFC5646] of the message, optionally followed by a single space and a human-readable "
          "description of the language in the language itself, using the UTF-8 charset. [s3.2]")
    def _(t):
        t.need("LANG")
        client = t.session() if when == "after" else t.connect()
        reply = client.command(b"LANG")
        if reply.err:
            t.skip("the server does not list its languages (it need not)")
        lines = client.body().split(b"\r\n")[:-1]
        t.check(lines, "the list is empty")
        for line in lines:
            t.check(re.fullmatch(rb"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*( [^ ].*)?", line), f"a line is {line!r}")
            line.decode("utf-8")


_lang_listing("3.2-001", "before")
_lang_listing("3.2-002", "after")


@case("3.2-003", "MUST", "LANG with a listed tag is answered with +OK, that tag and text", _LANG)
def _(t):
    client = t.connect()
    for tag in _languages(t, client):
        reply = client.command(b"LANG " + tag)
        t.check(re.match(rb"\+OK " + re.escape(tag) + rb" ", reply.line, re.I), f"LANG {tag.decode()} was answered with {reply!r}")


@case("3.2-004", "MUST", "LANG works after login", "Commands valid in states: AUTHORIZATION, TRANSACTION [s3.1]")
def _(t):
    client = t.session()
    for tag in _languages(t, client)[:3]:
        client.ok(b"LANG " + tag)


@case("3.2-005", "MUST", "texts after LANG are UTF-8, in each language and for each reply",
      "This, and subsequent protocol-level human-readable text, is encoded in the UTF-8 charset.")
def _(t):
    client = t.open(SHORT)
    for tag in _languages(t, client):
        replies = [client.command(line) for line in (b"LANG " + tag, b"NOOP", b"XYZZY", b"LIST 99", b"DELE 1", b"DELE 1", b"RSET", b"STAT")]
        for reply in replies:
            reply.line.decode("utf-8")
        t.check([reply.ok for reply in replies] == [True, True, False, False, True, False, True, True], f"in {tag!r}: {replies}")


@case("3.2-006", "MUST", "the language changes the texts", 'The "LANG" command requests that human-readable text included in all subsequent +OK and -ERR '
      'responses be localized to a language matching the language range argument')
def _(t):
    client = t.session()
    tags = _languages(t, client)
    if len({tag.split(b"-")[0].lower() for tag in tags}) < 2:
        t.skip("the server has one language only")
    texts = set()
    for tag in tags:
        client.ok(b"LANG " + tag)
        texts.add(client.err(b"RETR 99").text)
    t.check(len(texts) > 1, f"the same in {len(tags)} languages: {texts}")


@case("3.2-007", "MUST", "an unknown language is refused, and the one before stays",
      "If the command fails, the server returns an -ERR response and subsequent human-readable response text continues to use the language that was "
      "previously used.")
def _(t):
    client = t.session()
    tags = _languages(t, client)
    client.ok(b"LANG " + tags[-1])
    before = client.err(b"RETR 99").line
    client.err(b"LANG mul")
    t.check(client.err(b"RETR 99").line == before, "the language changed")


@case("3.2-008", "MUST", "LANG * chooses a language and names it",
      'If the client issues a "LANG" command with the special "*" language range argument, it indicates a request to use a language designated as '
      'preferred by the server administrator.')
def _(t):
    client = t.connect()
    tags = {tag.lower() for tag in _languages(t, client)}
    reply = client.ok(b"LANG *")
    found = re.match(rb"\+OK (\S+) ", reply.line)
    t.check(found and found[1].lower() in tags, f"LANG * was answered with {reply!r}")


@case("3.2-009", "MUST", "language tags are understood in any case",
      'a language matching the language range argument (the "basic language range" as described by the "Matching of Language Tags" [RFC4647]) '
      '[there, s2: matching is case-insensitive]')
def _(t):
    client = t.connect()
    tag = _languages(t, client)[0]
    client.ok(b"LANG " + tag.upper())
    client.ok(b"LANG " + tag.lower())


@case("3.2-010", "MUST", "STAT, LIST and UIDL keep their format in every language",
      'The positive response consists of "+OK" followed by a single space [RFC 1939 s5]')
def _(t):
    client = t.open(SHORT)
    for tag in _languages(t, client):
        client.ok(b"LANG " + tag)
        t.check(re.match(rb"\+OK 1 [0-9]+( |$)", client.command(b"STAT").line), f"STAT in {tag!r}")
        t.check(re.match(rb"\+OK 1 [0-9]+( |$)", client.command(b"LIST 1").line), f"LIST in {tag!r}")


# The surrogates: whichever way a server goes, what both descriptions share.

def _surrogate(t, text):
    t.need("UTF8")
    client = t.open(text)
    reply = client.command(b"RETR 1")
    if reply.err:
        t.skip("the server refuses such messages outside UTF-8 mode (it may)")
    got = unstuff(client.body())
    if not split_message(got)[0].isascii():
        t.skip("no surrogate: RFC6856-2.1-008")
    kinds = [[value for name, value in _fields(split_message(some)[0]) if name == "content-type"]
             for some in (got, re.sub(rb"[^\x00-\x7f]", b"", text))]
    if kinds[0] != kinds[1]:
        t.skip("the server wraps the message in another one: a surrogate too (RFC 6857 s1.2), but not one of these RFCs")
    return client, got


def _fields(head):
    """[(name in lower case, unfolded value)]"""
    unfolded = re.sub(r"\r\n(?=[ \t])", "", head.decode("ascii"))
    return [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in unfolded.split("\r\n") if line)]


def _decoded(value):
    return str(email.header.make_header(email.header.decode_header(value)))


case = Group("RFC 6858").case


@case("2.3-001", "MUST", "a surrogate's Subject is the original one as encoded words",
      "If the Subject field cannot be presented to the client exactly as it appears in the incoming message, the server presents a representation encoded as "
      "specified in RFC 2047.")
def _(t):
    _, got = _surrogate(t, INTERNATIONAL)
    subjects = [value for name, value in _fields(split_message(got)[0]) if name == "subject"]
    t.check(len(subjects) == 1 and _decoded(subjects[0]) == SUBJECT, f"Subject: {subjects}")


@case("2.1-001", "MUST", "a surrogate has no address that may be somebody else's",
      'Each internationalized email address in the header fields listed below is replaced with an invalid email address whose display-name tells the user what '
      'happened. [...] Anything that produces an email address that might belong to someone else is bad. [RFC 6857 s3.1.8: an empty group]')
def _(t):
    _, got = _surrogate(t, INTERNATIONAL)
    values = [value for name, value in _fields(split_message(got)[0]) if name == "from"]
    t.check(values, "there is no From field")
    for address in re.findall(r"[^\s<>,;:\"()]+@[^\s<>,;:\"()]+", values[0]):
        t.check(address.lower().endswith(".invalid") or address.startswith("=?"), f"From has the address {address}")


@case("2-001", "MUST", "a surrogate's body is the original one", "The surrogate message is intended to convey the most important information to the user.")
def _(t):
    _, got = _surrogate(t, INTERNATIONAL)
    t.check(split_message(got)[1] == split_message(INTERNATIONAL)[1], "the body was changed")


@case("2-002", "MUST", "a surrogate keeps the header fields that are ASCII",
      "Any header field that cannot be presented to the client, even with the modifications listed in Sections 2.1-2.3, is silently excised. [s2.4: no other]")
def _(t):
    _, got = _surrogate(t, INTERNATIONAL)
    fields = _fields(split_message(got)[0])
    for wanted in (("to", "Leser <leser@example.test>"), ("date", "Mon, 01 Jun 2026 12:00:00 +0000"), ("message-id", "<utf8@elsewhere.example>")):
        t.check(wanted in fields, f"{wanted} is missing or changed")


@case("4-001", "MUST", "TOP's lines are those of the surrogate",
      "The number of lines specified in the TOP command [RFC1939] refers to the surrogate message.")
def _(t):
    t.need_top()
    text = _international(b"one\r\ntwo\r\nthree\r\n")
    client, got = _surrogate(t, text)
    head, body = split_message(got)
    t.check(unstuff(client.multi(b"TOP 1 2")) == head + b"\r\n" + b"one\r\ntwo\r\n", "TOP 1 2 is not the surrogate's header and two lines")


@case("4-002", "MUST", "a surrogate is the same each time", "the server synthesizes a conventional message [s1]")
def _(t):
    client, got = _surrogate(t, PARTS)
    t.check(client.retr(1) == got, "the second RETR differs")


case = Group("RFC 6857").case


@case("4.1-001", "MUST", "the surrogate of a message with parts keeps its parts and their content",
      "Parse the message body's MIME structure at all levels and check each MIME header field to see whether it contains non-ASCII strings.")
def _(t):
    _, got = _surrogate(t, PARTS)
    if not got.isascii():
        t.skip("no surrogate: RFC6856-2.1-010")
    body = split_message(got)[1]
    t.check(body.count(b"--b\r\n") == 2 and b"--b--" in body, "the boundaries are not there")
    t.check(b"R3LDvMOfZQ==" in body and b"\r\nAAAA\r\n" in body, "a part's content is not there")


@case("3.2-001", "MUST", "the parameters of a surrogate's parts are removed, or encoded by RFC 2231",
      "then encode the <value> elements as extended MIME parameter encodings [RFC2231] [RFC 6858 s2.2: silently excised]")
def _(t):
    _, got = _surrogate(t, PARTS)
    body = split_message(got)[1]
    for value in re.findall(rb'filename\s*=\s*"?([^";\r\n]*)', body):
        t.check(False, f"a plain filename parameter is left: {value!r}")
    for value in re.findall(rb"filename\*\s*=\s*(\S+)", body):
        t.check(re.match(rb"utf-8''", value, re.I), f"filename* is {value!r}")


# RETR sends a message.

case = Group("RFC 5322").case

_LINES = "CR and LF MUST only occur together as CRLF; they MUST NOT appear independently in the body. [s2.3]"


def _clean_lines(number, what, text):
    @case(number, "MUST", f"RETR has CR and LF only together: {what}", _LINES)
    def _(t):
        got = t.open(text).retr(1)
        t.check(not re.search(rb"\r(?!\n)|(?<!\r)\n", got), "there is a CR or an LF alone")


for _n, _kind in enumerate(("one line", "dots at the beginning of lines", "a folded header", "a body of empty lines", "1 MB")):
    _clean_lines(f"2.3-{1 + _n:03}", _kind, KINDS[_kind])


@case("2.1.1-001", "MUST", "lines of 998 characters are not broken",
      "Each line of characters MUST be no more than 998 characters, and SHOULD be no more than 78 characters, excluding the CRLF. [So longer breaks are not needed.]")
def _(t):
    body = split_message(t.open(KINDS["lines of 998 octets"]).retr(1))[1]
    t.check({len(line) for line in body.split(b"\r\n")[:-1]} == {998}, f"lines of {sorted({len(line) for line in body.split(chr(13).encode())})}")


@case("2.1-001", "MUST", "an empty line separates header and body, and the header has fields only",
      "A message consists of header fields (collectively called \"the header section of the message\") followed, optionally, by a body. [...] separated from "
      "the header section by an empty line")
def _(t):
    for text in (SHORT, DOTS, KINDS["no body"]):
        client = t.open(text)
        head = split_message(client.retr(1))[0]
        client.finish()
        for line in re.sub(rb"\r\n(?=[ \t])", b"", head).split(b"\r\n")[:-1]:
            t.check(re.match(rb"[\x21-\x39\x3b-\x7e]+[ \t]*:", line), f"a line of the header is {line!r}")


@case("2.2.3-001", "MUST", "folded header fields stay as they are",
      "The process of moving from this folded multiple-line representation of a header field to its single line representation is called \"unfolding\".")
def _(t):
    got = t.open(FOLDED).retr(1)
    t.check(b"X-Long: first part\r\n second part\r\n\tthird part\r\n" in got, "the field was folded anew")


@case("3.6.7-001", "SHOULD", "the fields that delivery adds stand before the message's own",
      "trace information [...] is prepended [RFC 5321 s4.1.1.4: the time stamp line is inserted at the beginning of the mail data]")
def _(t):
    got = split_message(t.open(SHORT).retr(1))[0]
    t.check(got.endswith(split_message(SHORT)[0]), "something stands behind or between the message's own fields")


case = Group("RFC 6532").case


@case("3.2-001", "MUST", "in UTF-8 mode fields with UTF-8 arrive octet for octet",
      "This section describes how UTF-8 characters are allowed in header field values; field names remain ASCII.")
def _(t):
    text = _international(extra="Comments: größer, 更大\r\nKeywords: Müll\r\n".encode())
    got = _utf8_session(t, text).retr(1)
    t.check(split_message(text)[0] in split_message(got)[0], "the fields are not as they were delivered")


@case("3.4-001", "MUST", "in UTF-8 mode a body of UTF-8 arrives octet for octet",
      "Internationalized messages must only be sent [...] as 8bit")
def _(t):
    text = _international("Grüße\r\n.Ünder\r\n你好\r\n".encode(), b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
                          b"Content-Transfer-Encoding: 8bit\r\n")
    got = _utf8_session(t, text).retr(1)
    t.check(same_message(got, text), "the message is not as it was delivered")
