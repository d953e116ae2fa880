"""RFC 1939 section 7, and 13: TOP, UIDL, USER and PASS, APOP."""

import hashlib
import re

from ..context import split_message
from ..messages import DOTS, FOLDED, KINDS, SECOND, SHORT, TEN_LINES, THIRD, THREE, message
from ..registry import Group
from ..target import TIMESTAMP
from ..wire import unstuff

case = Group("RFC 1939").case

_TOP = "After the initial +OK, the POP3 server sends the headers of the message, the blank line separating the headers from the " \
       "body, and then the number of lines of the indicated message's body, being careful to byte-stuff the termination character"
_MORE = "Note that if the number of lines requested by the POP3 client is greater than than the number of lines in the body, " \
        "then the POP3 server sends the entire message."
_TOP_ARGUMENTS = "Arguments: a message-number (required) which may NOT refer to to a message marked as deleted, and a " \
                 "non-negative number of lines (required)"


# TOP.

def _top_lines(number, text, count):
    @case(number, "MUST", f"TOP with {count} lines: the header, the blank line and as many lines of the body", _TOP)
    def _(t):
        t.need_top()
        client = t.open(text)
        head, body = split_message(client.retr(1))
        wanted = head + b"\r\n" + b"".join(body.splitlines(keepends=True)[:count])
        got = unstuff(client.multi(b"TOP 1 %d" % count))
        t.check(got == wanted, f"{len(got)} octets instead of {len(wanted)}, or others")


for _number, _count in (("7-001", 0), ("7-002", 1), ("7-003", 2), ("7-004", 9), ("7-005", 10)):
    _top_lines(_number, TEN_LINES, _count)


def _top_whole(number, what, text, lines):
    @case(number, "MUST", f"TOP with more lines than there are gives the whole message: {what}", _MORE)
    def _(t):
        t.need_top()
        client = t.open(text)
        t.check(client.multi(b"TOP 1 %d" % lines) == client.multi(b"RETR 1"), "TOP and RETR differ")


_top_whole("7-006", "one line more", TEN_LINES, 11)
_top_whole("7-007", "999999 lines", TEN_LINES, 999999)
_top_whole("7-008", "2147483647 lines", DOTS, 2147483647)
_top_whole("7-009", "no body", KINDS["no body"], 5)
_top_whole("7-010", "empty lines", KINDS["a body of empty lines"], 100)
_top_whole("7-011", "a large message", KINDS["100 KB"], 5000)


@case("7-012", "MUST", "TOP does not count the header's lines", "and then the number of lines of the indicated message's body")
def _(t):
    t.need_top()
    text = message(b"many fields", b"first\r\nsecond\r\nthird\r\n", b"".join(b"X-Field-%d: v\r\n" % n for n in range(50)))
    body = split_message(unstuff(t.open(text).multi(b"TOP 1 2")))[1]
    t.check(body == b"first\r\nsecond\r\n", f"the body is {body!r}")


@case("7-013", "MUST", "TOP sends folded header fields whole", "the POP3 server sends the headers of the message")
def _(t):
    t.need_top()
    client = t.open(FOLDED)
    head = split_message(client.retr(1))[0]
    t.check(client.multi(b"TOP 1 0") == head + b"\r\n", "TOP 1 0 is not RETR's header and the blank line")


@case("7-014", "MUST", "TOP counts empty lines of the body as lines", "the number of lines of the indicated message's body")
def _(t):
    t.need_top()
    body = split_message(t.open(KINDS["a body of empty lines"]).multi(b"TOP 1 3"))[1]
    t.check(body == b"\r\n" * 3, f"the body is {body!r}")


@case("7-015", "MUST", "TOP of part of the body is stuffed", "being careful to byte-stuff the termination character")
def _(t):
    t.need_top()
    body = split_message(t.open(DOTS).multi(b"TOP 1 4"))[1]
    t.check(body == b"..\r\n...\r\n....\r\n..dot first\r\n", f"the body is {body!r}")


@case("7-016", "MUST", "TOP changes nothing: the message stays unmarked", "may NOT refer to to a message marked as deleted")
def _(t):
    t.need_top()
    client = t.open(*THREE)
    before = client.stat()
    client.multi(b"TOP 2 1")
    t.check(client.stat() == before and 2 in client.listing(), "STAT or LIST changed")


def _top_refused(number, what, argument):
    @case(number, "MUST", f"TOP is refused with {what}", _TOP_ARGUMENTS)
    def _(t):
        t.need_top()
        client = t.open(*THREE)
        client.err(b"TOP" + argument)
        t.check(client.command(b"NOOP").ok, "the session is out of step afterwards")


