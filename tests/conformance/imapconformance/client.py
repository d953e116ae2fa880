"""A client that mirrors the mailbox: what the server may not say at all fails wherever it comes."""

import re
import zlib

from pop3conformance.wire import Client as Wire, Failed

from . import grammar

# RFC 9051 s7.5.1: no EXPUNGE while one of these answers, because message numbers would change their meaning.
_QUIET = re.compile(rb"(?i)(FETCH|STORE|SEARCH|SORT|THREAD)\b")


class Client(Wire):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.count = 0          # messages in the mailbox, as far as the server has told
        self.numbers = 0        # of the next tag
        self.running = b""      # the command that is answered now
        self.uids_only = False  # RFC 9586
        self.deflater = self.inflater = None  # RFC 4978
        self.greeting = self.response()
        if self.greeting.tag or self.greeting.kind not in ("OK", "PREAUTH"):
            raise Failed(f"the greeting is {self.greeting!r}")

    def send(self, data):
        super().send(self.deflater.compress(data) + self.deflater.flush(zlib.Z_SYNC_FLUSH) if self.deflater else data)

    def fill(self, patience=None):
        before = len(self.input)
        if not super().fill(patience):
            return False
        if self.inflater:
            came = bytes(self.input[before:])
            del self.input[before:]
            try:
                self.input += self.inflater.decompress(came)
            except zlib.error as error:
                raise Failed(f"what came is not compressed: {error}") from None
        return True

    def compress(self):
        """RFC 4978 s3: from the end of the OK on."""
        if self.input:
            raise Failed(f"something came uncompressed behind the OK: {bytes(self.input)!r}")
        self.deflater = zlib.compressobj(wbits=-15)
        self.inflater = zlib.decompressobj(wbits=-15)

    def octets(self, count):
        while len(self.input) < count:
            self._more("the rest of a literal")
        taken = bytes(self.input[:count])
        del self.input[:count]
        return taken

    def whole_line(self):
        while b"\n" not in self.input:
            self._more("a response")
        line = self.octets(self.input.index(b"\n") + 1)
        if not line.endswith(b"\r\n") or b"\r" in line[:-2]:
            raise Failed(f"a line ends without CRLF: {line!r}")
        return line[:-2]

    def response(self):
        whole = self.whole_line()
        while literal := re.search(rb"\{(\d+)\}$", whole):
            whole += b"\r\n" + self.octets(int(literal[1])) + self.whole_line()
        found = grammar.read(whole)
        self.mirror(found)
        return found

    def mirror(self, response):
        if response.kind == "EXISTS":
            if response.value < self.count:
                raise Failed(f"EXISTS goes back from {self.count}: {response!r}")
            self.count = response.value
        elif response.kind == "EXPUNGE":
            if _QUIET.match(self.running):
                raise Failed(f"EXPUNGE while {self.running!r} is answered")
            if response.value > self.count:
                raise Failed(f"EXPUNGE of {response.value} of {self.count}")
            self.count -= 1
        elif response.kind == "FETCH" and response.value[0] > self.count:
            raise Failed(f"FETCH of message {response.value[0]} of {self.count}")
        elif response.kind == "VANISHED" and not response.value[0]:
            for first, _, last in (one.partition(b":") for one in response.value[1].split(b",")):
                self.count -= int(last or first) - int(first) + 1
            if self.count < 0:
                raise Failed(f"more messages have vanished than there were: {response!r}")
        elif response.kind == "ENABLED" and b"UIDONLY" in response.value:
            self.uids_only = True
        if self.uids_only and response.kind in ("FETCH", "EXPUNGE"):
            raise Failed(f"a message number, which the client does not want: {response!r}")

    def begin(self, command):
        """Sends a command. Returns its tag."""
        self.numbers += 1
        tag = b"c%d" % self.numbers
        name = command.upper()
        if name.startswith((b"SELECT", b"EXAMINE", b"CLOSE", b"UNSELECT")):
            self.count = 0
        self.running = command
        self.send(tag + b" " + command + b"\r\n")
        return tag

    def finish(self, tag):
        """(untagged responses, the tagged one)."""
        untagged = []
        while True:
            response = self.response()
            if response.tag is None:
                if response.kind == "+":
                    raise Failed(f"a continuation that nobody waits for: {response!r}")
                untagged.append(response)
            elif response.tag != tag:
                raise Failed(f"the tag is not {tag!r}: {response!r}")
            else:
                return untagged, response

    def ask(self, command):
        untagged, end = self.finish(self.begin(command))
        if end.kind == "OK" and command.upper().startswith(b"COMPRESS "):
            self.compress()
        return untagged, end

    def ok(self, command):
        untagged, end = self.ask(command)
        if end.kind != "OK":
            raise Failed(f"{command!r}: {end!r}")
        return untagged

    def append(self, mailbox, message, options=b""):
        tag = self.begin(b"APPEND " + mailbox + b" " + options + b"{%d}" % len(message))
        while (response := self.response()).kind != "+":
            if response.tag:
                raise Failed(f"APPEND: {response!r}")
        self.send(message + b"\r\n")
        untagged, end = self.finish(tag)
        if end.kind != "OK":
            raise Failed(f"APPEND: {end!r}")
        return untagged, end
