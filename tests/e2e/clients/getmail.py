"""getmail6: into a Maildir."""

import os
import shutil

from .device import PLAIN, TLS, Device, Maildir

# getmail stores each message in a child process, and sets its handler for the child's end only after the child has begun. On a
# busy machine the child has often ended by then; getmail then stands still for `timeout` (180 s) and gives up
# (docs/using/clients.md). Here it waits for the child itself.
PATIENT = """
import os, runpy, sys
from getmailcore.baseclasses import ForkingBase

ForkingBase._prepare_child = lambda self: None
ForkingBase._wait_for_child = lambda self, pid: os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


class Getmail(Device):
    programs = ("getmail",)
    transports = (PLAIN, TLS)  # this version knows no STLS
    mechanisms = ("APOP",)
    crowds = False  # it hands on each message by itself, synced by the disk or in a process of its own
    forgets_when_cut = True
    without = {"a folded header": "an empty field gets a space behind its colon"}

    def set_up(self):
        # It refuses to deliver as root.
        self.owner = "nobody" if os.getuid() == 0 else None
        for path in (self.directory, self.directory.parent):
            path.chmod(0o755)
        self.maildir = Maildir(self.directory / "Maildir", self.owner)

    def fetch(self, keep, transport=PLAIN, mechanism=None, port=None, fails=False):
        kind = {PLAIN: "SimplePOP3Retriever", TLS: "SimplePOP3SSLRetriever"}[transport]
        (self.directory / "getmailrc").write_text(
            f"[retriever]\ntype = {kind}\nserver = localhost\nport = {self.port_of(transport, port)}\nusername = {self.account}\n"
            f"password = {self.password}\n{'use_apop = true' if mechanism == 'APOP' else ''}\n"
            f"[destination]\ntype = Maildir\npath = {self.maildir.path}/\n{f'user = {self.owner}' if self.owner else ''}\n"
            f"[options]\ndelivered_to = false\nreceived = false\nverbose = 1\nread_all = false\ndelete = {'false' if keep else 'true'}\n")
        self.run("/usr/bin/python3", "-c", PATIENT, shutil.which("getmail"), f"--getmaildir={self.directory}", "--rcfile=getmailrc", fails=fails)
        return self.maildir.new()
