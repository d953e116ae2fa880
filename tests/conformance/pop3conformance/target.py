"""The server under test: where it is, who may log in, how mail gets there; and what a first look tells."""

import dataclasses
import json
import re
import threading

from . import wire
from .inject import Injector

TIMESTAMP = re.compile(rb"<[^<>\s@]+@[^<>\s@]+>")
# Accounts that only some cases need, and what each entry of the target file holds besides "name".
SPECIAL = {
    "apop": "secret",           # APOP's shared secret
    "sasl": "password",         # an account with secrets for CRAM-MD5 and SCRAM; without it, an ordinary one
    "utf8": "password",         # a name or a password outside ASCII
    "oauth": "token",           # a bearer token
    "external": "certificate",  # [certificate file, key file]
}


@dataclasses.dataclass
class Account:
    name: str
    password: str = ""
    address: str = ""        # where its mail is sent: the name, if that is an address
    extra: dict = dataclasses.field(default_factory=dict)
    content: tuple = None    # the messages that are known to be there, None if that is not known
    lock: object = dataclasses.field(default_factory=threading.Lock)

    def mailbox(self):
        return self.address or self.name


class Target:
    """description: the value of a target file; see docs/reference/conformance.md for its entries."""

    def __init__(self, description):
        self.description = description
        self.host = description.get("host", "127.0.0.1")
        self.port = description.get("port")
        self.tls_port = description.get("tls_port")
        self.name = description.get("name") or f"{self.host}:{self.port or self.tls_port}"
        self.injector = Injector(description.get("inject"))
        self.accounts = [Account(entry["name"], entry["password"], entry.get("address", ""))
                         for entry in description.get("accounts", [])]
        self.special = {}
        for kind, secret in SPECIAL.items():
            if entry := description.get(kind):
                self.special[kind] = Account(entry["name"], entry.get("password", ""), entry.get("address", ""), entry)
                if secret not in entry:
                    raise ValueError(f'the entry "{kind}" of the target needs "{secret}"')
        if not self.port and not self.tls_port:
            raise ValueError("the target has neither a port nor a tls_port")
        if not self.accounts:
            raise ValueError("the target has no accounts")

    @staticmethod
    def load(path):
        with open(path, encoding="utf-8") as file:
            return Target(json.load(file))


class Facts:
    """What the server announces, asked once before the cases run."""

    def __init__(self):
        self.greeting = b""
        self.timestamp = None      # APOP's, if the greeting has one
        self.plain = None          # capabilities before login, without TLS; None: no CAPA or no port
        self.secure = None         # the same inside TLS
        self.inside = None         # after login, over the way that login() takes
        self.over = None           # how sessions are made: plain, stls or tls
        self.login_error = ""
        self.top = self.uidl = False

    def announced(self, tag):
        """Before login, in the clear or inside TLS."""
        return any(tag in capabilities for capabilities in (self.plain, self.secure) if capabilities)

    def mechanisms(self, over):
        capabilities = self.plain if over == "plain" else self.secure
        return [name.upper() for name in (capabilities or {}).get("SASL", [])]
