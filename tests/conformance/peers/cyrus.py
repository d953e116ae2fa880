"""Cyrus IMAP from Debian's packages: its pop3d and lmtpd, nothing else."""

import shutil

from .base import Peer, run

_IMAPD = """\
configdirectory: {home}/config
partition-default: {home}/spool
defaultpartition: default
proc_path: {home}/config/proc
mboxname_lockpath: {home}/config/lock
servername: mx.example.test
virtdomains: userid
defaultdomain: default.invalid
failedloginpause: 0
unixhierarchysep: yes
altnamespace: yes
hashimapspool: yes
autocreate_quota: 0
autocreate_post: yes
lmtp_downcase_rcpt: yes
duplicatesuppression: no
allowanonymouslogin: no
allowplaintext: yes
allowapop: yes
popminpoll: 0
poptimeout: 10
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: {home}/sasldb2
sasl_mech_list: PLAIN LOGIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256
tls_server_cert: {home}/certificate.pem
tls_server_key: {home}/cyrus-key.pem
sieve_extensions: fileinto
sievedir: {home}/sieve
lmtpsocket: {home}/config/socket/lmtp
idlesocket: {home}/config/socket/idle
notifysocket: {home}/config/socket/notify
syslog_prefix: {name}
"""

_MASTER = """\
START {{
  recover cmd="/usr/lib/cyrus/bin/ctl_cyrusdb -C {home}/imapd.conf -r"
}}
SERVICES {{
  pop3  cmd="{pop3d} -C {home}/imapd.conf -U {uses}" listen="127.0.0.1:{pop3}" prefork={prefork} maxchild=4096
  pop3s cmd="{pop3d} -C {home}/imapd.conf -s -U {uses}" listen="127.0.0.1:{pop3s}" prefork=0 maxchild=4096
  lmtp  cmd="lmtpd -C {home}/imapd.conf -a -U {uses}" listen="127.0.0.1:{lmtp}" prefork={prefork} maxchild=4096
}}
EVENTS {{
  checkpoint cmd="/usr/lib/cyrus/bin/ctl_cyrusdb -C {home}/imapd.conf -c" period=30
}}
"""


class Cyrus(Peer):
    name = "cyrus"
    package = "cyrus-common"
    apop = True
    utf8 = False

    def configure(self):
        home = self.directory
        for name in ("config", "config/socket", "config/proc", "config/lock", "config/db", "config/log", "config/msg", "spool",
                     "sieve"):
            (home / name).mkdir(exist_ok=True)
            shutil.chown(home / name, "cyrus", "mail")
        shutil.copy(home / "key.pem", home / "cyrus-key.pem")
        shutil.chown(home / "cyrus-key.pem", "cyrus", "mail")
        (home / "imapd.conf").write_text(_IMAPD.format(home=home, name=home.name))
        (home / "cyrus.conf").write_text(_MASTER.format(
            home=home, pop3d=self.copy_programs("cyrus-pop3d", "usr/lib/cyrus/bin") / "pop3d", uses=100000 if self.tuned else 30,
            prefork=4 if self.tuned else 0, **self.ports))
        self._add_accounts()
        shutil.chown(home / "sasldb2", "cyrus", "mail")

    def _add_accounts(self):
        for account in self.all_accounts():
            user, _, domain = account.name.partition("@")
            run("saslpasswd2", "-p", "-c", "-f", self.directory / "sasldb2", "-u", domain, user,
                input=account.password.encode())

    def launch(self):
        home = self.directory
        self._spawn("/usr/lib/cyrus/bin/master", "-D", "-C", home / "imapd.conf", "-M", home / "cyrus.conf", "-p",
                    home / "master.pid")
