"""Dovecot from Debian's packages: POP3 and, where dovecot-lmtpd is installed, LMTP; nothing else."""

import os
import pathlib
import shutil

from .base import Account, Peer, PeerError, run

_FORMATS = {
    "maildir": "maildir:~/Maildir",
    "sdbox": "sdbox:~/sdbox",
    "mdbox": "mdbox:~/mdbox",
}

_CONFIGURATION = """\
base_dir = {home}/run
state_dir = {home}/state
instance_name = {name}
log_path = {home}/dovecot.log
protocols = {protocols}
listen = 127.0.0.1
hostname = mx.example.test
login_greeting = Dovecot ready.
login_trusted_networks =
ssl = yes
ssl_cert = <{home}/certificate.pem
ssl_key = <{home}/key.pem
ssl_min_protocol = TLSv1.2
disable_plaintext_auth = no
auth_mechanisms = {mechanisms}
auth_failure_delay = 0
auth_username_chars =
auth_username_format = %u
auth_cache_size = {auth_cache}
mail_location = {location}
mail_uid = mail
mail_gid = mail
first_valid_uid = 8
first_valid_gid = 8
mail_max_userip_connections = 0
mail_fsync = {fsync}
pop3_lock_session = yes
lda_mailbox_autocreate = yes
passdb {{
  driver = passwd-file
  master = yes
  args = scheme=PLAIN username_format=%u {home}/masters
}}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {home}/users
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={home}/mail/%u
}}
service pop3-login {{
  {login}
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = {pop3s}
    ssl = yes
  }}
}}
service pop3 {{
  process_limit = 4096
  {worker}
  {clients}
}}
{lmtp_service}
# No growing delays for an address with failed logins: the tests come from one.
service anvil {{
  client_limit = 8192
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service auth {{
  client_limit = 8192
}}
service stats {{
  client_limit = 8192
}}
"""

_LMTP = """\
service lmtp {{
  {worker}
  inet_listener lmtp {{
    port = {lmtp}
  }}
}}"""


class Dovecot(Peer):
    """format: maildir, sdbox or mdbox. fsync: Dovecot's mail_fsync, `optimized` by default."""

    name = "dovecot"
    package = "dovecot-core"
    apop = True
    master = Account("operator", "Operator-123")  # may log in for any other (SASL PLAIN)

    def __init__(self, accounts=8, directory=None, tuned=False, format="maildir", fsync="optimized"):
        if not self.has_lmtp():
            self.protocols = ("pop3", "pop3s")
        super().__init__(accounts, directory, tuned)
        self.format, self.fsync = format, fsync

    @staticmethod
    def has_lmtp():
        return pathlib.Path("/usr/lib/dovecot/lmtp").exists()

    def inject(self, account, message):
        """By LMTP if it is there, else with the program for local delivery, which gives the message no header."""
        if "lmtp" in self.ports:
            super().inject(account, message)
        else:
            run("/usr/lib/dovecot/dovecot-lda", "-c", self.directory / "dovecot.conf", "-d", account, input=message)

    def injection(self):
        if "lmtp" not in self.ports:
            raise PeerError("dovecot-lmtpd is not installed (tests/conformance/peers/install)")
        return super().injection()

    def configure(self):
        home = self.directory
        for name in ("run", "state", "mail"):
            (home / name).mkdir(exist_ok=True)
        shutil.chown(home / "mail", "mail", "mail")
        users = "".join(f"{account.name}:{account.password}\n" for account in self.all_accounts())
        (home / "users").write_text(users, encoding="utf-8")
        (home / "masters").write_text(f"{self.master.name}:{self.master.password}\n", encoding="utf-8")
        # For load: login processes and workers that serve many clients each, as its documentation advises.
        busy = f"service_count = 0\n  process_min_avail = {os.cpu_count()}\n  client_limit = 4096"
        worker = "service_count = 0\n  process_min_avail = 2" if self.tuned else "service_count = 1"
        lmtp = _LMTP.format(worker=worker, lmtp=self.ports["lmtp"]) if "lmtp" in self.ports else ""
        (home / "dovecot.conf").write_text(_CONFIGURATION.format(
            home=home, name=home.name, location=_FORMATS[self.format], fsync=self.fsync, **self.ports,
            mechanisms="plain login cram-md5 apop scram-sha-1 scram-sha-256",
            auth_cache="10M" if self.tuned else "0",
            login=busy if self.tuned else "service_count = 1",
            clients="client_limit = 32" if self.tuned else "",
            worker=worker, lmtp_service=lmtp, protocols="pop3 lmtp" if lmtp else "pop3"))

    def launch(self):
        self._spawn("/usr/sbin/dovecot", "-F", "-c", self.directory / "dovecot.conf")
