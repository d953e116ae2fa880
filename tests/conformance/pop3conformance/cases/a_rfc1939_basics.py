"""RFC 1939 sections 3 and 4: commands and replies, the AUTHORIZATION state."""

import re
import time

from ..messages import DOTS, SHORT, THREE
from ..registry import Group

case = Group("RFC 1939").case

_UNRECOGNIZED = "A server MUST respond to an unrecognized, unimplemented, or syntactically invalid command by " \
                "responding with a negative status indicator."
_STATE = "A server MUST respond to a command issued when the session is in an incorrect state by responding with a " \
         "negative status indicator."
_UPPER = 'Servers MUST send the "+OK" and "-ERR" in upper case.'
_CRLF = "All responses are terminated by a CRLF pair."
_KEYWORD = "Commands in the POP3 consist of a case-insensitive keyword, possibly followed by one or more arguments."


@case("3-001", "MUST", "the greeting is one line that begins with +OK",
      "Once the TCP connection has been opened by a POP3 client, the POP3 server issues a one line greeting. This can be "
      "any positive response.")
def _(t):
    client = t.connect()
    t.check(client.greeting.line[:3] == b"+OK", f"the greeting is {client.greeting!r}")
    t.check(client.quiet(), f"more than one line: {bytes(client.input)!r}")


@case("3-002", "MUST", "the greeting ends with CRLF", _CRLF)
def _(t):
    client = t.connect()
    t.check(client.greeting.end == b"\r\n", f"it ends with {client.greeting.end!r}")


@case("3-003", "MUST", "replies before login end with CRLF", _CRLF)
def _(t):
    client = t.connect()
    for command in (b"XYZZY", b"STAT", b"USER " + t.account.name.encode(), b"PASS wrong", b"QUIT"):
        reply = client.command(command)
        t.check(reply.end == b"\r\n", f"the reply to {command!r} ends with {reply.end!r}")
        if reply.err and command == b"PASS wrong" and client.closes(0.2):
            return


@case("3-004", "MUST", "replies after login end with CRLF", _CRLF)
def _(t):
    client = t.open(SHORT)
    for command in (b"STAT", b"LIST 1", b"LIST 99", b"NOOP", b"XYZZY", b"DELE 1", b"RSET"):
        reply = client.command(command)
        t.check(reply.end == b"\r\n", f"the reply to {command!r} ends with {reply.end!r}")


@case("3-005", "MUST", "status indicators are in upper case before login", _UPPER)
def _(t):
    client = t.connect()
    for command in (b"xyzzy", b"stat", b"quit"):
        reply = client.command(command)
        t.check(re.match(rb"(\+OK|-ERR)( |$)", reply.line), f"{command!r}: {reply!r}")


@case("3-006", "MUST", "status indicators are in upper case after login", _UPPER)
def _(t):
    client = t.open(SHORT)
    for command in (b"stat", b"noop", b"list 1", b"list 99", b"xyzzy", b"dele 1", b"rset"):
        reply = client.command(command)
        t.check(re.match(rb"(\+OK|-ERR)( |$)", reply.line), f"{command!r}: {reply!r}")


@case("3-007", "MUST", "the first line of a reply has at most 512 octets, whatever the client sent",
      "Responses may be up to 512 characters long, including the terminating CRLF.")
def _(t):
    client = t.connect()
    t.check(len(client.greeting.line + client.greeting.end) <= 512, "the greeting is longer")
    for command in (b"X" * 200, b"USER " + b"u" * 230, b"STAT " + b"s" * 200):
        reply = client.command(command)
        size = len(reply.line + reply.end)
        t.check(size <= 512, f"{size} octets")


@case("3-008", "MUST", "each command gets one reply, in order",
      "After each command, the POP3 server issues a response.")
def _(t):
    client = t.open(SHORT)
    for command, good in ((b"NOOP", True), (b"XYZZY", False), (b"STAT", True), (b"LIST 1", True), (b"LIST 99", False),
                          (b"DELE 1", True), (b"RETR 1", False), (b"RSET", True), (b"NOOP", True)):
        reply = client.command(command)
        t.check(reply.ok if good else reply.err, f"{command!r} was answered with {reply!r}")
    t.check(client.quiet(), f"a reply without a command: {bytes(client.input)!r}")


# Keywords in any case.