for _number, _what, _argument in (
        ("7-020", "no arguments", b""), ("7-021", "no number of lines", b" 1"), ("7-022", "a negative number of lines", b" 1 -1"),
        ("7-023", "letters for the lines", b" 1 ten"), ("7-024", "the message 0", b" 0 1"),
        ("7-025", "a message after the last", b" 4 1"), ("7-026", "letters for the message", b" one 1")):
    _top_refused(_number, _what, _argument)


# UIDL.

_UNIQUE = "The unique-id of a message is an arbitrary server-determined string, consisting of one to 70 characters in the range " \
          "0x21 to 0x7E, which uniquely identifies a message within a maildrop and which persists across sessions."
_FORMAT = "A unique-id listing consists of the message-number of the message, followed by a single space and the unique-id of " \
          "the message. No information follows the unique-id in the unique-id listing."


@case("7-030", "MUST", "UIDL has a line with number and unique-id for each message, and nothing else", _FORMAT)
def _(t):
    t.need_uidl()
    lines = t.open(*THREE).lines(b"UIDL")
    for line in lines:
        t.check(re.fullmatch(rb"[0-9]+ [\x21-\x7e]+", line), f"a line of UIDL is {line!r}")
    t.check(sorted(int(line.split()[0]) for line in lines) == [1, 2, 3], f"UIDL is {lines}")


@case("7-031", "MUST", "unique-ids have 1 to 70 characters from 0x21 to 0x7E", _UNIQUE)
def _(t):
    t.need_uidl()
    for unique_id in t.open(*THREE).uidl().values():
        t.check(re.fullmatch(rb"[\x21-\x7e]{1,70}", unique_id), f"a unique-id is {unique_id!r}")


@case("7-032", "MUST", "different messages have different unique-ids", "which uniquely identifies a message within a maildrop")
def _(t):
    t.need_uidl()
    found = list(t.open(*THREE).uidl().values())
    t.check(len(set(found)) == 3, f"unique-ids: {found}")


@case("7-033", "MUST", "UIDL with a number gives that message in one line",
      "If an argument was given and the POP3 server issues a positive response with a line containing information for that message.")
def _(t):
    t.need_uidl()
    client = t.open(*THREE)
    for number, unique_id in client.uidl().items():
        reply = client.ok(b"UIDL %d" % number)
        t.check(reply.line == b"+OK %d %s" % (number, unique_id), f"{reply!r}, UIDL says {unique_id!r}")
    t.check(client.quiet(0.2), f"more lines: {bytes(client.input)!r}")


@case("7-034", "MUST", "unique-ids persist across sessions", "and which persists across sessions")
def _(t):
    t.need_uidl()
    client = t.open(*THREE)
    before = client.uidl()
    client.quit()
    t.check(t.session().uidl() == before, "the next session has others")


@case("7-035", "MUST", "unique-ids persist when a session ends without UPDATE",
      "This persistence is required even if a session ends without entering the UPDATE state.")
def _(t):
    t.need_uidl()
    client = t.open(*THREE)
    before = client.uidl()
    client.ok(b"DELE 1")
    client.close()
    t.check(t.session().uidl() == before, "the next session has others")


@case("7-036", "MUST", "unique-ids persist when another message is removed", "which persists across sessions")
def _(t):
    t.need_uidl()
    client = t.open(*THREE)
    before = client.uidl()
    client.ok(b"DELE 1")
    client.quit()
    after = t.session().uidl()
    t.check(sorted(after.values()) == sorted([before[2], before[3]]), f"{before} became {after}")


@case("7-037", "MUST", "unique-ids persist when mail arrives", "which persists across sessions")
def _(t):
    t.need_uidl()
    client = t.open(SHORT, SECOND)
    before = client.uidl()
    client.quit()
    t.deliver(THIRD)
    after = t.session().uidl()
    t.check(len(after) == 3 and set(before.values()) < set(after.values()), f"{before} became {after}")


@case("7-038", "MUST", "a unique-id stays with its message", "which uniquely identifies a message within a maildrop")
def _(t):
    t.need_uidl()
    client = t.open(*THREE)
    before = {unique_id: client.retr(number) for number, unique_id in client.uidl().items()}
    client.ok(b"DELE 1")
    client.quit()
    again = t.session()
    for number, unique_id in again.uidl().items():
        t.check(before.get(unique_id) == again.retr(number), f"{unique_id!r} names another message now")


@case("7-039", "SHOULD", "a unique-id is not used again after its message was removed",
      "The server should never reuse an unique-id in a given maildrop, for as long as the entity using the unique-id exists.")
