"""Messages that cases deliver. Each is complete by RFC 5322, so that no server has a reason to add or mend fields."""

_count = 0


def message(subject, body, extra=b""):
    """A message with the fields that RFC 5322 asks for and one Subject for each test."""
    head = (b"From: Sender <sender@elsewhere.example>\r\nTo: Reader <reader@example.test>\r\n"
            b"Date: Mon, 01 Jun 2026 12:00:00 +0000\r\nMessage-ID: <" + subject.replace(b" ", b".") +
            b"@elsewhere.example>\r\nSubject: " + subject + b"\r\n" + extra)
    return head + b"\r\n" + body


def numbered_lines(count, width=60):
    return b"".join(b"line %d " % n + b"x" * width + b"\r\n" for n in range(1, count + 1))


SHORT = message(b"short", b"one line\r\n")
SECOND = message(b"second", b"another\r\nmessage\r\n")
THIRD = message(b"third", b"and\r\na\r\nthird\r\n")
THREE = (SHORT, SECOND, THIRD)

TEN_LINES = message(b"ten lines", numbered_lines(10, 5))
FOLDED = message(b"folded", b"body\r\n", b"X-Long: first part\r\n second part\r\n\tthird part\r\nX-Other: value\r\n")
DOTS = message(b"dots", b".\r\n..\r\n...\r\n.dot first\r\nin.the.middle.\r\n.\r\n\r\n.. two\r\n.\r\n")

# A server has to give these back octet for octet, and count them right.
KINDS = {
    "one line": SHORT,
    "dots at the beginning of lines": DOTS,
    "nothing but dots": message(b"only dots", b".\r\n" * 500),
    "no body": message(b"no body", b""),
    "a body of empty lines": message(b"empty lines", b"\r\n" * 7),
    "empty lines at the end": message(b"trailing empty lines", b"text\r\n\r\n\r\n\r\n"),
    "lines of 998 octets": message(b"long lines", (b"y" * 998 + b"\r\n") * 4 + b"." + b"z" * 997 + b"\r\n"),
    "blanks at line ends": message(b"blanks", b"space \r\ntab\t\r\n  \r\n \t \r\nend\r\n"),
    "eight-bit text": message(b"eight bit", "Grüße, 你好\r\n.Ünder\r\n".encode(),
                              b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
                              b"Content-Transfer-Encoding: 8bit\r\n"),
    "a folded header": FOLDED,
    "100 KB": message(b"large", numbered_lines(1400)),
    "1 MB": message(b"very large", numbered_lines(15000)),
    "dots around every block size": message(b"dots at blocks", b"".join(b"." + b"d" * n + b"\r\n" for n in range(0, 400))),
    "words of the protocol": message(b"protocol words", b"+OK\r\n-ERR\r\nQUIT\r\nDELE 1\r\n.\r\n+OK 2 320\r\n"),
}