def _keyword_case(number, command, login, capability=None):
    @case(number, "MUST", f"{command.decode().split()[0]} is understood in lower and mixed case", _KEYWORD)
    def _(t):
        if capability == "TOP":
            t.need_top()
        elif capability == "UIDL":
            t.need_uidl()
        keyword, _, rest = command.partition(b" ")
        mixed = b"".join(bytes([c]).lower() if n % 2 else bytes([c]) for n, c in enumerate(keyword))
        for form in (keyword.lower(), mixed):
            client = t.open(SHORT) if login else t.connect(t.facts.over)
            reply = client.command(form + (b" " + rest if rest else b""))
            t.check(reply.ok, f"{form!r} was answered with {reply!r}")
            if form.lower() == b"quit":
                client.close()
            elif form.lower() in (b"retr", b"top", b"uidl", b"list") and (form.lower() in (b"retr", b"top") or not rest):
                client.body()
            client.finish()


for _number, _command, _login, _capability in (
        ("3-010", b"QUIT", False, None), ("3-011", b"STAT", True, None), ("3-012", b"LIST", True, None),
        ("3-013", b"RETR 1", True, None), ("3-014", b"DELE 1", True, None), ("3-015", b"NOOP", True, None),
        ("3-016", b"RSET", True, None), ("3-017", b"TOP 1 0", True, "TOP"), ("3-018", b"UIDL", True, "UIDL"),
        ("3-019", b"QUIT", True, None)):
    _keyword_case(_number, _command, _login, _capability)


@case("3-020", "MUST", "USER and PASS are understood in lower case", _KEYWORD)
def _(t):
    client = t.connect(t.facts.over)
    if "USER" not in ((t.facts.plain if t.facts.over == "plain" else t.facts.secure) or {"USER": []}):
        t.skip("not announced: USER")
    client.ok(b"user " + t.account.name.encode())
    client.ok(b"pass " + t.account.password.encode())
    client.state = "transaction"


# Lines that are no command.

def _not_understood(number, what, command, login):
    @case(number, "MUST", f"{what} is refused {'after' if login else 'before'} login", _UNRECOGNIZED)
    def _(t):
        client = t.open(SHORT) if login else t.connect()
        client.err(command)
        if login:
            t.check(client.command(b"NOOP").ok, "the session is out of step afterwards")


for _n, (_what, _command) in enumerate((
        ("an unknown keyword", b"XYZZY"), ("an unknown keyword with arguments", b"XYZZY 1 2 3"),
        ("a keyword that begins with a known one", b"STATUS"), ("the beginning of a known keyword", b"STA"),
        ("an empty line", b""), ("a line that begins with a space", b" STAT"))):
    _not_understood(f"3-{30 + _n:03}", _what, _command, False)
    _not_understood(f"3-{40 + _n:03}", _what, _command, True)


@case("3-050", "MUST", "APOP is refused by a server without a timestamp in its greeting", _UNRECOGNIZED)
def _(t):
    if t.facts.timestamp:
        t.skip("the greeting has a timestamp: APOP is offered")
    t.connect().err(b"APOP " + t.account.name.encode() + b" c4c9334bac560ecc979e58001b3e22fb")


# Commands that belong to another state.

def _too_early(number, command):
    @case(number, "MUST", f"{command.decode().split()[0]} is refused before login", _STATE)
    def _(t):
        t.connect().err(command)


for _n, _command in enumerate((b"STAT", b"LIST", b"RETR 1", b"DELE 1", b"NOOP", b"RSET", b"TOP 1 0", b"UIDL")):
    _too_early(f"3-{60 + _n:03}", _command)


def _too_late(number, command):
    @case(number, "MUST", f"{command.decode().split()[0]} is refused after login", _STATE)
    def _(t):
        client = t.open()
        client.err(command.replace(b"NAME", t.account.name.encode()))
        t.check(client.command(b"NOOP").ok, "the session is out of step afterwards")


for _n, _command in enumerate((b"USER NAME", b"PASS secret", b"APOP NAME c4c9334bac560ecc979e58001b3e22fb")):
    _too_late(f"3-{70 + _n:03}", _command)


# Multi-line replies.

_END = 'When all lines of the response have been sent, a final line is sent, consisting of a termination octet (decimal ' \
       'code 046, ".") and a CRLF pair.'
_STUFFED = 'If any line of the multi-line response begins with the termination octet, the line is "byte-stuffed" by ' \
           'pre-pending the termination octet to that line of the response.'


def _terminated(number, command, capability=None):
    @case(number, "MUST", f"the reply to {command.decode()} ends with CRLF.CRLF and nothing after it", _END)
    def _(t):
        if capability:
            (t.need_top if capability == "TOP" else t.need_uidl)()
        client = t.open(*THREE)
        client.multi(command)
        t.check(client.quiet(0.2), f"octets after the end: {bytes(client.input)!r}")
        t.check(client.command(b"NOOP").ok, "the session is out of step afterwards")


