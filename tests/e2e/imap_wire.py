"""IMAP as octets: one command at a time, its untagged responses and its end, with literals put together."""

import itertools
import re
import time

from poplar_server import PASSWORD, PATIENCE, Wire

_LITERAL = re.compile(rb"\{(\d+)\}$")


class Imap(Wire):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.tags = itertools.count(1)

    def octets(self, count):
        while len(self.input) < count:
            self._fill()
        taken = bytes(self.input[:count])
        del self.input[:count]
        return taken

    def response(self):
        """One response; literals stand in it as they came."""
        whole = self.line()
        while (literal := _LITERAL.search(whole)):
            whole += b"\r\n" + self.octets(int(literal[1])) + self.line()
        return whole

    def ask(self, command):
        """(untagged responses, the tagged one without its tag)."""
        tag = b"t%d" % next(self.tags)
        self.send(tag + b" " + command + b"\r\n")
        return self.answer(tag)

    def answer(self, tag):
        untagged = []
        while True:
            response = self.response()
            if response.startswith(tag + b" "):
                return untagged, response[len(tag) + 1:]
            assert response.startswith((b"* ", b"+ ")), response
            untagged.append(response[2:])

    def ok(self, command):
        untagged, end = self.ask(command)
        assert end.startswith(b"OK"), f"{command!r}: {end!r}"
        return untagged

    def no(self, command):
        _, end = self.ask(command)
        assert end.startswith(b"NO"), f"{command!r}: {end!r}"
        return end

    def login(self, address, password=PASSWORD):
        assert self.greeting.startswith(b"* OK [CAPABILITY "), self.greeting
        self.ok(b'LOGIN %s "%s"' % (address.encode(), password.encode()))
        return self

    def append(self, message, mailbox=b"INBOX", options=b""):
        tag = b"t%d" % next(self.tags)
        self.send(tag + b" APPEND " + mailbox + b" " + options + b"{%d}\r\n" % len(message))
        go = self.line()
        assert go.startswith(b"+ "), go
        self.send(message + b"\r\n")
        return self.answer(tag)[1]

    def wait_for(self, what, seconds=10):
        """The response that matches, while idling; its time is measured by the caller."""
        deadline = time.monotonic() + seconds * PATIENCE
        while time.monotonic() < deadline:
            response = self.response()
            if re.search(what, response):
                return response
        raise AssertionError(f"{what!r} did not come")
