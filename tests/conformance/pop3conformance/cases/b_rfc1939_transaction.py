"""RFC 1939 sections 5, 6 and 11: the TRANSACTION and UPDATE states, and how messages are counted."""

import re
import socket

from ..context import same_message
from ..messages import DOTS, KINDS, SECOND, SHORT, THIRD, THREE
from ..registry import Group
from ..wire import unstuff

case = Group("RFC 1939").case

_STAT = 'The positive response consists of "+OK" followed by a single space, the number of messages in the maildrop, a single ' \
        'space, and the size of the maildrop in octets.'
_SCAN = "A scan listing consists of the message-number of the message, followed by a single space and the exact size of the " \
        "message in octets."
_NO_SUCH = "Possible Responses: -ERR no such message"
_DELETED = "Any future reference to the message-number associated with the message in a POP3 command generates an error."
_SEND = "After the initial +OK, the POP3 server sends the message corresponding to the given message-number"
_INVALID = "A server MUST respond to an unrecognized, unimplemented, or syntactically invalid command by responding with a " \
           "negative status indicator. [s3]"


# STAT.

@case("5-001", "MUST", "STAT's reply begins with the number of messages and the octets", _STAT)
def _(t):
    reply = t.open(SHORT).ok(b"STAT")
    t.check(re.match(rb"\+OK 1 [0-9]+( |$)", reply.line), f"STAT was answered with {reply!r}")


@case("5-002", "MUST", "STAT of an empty maildrop is 0 0", _STAT)
def _(t):
    reply = t.open().ok(b"STAT")
    t.check(re.match(rb"\+OK 0 0( |$)", reply.line), f"STAT was answered with {reply!r}")


@case("5-003", "MUST", "STAT counts the messages that LIST lists",
      "followed by a single space, the number of messages in the maildrop")
def _(t):
    client = t.open(*THREE)
    t.check(client.stat()[0] == len(client.listing()) == 3, "STAT and LIST differ, or are not 3")


@case("5-004", "MUST", "STAT's octets are the sum of LIST's", "a single space, and the size of the maildrop in octets")
def _(t):
    client = t.open(*THREE)
    octets, sizes = client.stat()[1], client.sizes()
    t.check(octets == sum(sizes.values()), f"STAT says {octets}, LIST {sizes}")


@case("5-005", "MUST", "STAT does not count messages marked as deleted",
      "Note that messages marked as deleted are not counted in either total.")
def _(t):
    client = t.open(*THREE)
    client.ok(b"DELE 2")
    t.check(client.stat()[0] == 2, f"STAT says {client.stat()}")


@case("5-006", "MUST", "STAT does not count the octets of messages marked as deleted",
      "Note that messages marked as deleted are not counted in either total.")
def _(t):
    client = t.open(*THREE)
    sizes = client.sizes()
    client.ok(b"DELE 2")
    octets = client.stat()[1]
    t.check(octets == sizes[1] + sizes[3], f"STAT says {octets}, LIST said {sizes} and 2 is deleted")


@case("5-007", "MUST", "STAT is 0 0 when all messages are marked as deleted",
      "Note that messages marked as deleted are not counted in either total.")
def _(t):
    client = t.open(*THREE)
    for number in (1, 2, 3):
        client.ok(b"DELE %d" % number)
    t.check(client.stat() == (0, 0), f"STAT says {client.stat()}")


@case("5-008", "SHOULD", "STAT's reply holds nothing else",
      "NOTE: This memo STRONGLY discourages implementations from supplying additional information in the drop listing.")
def _(t):
    reply = t.open(SHORT).ok(b"STAT")
    t.check(re.fullmatch(rb"\+OK [0-9]+ [0-9]+", reply.line), f"STAT was answered with {reply!r}")


# LIST.

@case("5-010", "MUST", "LIST of an empty maildrop is +OK and the final line",
      "If there are no messages in the maildrop, then the POP3 server responds with no scan listings--it issues a positive "
      "response followed by a line containing a termination octet and a CRLF pair.")
def _(t):
    body = t.open().multi(b"LIST")
    t.check(body == b"", f"lines: {body!r}")


@case("5-011", "MUST", "LIST has a line with number and size for each message", _SCAN)
def _(t):
    lines = t.open(*THREE).lines(b"LIST")
    for line in lines:
        t.check(re.match(rb"[0-9]+ [0-9]+( |$)", line), f"a line of LIST is {line!r}")
    t.check(sorted(int(line.split()[0]) for line in lines) == [1, 2, 3], f"LIST is {lines}")


@case("5-012", "MUST", "LIST with a number gives that message in one line",
      "If an argument was given and the POP3 server issues a positive response with a line containing information for that "
      "message.")
