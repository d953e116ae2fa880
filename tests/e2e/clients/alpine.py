"""Alpine: opens the maildrop as its INBOX. Driven by keys; what it saves is an mbox."""

from .device import PLAIN, STLS, TLS, Device, read_mbox
from .terminal import Terminal

FEATURES = ("enable-aggregate-command-set", "expunge-without-confirm", "expunge-without-confirm-everywhere", "quit-without-confirm",
            "save-will-not-delete", "quell-empty-directories")
SETTINGS = {
    "personal-name": "U", "user-domain": "example.test", "last-version-used": "9.99z", "mail-directory": "mail",
    "mail-check-interval": "150", "status-message-delay": "-10", "feature-list": ",".join(FEATURES),
}


class Alpine(Device):
    programs = ("alpine",)
    mechanisms = ("PLAIN", "CRAM-MD5")
    usual = TLS  # without it, it warns of the password in the clear, for seconds
    remembers = False
    crowds = False

    def set_up(self):
        (self.directory / "mail").mkdir()

    def fetch(self, keep, transport=PLAIN, mechanism=None, port=None, fails=False):
        out = self.directory / "out"
        out.unlink(missing_ok=True)
        how = {PLAIN: "notls", STLS: "tls/novalidate-cert", TLS: "ssl/novalidate-cert"}[transport]
        if mechanism:
            how += f"/auth={mechanism.lower()}"
        inbox = f"{{localhost:{self.port_of(transport, port)}/pop3/{how}/user={self.account}}}INBOX"
        settings = dict(SETTINGS, **{"inbox-path": inbox})
        (self.directory / "pinerc").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        terminal = Terminal("alpine", "-p", self.directory / "pinerc", "-P", "/dev/null", "-i", cwd=self.directory, env=self.environment())
        try:
            self._drive(terminal, keep, out)
        except (AssertionError, OSError):
            if not fails:
                raise
        finally:
            terminal.close()
        self.said = terminal.text()
        data = out.read_bytes() if out.exists() else b""
        return [message for message in read_mbox(data) if b"FOLDER INTERNAL DATA" not in message]

    def _drive(self, terminal, keep, out):
        terminal.wait("ENTER PASSWORD")
        terminal.keys(self.password + "\r")
        terminal.wait("Preserve password")
        terminal.keys("n")
        # It draws only what changes, and forgets what is typed while it is busy.
        if terminal.wait(" NEW ", "No Messages") == " NEW ":
            terminal.keys_until(";", "SELECT criteria")
            terminal.keys_until("a", "APPLY command")  # "a" selects all, and the next one asks what to do with them
            terminal.keys_until("s", "SAVE ")
            terminal.keys(f"{out}\r")
            terminal.wait("doesn't exist")
            terminal.keys_until("y", "Undelete")
            if not keep:
                terminal.keys_until("a", "APPLY command")
                terminal.keys_until("d", "Undelete")
        assert terminal.end(keys="q") == 0, terminal.text()[-2000:]
