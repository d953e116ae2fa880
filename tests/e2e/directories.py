"""Directories outside of Poplar for the tests: LDAP (slapd), PostgreSQL, a web service, an issuer of OpenID Connect."""

import contextlib
import http.server
import json
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time

from credentials import Issuer, base64url, openssl
from poplar_server import PATIENCE, free_port, make_certificate

DOMAIN = "outside.test"  # kept outside
BASE = "dc=outside,dc=test"


def wait_for(what, seconds=20):
    deadline = time.monotonic() + seconds * PATIENCE
    while not what():
        assert time.monotonic() < deadline, "a server of the test does not start"
        time.sleep(0.05)


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Slapd:
    """OpenLDAP's server with a certificate, an account that may search, and people."""

    READER, SECRET = f"cn=reader,{BASE}", "reader's secret"

    def __init__(self, directory):
        self.home = pathlib.Path(directory) / "slapd"
        (self.home / "db").mkdir(parents=True)
        self.certificate, self.key = make_certificate(self.home)
        self.port, self.tls_port = free_port(), free_port()
        # Not "localhost", for which libldap wants the machine's own name in the certificate.
        self.url, self.tls_url = f"ldap://127.0.0.1:{self.port}", f"ldaps://127.0.0.1:{self.tls_port}"
        self.misnamed_url = f"ldaps://127.0.0.2:{self.tls_port}"  # which the certificate does not name
        self.secret_file = self.home / "secret"
        self.secret_file.write_text(self.SECRET + "\n")
        self.config = self.home / "slapd.conf"
        self.config.write_text(f"""
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {self.home}/pid
TLSCACertificateFile {self.certificate}
TLSCertificateFile {self.certificate}
TLSCertificateKeyFile {self.key}
allow bind_anon_cred bind_anon_dn
access to attrs=userPassword by dn.exact="{self.READER}" read by anonymous auth by * none
access to * by dn.exact="{self.READER}" read by * none
database mdb
suffix "{BASE}"
rootdn "cn=admin,{BASE}"
rootpw admin
directory {self.home}/db
""")
        self.process = None
        self.load(f"dn: {BASE}\nobjectClass: domain\ndc: outside\n",
                  f"dn: {self.READER}\nobjectClass: person\ncn: reader\nsn: reader\nuserPassword: {self.SECRET}\n")

    @staticmethod
    def person(name, password):
        return (f"dn: cn={name},{BASE}\nobjectClass: inetOrgPerson\ncn: {name}\nsn: {name}\nmail: {name}@{DOMAIN}\n"
                f"userPassword: {password}\n")

    def load(self, *entries):
        """Before the start."""
        subprocess.run(["slapadd", "-f", self.config], input="\n".join(entries), text=True, check=True, capture_output=True)

    def start(self):
        self.process = subprocess.Popen(["slapd", "-f", self.config, "-h", f"ldap://127.0.0.1:{self.port} ldaps://127.0.0.1:{self.tls_port} {self.misnamed_url}",
                                         "-d", "0"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: listens(self.tls_port))
        return self

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(20 * PATIENCE)
            self.process = None

    def change(self, tool, text):
        subprocess.run([tool, "-x", "-H", f"ldap://127.0.0.1:{self.port}", "-D", f"cn=admin,{BASE}", "-w", "admin"], input=text, text=True,
                       check=True, capture_output=True)

    def add(self, name, password):
        self.change("ldapadd", self.person(name, password))

    def set_password(self, name, password):
        self.change("ldapmodify", f"dn: cn={name},{BASE}\nchangetype: modify\nreplace: userPassword\nuserPassword: {password}\n")

    def remove(self, name):
        self.change("ldapmodify", f"dn: cn={name},{BASE}\nchangetype: delete\n")

    def settings(self, **more):
        return {"domains": [DOMAIN], "source": "ldap", "url": self.tls_url, "ca_file": str(self.certificate), "base": BASE,
                "bind_dn": self.READER, "bind_password_file": str(self.secret_file), "verify": "bind"} | more


class Postgres:
    """A cluster of its own, which must not run as root."""

    BIN = next(iter(sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))), None)

    def __init__(self):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="poplar-pg-"))
        self.as_user = []
        if os.geteuid() == 0:
            shutil.chown(self.home, "postgres", "postgres")
            self.as_user = ["runuser", "-u", "postgres", "--"]
        self.port = free_port()
        self.process = None
        self.run(self.BIN / "initdb", "-D", self.home / "data", "-U", "postgres", "-A", "trust", "--no-sync")

    def run(self, *command):
        return subprocess.run([*self.as_user, *map(str, command)], check=True, capture_output=True, cwd="/")

    def start(self):
        self.process = subprocess.Popen(
            [*self.as_user, str(self.BIN / "postgres"), "-D", str(self.home / "data"), "-p", str(self.port), "-k", str(self.home),
             "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")

        def ready():
            return subprocess.run([str(self.BIN / "pg_isready"), "-h", "127.0.0.1", "-p", str(self.port)], capture_output=True).returncode == 0
        wait_for(ready, 60)
        return self

    def stop(self):
        if self.process:
            self.run(self.BIN / "pg_ctl", "-D", self.home / "data", "-m", "immediate", "stop")
            self.process.wait(30 * PATIENCE)
            self.process = None

    def sql(self, text):
        self.run(self.BIN / "psql", "-h", "127.0.0.1", "-p", self.port, "-U", "postgres", "-v", "ON_ERROR_STOP=1", "-c", text)

    def close(self):
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)


