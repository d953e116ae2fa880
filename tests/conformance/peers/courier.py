"""Courier's POP3 server from Debian's packages, with userdb.

Its paths are compiled in, so it runs in a mount namespace of its own where /etc/courier and /run/courier are folders of
this peer.
"""

import os
import pwd
import shlex
import shutil
import socket
import time

from .base import Peer, run

_DELIVER = """\
import os, sys, time
maildir = sys.argv[1]
name = f"{time.time_ns()}.{os.getpid()}.localhost"
data = sys.stdin.buffer.read().replace(b"\\r\\n", b"\\n")
with open(f"{maildir}/tmp/{name}", "wb") as file:
    file.write(data)
    file.flush()
    os.fsync(file.fileno())
    os.fchown(file.fileno(), os.stat(maildir).st_uid, os.stat(maildir).st_gid)
os.rename(f"{maildir}/tmp/{name}", f"{maildir}/new/{name}")
"""


def _cram_md5_secret(password):
    """userdb's hmac-md5pw: the two halves of HMAC-MD5's state before the challenge, as makeuserdb's tools make them."""
    return run("userdbpw", "-hmac-md5", input=f"{password}\n{password}\n".encode()).strip()


class Courier(Peer):
    name = "courier"
    package = "courier-base"
    protocols = ("pop3", "pop3s")

    def configure(self):
        home = self.directory
        for name in ("etc", "run", "run/authdaemon", "mail"):
            (home / name).mkdir(exist_ok=True)
        shutil.chown(home / "run/authdaemon", "courier", "courier")
        (home / "deliver.py").write_text(_DELIVER)
        (home / "etc/authdaemonrc").write_text(
            f'authmodulelist="authuserdb"\nauthmodulelistorig="authuserdb"\ndaemons={8 if self.tuned else 3}\n'
            f'authdaemonvar=/run/courier/authdaemon\nDEBUG_LOGIN=0\nDEFAULTOPTIONS=""\nLOGGEROPTS=""\n')
        mail = pwd.getpwnam("mail")
        rows = []
        for account in self.all_accounts():
            self._make_maildir(account.name, mail)
            fields = {"uid": mail.pw_uid, "gid": mail.pw_gid, "home": self._home(account.name), "shell": "/bin/false",
                      "systempw": run("openssl", "passwd", "-6", "-stdin", input=account.password.encode()).strip(),
                      "hmac-md5pw": _cram_md5_secret(account.password)}
            rows.append(f"{account.name}\t" + "|".join(f"{key}={value}" for key, value in fields.items()))
        userdb = home / "etc/userdb"
        userdb.write_text("\n".join(rows) + "\n")
        userdb.chmod(0o600)
        self._inside("/usr/sbin/makeuserdb")

    def _home(self, name):
        return self.directory / "mail" / name

    def _make_maildir(self, name, owner):
        for folder in ("", "Maildir", "Maildir/tmp", "Maildir/new", "Maildir/cur"):
            path = self._home(name) / folder
            path.mkdir(exist_ok=True)
            os.chown(path, owner.pw_uid, owner.pw_gid)

    def _namespace(self, *command):
        """The command line that runs a program where /etc/courier and /run/courier are ours."""
        script = (f"mount --bind {shlex.quote(str(self.directory / 'etc'))} /etc/courier && "
                  f"mkdir -p /run/courier && mount --bind {shlex.quote(str(self.directory / 'run'))} /run/courier && "
                  'exec "$@"')
        return ("unshare", "--mount", "sh", "-c", script, "sh", *map(str, command))

    def _inside(self, *command):
        run(*self._namespace(*command))

    def launch(self):
        programs = self.copy_programs("courier-pop", "usr/lib/courier/courier")
        self._spawn(*self._namespace("/usr/lib/courier/courier-authlib/authdaemond"), env={"PATH": os.environ["PATH"]})
        self._wait_authdaemon()
        processes = 4096 if self.tuned else 200
        environment = {
            "PATH": os.environ["PATH"], "POP3AUTH": "PLAIN LOGIN CRAM-MD5", "POP3AUTH_TLS": "PLAIN LOGIN CRAM-MD5",
            "POP3AUTH_ORIG": "PLAIN LOGIN CRAM-MD5", "POP3_PROXY": "0", "COURIERTLS": "/usr/bin/couriertls",
            "TLS_CERTFILE": str(self.directory / "chain.pem"), "TLS_VERIFYPEER": "NONE", "TLS_PRIORITY": "NORMAL:-VERS-TLS1.0:-VERS-TLS1.1",
            "MAILDIRPATH": "Maildir", "prefix": "/usr", "exec_prefix": "/usr", "libexecdir": "/usr/lib/courier"}
        chain = (programs / "courierpop3login", programs / "courierpop3d", "Maildir")
        listen = ("/usr/sbin/couriertcpd", f"-address={self.host}", f"-maxprocs={processes}", f"-maxperip={processes}",
                  "-nodnslookup", "-noidentlookup")
        self._spawn(*self._namespace(*listen, self.ports["pop3"], *chain),
                    env=environment | {"POP3_STARTTLS": "YES", "POP3_TLS_REQUIRED": "0"})
        self._spawn(*self._namespace(*listen, self.ports["pop3s"], "/usr/bin/couriertls", "-server", "-tcpd", *chain),
                    env=environment | {"POP3_STARTTLS": "NO", "POP3_TLS": "1", "POP3_TLS_REQUIRED": "0"})

    def _wait_authdaemon(self):
        deadline = time.monotonic() + 10
        while True:
            with socket.socket(socket.AF_UNIX) as probe:
                try:
                    return probe.connect(str(self.directory / "run/authdaemon/socket"))
                except OSError:
                    if time.monotonic() > deadline:
                        raise
            time.sleep(0.02)

    def inject(self, account, message):
        run("python3", self.directory / "deliver.py", self._home(account) / "Maildir", input=message)

    def injection(self):
        """Into the Maildir: Courier's own LMTP belongs to its mail transport agent."""
        script, mail = shlex.quote(str(self.directory / "deliver.py")), shlex.quote(str(self.directory / "mail"))
        return {"command": f'python3 {script} {mail}/"$ACCOUNT"/Maildir'}
