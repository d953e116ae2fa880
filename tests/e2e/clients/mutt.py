"""mutt: opens the maildrop as a folder. It knows by its caches what it has."""

from .device import PLAIN, STLS, TLS, Device, read_mbox
from .terminal import Terminal


class Mutt(Device):
    programs = ("mutt",)
    mechanisms = ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "EXTERNAL", "OAUTHBEARER", "XOAUTH2", "APOP")

    def set_up(self):
        (self.directory / "bodies").mkdir()
        (self.directory / "none").touch()

    def fetch(self, keep, transport=PLAIN, mechanism=None, port=None, fails=False):
        out = self.directory / "out"
        out.unlink(missing_ok=True)
        url = f"{'pops' if transport == TLS else 'pop'}://localhost:{self.port_of(transport, port)}/"
        tls = "yes" if transport == STLS else "no"
        (self.directory / "token").write_text(self.password)
        identity = self.directory / "identity.pem"
        if mechanism == "EXTERNAL":
            identity.write_bytes(b"".join(path.read_bytes() for path in self.identity))
        (self.directory / "muttrc").write_text(
            (f'set ssl_client_cert="{identity}"\n' if mechanism == "EXTERNAL" else "") +
            f'set pop_oauth_refresh_command="cat {self.directory}/token"\n'
            f'set pop_user="{self.account}"\nset pop_pass="{self.password}"\nset pop_authenticators="{(mechanism or "user").lower()}"\n'
            f'set ssl_starttls={tls}\nset ssl_force_tls={tls}\nset ssl_verify_host=no\nset certificate_file="{self.server.certificate}"\n'
            f'set folder="{self.directory}"\nset mbox_type=mbox\nset quit=yes\nset delete=yes\nset move=no\nset confirmappend=no\n'
            f'set confirmcreate=no\nset header_cache="{self.directory}/headers"\nset message_cachedir="{self.directory}/bodies"\n'
            "set message_cache_clean=no\nset wait_key=no\nset sleep_time=0\nset pop_checkinterval=600\nset pop_reconnect=no\n")
        self._run(url, f"<tag-pattern>~U<enter><tag-prefix-cond><copy-message>{out}<enter><end-cond>", fails)
        if not keep and not fails:
            self._run(url, "<delete-pattern>~A<enter><sync-mailbox>", fails)
        return read_mbox(out.read_bytes()) if out.exists() else []

    def _run(self, url, keys, fails):
        terminal = Terminal("mutt", "-n", "-F", self.directory / "muttrc", "-e", f"push {keys}<exit>", "-f", url, cwd=self.directory,
                            env=self.environment())
        code = terminal.end(keys="q")  # an error (no messages, a lost connection) makes it forget the rest of the keys
        assert fails or code == 0, terminal.text()[-3000:]
