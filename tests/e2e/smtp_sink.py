"""A mail server that plays the next host of our mail: it keeps what it takes, and can refuse, hang, drop or talk nonsense at
every stage."""

import collections
import socket
import socketserver
import ssl
import threading
import time

Taken = collections.namedtuple("Taken", "sender recipients data when tls connection options")


class SmtpSink:
    """`replies`: what is said in place of the usual, by stage: "greeting", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA",
    "END", each a text ("450 4.2.1 later"), or a function of the command's line that gives a text or None for the usual.
    "HANG" is no answer at all, "DROP" the end of the connection. May be changed at any time. An IPv6 address is fine."""

    def __init__(self, address, port=25, replies=None, extensions=("PIPELINING", "8BITMIME", "SIZE 10000000"), certificate=None):
        self.address, self.replies = address, dict(replies or {})
        self.extensions = list(extensions)
        self.tls = None
        if certificate:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(*certificate)
        self.break_tls = False  # the handshake fails
        self.taken, self.lines, self.connections = [], [], 0
        self.lock = threading.Condition()
        self.open = self.most_open = 0
        self.stopped = threading.Event()
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                outer.serve(self.request)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads, allow_reuse_address, request_queue_size = True, True, 512
            address_family = socket.AF_INET6 if ":" in address else socket.AF_INET

        self.server = Server((address, port), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.stopped.set()
        self.server.shutdown()
        self.server.server_close()

    # The messages that it took.

    def wait(self, count=1, seconds=20):
        """The messages, once so many are there."""
        with self.lock:
            if not self.lock.wait_for(lambda: len(self.taken) >= count, seconds):
                raise AssertionError(f"{len(self.taken)} of {count} messages arrived at {self.address}: {self.lines[-20:]}")
            return list(self.taken)

    def said(self, verb):
        with self.lock:
            return [line for line in self.lines if line.upper().startswith(verb)]

    # The session.

    class Gone(Exception):
        pass

    def answer(self, stage, line, usual):
        reply = self.replies.get(stage)
        if callable(reply):
            reply = reply(line)
        reply = usual if reply is None else reply
        if reply == "HANG":
            self.stopped.wait(600)
            raise self.Gone
        if reply == "DROP":
            raise self.Gone
        return reply

    def serve(self, sock):
        with self.lock:
            self.connections += 1
            number = self.connections
            self.open += 1
            self.most_open = max(self.most_open, self.open)
        try:
            self.converse(sock, number)
        except (self.Gone, OSError, ssl.SSLError):
            pass
        finally:
            with self.lock:
                self.open -= 1

    def converse(self, sock, number):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        file = sock.makefile("rb")
        secure = False

        def say(text):
            sock.sendall(text.encode() + b"\r\n")
        say(self.answer("greeting", "", "220 sink.example ESMTP"))
        sender, recipients, options = None, [], ""
        while line := file.readline():
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            with self.lock:
                self.lines.append(text)
            verb = text.split(" ")[0].upper()
            if verb in ("EHLO", "HELO"):
                more = list(self.extensions) if verb == "EHLO" else []
                if self.tls and not secure and verb == "EHLO":
                    more.append("STARTTLS")
                lines = ["sink.example", *more]
                usual = "\r\n".join(f"250{'-' if i + 1 < len(lines) else ' '}{one}" for i, one in enumerate(lines))
                say(self.answer(verb, text, usual))
            elif verb == "STARTTLS" and self.tls:
                reply = self.answer(verb, text, "220 go on")
                say(reply)
                if reply.startswith("220"):
                    if self.break_tls:
                        sock.sendall(b"this is no handshake\r\n")
                        raise self.Gone
                    sock = self.tls.wrap_socket(sock, server_side=True)
                    file, secure = sock.makefile("rb"), True
            elif verb == "AUTH":
                say(self.answer(verb, text, "235 2.7.0 welcome"))
            elif verb == "MAIL":
                sender, recipients = text[text.index("<") + 1:text.index(">")], []
                options = text[text.index(">") + 1:].strip()
                reply = self.answer(verb, text, "250 2.1.0 ok")
                say(reply)
                sender = sender if reply.startswith("250") else None
            elif verb == "RCPT":
                reply = self.answer(verb, text, "250 2.1.5 ok" if sender is not None else "503 5.5.1 MAIL first")
                say(reply)
                if reply.startswith("250"):
                    recipients.append(text[text.index("<") + 1:text.index(">")])
            elif verb == "DATA":
                reply = self.answer(verb, text, "354 go on" if recipients else "503 5.5.1 nobody")
                say(reply)
                if not reply.startswith("354"):
                    continue
                data = []
                while (part := file.readline()) != b".\r\n":
                    if not part:
                        return
                    data.append(part[1:] if part.startswith(b".") else part)
                octets = b"".join(data)
                reply = self.answer("END", octets, "250 2.0.0 taken")
                # It is taken from here on, whether the client gets to hear of it or not.
                if reply.startswith("250"):
                    with self.lock:
                        self.taken.append(Taken(sender, tuple(recipients), octets, time.monotonic(), secure, number, options))
                        self.lock.notify_all()
                say(reply)
                sender, recipients = None, []
            elif verb in ("RSET", "NOOP"):
                sender, recipients = None, []
                say("250 2.0.0 ok")
            elif verb == "QUIT":
                say("221 2.0.0 bye")
                return
            else:
                say("502 5.5.1 what?")