for _number, _command, _capability in (("3-080", b"LIST", None), ("3-081", b"RETR 1", None), ("3-082", b"UIDL", "UIDL"),
                                       ("3-083", b"TOP 1 1", "TOP")):
    _terminated(_number, _command, _capability)


def _check_stuffed(t, body):
    for line in body.split(b"\r\n"):
        t.check(line[:1] != b"." or line[:2] == b"..", f"a line that begins with one dot: {line!r}")
    for line in (b"..", b"...", b"....", b"..dot first", b"... two"):
        t.check(b"\r\n" + line + b"\r\n" in b"\r\n" + body, f"the stuffed line {line!r} is missing")
    t.check(b"\r\nin.the.middle.\r\n" in body, "a dot inside a line was changed")


@case("3-084", "MUST", "RETR stuffs each line that begins with a dot, and no other", _STUFFED)
def _(t):
    _check_stuffed(t, t.open(DOTS).multi(b"RETR 1"))


@case("3-085", "MUST", "TOP stuffs each line that begins with a dot, and no other", _STUFFED)
def _(t):
    t.need_top()
    _check_stuffed(t, t.open(DOTS).multi(b"TOP 1 100"))


# The timer.

_TIMER = "A POP3 server MAY have an inactivity autologout timer. Such a timer MUST be of at least 10 minutes' duration."


@case("3-090", "MUST", "a session that is silent for almost ten minutes is still there", _TIMER, slow=True)
def _(t):
    client = t.open()
    time.sleep(595)
    client.ok(b"NOOP")


@case("3-091", "SHOULD", "a command resets the timer",
      "The receipt of any command from the client during that interval should suffice to reset the autologout timer.",
      slow=True)
def _(t):
    client = t.open()
    for _ in range(2):
        time.sleep(400)
        client.ok(b"NOOP")


@case("3-092", "MUST", "when the server ends a silent session, it removes nothing",
      "When the timer expires, the session does NOT enter the UPDATE state--the server should close the TCP connection "
      "without removing any messages or sending any response to the client.", slow=True)
def _(t):
    client = t.open(SHORT)
    client.ok(b"DELE 1")
    if not client.closes(1100):
        t.skip("the server has no timer of less than 18 minutes")
    client.state = "closed"
    t.check(t.session().stat()[0] == 1, "the message is gone")


# Section 4.

@case("4-001", "MUST", "QUIT before login is answered with +OK",
      "Here is the summary for the QUIT command when used in the AUTHORIZATION state: Possible Responses: +OK")
def _(t):
    t.connect().ok(b"QUIT")


@case("4-002", "MUST", "after QUIT before login the server closes the connection",
      "(Note that if the client issues the QUIT command from the AUTHORIZATION state, the POP3 session terminates but does "
      "NOT enter the UPDATE state.) [s6]")
def _(t):
    client = t.connect()
    client.ok(b"QUIT")
    t.check(client.closes(5), "it stays open")
    t.check(not client.input, f"octets after the reply: {bytes(client.input)!r}")


@case("4-003", "MUST", "there is a way to log in",
      "a POP3 server must of course support at least one authentication mechanism.")
def _(t):
    t.session().ok(b"NOOP")


@case("4-004", "MUST", "a maildrop that a session has open is refused to a second one",
      "the POP3 server then acquires an exclusive-access lock on the maildrop, as necessary to prevent messages from being "
      "modified or removed before the session enters the UPDATE state. [...] If the maildrop cannot be opened for some "
      "reason (for example, a lock can not be acquired, ...), the POP3 server responds with a negative status indicator.")
def _(t):
    t.open(SHORT)
    second = t.connect(t.facts.over)
    second.timeout = 30  # a server may wait a while for the lock
    reply = t.try_login(second, t.account)
    t.check(reply.err, f"the second login was answered with {reply!r}")


@case("4-005", "MUST", "a refused second login leaves the first session as it is",
      "to prevent messages from being modified or removed before the session enters the UPDATE state.")
def _(t):
    first = t.open(*THREE)
    before = first.listing()
    second = t.connect(t.facts.over)
    second.timeout = 30
    if t.try_login(second, t.account).ok:
        t.skip("the server lets a second session in: 4-004")
    second.close()
    t.check(first.listing() == before, "LIST changed")
    t.numbers(first, *THREE)


