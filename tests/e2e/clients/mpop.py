"""mpop: into a Maildir. It pipelines when CAPA says that it may."""

from .device import PLAIN, STLS, TLS, Device, Maildir


class Mpop(Device):
    programs = ("mpop",)
    mechanisms = ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "EXTERNAL", "OAUTHBEARER", "XOAUTH2", "APOP")

    def set_up(self):
        self.maildir = Maildir(self.directory / "Maildir")

    def fetch(self, keep, transport=PLAIN, mechanism=None, port=None, fails=False):
        tls = {PLAIN: ["--tls=off"], STLS: ["--tls=on", "--tls-starttls=on", "--tls-certcheck=off"],
               TLS: ["--tls=on", "--tls-starttls=off", "--tls-certcheck=off"]}[transport]
        if mechanism == "EXTERNAL":
            tls += [f"--tls-cert-file={self.identity[0]}", f"--tls-key-file={self.identity[1]}"]
        self.run("mpop", "--file=/dev/null", "--host=localhost", f"--port={self.port_of(transport, port)}", *tls,
                 f"--auth={(mechanism or 'user').lower()}", f"--user={self.account}", f"--passwordeval=echo {self.password}",
                 "--received-header=off", f"--uidls-file={self.directory}/uidls", f"--delivery=maildir,{self.maildir.path}",
                 f"--keep={'on' if keep else 'off'}", fails=fails)
        return self.maildir.new()
