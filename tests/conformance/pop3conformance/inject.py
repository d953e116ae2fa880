"""Bringing mail into a maildrop: by LMTP, by SMTP, or with a shell command."""

import os
import re
import socket
import subprocess


class InjectionError(Exception):
    pass


def _endpoint(text, port):
    host, _, number = text.rpartition(":")
    return (host.strip("[]") or text, int(number or port))


class _Mailer:
    """One delivery by SMTP or LMTP, with SMTPUTF8 and 8BITMIME where they are offered."""

    def __init__(self, endpoint, hello, timeout):
        self.hello = hello
        self.socket = socket.create_connection(endpoint, timeout)
        self.file = self.socket.makefile("rb")

    def reply(self, expected):
        lines = []
        while True:
            line = self.file.readline()
            if not line:
                raise InjectionError("the mail server closed the connection")
            lines.append(line.decode("utf-8", "replace").rstrip())
            if line[3:4] != b"-":
                break
        if not lines[-1].startswith(str(expected)):
            raise InjectionError(f"the mail server said: {' / '.join(lines)}")
        return lines

    def ask(self, line, expected=2):
        self.socket.sendall(line.encode("utf-8") + b"\r\n")
        return self.reply(expected)

    def deliver(self, address, message):
        self.reply(2)
        offered = " ".join(self.ask(f"{self.hello} client.example.test")).upper()
        options = ""
        if any(octet > 127 for octet in message) or not address.isascii():
            options += " BODY=8BITMIME" if "8BITMIME" in offered else ""
            options += " SMTPUTF8" if "SMTPUTF8" in offered else ""
        self.ask(f"MAIL FROM:<sender@elsewhere.example>{options}")
        self.ask(f"RCPT TO:<{address}>")
        self.ask("DATA", 3)
        self.socket.sendall(re.sub(rb"(\A|\r\n)\.", rb"\1..", message) + b".\r\n")
        self.reply(2)
        self.ask("QUIT")

    def close(self):
        self.file.close()
        self.socket.close()


class Injector:
    """how: {"lmtp": "host:port"}, {"smtp": "host:port"} or {"command": "..."}: a shell command that reads the message
    from its input and finds the address in $ACCOUNT; or, for tests, a function of address and message."""

    def __init__(self, how, timeout=20):
        self.how, self.timeout = how, timeout

    def __bool__(self):
        return bool(self.how)

    def deliver(self, address, message):
        if callable(self.how):
            return self.how(address, message)
        if "command" in self.how:
            done = subprocess.run(self.how["command"], shell=True, input=message, env=dict(os.environ, ACCOUNT=address),
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=self.timeout)
            if done.returncode != 0:
                raise InjectionError(f"the command for mail failed: {done.stdout.decode('utf-8', 'replace')}")
            return None
        kind = "lmtp" if "lmtp" in self.how else "smtp"
        mailer = _Mailer(_endpoint(self.how[kind], 25), "LHLO" if kind == "lmtp" else "EHLO", self.timeout)
        try:
            return mailer.deliver(address, message)
        finally:
            mailer.close()