def _(t):
    client = t.open(*THREE)
    reply = client.ok(b"LIST 2")
    t.check(re.match(rb"\+OK 2 [0-9]+( |$)", reply.line), f"LIST 2 was answered with {reply!r}")
    t.check(client.quiet(0.2), f"more lines: {bytes(client.input)!r}")


@case("5-013", "MUST", "LIST with a number says the same as LIST without", _SCAN)
def _(t):
    client = t.open(*THREE)
    for number, size in client.sizes().items():
        reply = client.ok(b"LIST %d" % number)
        t.check(reply.line.split()[1:3] == [b"%d" % number, b"%d" % size], f"{reply!r}, but LIST says {size}")


@case("5-014", "MUST", "LIST does not list messages marked as deleted", "Note that messages marked as deleted are not listed.")
def _(t):
    client = t.open(*THREE)
    client.ok(b"DELE 2")
    t.check(sorted(client.listing()) == [1, 3], f"LIST has {sorted(client.listing())}")


@case("5-015", "SHOULD", "LIST's lines hold nothing else",
      "NOTE: This memo STRONGLY discourages implementations from supplying additional information in the scan listing.")
def _(t):
    client = t.open(*THREE)
    for line in client.lines(b"LIST") + [client.ok(b"LIST 1").line[4:]]:
        t.check(re.fullmatch(rb"[0-9]+ [0-9]+", line), f"a line is {line!r}")


def _exact_size(number, kind):
    @case(number, "MUST", f"LIST's size is what RETR sends: {kind}",
          "Note that lines in the message which start with the termination octet need not (and must not) be counted twice"
          if "dots" in kind else "followed by a single space and the exact size of the message in octets. [s5]")
    def _(t):
        client = t.open(KINDS[kind])
        listed, sent = client.sizes()[1], len(client.retr(1))
        t.check(listed == sent, f"LIST says {listed}, RETR sends {sent} octets")


def _same_octets(number, kind):
    @case(number, "MUST", f"RETR gives the message back octet for octet: {kind}", _SEND)
    def _(t):
        stored = t.open(KINDS[kind]).retr(1)
        t.check(same_message(stored, KINDS[kind]), "the body or our header fields are not as they were delivered")


for _n, _kind in enumerate(KINDS):
    _exact_size(f"11-{1 + _n:03}", _kind)
    _same_octets(f"5-{20 + _n:03}", _kind)


@case("11-020", "MUST", "STAT's octets are what RETR sends, each line end counted as two",
      "if the POP3 server host internally represents end-of-line as a single character, then the POP3 server simply counts "
      "each occurrence of this character in a message as two octets.")
def _(t):
    client = t.open(DOTS)
    said, sent = client.stat()[1], len(client.retr(1))
    t.check(said == sent, f"STAT says {said}, RETR sends {sent} octets")


# RETR.

@case("5-040", "MUST", "RETR's reply begins with +OK and is multi-line",
      "If the POP3 server issues a positive response, then the response given is multi-line.")
def _(t):
    client = t.open(SHORT)
    reply = client.command(b"RETR 1")
    t.check(reply.ok, f"RETR 1 was answered with {reply!r}")
    t.check(b"\r\n\r\none line\r\n" in b"\r\n" + client.body(), "the body is not there")


@case("5-041", "MUST", "RETR gives the same octets each time", _SEND)
def _(t):
    client = t.open(DOTS)
    t.check(client.retr(1) == client.retr(1), "the second RETR differs from the first")


@case("5-042", "MUST", "RETR gives the message with the given number, in any order", _SEND)
def _(t):
    client = t.open(*THREE)
    first = {number: client.retr(number) for number in (1, 2, 3)}
    t.numbers(client, *THREE)
    for number in (3, 1, 2):
        t.check(client.retr(number) == first[number], f"RETR {number} differs when asked again")


@case("5-043", "MUST", "RETR does not mark the message as deleted",
      "The POP3 server does not actually delete the message until [...] DELE: The POP3 server marks the message as deleted.")
def _(t):
    client = t.open(SHORT)
    client.retr(1)
    t.check(client.stat()[0] == 1 and list(client.listing()) == [1], "the message is gone in the same session")


# Arguments that name no message.

def _bad_number(number, keyword, what, argument, capability=None):
    @case(number, "MUST", f"{keyword} is refused with {what}", _NO_SUCH if "number" in what else _INVALID)
    def _(t):
        if capability:
            (t.need_top if capability == "TOP" else t.need_uidl)()
        client = t.open(*THREE)
        command = (keyword + (" " + argument if argument else "")).encode()
        client.err(command)
        t.check(client.stat()[0] == 3, "afterwards STAT does not count three messages")


_BAD = (("the number 0", "0"), ("a number after the last", "4"), ("a very large number", "99999999999999999999"),
        ("a negative number", "-1"), ("letters", "abc"), ("a number followed by a letter", "1x"))
