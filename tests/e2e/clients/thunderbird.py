"""Thunderbird without a display, told what to do over Marionette, its own remote control. A file a message (its maildir)."""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

from poplar_server import PATIENCE, free_port

from .device import PLAIN, STLS, TLS, Device, lf, without_fields

PREFERENCES = {
    "app.update.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "mail.provider.suppress_dialog_on_startup": True,
    "mail.serverDefaultStoreContractID": "@mozilla.org/msgstore/maildirstore;1",
    "mail.server.default.check_new_mail": False,
    "mail.shell.checkDefaultClient": False,
    "mail.suppressAlertsForTests": True,
    "mailnews.start_page.enabled": False,
    "network.proxy.type": 0,
    "services.settings.server": "data:,#remote-settings-dummy/v1",
}

# nsMsgSocketType and nsMsgAuthMethod, as the preferences server.*.socketType and server.*.authMethod have them.
SOCKET = {PLAIN: 0, STLS: 2, TLS: 3}
NORMAL_PASSWORD, ENCRYPTED_PASSWORD = 3, 4

ADD_ACCOUNT = """
const [user, password] = arguments;
const server = MailServices.accounts.createIncomingServer(user, "localhost", "pop3");
server.valid = true;
server.password = password;
server.loginAtStartUp = false;
server.downloadOnBiff = false;
const identity = MailServices.accounts.createIdentity();
identity.email = user;
const account = MailServices.accounts.createAccount();
account.incomingServer = server;
account.addIdentity(identity);
return server.rootFolder.filePath.path;
"""

TRUST = """
const [port, certificate] = arguments;
const database = Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB);
Cc["@mozilla.org/security/certoverride;1"].getService(Ci.nsICertOverrideService)
    .rememberValidityOverride("localhost", port, {}, database.constructX509FromBase64(certificate), false);
"""

FETCH = """
const [port, socketType, authMethod, keep, done] = arguments;
const server = MailServices.accounts.accounts.find(account => account.incomingServer.type == "pop3").incomingServer;
server.QueryInterface(Ci.nsIPop3IncomingServer);
server.port = port;
server.socketType = socketType;
server.authMethod = authMethod;
server.leaveMessagesOnServer = keep;
server.deleteByAgeFromServer = false;
const inbox = server.rootMsgFolder.getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox);
MailServices.pop3.GetNewMail(null, { OnStartRunningUrl() {}, OnStopRunningUrl(url, status) { done(status); } }, inbox, server);
"""


class Marionette:
    """https://firefox-source-docs.mozilla.org/testing/marionette/Protocol.html: a length, a colon and JSON."""

    def __init__(self, port, process):
        deadline = time.monotonic() + 60 * PATIENCE
        while True:
            try:
                self.socket = socket.create_connection(("127.0.0.1", port), 120 * PATIENCE)
                break
            except ConnectionRefusedError:
                assert process.poll() is None and time.monotonic() < deadline, "Thunderbird does not listen"
                time.sleep(0.05)
        self.file = self.socket.makefile("rwb")
        self.number = 0
        self._read()

    def _read(self):
        length = b""
        while (octet := self.file.read(1)) != b":":
            assert octet, "Thunderbird ended"
            length += octet
        return json.loads(self.file.read(int(length)))

    def command(self, name, **parameters):
        self.number += 1
        data = json.dumps([0, self.number, name, parameters]).encode()
        self.file.write(b"%d:%s" % (len(data), data))
        self.file.flush()
        _, _, error, result = self._read()
        assert error is None, error
        return result

    def run(self, script, *arguments):
        return self.command("WebDriver:ExecuteScript", script=script, args=arguments)["value"]

    def wait(self, script, *arguments):
        """The script ends by calling its last argument."""
        return self.command("WebDriver:ExecuteAsyncScript", script=script, args=arguments)["value"]


class Thunderbird(Device):
    programs = ("thunderbird",)
    mechanisms = ("PLAIN", "CRAM-MD5", "APOP")
    prefers = {"APOP": "CRAM-MD5"}
    forgets_when_cut = True

    def set_up(self):
        profile = self.directory / "profile"
        profile.mkdir()
        port = free_port()
        preferences = dict(PREFERENCES, **{"marionette.port": port})
        (profile / "user.js").write_text("".join(f"user_pref({json.dumps(k)}, {json.dumps(v)});\n" for k, v in preferences.items()))
        self.output = open(self.directory / "log", "wb")
        self.process = subprocess.Popen(
            ["thunderbird", "--headless", "--no-remote", "--marionette", "-remote-allow-system-access", "--profile", profile],
            cwd=self.directory, env=self.environment(MOZ_HEADLESS="1"), stdin=subprocess.DEVNULL, stdout=self.output, stderr=self.output,
            start_new_session=True)
        self.seen = set()
        try:
            self.remote = Marionette(port, self.process)
            self.remote.command("WebDriver:NewSession", capabilities={"alwaysMatch": {}})
            self.remote.command("WebDriver:SetTimeouts", script=120_000 * PATIENCE)
            self.remote.command("Marionette:SetContext", value="chrome")
            self.inbox = pathlib.Path(self.remote.run(ADD_ACCOUNT, self.account, self.password)) / "Inbox"
        except BaseException:
            self.close()
            raise

    def fetch(self, keep, transport=PLAIN, mechanism=None, port=None, fails=False):
        port = self.port_of(transport, port)
        pem = self.server.certificate.read_text()
        self.remote.run(TRUST, port, "".join(re.findall(r"(?m)^[A-Za-z0-9+/=]+$", pem)))
        status = self.remote.wait(FETCH, port, SOCKET[transport], NORMAL_PASSWORD if mechanism in (None, "PLAIN") else ENCRYPTED_PASSWORD,
                                  keep)
        assert (status == 0) != fails, hex(status)
        paths = set((self.inbox / "cur").iterdir()) - self.seen
        self.seen |= paths
        return [lf(without_fields(lf(path.read_bytes()), rb"X-Mozilla-(?:Status2?|Keys)|X-Account-Key|X-UIDL")) for path in paths]

    def close(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.output.close()
