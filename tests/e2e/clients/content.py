"""Messages that have tripped clients, by name; CRLF line ends, as they are delivered."""

import random

HEADER = b"From: sender@elsewhere.example\r\nTo: someone@example.test\r\nSubject: %s\r\nDate: Thu, 1 Jan 2026 00:00:00 +0000\r\n" \
         b"Message-ID: <%s@elsewhere.example>\r\n"


def message(name, body, more=b""):
    name = name.encode()
    return HEADER % (name, name.replace(b" ", b"-")) + more + b"\r\n" + body


def junk(octets):
    """Any octets but NUL, CR and LF, in lines that no server has to break."""
    rng = random.Random("junk")
    alphabet = bytes(set(range(1, 256)) - {10, 13})
    lines, size = [], 0
    while size < octets:
        lines.append(bytes(rng.choices(alphabet, k=rng.randrange(1, 900))) + b"\r\n")
        size += len(lines[-1])
    return b"".join(lines)


MIME_8BIT = b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"

AWKWARD = {
    "dots": message("dots", b".\r\n..\r\n...\r\n.x\r\n\r\n.\r\n . \r\nlast\r\n"),
    "only a dot": message("only a dot", b".\r\n"),
    "dots everywhere": message("dots everywhere", b"".join(b"." * (n % 5) + b"y" * n + b"\r\n" for n in range(600))),
    "no final newline": message("no final newline", b"the last line has no line end"),
    "eight bits": message("eight bits", "日本語 äöü ñ\r\n".encode() * 50, MIME_8BIT),
    "latin letters": message("latin letters", "äöü ñ\r\n".encode("latin-1") * 50,
                             MIME_8BIT.replace(b"utf-8", b"iso-8859-1")),
    "junk": message("junk", junk(60_000), b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: 8bit\r\n"),
    "a line of 998": message("a line of 998", b"x" * 998 + b"\r\nend\r\n"),
    "a line of 100,000": message("a line of 100,000", b"y" * 100_000 + b"\r\n.\r\nend\r\n"),
    "no body": message("no body", b""),
    "one empty line": message("one empty line", b"\r\n"),
    "empty lines": message("empty lines", b"\r\n" * 200),
    "spaces at line ends": message("spaces at line ends", b"x \r\n \t\r\n\t\r\n  y\t \r\n"),
    "UTF-8 header": message("UTF-8 header", b"text\r\n", "X-Place: Grüße aus 東京\r\nComments: ñ\r\n".encode()),
    "From in the body": message("From in the body", b"From the start\r\n\r\nFrom here Thu Jan  1 00:00:00 2026\r\nFrom\r\n"),
    "a folded header": message("a folded header", b"text\r\n", b"X-Folded: one\r\n two\r\n\tthree\r\nX-Empty:\r\n"),
    "commands": message("commands", b"+OK\r\n-ERR no\r\nQUIT\r\n+OK 1 2\r\n"),
}


def many(count):
    return [message(f"number {n}", b"this is message %d\r\n.%d\r\n" % (n, n)) for n in range(1, count + 1)]