def _(t):
    t.need_uidl()
    client = t.open(*THREE)
    before = set(client.uidl().values())
    for number in (1, 2, 3):
        client.ok(b"DELE %d" % number)
    client.quit()
    t.deliver(message(b"after the removal", b"new\r\n"))
    client = t.session()
    after = set(client.uidl().values())
    t.check(after and not (before & after), f"{before & after} named a message that was removed")


@case("7-040", "MUST", "UIDL does not list messages marked as deleted", "Note that messages marked as deleted are not listed.")
def _(t):
    t.need_uidl()
    client = t.open(*THREE)
    client.ok(b"DELE 2")
    t.check(sorted(client.uidl()) == [1, 3], f"UIDL has {sorted(client.uidl())}")


@case("7-041", "MUST", "UIDL of an empty maildrop is +OK and the final line",
      "After the initial +OK, for each message in the maildrop, the POP3 server responds with a line")
def _(t):
    t.need_uidl()
    body = t.open().multi(b"UIDL")
    t.check(body == b"", f"lines: {body!r}")


def _uidl_refused(number, what, argument):
    @case(number, "MUST", f"UIDL is refused with {what}", "Possible Responses: -ERR no such message")
    def _(t):
        t.need_uidl()
        client = t.open(*THREE)
        client.err(b"UIDL " + argument)
        t.check(client.command(b"NOOP").ok, "the session is out of step afterwards")


for _number, _what, _argument in (
        ("7-042", "the number 0", b"0"), ("7-043", "a number after the last", b"4"), ("7-044", "letters", b"abc"),
        ("7-045", "a negative number", b"-1"), ("7-046", "a very large number", b"99999999999999999999")):
    _uidl_refused(_number, _what, _argument)


# USER and PASS.

_PASS = "may only be given in the AUTHORIZATION state immediately after a successful USER command"


def _need_user(t):
    client = t.connect(t.facts.over)
    capabilities = t.facts.plain if client.tls is None else t.facts.secure
    if capabilities is not None and "USER" not in capabilities:
        t.skip("not announced: USER")
    return client


@case("7-050", "MUST", "USER and PASS open the maildrop", "the POP3 server uses the argument pair from the USER and PASS commands "
      "to determine if the client should be given access to the appropriate maildrop.")
def _(t):
    client = _need_user(t)
    client.ok(b"USER " + t.account.name.encode())
    client.ok(b"PASS " + t.account.password.encode())
    client.state = "transaction"
    client.ok(b"STAT")


@case("7-051", "MUST", "PASS without USER is refused", _PASS)
def _(t):
    _need_user(t).err(b"PASS " + t.account.password.encode())


@case("7-052", "MUST", "PASS after a refused PASS is refused until USER is given again", _PASS)
def _(t):
    client = _need_user(t)
    client.ok(b"USER " + t.account.name.encode())
    client.err(b"PASS not-" + t.account.password.encode())
    if not client.closes(0.3):
        client.err(b"PASS " + t.account.password.encode())


@case("7-053", "MUST", "PASS is refused when another command came after USER", _PASS)
def _(t):
    client = _need_user(t)
    client.ok(b"USER " + t.account.name.encode())
    client.err(b"NOOP")
    client.err(b"PASS " + t.account.password.encode())


@case("7-054", "MUST", "USER without a name is refused", "Arguments: a string identifying a mailbox (required)")
def _(t):
    _need_user(t).err(b"USER")


@case("7-055", "MUST", "PASS without a password is refused", "Arguments: a server/mailbox-specific password (required)")
def _(t):
    client = _need_user(t)
    client.ok(b"USER " + t.account.name.encode())
    client.err(b"PASS")


@case("7-056", "MUST", "the first part of a password is not enough",
      "to determine if the client should be given access to the appropriate maildrop.")
def _(t):
    client = _need_user(t)
    client.ok(b"USER " + t.account.name.encode())
    client.err(b"PASS " + t.account.password[:-1].encode())


@case("7-057", "MUST", "a password with more behind it is refused",
      "to determine if the client should be given access to the appropriate maildrop.")
def _(t):
    client = _need_user(t)
    client.ok(b"USER " + t.account.name.encode())
    client.err(b"PASS " + t.account.password.encode() + b"x")


@case("7-058", "MUST", "another account's password is refused",
      "the POP3 server uses the argument pair from the USER and PASS commands")
def _(t):
    others = [account for account in t.target.accounts if account.password != t.account.password]
    if not others:
        t.skip("the target has no second account with another password")
    client = _need_user(t)
    client.ok(b"USER " + t.account.name.encode())
    client.err(b"PASS " + others[0].password.encode())


# APOP.

_STAMP = "A POP3 server which implements the APOP command will include a timestamp in its banner greeting. The syntax of the " \
         "timestamp corresponds to the `msg-id' in [RFC822], and MUST be different each time the POP3 server issues a banner greeting."
