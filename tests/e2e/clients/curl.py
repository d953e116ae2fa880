"""curl: has no memory, and keeps every octet."""

import re

from .device import PLAIN, STLS, TLS, TOKENS, Device


class Curl(Device):
    programs = ("curl",)
    mechanisms = ("PLAIN", "LOGIN", "CRAM-MD5", "EXTERNAL", "OAUTHBEARER", "XOAUTH2", "APOP")  # for SCRAM Debian's lacks GSASL
    prefers = {"XOAUTH2": "OAUTHBEARER"}  # whatever it is told
    remembers = False

    def fetch(self, keep, transport=PLAIN, mechanism=None, port=None, fails=False):
        scheme = "pop3s" if transport == TLS else "pop3"
        base = f"{scheme}://localhost:{self.port_of(transport, port)}"
        options = ["-sS", "-k", "-u", f"{self.account}:{'' if mechanism in ('EXTERNAL', *TOKENS) else self.password}"]
        if mechanism in TOKENS:
            options += ["--oauth2-bearer", self.password]
        if mechanism == "EXTERNAL":
            options += ["--cert", self.identity[0], "--key", self.identity[1]]
        if transport == STLS:
            options.append("--ssl-reqd")
        if mechanism:
            options += ["--login-options", "AUTH=" + ("+APOP" if mechanism == "APOP" else mechanism)]
        listing = self.run("curl", *options, f"{base}/").stdout
        sizes = {int(number): int(size) for number, size in re.findall(rb"(?m)^(\d+) (\d+)\r$", listing)}
        if not sizes:
            return []
        options.append("--sasl-ir")  # both ways to send a first response
        numbers = f"[1-{len(sizes)}]"
        for old in self.directory.iterdir():
            old.unlink()
        self.run("curl", *options, "-o", "#1", f"{base}/{numbers}", fails=fails)
        got = {n: path.read_bytes() for n in sizes if (path := self.directory / str(n)).exists()}
        # This curl takes a connection that ends within a message for the message's end: only LIST's size tells.
        whole = [octets for n, octets in got.items() if len(octets) == sizes[n]]
        assert (len(whole) < len(sizes)) == fails
        if not keep and not fails:
            self.run("curl", *options, "-X", "DELE", "-l", f"{base}/{numbers}")
        return whole

    @staticmethod
    def normal(stored):
        return stored
