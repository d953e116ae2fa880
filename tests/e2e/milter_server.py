"""A milter that a test plays: it notes each step, and answers what the test wants."""

import socketserver
import struct
import threading

STEPS = {"C": "connect", "H": "helo", "M": "mail", "R": "rcpt", "T": "data", "L": "header", "N": "eoh", "B": "body", "E": "eom"}


def packet(command, data=b""):
    return struct.pack("!I", len(data) + 1) + command.encode() + data


def text(*parts):
    return b"".join(part.encode() + b"\0" for part in parts)


def add(name, value):
    return packet("h", text(name, value))


def insert(index, name, value):
    return packet("i", struct.pack("!I", index) + text(name, value))


def change(index, name, value):
    return packet("m", struct.pack("!I", index) + text(name, value))


def body(octets):
    return packet("b", octets)


QUARANTINE, CONTINUE, ACCEPT, REJECT, TEMPFAIL = packet("q", text("why")), packet("c"), packet("a"), packet("r"), packet("t")
DISCARD, SKIP, PROGRESS = packet("d"), packet("s"), packet("p")


def reply(line):
    return packet("y", text(line))


class MilterServer:
    """`answers`: by step, octets to be sent in place of "continue", or "HANG" or "DROP". `terms`: (version, actions, steps) or
    octets. `messages`: of each, a list of (step, data)."""

    def __init__(self, path=None, terms=(6, 0x33, 0), answers=None):
        self.terms, self.answers, self.messages, self.macros = terms, dict(answers or {}), [], {}
        self.stopped = threading.Event()
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                try:
                    outer.serve(self.rfile, self.wfile)
                except (ConnectionError, struct.error):
                    pass

        kind = socketserver.ThreadingUnixStreamServer if path else socketserver.ThreadingTCPServer

        class Server(kind):
            daemon_threads, allow_reuse_address = True, True

        self.server = Server(path or ("127.0.0.1", 0), Handler)
        self.place = f"unix:{path}" if path else f"inet:127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.stopped.set()
        self.server.shutdown()
        self.server.server_close()

    def serve(self, source, to):
        steps = []
        while len(size := source.read(4)) == 4:
            data = source.read(struct.unpack("!I", size)[0])
            command, data = chr(data[0]), data[1:]
            if command == "O":
                self.messages.append(steps)
                to.write(packet("O", self.terms if isinstance(self.terms, bytes) else struct.pack("!III", *self.terms)))
                continue
            if command == "D":
                values = data[1:].split(b"\0")
                self.macros.update(zip(values[::2], values[1::2]))
                continue
            if command == "Q":
                return
            steps.append((STEPS[command], data))
            answer = self.answers.get(STEPS[command], CONTINUE)
            if answer == "HANG":
                self.stopped.wait(600)
                return
            if answer == "DROP":
                return
            to.write(answer)
