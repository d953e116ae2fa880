"""A world for mail that leaves: a network of its own, a DNS server in it, mail servers with an address of their own on port 25,
and a Poplar that people submit mail to."""

import contextlib
import http.server
import smtplib
import ssl
import threading
import time

from dns_server import DnsServer
from poplar_server import DOMAIN, PASSWORD, PATIENCE, client_tls, free_port
from smtp_sink import SmtpSink

# Quick, so that tests are: everything that takes minutes in the world takes tenths of seconds.
QUICK = {"retry": ["1s"], "connect_timeout": "1s", "reply_timeout": "3s", "dead_host": "200ms", "reuse": "1s"}


class OutboundWorld:
    def __init__(self, make_server):
        self.make_server = make_server
        self.stack = contextlib.ExitStack()
        self.dns = DnsServer()
        self.stack.callback(self.dns.close)
        self.next_address = 1

    def close(self):
        self.stack.close()

    def address(self):
        self.next_address += 1
        return f"192.0.2.{self.next_address}"

    def sink(self, domain=None, address=None, **options):
        """A mail server; it is the MX of `domain`."""
        address = address or self.address()
        sink = SmtpSink(address, **options)
        self.stack.callback(sink.close)
        if domain:
            self.dns.add_mail(domain, (f"mx.{domain}", address))
        return sink

    def policy(self, domain, certificate, text, number="1"):
        """The web server of the domain's MTA-STS policy."""
        address = self.address()
        self.dns.add_host(f"mta-sts.{domain}", address)
        self.dns.records[f"_mta-sts.{domain}"] = {"TXT": [f"v=STSv1; id={number};"]}
        web = PolicyWeb(address, certificate, text)
        self.stack.callback(web.close)
        return web

    def server(self, queue=None, dns=None, **tables):
        ports = {name: free_port() for name in ("submission", "submissions")}
        listen = {name: [f"127.0.0.1:{port}"] for name, port in ports.items()}
        server = self.make_server(listen=listen, dns={"servers": ["127.0.0.1:53"], "timeout": "2s", **(dns or {})},
                                  queue={**QUICK, **(queue or {})}, **tables)
        server.port.update(ports)
        return server


class PolicyWeb:
    """Serves one policy. `text`, `status`, `type` may be changed; `hang` never answers."""

    def __init__(self, address, certificate, text):
        self.text, self.status, self.type, self.asked, self.hang = text, 200, "text/plain", [], False
        self.stopped = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked.append(self.path)
                if outer.hang:
                    outer.stopped.wait(600)
                    return
                octets = outer.text.encode()
                self.send_response(outer.status)
                self.send_header("Content-Type", outer.type)
                self.send_header("Content-Length", str(len(octets)))
                self.end_headers()
                self.wfile.write(octets)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):  # a handshake that fails is a part of the tests
                pass

        self.server = Server((address, 443), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.stopped.set()
        self.server.shutdown()
        self.server.server_close()


class Client(smtplib.SMTP):
    """Somebody who submits mail, over TLS by STARTTLS."""

    def __init__(self, server, login=None, password=PASSWORD, tls=True):
        super().__init__("127.0.0.1", server.port["submission"], local_hostname="laptop.example", timeout=30 * PATIENCE)
        self.ehlo()
        if tls:
            self.starttls(context=client_tls())
            self.ehlo()
        if login:
            self.login(login, password)


def letter(sender, recipient, name="hello", body="A line.\r\n", head=""):
    return (f"From: {sender}\r\nTo: {recipient}\r\nSubject: {name}\r\nX-Test-Name: {name}\r\n{head}\r\n{body}").encode()


def queue_of(server, *more):
    return server.cli("queue", "list", *more)["messages"]


def wait_until(check, what, seconds=20):
    deadline = time.monotonic() + seconds * PATIENCE
    while not (result := check()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds * PATIENCE} s"
        time.sleep(0.05)
    return result


def wait_empty(server, seconds=20):
    wait_until(lambda: not queue_of(server), "the queue is not empty", seconds)


JANE = f"jane@{DOMAIN}"
