"""s-nail: opens the maildrop as a mailbox of its own."""

from urllib.parse import quote

from .device import PLAIN, STLS, TLS, Device, read_mbox


class Snail(Device):
    programs = ("s-nail",)
    mechanisms = ("APOP", "XOAUTH2", "EXTERNAL")  # what it calls "plain" is USER, what it calls "oauthbearer" is XOAUTH2
    remembers = False
    without = dict.fromkeys(("no body", "one empty line", "empty lines"), "it writes no separator behind a message that ends in an empty line")

    def fetch(self, keep, transport=PLAIN, mechanism=None, port=None, fails=False):
        out = self.directory / "out"
        out.unlink(missing_ok=True)
        scheme = "pop3s" if transport == TLS else "pop3"
        url = f"{scheme}://{quote(self.account, safe='')}:{quote(self.password)}@localhost:{self.port_of(transport, port)}"
        method = {"XOAUTH2": "oauthbearer", "EXTERNAL": "externanon"}.get(mechanism, "plain")
        options = ["-Sv15-compat", "-Stls-verify=ignore", f"-Spop3-auth={method}", "-Sbatch-exit-on-error", "-Snohold", "-Snokeep"]
        options.append("-Spop3-use-starttls" if transport == STLS else "-Snopop3-use-starttls")
        if mechanism != "APOP":
            options.append("-Spop3-no-apop")
        if mechanism == "EXTERNAL":
            options.append(f"-Stls-config-pairs=Certificate={self.identity[0]},PrivateKey={self.identity[1]}")
        commands = f"copy * {out}\n" + ("xit\n" if keep else "delete *\nquit\n")
        done = self.run("s-nail", "-:/", *options, "-#", "-f", url, input=commands.encode(), codes=(0, 1), fails=fails)
        self.said = done.stdout + done.stderr
        return read_mbox(out.read_bytes()) if out.exists() else []
