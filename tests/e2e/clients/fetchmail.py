"""fetchmail: hands each message on to a mail server, here by LMTP to another account of the same Poplar."""

from poplar_server import without_trace

from .device import PLAIN, STLS, TLS, Device


class Fetchmail(Device):
    programs = ("fetchmail",)
    mechanisms = ("CRAM-MD5", "APOP")
    crowds = False  # it hands on each message by itself, synced by the disk or in a process of its own
    without = {"a line of 100,000": "it breaks lines of more than 8 KB when it hands mail on"}

    def set_up(self):
        user, domain = self.account.split("@")
        self.inbox = self.server.add_user(f"{user}-{self.directory.name}-fetched@{domain}", self.password)
        self.seen = set()

    def fetch(self, keep, transport=PLAIN, mechanism=None, port=None, fails=False):
        protocol = "APOP" if mechanism == "APOP" else "POP3"
        auth = {None: "auth password", "APOP": "", "CRAM-MD5": "auth cram-md5"}[mechanism]
        ssl = {PLAIN: "sslproto ''", STLS: "sslproto 'tls1.2+'", TLS: "ssl sslproto 'tls1.2+'"}[transport]
        config = self.directory / "fetchmailrc"
        config.write_text(
            f"set invisible\npoll localhost protocol {protocol} port {self.port_of(transport, port)} {auth} timeout 60 uidl no dns\n"
            f"  user '{self.account}' password '{self.password}' is '{self.inbox}' here {ssl} no sslcertck no rewrite\n"
            f"  lmtp smtphost 'localhost/{self.server.port['lmtp']}' {'keep' if keep else 'nokeep flush'}\n")
        config.chmod(0o700)
        self.run("fetchmail", "-f", config, "--idfile", self.directory / "ids", "--nodetach", "--nosyslog",
                 "--pidfile", self.directory / "pid", codes=(0, 1), fails=fails)  # 1: there was no mail
        stored = [(uid, octets) for uid, octets in self.server.fetch_all(self.inbox, self.password) if uid not in self.seen]
        self.seen |= {uid for uid, _ in stored}
        return [self.normal(octets) for _, octets in stored]

    @staticmethod
    def normal(stored):
        return without_trace(stored)