for _base, _keyword in ((50, "LIST"), (60, "RETR"), (70, "DELE")):
    for _n, (_what, _argument) in enumerate(_BAD):
        _bad_number(f"5-{_base + _n:03}", _keyword, _what, _argument)
_bad_number("5-066", "RETR", "no argument", "")
_bad_number("5-076", "DELE", "no argument", "")


# DELE.

@case("5-080", "MUST", "DELE of a message is answered with +OK", "The POP3 server marks the message as deleted. +OK message deleted")
def _(t):
    t.open(SHORT).ok(b"DELE 1")


def _after_dele(number, command, capability=None):
    @case(number, "MUST", f"{command.decode()} is refused for a message marked as deleted", _DELETED)
    def _(t):
        if capability:
            (t.need_top if capability == "TOP" else t.need_uidl)()
        client = t.open(*THREE)
        client.ok(b"DELE 2")
        client.err(command)
        t.check(client.command(b"NOOP").ok, "the session is out of step afterwards")


for _number, _command, _capability in (("5-081", b"DELE 2", None), ("5-082", b"RETR 2", None), ("5-083", b"LIST 2", None),
                                       ("5-084", b"TOP 2 0", "TOP"), ("5-085", b"UIDL 2", "UIDL")):
    _after_dele(_number, _command, _capability)


@case("5-086", "MUST", "DELE does not change the numbers of other messages",
      "it assigns a message-number to each message [s4]")
def _(t):
    client = t.open(*THREE)
    third = client.retr(3)
    client.ok(b"DELE 1")
    t.check(client.retr(3) == third, "RETR 3 gives another message after DELE 1")
    client.err(b"RETR 4")


# NOOP and RSET.

@case("5-090", "MUST", "NOOP is answered with +OK and does nothing",
      "The POP3 server does nothing, it merely replies with a positive response.")
def _(t):
    client = t.open(*THREE)
    client.ok(b"DELE 1")
    before = client.stat()
    client.ok(b"NOOP")
    t.check(client.stat() == before, "STAT changed")


@case("5-091", "MUST", "RSET with nothing marked is answered with +OK", "The POP3 server then replies with a positive response.")
def _(t):
    t.open(SHORT).ok(b"RSET")


@case("5-092", "MUST", "RSET takes the marks of all messages away",
      "If any messages have been marked as deleted by the POP3 server, they are unmarked.")
def _(t):
    client = t.open(*THREE)
    before = client.stat(), client.listing()
    for number in (1, 2, 3):
        client.ok(b"DELE %d" % number)
    client.ok(b"RSET")
    t.check((client.stat(), client.listing()) == before, "STAT or LIST are not as before DELE")
    t.numbers(client, *THREE)


@case("5-093", "MUST", "after RSET a message can be marked again", "they are unmarked.")
def _(t):
    client = t.open(*THREE)
    client.ok(b"DELE 1")
    client.ok(b"RSET")
    client.ok(b"DELE 1")
    t.check(client.stat()[0] == 2, f"STAT says {client.stat()}")


# Section 6.

@case("6-001", "MUST", "QUIT is answered with +OK", "Possible Responses: +OK / -ERR some deleted messages not removed")
def _(t):
    t.open(SHORT).quit()


@case("6-002", "MUST", "after QUIT the server closes the connection",
      "Whether the removal was successful or not, the server then releases any exclusive-access lock on the maildrop and closes "
      "the TCP connection.")
def _(t):
    client = t.open(SHORT)
    client.ok(b"QUIT")
    t.check(client.closes(5), "it stays open")
    t.check(not client.input, f"octets after the reply: {bytes(client.input)!r}")
    client.state = "closed"


@case("6-003", "MUST", "QUIT removes what is marked as deleted",
      "The POP3 server removes all messages marked as deleted from the maildrop and replies as to the status of this operation.")
def _(t):
    client = t.open(*THREE)
    client.ok(b"DELE 2")
    client.quit()
    t.check(t.session().stat()[0] == 2, "the next session does not count two messages")


@case("6-004", "MUST", "QUIT removes no message that is not marked as deleted",
      "In no case may the server remove any messages not marked as deleted.")
def _(t):
    client = t.open(*THREE)
    stays = client.retr(1), client.retr(3)
    client.ok(b"DELE 2")
    client.quit()
    again = t.session()
    count, _ = again.stat()
    found = [again.retr(number) for number in range(1, count + 1)]
    t.check(all(message in found for message in stays), "a message that was not marked is gone or changed")


@case("6-005", "MUST", "QUIT removes all messages when all are marked", "The POP3 server removes all messages marked as deleted")
def _(t):
    client = t.open(*THREE)
    for number in (1, 2, 3):
        client.ok(b"DELE %d" % number)
    client.quit()
    t.check(t.session().stat() == (0, 0), "the next session finds messages")


