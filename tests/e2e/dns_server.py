"""A DNS server for tests: answers from a table, over UDP and TCP, and can be silent or fail for single names."""

import ipaddress
import socketserver
import struct
import threading

from dns_signer import DNSKEY, DS, KEEP, NS, RRSIG, Signer

A, CNAME, SOA, PTR, MX, TXT, AAAA, OPT, TLSA = 1, 5, 6, 12, 15, 16, 28, 41, 52
TYPES = {"A": A, "CNAME": CNAME, "PTR": PTR, "MX": MX, "TXT": TXT, "AAAA": AAAA, "TLSA": TLSA}
NOERROR, SERVFAIL, NXDOMAIN = 0, 2, 3


def name_octets(name):
    labels = [label.encode() for label in name.rstrip(".").split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def data_octets(kind, value):
    if kind in (A, AAAA):
        return ipaddress.ip_address(value).packed
    if kind == MX:
        return struct.pack("!H", value[0]) + name_octets(value[1])
    if kind == TXT:
        text = value.encode()
        return b"".join(bytes([len(part)]) + part for part in (text[i:i + 255] for i in range(0, max(1, len(text)), 255)))
    if kind == TLSA:
        return bytes(value[:3]) + value[3]
    return name_octets(value)


class DnsServer:
    """`records`: {"one.example": {"MX": [(10, "mx.one.example")]}, "mx.one.example": {"A": ["192.0.2.1"]}}. May be changed
    while it serves; answers are to be kept for no time at all."""

    def __init__(self, address="127.0.0.1", port=53, records=None):
        self.records = records or {}
        self.silent, self.failing = set(), set()  # names
        self.asked = []  # (name, type)
        self.signer = None    # signs all answers, but those below `insecure` names
        self.insecure = set()
        self.forged = set()   # names whose records come with the signature of others
        outer = self

        class Datagram(socketserver.BaseRequestHandler):
            def handle(self):
                query, sock = self.request
                answer = outer.answer(query)
                if answer:
                    sock.sendto(answer, self.client_address)

        class Stream(socketserver.StreamRequestHandler):
            def handle(self):
                while len(size := self.rfile.read(2)) == 2:
                    answer = outer.answer(self.rfile.read(struct.unpack("!H", size)[0]))
                    if not answer:
                        return
                    self.wfile.write(struct.pack("!H", len(answer)) + answer)

        class Udp(socketserver.ThreadingUDPServer):
            daemon_threads = True

        class Tcp(socketserver.ThreadingTCPServer):
            daemon_threads, allow_reuse_address = True, True

        self.servers = [Udp((address, port), Datagram), Tcp((address, port), Stream)]
        for server in self.servers:
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def add_mail(self, domain, *hosts, preference=10):
        """Each host is (name, address, ...): all of one preference."""
        entry = self.records.setdefault(domain, {})
        for name, *addresses in hosts:
            entry.setdefault("MX", []).append((preference, name))
            self.add_host(name, *addresses)

    def add_host(self, name, *addresses):
        for address in addresses:
            kind = "AAAA" if ":" in address else "A"
            self.records.setdefault(name, {}).setdefault(kind, []).append(address)

    def answer(self, query):
        number, flags, questions = struct.unpack("!HHH", query[:6])
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode("latin-1").lower())
            at += 1 + query[at]
        kind, _ = struct.unpack("!HH", query[at + 1:at + 5])
        question = query[12:at + 5]
        name = ".".join(labels)
        self.asked.append((name, kind))
        if name in self.silent:
            return None
        answers, code = [], NOERROR
        if name in self.failing:
            code = SERVFAIL
        else:
            where = name
            for _ in range(8):  # follows aliases
                entry = self.records.get(where)
                if entry is None:
                    code = NOERROR if any(other.endswith("." + where) for other in self.records) else NXDOMAIN
                    break
                if "CNAME" in entry and kind != CNAME:
                    answers.append((where, CNAME, data_octets(CNAME, entry["CNAME"])))
                    where = entry["CNAME"]
                    continue
                for text, value_kind in TYPES.items():
                    if value_kind == kind:
                        answers += [(where, kind, data_octets(kind, value)) for value in entry.get(text, [])]
                break
        answers = [(owner, what, 0, data) for owner, what, data in answers]
        authority, more = [], b""
        if self.signer and code in (NOERROR, NXDOMAIN):
            code, more = NOERROR, b"\0" + struct.pack("!HHIH", OPT, 4096, 0x8000, 0)
            answers, authority = self.secured(name, kind, answers)
        header = struct.pack("!HHHHHH", number, 0x8480 | (flags & 0x0100) | code, questions, len(answers), len(authority),
                             1 if more else 0)
        body = b"".join(name_octets(owner) + struct.pack("!HHIH", what, 1, keep, len(data)) + data
                        for owner, what, keep, data in answers + authority)
        return header + question + body + more

    def secured(self, name, kind, answers):
        if kind == DNSKEY and not name:
            return self.signer.signed([("", DNSKEY, KEEP, self.signer.dnskey)]), []
        above = [name.split(".", i)[-1] for i in range(name.count(".") + 1)]
        cut = next((one for one in above if one in self.insecure), None)
        if cut and (kind != DS or name != cut):
            return answers, []
        if not answers:
            kinds = {TYPES[text] for text in self.records.get(name, {})}
            return [], self.signer.denial(name, {NS} if cut else kinds - {kind})
        signed = self.signer.signed(answers)
        if name in self.forged:
            signed = [(owner, what, keep, data[:-1] + bytes([data[-1] ^ 1]) if what == RRSIG else data)
                      for owner, what, keep, data in signed]
        return signed, []

    def sign(self, file):
        """From now on answers are signed; the file gets the trust anchor."""
        self.signer = Signer(name_octets)
        file.write_text(self.signer.anchor)
        return str(file)

    def close(self):
        for server in self.servers:
            server.shutdown()
            server.server_close()
