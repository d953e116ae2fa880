"""Python's poplib, in a small program that knows what it has by its unique-ids."""

import poplib

from poplar_server import PATIENCE, client_tls

from .device import PLAIN, STLS, TLS, Device


poplib._MAXLINE = 1 << 20  # its own limit of 2,048 octets ends a session at the first longer line


class Poplib(Device):
    mechanisms = ("APOP",)

    def set_up(self):
        self.seen = set()

    def connect(self, transport, mechanism, port):
        timeout = 60 * PATIENCE
        if transport == TLS:
            client = poplib.POP3_SSL("localhost", self.port_of(TLS, port), context=client_tls(), timeout=timeout)
        else:
            client = poplib.POP3("localhost", self.port_of(PLAIN, port), timeout=timeout)
        if transport == STLS:
            client.stls(context=client_tls())
        if mechanism == "APOP":
            client.apop(self.account, self.password)
        else:
            client.user(self.account)
            client.pass_(self.password)
        return client

    def fetch(self, keep, transport=PLAIN, mechanism=None, port=None, fails=False):
        got = []
        client = self.connect(transport, mechanism, port)
        try:
            assert client.stat()[0] == len(client.list()[1])
            for entry in client.uidl()[1]:
                number, unique_id = entry.split()
                if unique_id not in self.seen:
                    got.append(b"".join(line + b"\r\n" for line in client.retr(int(number))[1]))
                    self.seen.add(unique_id)
                if not keep:
                    client.dele(int(number))
            client.quit()
        except (poplib.error_proto, OSError):
            client.close()
            assert fails
        return got

    @staticmethod
    def normal(stored):
        return stored