_DIGEST = "If the digest is correct, the POP3 server issues a positive response, and the POP3 session enters the TRANSACTION " \
          "state. Otherwise, a negative response is issued and the POP3 session remains in the AUTHORIZATION state."


def _apop(t):
    """A connection and an account for APOP."""
    if not t.facts.timestamp:
        t.skip("not announced: APOP (no timestamp in the greeting)")
    account = t.special("apop")
    return t.connect(), account


@case("7-060", "MUST", "the timestamp is a message-id in angle brackets", _STAMP)
def _(t):
    greeting = t.connect().greeting.line
    if b"<" not in greeting:
        t.skip("not announced: APOP (no timestamp in the greeting)")
    t.check(TIMESTAMP.search(greeting), f"the greeting is {greeting!r}")


@case("7-061", "MUST", "each greeting has another timestamp", _STAMP)
def _(t):
    if not t.facts.timestamp:
        t.skip("not announced: APOP (no timestamp in the greeting)")
    stamps = [TIMESTAMP.search(t.connect().greeting.line) for _ in range(5)]
    t.check(all(stamps) and len({stamp[0] for stamp in stamps}) == 5, f"timestamps: {[s and s[0] for s in stamps]}")


@case("7-062", "MUST", "APOP with the right digest enters the TRANSACTION state", _DIGEST)
def _(t):
    client, account = _apop(t)
    client.ok(b"APOP %s %s" % (account.name.encode(), t.apop_digest(client, account.extra["secret"])))
    client.state = "transaction"
    client.ok(b"STAT")


@case("7-063", "MUST", "APOP with a wrong digest is refused", _DIGEST)
def _(t):
    client, account = _apop(t)
    client.err(b"APOP %s %s" % (account.name.encode(), t.apop_digest(client, account.extra["secret"] + "x")))


@case("7-064", "MUST", "after a refused APOP the session is in the AUTHORIZATION state", _DIGEST)
def _(t):
    client, account = _apop(t)
    client.err(b"APOP %s %s" % (account.name.encode(), b"0" * 32))
    if not client.closes(0.3):
        client.err(b"STAT")


@case("7-065", "MUST", "a digest over another greeting's timestamp is refused",
      "An alternate method of authentication is required which provides for both origin authentication and replay protection")
def _(t):
    client, account = _apop(t)
    other = t.connect()
    client.err(b"APOP %s %s" % (account.name.encode(), t.apop_digest(other, account.extra["secret"])))


@case("7-066", "MUST", "APOP for an unknown name is refused", _DIGEST)
def _(t):
    client, account = _apop(t)
    client.err(b"APOP nobody-%s %s" % (account.name.encode(), t.apop_digest(client, account.extra["secret"])))


def _apop_syntax(number, what, tail):
    @case(number, "MUST", f"APOP is refused with {what}",
          "Arguments: a string identifying a mailbox and a MD5 digest string (both required)")
    def _(t):
        client, account = _apop(t)
        client.err(b"APOP" + tail.replace(b"NAME", account.name.encode()))


_apop_syntax("7-067", "no arguments", b"")
_apop_syntax("7-068", "no digest", b" NAME")
_apop_syntax("7-069", "half a digest", b" NAME 0123456789abcdef")


@case("7-070", "MUST", "a digest without the secret is refused",
      "applying the MD5 algorithm [RFC1321] to a string consisting of the timestamp (including angle-brackets) followed by a "
      "shared secret.")
def _(t):
    client, account = _apop(t)
    stamp = TIMESTAMP.search(client.greeting.line)[0]
    client.err(b"APOP %s %s" % (account.name.encode(), hashlib.md5(stamp).hexdigest().encode()))


@case("13-001", "SHOULD", "an account that logs in with APOP can't log in with USER and PASS",
      "Accordingly, a POP3 server which implements both the PASS and APOP commands should not allow both methods of access for a "
      "given user")
def _(t):
    _, account = _apop(t)
    for password in dict.fromkeys(filter(None, (account.extra["secret"], account.password))):
        client = t.connect(t.facts.over)
        if client.command(b"USER " + account.name.encode()).ok:
            client.err(b"PASS " + password.encode())


@case("13-002", "SHOULD", "USER does not tell which names exist",
      "Servers that answer -ERR to the USER command are giving potential attackers clues about which names are valid.")
def _(t):
    known = _need_user(t).command(b"USER " + t.account.name.encode())
    unknown = t.connect(t.facts.over).command(b"USER nobody-" + t.account.name.encode())
    t.check(known.ok == unknown.ok, f"a known name: {known!r}, an unknown one: {unknown!r}")