@case("4-006", "MUST", "messages are numbered from 1 to n",
      'The first message in the maildrop is assigned a message-number of "1", the second is assigned "2", and so on, so that '
      'the nth message in a maildrop is assigned a message-number of "n".')
def _(t):
    client = t.open(*THREE)
    t.check(sorted(client.listing()) == [1, 2, 3], f"LIST has {sorted(client.listing())}")


@case("4-007", "MUST", "numbers and sizes are decimal",
      "In POP3 commands and responses, all message-numbers and message sizes are expressed in base-10 (i.e., decimal).")
def _(t):
    client = t.open(*(THREE * 4))
    for line in client.lines(b"LIST"):
        t.check(re.match(rb"[0-9]+ [0-9]+( |$)", line), f"a line of LIST is {line!r}")
    t.check(12 in client.listing(), "twelve messages, and none has the number 12")


@case("4-008", "MUST", "a wrong password is refused",
      "Once the POP3 server has determined through the use of any authentication command that the client should be given "
      "access to the appropriate maildrop")
def _(t):
    client = t.connect(t.facts.over)
    if not client.command(b"USER " + t.account.name.encode()).ok:
        t.skip("USER is refused for this account")
    client.err(b"PASS not-" + t.account.password.encode())


@case("4-009", "MUST", "an unknown name is refused, at USER or at PASS",
      "Once the POP3 server has determined through the use of any authentication command that the client should be given "
      "access to the appropriate maildrop")
def _(t):
    client = t.connect(t.facts.over)
    if client.command(b"USER nobody-" + t.account.name.encode()).ok:
        client.err(b"PASS " + t.account.password.encode())


@case("4-010", "MUST", "after a refused login the session is still in the AUTHORIZATION state",
      "If the server does not close the connection, the client may either issue a new authentication command and start "
      "again, or the client may issue the QUIT command.")
def _(t):
    client = t.connect(t.facts.over)
    if client.command(b"USER " + t.account.name.encode()).ok:
        client.err(b"PASS not-" + t.account.password.encode())
    try:
        client.err(b"STAT")
    except OSError:
        return
    except Exception as error:
        if "closed" in str(error) or "sending" in str(error):
            return  # "the server may close the connection"
        raise


@case("4-011", "MUST", "after a refused login a right one succeeds on the same connection, if that is left open",
      "If the server does not close the connection, the client may either issue a new authentication command and start "
      "again, or the client may issue the QUIT command.")
def _(t):
    client = t.connect(t.facts.over)
    if client.command(b"USER " + t.account.name.encode()).ok:
        client.err(b"PASS not-" + t.account.password.encode())
    if client.closes(0.3):
        return
    reply = t.try_login(client, t.account)
    t.check(reply.ok, f"the right login was answered with {reply!r}")


@case("4-012", "MUST", "after a refused login QUIT is answered with +OK, if the connection is left open",
      "the client may either issue a new authentication command and start again, or the client may issue the QUIT command.")
def _(t):
    client = t.connect(t.facts.over)
    if client.command(b"USER " + t.account.name.encode()).ok:
        client.err(b"PASS not-" + t.account.password.encode())
    if not client.closes(0.3):
        client.ok(b"QUIT")


@case("4-013", "MUST", "a refused login does not keep the lock",
      "(If a lock was acquired but the POP3 server intends to respond with a negative status indicator, the POP3 server must "
      "release the lock prior to rejecting the command.)")
def _(t):
    client = t.connect(t.facts.over)
    if client.command(b"USER " + t.account.name.encode()).ok:
        client.err(b"PASS not-" + t.account.password.encode())
    other = t.connect(t.facts.over)
    reply = t.try_login(other, t.account)  # while the first connection is still there
    t.check(reply.ok, f"the right login on another connection was answered with {reply!r}")


@case("4-014", "MUST", "a session begins with no messages marked as deleted",
      "The POP3 session now enters the TRANSACTION state, with no messages marked as deleted.")
def _(t):
    client = t.open(*THREE)
    client.ok(b"DELE 2")
    client.close()
    again = t.open(*THREE)
    t.check(sorted(again.listing()) == [1, 2, 3], f"LIST has {sorted(again.listing())}")


@case("4-015", "MUST", "mail that arrives in a session changes nothing in it",
      "After the POP3 server has opened the maildrop, it assigns a message-number to each message, and notes the size of each "
      "message in octets.")
def _(t):
    client = t.open(SHORT)
    before = client.stat(), client.listing()
    t.deliver(THREE[1])
    time.sleep(0.2)
    t.check((client.stat(), client.listing()) == before, "STAT or LIST changed")
