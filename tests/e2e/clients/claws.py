"""Claws Mail, on a display of its own (Xvfb). Its folders are MH: a file a message."""

import base64
import hashlib
import os
import ssl
import subprocess
import time

import standstill
from poplar_server import PATIENCE

from .device import PLAIN, STLS, TLS, Device

ROUNDS = 1000


def hidden(password, salt):
    """How its password store hides a password when there is no master passphrase: AES-256-CBC, a random first block."""
    key = hashlib.pbkdf2_hmac("sha1", b"passkey0", salt, ROUNDS, 32)
    plain = os.urandom(16) + password.encode().ljust(128, b"\0")
    done = subprocess.run(["openssl", "enc", "-aes-256-cbc", "-K", key.hex(), "-iv", os.urandom(16).hex(), "-nopad"], input=plain,
                          capture_output=True, check=True)
    return f"{{AES-256-CBC,{ROUNDS}}}{base64.b64encode(done.stdout).decode()}"


class Display:
    """An X server that nobody sees."""

    def __enter__(self):
        read, write = os.pipe()
        self.process = subprocess.Popen(["Xvfb", "-displayfd", str(write), "-screen", "0", "800x600x24", "-nolisten", "tcp", "-noreset"],
                                        pass_fds=[write], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(write)
        with os.fdopen(read) as pipe:
            number = pipe.readline().strip()  # it says its number when it listens; nothing if it ended
        assert number, "Xvfb did not start"
        return f":{number}"

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


class Claws(Device):
    programs = ("claws-mail", "Xvfb")
    mechanisms = ("APOP",)
    crowds = False

    def set_up(self):
        self.settings = self.directory / "settings"
        self.inbox = self.settings / "Mail/inbox"
        self.inbox.mkdir(parents=True)
        self.seen = set()
        salt = os.urandom(64)
        (self.settings / "passwordstorerc").write_text(f"[config]\nversion=1\n[account:1]\nrecv {hidden(self.password, salt)}\n")
        (self.settings / "clawsrc").write_text(
            f"[Common]\nconfig_version=4\nmaster_passphrase_salt={base64.b64encode(salt).decode()}\n"
            f"master_passphrase_pbkdf2_rounds={ROUNDS}\nuse_master_passphrase=0\nreceive_dialog_mode=2\nno_receive_error_panel=1\n"
            "autochk_newmail=0\ncheck_while_starting=0\nask_on_clean=0\nwarn_queued_on_exit=0\nnewmail_notify_manual=0\n")
        (self.settings / "folderlist.xml").write_text(
            f'<?xml version="1.0"?>\n<folderlist>\n<folder type="mh" name="Mail" path="{self.settings}/Mail">\n'
            '<folderitem type="inbox" name="inbox" path="inbox"/>\n</folder>\n</folderlist>\n')

    def fetch(self, keep, transport=PLAIN, mechanism=None, port=None, fails=False):
        (self.settings / "accountrc").write_text(
            "[Account: 1]\nconfig_version=4\naccount_name=u\nis_default=1\nname=U\naddress=u@example.test\nprotocol=0\n"
            f"receive_server=localhost\nsmtp_server=localhost\nuser_id={self.account}\nset_popport=1\npop_port={self.port_of(transport, port)}\n"
            f"ssl_pop={ {PLAIN: 0, TLS: 1, STLS: 2}[transport]}\nuse_pop_auth={int(mechanism == 'APOP')}\npop_auth_method=1\n"
            f"remove_mail={int(not keep)}\nmessage_leave_time=0\nmessage_leave_hour=0\nreceive_at_get_all=1\nfilter_on_receive=0\n"
            "enable_size_limit=0\ninbox=#mh/Mail/inbox\n")
        # Our certificate is one that the user has accepted before.
        (self.settings / "certs").mkdir(exist_ok=True)
        (self.settings / f"certs/localhost.{self.port_of(transport, port)}.cert").write_bytes(
            ssl.PEM_cert_to_DER_cert(self.server.certificate.read_text()))
        command = ["claws-mail", "--alternate-config-dir", self.settings]
        log = self.directory / "log"
        with Display() as display, open(log, "wb") as output:
            environment = self.environment(DISPLAY=display)
            process = subprocess.Popen([*command, "--debug", "--receive-all"], cwd=self.directory, env=environment, stdout=output,
                                       stderr=output, stdin=subprocess.DEVNULL)
            try:
                # It stays open; its debug output says when it is done with the POP session and what came from it.
                deadline = time.monotonic() + 120 * PATIENCE
                while b"): destroyed\n" not in log.read_bytes():
                    assert process.poll() is None and time.monotonic() < deadline, \
                        log.read_bytes()[-3000:].decode(errors="replace") + standstill.describe(process.pid)
                    time.sleep(0.05)
                subprocess.run([*command, "--exit"], env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=True,
                               timeout=60 * PATIENCE)
                assert process.wait(60 * PATIENCE) == 0
            finally:
                process.kill()
                process.wait()
        self.said = log.read_bytes()
        paths = set(self.inbox.glob("[0-9]*")) - self.seen
        self.seen |= paths
        return [path.read_bytes() for path in sorted(paths, key=lambda path: int(path.name))]