@case("6-006", "MUST", "the session after a removal numbers from 1 again",
      'The first message in the maildrop is assigned a message-number of "1" [s4]')
def _(t):
    client = t.open(*THREE)
    client.ok(b"DELE 1")
    client.quit()
    again = t.session()
    t.check(sorted(again.listing()) == [1, 2], f"LIST has {sorted(again.listing())}")


@case("6-007", "MUST", "QUIT after RSET removes nothing", "they are unmarked [s5 RSET]")
def _(t):
    client = t.open(*THREE)
    client.ok(b"DELE 1")
    client.ok(b"DELE 3")
    client.ok(b"RSET")
    client.quit()
    t.check(t.session().stat()[0] == 3, "the next session does not count three messages")


@case("6-008", "MUST", "QUIT without DELE removes nothing, read or not",
      "In no case may the server remove any messages not marked as deleted.")
def _(t):
    if (t.facts.inside or {}).get("EXPIRE") == ["0"]:
        t.skip("EXPIRE 0 is announced: what was retrieved may go (RFC 2449 s6.7)")
    client = t.open(*THREE)
    client.retr(1)
    client.quit()
    t.check(t.session().stat()[0] == 3, "the next session does not count three messages")


_ABORT = "If a session terminates for some reason other than a client-issued QUIT command, the POP3 session does NOT enter the " \
         "UPDATE state and MUST not remove any messages from the maildrop."


def _abort(number, what, how):
    @case(number, "MUST", f"nothing is removed when {what}", _ABORT)
    def _(t):
        client = t.open(*THREE)
        for message in (1, 2, 3):
            client.ok(b"DELE %d" % message)
        how(client)
        client.state = "closed"
        t.check(t.session().stat()[0] == 3, "the next session does not count three messages")


def _half_close(client):
    client.note("close our direction")
    client.socket.shutdown(socket.SHUT_WR)
    client.closes(3)
    client.close()


def _unfinished_quit(octets):
    def act(client):
        client.send(octets)
        client.socket.shutdown(socket.SHUT_WR)
        client.closes(3)
        client.close()
    return act


_abort("6-010", "the client closes the connection", lambda client: client.close())
_abort("6-011", "the connection is reset", lambda client: client.abort())
_abort("6-012", "the client closes its direction", _half_close)
_abort("6-013", "the connection ends within the word QUIT", _unfinished_quit(b"QUI"))
_abort("6-014", "the connection ends after QUIT without a line end", _unfinished_quit(b"QUIT"))
_abort("6-015", "the connection ends after an unknown command", _unfinished_quit(b"XYZZY\r\n"))


@case("6-016", "MUST", "what was marked before a lost connection is not removed by a later QUIT", _ABORT)
def _(t):
    client = t.open(*THREE)
    client.ok(b"DELE 1")
    client.close()
    t.session().quit()
    t.check(t.session().stat()[0] == 3, "a message is gone")


@case("6-017", "MUST", "after QUIT the maildrop is free for the next session",
      "the server then releases any exclusive-access lock on the maildrop and closes the TCP connection.")
def _(t):
    t.open(SHORT)
    t.clients[-1].ok(b"QUIT")
    t.clients[-1].closes(5)
    t.clients[-1].state = "closed"
    again = t.connect(t.facts.over)
    reply = t.try_login(again, t.account)
    t.check(reply.ok, f"a login after QUIT and the end of the connection was answered with {reply!r}")


@case("6-018", "MUST", "a message that arrives in a session is not removed by that session's QUIT",
      "In no case may the server remove any messages not marked as deleted.")
def _(t):
    client = t.open(SHORT)
    client.ok(b"DELE 1")
    t.deliver(SECOND)
    client.quit()
    again = t.session()
    t.check(again.stat()[0] == 1, "the next session does not count one message")
    t.numbers(again, SECOND)


@case("6-019", "MUST", "identical messages are separate: one is removed, one stays",
      "In no case may the server remove any messages not marked as deleted.")
def _(t):
    client = t.open(THIRD, THIRD)
    client.ok(b"DELE 1")
    client.quit()
    t.check(t.session().stat()[0] == 1, "the next session does not count one message")


@case("11-021", "MUST", "octets added by byte-stuffing are not counted",
      "Note that lines in the message which start with the termination octet need not (and must not) be counted twice, since the "
      "POP3 client will remove all byte-stuffed termination characters when it receives a multi-line response.")
def _(t):
    client = t.open(KINDS["nothing but dots"])
    raw = client.multi(b"RETR 1")
    listed = client.sizes()[1]
    t.check(listed == len(unstuff(raw)), f"LIST says {listed}, the message has {len(unstuff(raw))}, on the wire {len(raw)}")