class WebService:
    """Knows people, and remembers what it was asked. `delay` in seconds; `broken`: answers this instead."""

    def __init__(self, people):
        self.people, self.asked, self.delay, self.broken = people, [], 0, None
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.asked.append(question)
                time.sleep(outer.delay)
                known = outer.people.get(question["address"])
                reply = {"exists": known is not None, "ok": known is not None and question.get("password") == known}
                body = outer.broken if outer.broken is not None else json.dumps(reply).encode()
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.web.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.web.server_port}/check"

    def close(self):
        self.web.shutdown()
        self.web.server_close()


class OpenIdIssuer:
    """Serves its configuration and its keys over TLS, and changes its key."""

    def __init__(self, directory):
        self.directory = directory
        self.certificate, key = make_certificate(directory)
        self.fetched, self.down = [], False
        self.keys = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.fetched.append(self.path)
                documents = {"/.well-known/openid-configuration": {"issuer": outer.name, "jwks_uri": outer.name + "/keys"},
                             "/keys": {"keys": [one["jwk"] for one in outer.keys] + [{"kty": "RSA", "use": "enc"}, {"kty": "unknown"}]}}
                path = self.path.removeprefix("/tenant")  # there, too, it says that it is this issuer
                body = json.dumps(documents.get(path, {})).encode()
                self.send_response(503 if outer.down else 200 if path in documents else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        self.web.socket = context.wrap_socket(self.web.socket, server_side=True)
        self.name = f"https://localhost:{self.web.server_port}"
        threading.Thread(target=self.web.serve_forever, daemon=True).start()
        self.rotate("first")

    def rotate(self, kid):
        """From now on only this key is there; one of that name may have been there before."""
        self.rotations = getattr(self, "rotations", 0) + 1
        home = self.directory / f"key{self.rotations}"
        home.mkdir()
        issuer = Issuer(home)
        modulus = bytes.fromhex(openssl("rsa", "-in", issuer.key, "-noout", "-modulus").decode().strip().split("=")[1])
        jwk = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": base64url(modulus), "e": "AQAB"}
        self.keys = [{"kid": kid, "key": issuer.key, "jwk": jwk}]

    def token(self, audience, **claims):
        current = self.keys[0]
        header = {"alg": "RS256", "typ": "JWT", "kid": current["kid"]}
        claims = {"iss": self.name, "aud": audience, "exp": int(time.time()) + 600} | claims
        text = ".".join(base64url(json.dumps(part).encode()) for part in (header, claims))
        return text + "." + base64url(openssl("dgst", "-sha256", "-sign", current["key"], input=text.encode()))

    def close(self):
        self.web.shutdown()
        self.web.server_close()
