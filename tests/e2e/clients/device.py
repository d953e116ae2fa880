"""The base class of all clients."""

import os
import pathlib
import re
import shutil
import signal
import subprocess

import standstill
from poplar_server import PATIENCE

TOKENS = ("OAUTHBEARER", "XOAUTH2")  # with these mechanisms the password is a bearer token
PLAIN, STLS, TLS = "plain", "stls", "tls"
TRANSPORTS = (PLAIN, STLS, TLS)


class Device:
    """One client program with a directory of its own, where it keeps what it knows and what it fetched."""

    programs = ()             # what must be installed
    transports = TRANSPORTS   # in which of these ways it can connect
    usual = PLAIN             # and the one for the tests that are not about it
    mechanisms = ()           # SASL mechanisms that it can be told to use; "APOP" is none, but is chosen likewise
    prefers = {}              # for a mechanism of those: another that it takes instead wherever that is announced
    identity = None           # (certificate, key) for EXTERNAL
    remembers = True          # whether it knows in the next run what it has
    crowds = True             # whether thousands of messages are no trouble for it, or for how it is driven
    without = {}              # names of messages (tests/e2e/clients/content.py) that it changes by itself: why
    forgets_when_cut = False  # whether it does not know what it stored in a session that was cut

    def __init__(self, server, account, password, directory):
        self.server, self.account, self.password = server, account, password
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.set_up()

    def set_up(self):
        pass

    def fetch(self, keep, transport=PLAIN, mechanism=None, port=None, fails=False):
        """Fetches what is new to this device; with keep=False the server has nothing afterwards of what the device has.

        `port` leads elsewhere than to the server's own; `fails`: the connection will be lost, any end of the program is fine.
        """
        raise NotImplementedError

    def close(self):
        """Ends the processes that the device left running."""

    @staticmethod
    def normal(stored):
        """A message as the server holds it, made to look like what fetch() returns."""
        return lf(stored)

    # Helpers.

    def port_of(self, transport, port=None):
        return port or self.server.port["pop3s" if transport == TLS else "pop3"]

    def environment(self, **more):
        return dict(os.environ, HOME=str(self.directory), LC_ALL="C.UTF-8", TERM="xterm", **more)

    def run(self, *arguments, codes=(0,), input=None, seconds=100, fails=False):
        command = subprocess.Popen([str(a) for a in arguments], cwd=self.directory, env=self.environment(), stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
                                   start_new_session=True)
        with command:
            try:
                output, errors = command.communicate(input, (5 if fails else seconds) * PATIENCE)
            except subprocess.TimeoutExpired:
                state = "" if fails else standstill.describe(command.pid)
                os.killpg(command.pid, signal.SIGKILL)  # its children may hold its output open
                output, errors = command.communicate()
                assert fails, f"{arguments[0]} did not end:\n{(output + errors).decode(errors='replace')[-3000:]}\n{state}"
        assert fails or command.returncode in codes, f"{arguments[0]} ended with {command.returncode}:\n" + \
            (output + errors).decode(errors="replace")[-3000:]
        return subprocess.CompletedProcess(arguments, command.returncode, output, errors)


class Maildir:
    """A Maildir that tells what came since it was last asked."""

    def __init__(self, path, owner=None):
        self.path = pathlib.Path(path)
        for name in ("cur", "new", "tmp"):
            (self.path / name).mkdir(parents=True, exist_ok=True)
        if owner:
            for path in (self.path, *self.path.iterdir()):
                shutil.chown(path, owner)
        self.seen = set()

    def new(self):
        paths = set((self.path / "new").iterdir()) - self.seen
        self.seen |= paths
        return [path.read_bytes() for path in sorted(paths)]


def lf(message):
    return message.replace(b"\r\n", b"\n")


def read_mbox(data):
    """The messages of an mbox, without the fields that keep a message's state. An empty line follows each message."""
    messages = []
    for part in re.split(rb"(?:\A|(?<=\n)\n)From [^\n]*[0-9]{2}:[0-9]{2}[^\n]*\n(?=[A-Za-z-]+:|\n)", data.removesuffix(b"\n"))[1:]:
        messages.append(without_fields(re.sub(rb"(?m)^>(>*From )", rb"\1", part),
                                       rb"Status|X-Status|X-Keywords|X-UID|X-UIDL|X-IMAP|Content-Length|Lines"))
    return messages


def without_fields(message, names):
    header, separator, body = message.partition(b"\n\n")
    fields = re.compile(rb"(?:\A|(?<=\n))(?:" + names + rb"):[^\n]*(?:\n[ \t][^\n]*)*(?:\n|\Z)", re.I)
    return fields.sub(b"", header + b"\n")[:-1] + separator + body
