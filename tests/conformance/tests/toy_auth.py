"""How the toy server lets somebody in: USER and PASS, APOP, and AUTH with its mechanisms."""

import base64
import hashlib
import hmac
import os
import re
import time
import unicodedata

from pop3conformance.sasl import exported

SALT, ITERATIONS = b"0123456789ab", 4096


class Authentication:
    """The half of a session that is before the login; the other half is in toy_server.py."""

    def refuses_clear(self):
        """A server for TLS only says no to any login in the clear, whatever the password."""
        return self.server.tls_only and not self.tls

    def do_user(self, rest):
        if self.maildrop:
            return self.ok()
        if self.refuses_clear() and not self.wrong("tells passwords in the clear"):
            return self.err("use TLS")
        if not rest and not self.wrong("empty USER"):
            return self.err("who?")
        self.server.users += 1
        if self.wrong("USER refused later") and self.server.users > 1:
            return self.err()
        maildrop = self.server.maildrops.get(self.decoded(rest))
        if self.wrong("delay at USER") and maildrop and time.monotonic() - maildrop.last_login < self.server.delay:
            return self.err("[LOGIN-DELAY] too soon")
        if self.wrong("USER tells") and self.decoded(rest) not in self.server.accounts:
            return self.err("unknown")
        if self.wrong("AUTH code at USER") and self.decoded(rest) not in self.server.accounts:
            return self.err("[AUTH] unknown")
        self.user = rest
        return self.ok("password?")

    def decoded(self, octets):
        if self.wrong("bad UTF-8 dropped"):
            text = octets.decode("utf-8", "ignore").replace("\ue000", "")
        else:
            try:
                text = octets.decode("utf-8")
            except UnicodeDecodeError:
                return None
        if self.wrong("no SASLprep"):
            return text
        return unicodedata.normalize("NFKC", text.replace("\u00ad", ""))

    def do_pass(self, rest, user=None):
        if user is None and self.wrong("PASS without USER"):
            user = next((name.encode() for name, password in self.server.accounts.items() if password.encode() == rest), None)
        if user is None:
            return self.err("USER first")
        if self.wrong("long passwords refused") and len(rest) > 200:
            return self.err("too long")
        if self.refuses_clear():
            known = self.server.accounts.get(self.decoded(user)) == self.decoded(rest)
            return self.err("use TLS for this good password" if known else "wrong password")
        if self.wrong("PASS twice"):
            self.user = user
        name, password = self.decoded(user), self.decoded(rest)
        if self.wrong("ASCII only") and not (user + rest).isascii():
            return self.err("ASCII only")
        good = name in self.server.accounts and password is not None and (
            password == self.server.accounts[name] or
            self.wrong("any password") or self.wrong("any known password") and password in self.server.accounts.values() or
            self.wrong("prefix of a password") and password and self.server.accounts[name].startswith(password) or
            self.wrong("more than a password") and password.startswith(self.server.accounts[name]))
        if self.wrong("empty PASS") and not rest:
            good = True
        if name in self.server.apop_only and not self.wrong("APOP and PASS"):
            good = False
        if self.wrong("unknown users too") and name not in self.server.accounts:
            return self.enter(self.server.first())
        if self.wrong("IN-USE for all") and name in self.server.accounts and self.server.maildrops[name].owner:
            return self.err("[IN-USE] busy")
        return self.enter(name) if good else self.denied()

    def denied(self):
        self.failed = True
        if self.wrong("failure keeps the lock"):
            for maildrop in self.server.maildrops.values():
                maildrop.owner = maildrop.owner or self
        if self.wrong("login after denial"):
            return self.enter(self.server.first(), lock=False, say=lambda: self.err("[AUTH] denied"))
        if self.wrong("SYS for a password"):
            return self.err("[SYS/TEMP] denied")
        return self.err("denied" if self.wrong("no AUTH code") else "[AUTH] denied")

    def enter(self, name, lock=True, say=None):
        maildrop = self.server.maildrops[name]
        with maildrop.lock:
            self.server.logins += 1
            if self.wrong("only one login") and self.server.logins > 1 or self.wrong("nobody can log in inside TLS") and self.tls:
                return self.err("[AUTH] not you")
            if maildrop.owner and lock and not self.wrong("no lock"):
                if self.wrong("second login disturbs") and maildrop.owner.messages:
                    maildrop.owner.messages.pop()
                code = "[AUTH]" if self.wrong("locked is AUTH") else "[IN-USE]"
                return self.err(f"{code} busy")
            if self.server.delay and time.monotonic() - maildrop.last_login < self.server.delay + (
                    5 if self.wrong("delay too long") else 0) and not self.wrong("delay not enforced"):
                return self.err("[AUTH] too soon" if self.wrong("delay is AUTH") else "[LOGIN-DELAY] too soon")
            maildrop.owner, maildrop.last_login = self, time.monotonic()
            self.maildrop, self.account = maildrop, name
            self.messages = maildrop.messages if self.wrong("live list") else list(maildrop.messages)
            if self.wrong("marks survive"):
                self.deleted = self.server.marks.setdefault(name, set())
        return say() if say else self.ok("logged in")

    def do_apop(self, rest):
        words = rest.split(b" ")
        if not self.server.apop or len(words) != 2 and not self.wrong("APOP without digest"):
            return self.ok() if self.wrong("APOP is fine") else self.err("no APOP here")
        if len(words) != 2:
            return self.enter(self.server.first())
        name = words[0].decode()
        secret = self.server.accounts.get(name, "")
        wanted = hashlib.md5(self.stamp + secret.encode()).hexdigest().encode()
        good = bool(secret) and (words[1] == wanted or self.wrong("any digest") or
                                 self.wrong("short digest") and len(words[1]) < 32 or
                                 self.wrong("digest without secret") and words[1] == hashlib.md5(self.stamp).hexdigest().encode())
        if self.wrong("APOP for unknown") and not secret:
            return self.enter(self.server.first())
        if self.wrong("APOP refused"):
            good = False
        return self.enter(name) if good else self.denied()

    # AUTH.

    def challenge(self, data):
        text = base64.b64encode(data)
        if self.wrong("challenge with text"):
            text += b" please"
        if self.wrong("empty challenge without space") and not data:
            self.send(b"+\r\n")
        else:
            self.send(b"+ " + text + b"\r\n")
        line = self.read_line(1 << 16)
        if line == b"*":
            if self.wrong("* logs in"):
                self.maildrop = self.server.maildrops[self.server.first()]
            if self.wrong("* is success"):
                self.ok()
                raise ValueError("handled")
            self.err("cancelled")
            raise ValueError("handled")
        return self.decode(line)

    def decode(self, line):
        if self.wrong("lenient base64"):
            kept = re.sub(rb"[^A-Za-z0-9+/]", b"", line)
            kept = kept[:-1] if len(kept) % 4 == 1 else kept
            return base64.b64decode(kept + b"=" * (-len(kept) % 4)).rstrip(b"\0")
        if not re.fullmatch(rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", line):
            self.err("not base64")
            raise ValueError("handled")
        return base64.b64decode(line)

    def do_auth(self, rest):
        mechanism, _, initial = rest.partition(b" ")
        mechanism = mechanism if self.wrong("case-sensitive mechanisms") else mechanism.upper()
        name = mechanism.decode("ascii", "replace")
        if self.wrong("AUTH alone logs in") and not rest:
            return self.enter(self.server.first())
        if self.maildrop:
            return self.ok() if self.wrong("AUTH after login") else self.err()
        if self.refuses_clear() and name in ("PLAIN", "LOGIN"):
            return self.err("use TLS")
        plus = name.endswith("-PLUS")
        try:
            if name == "PLAIN":
                return self.auth_plain(initial)
            if name == "LOGIN":
                return self.auth_login()
            if name == "CRAM-MD5":
                return self.auth_cram(initial)
            if name in ("SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS") and (self.tls or not plus):
                return self.auth_scram("sha1" if "SHA-1" in name else "sha256", plus, initial)
            if name == "OAUTHBEARER" and self.tls:
                return self.auth_bearer(initial)
        except ValueError:
            return None
        if self.wrong("EXTERNAL for all") and name == "EXTERNAL":
            return self.enter(self.server.first())
        if name == "EXTERNAL" and self.certified():
            try:
                wanted = self.first_response(initial).decode()
            except ValueError:
                return None
            own = self.server.token_account
            good = wanted in ("", own) or self.wrong("any external identity")
            if self.wrong("EXTERNAL refused"):
                good = False
            return self.enter(own) if good else self.denied()
        return self.ok() if self.wrong("unknown mechanism is fine") else self.err("unknown mechanism")

    def certified(self):
        """Whether the client has shown the certificate that this server knows."""
        return bool(self.server.external and self.tls and self.socket.getpeercert(binary_form=True))

    def first_response(self, initial):
        if initial == b"=":
            return b""
        if self.wrong("initial response ignored"):
            initial = b""
        if self.wrong("challenge not empty") and not initial:
            return self.challenge(b"hello")
        return self.decode(initial) if initial else self.challenge(b"")

    def auth_plain(self, initial):
        data = self.first_response(initial)
        if self.wrong("empty PLAIN is fine") and not data:
            return self.enter(self.server.first())
        parts = data.split(b"\0")
        if self.wrong("lenient PLAIN") and b"\0" in data or self.wrong("lenient PLAIN") and data:
            for name in self.server.accounts:
                if name.encode() in data or self.server.accounts[name].encode() in data:
                    return self.enter(name)
        if self.wrong("long responses refused") and len(data) > 190:
            return self.err("too long")
        if self.wrong("long responses twice") and len(data) > 190:
            self.err("too long")
        if len(parts) != 3 and not (len(parts) == 4 and self.wrong("third NUL")):
            return self.err("malformed")
        authorization, name, password = (self.decoded(part) for part in parts[:3])
        if None in (authorization, name, password):
            return self.denied()
        good = name in self.server.accounts and (self.server.accounts[name] == password or self.wrong("any PLAIN password"))
        if self.wrong("ASCII only") and not data.isascii():
            good = False
        if self.wrong("PLAIN refused"):
            good = False
        if self.wrong("unknown PLAIN users too") and name not in self.server.accounts:
            return self.enter(self.server.first())
        if authorization and authorization != name and not self.wrong("any authorization"):
            good = False
        if self.wrong("no authorization identity") and authorization:
            good = False
        if self.wrong("authorization identity needed") and not authorization:
            good = False
        if self.wrong("AUTH needs no lock") and good:
            return self.enter(name, lock=False)
        if not good and self.wrong("AUTH after failure refused"):
            self.refuses = {"auth", "user"}
        return self.enter(name) if good else self.denied()

    def auth_login(self):
        first, second = (b"Who?", b"Secret?") if self.wrong("odd LOGIN prompts") else (b"Username:", b"Password:")
        name = self.challenge(first).decode()
        if self.wrong("LOGIN tells") and name not in self.server.accounts:
            return self.denied()
        password = self.challenge(second).decode()
        good = self.server.accounts.get(name) == password or self.wrong("any LOGIN password")
        if self.wrong("LOGIN refused"):
            good = False
        return self.enter(name if name in self.server.accounts else self.server.first()) if good else self.denied()

    def auth_cram(self, initial):
        if initial and not self.wrong("CRAM with initial response"):
            return self.err("no initial response")
        stamp = f"<{os.urandom(6).hex()}@toy.example.test>".encode()
        if self.wrong("same challenge"):
            stamp = b"<same@toy.example.test>"
        if self.wrong("odd challenge"):
            stamp = os.urandom(6).hex().encode()
        name, _, digest = self.challenge(stamp).decode("utf-8", "replace").rpartition(" ")
        secret = self.server.accounts.get(name)
        if secret is None:
            return self.enter(self.server.first()) if self.wrong("any CRAM") else self.denied()
        wanted = hmac.new(secret.encode(), stamp, "md5").hexdigest()
        good = digest == wanted or self.wrong("any CRAM") or self.wrong("CRAM prefix") and wanted.startswith(digest) or \
            self.wrong("CRAM without brackets") and digest == hmac.new(secret.encode(), stamp[1:-1], "md5").hexdigest()
        if self.wrong("CRAM refused"):
            good = False
        return self.enter(name) if good else self.denied()

    def auth_scram(self, digest, plus, initial):
        first = self.first_response(initial).decode()
        found = re.fullmatch(r"(n|y|p=([A-Za-z0-9.-]+)),(?:a=([^,]*))?,(n=([^,]*),r=([^,]+)(?:,[a-z]=[^,]*)*)", first)
        if self.wrong("lenient SCRAM") and not found:
            loose = first.replace("m=ext,", "").replace("=41", "")
            loose = "n" + loose[1:] if loose[0] == "x" else loose
            loose = loose if ",r=" in loose else loose + ",r=none"
            found = re.fullmatch(r"(n|y|p=([A-Za-z0-9.-]+)),(?:a=([^,]*))?,(n=([^,]*),r=([^,]+)(?:,[a-z]=[^,]*)*)", loose)
            if not found:
                return self.denied()
            bare = first.split(",", 2)[2]
        else:
            bare = found[4] if found else ""
        if not found or self.wrong("no SCRAM extensions") and ",x=" in first:
            return self.denied()
        flag, binding_type, authorization, name, nonce = found[1], found[2], found[3], found[5], found[6]
        if re.search("=(?!2C|3D)", name) and not self.wrong("lenient SCRAM"):
            return self.denied()
        name = name.replace("=2C", ",").replace("=3D", "=")
        if self.wrong("lenient SCRAM"):
            name = name.replace("=41", "")
        if flag == "y" and self.tls and not self.wrong("y is fine"):
            return self.denied()
        if authorization and authorization != name and not self.wrong("any SCRAM authorization"):
            return self.denied()
        if authorization and self.wrong("no SCRAM authorization"):
            return self.denied()
        binding = b""
        if plus and binding_type == "tls-unique":
            binding = self.socket.get_channel_binding("tls-unique")
        elif plus and binding_type == "tls-exporter" and self.secrets and not self.wrong("no tls-exporter"):
            binding = exported(self.socket.cipher()[0], bytes.fromhex(self.secrets))
        elif plus and binding_type == "tls-server-end-point":
            binding = self.server.end_point
        elif flag.startswith("p") and not self.wrong("any channel binding"):
            return self.denied()
        if self.wrong("bindings refused") and plus:
            return self.denied()
        secret = self.server.accounts.get(name)
        if secret is None and name.endswith(tuple(self.server.accounts)) and self.wrong("SCRAM unknown users too"):
            name = next(known for known in self.server.accounts if name.endswith(known))
            secret = self.server.accounts[name]
        own = nonce + ("" if self.wrong("no server nonce") else "same" if self.wrong("same server nonce") else os.urandom(9).hex())
        iterations = 1000 if self.wrong("few iterations") else ITERATIONS
        server_first = f"r={own},s={base64.b64encode(SALT).decode()},i={iterations}"
        if self.wrong("odd SCRAM message"):
            server_first = f"s={base64.b64encode(SALT).decode()},r={own},i={iterations}"
        final = self.challenge(server_first.encode()).decode()
        without_proof, _, proof = final.rpartition(",p=")
        attributes = dict(part.partition("=")[::2] for part in without_proof.split(","))
        if self.wrong("no SCRAM extensions") and "z" in attributes:
            return self.denied()
        gs2 = first[:len(first) - len(bare)].encode()
        channel_good = base64.b64decode(attributes.get("c", "")) == gs2 + binding or self.wrong("c is not checked") or \
            self.wrong("lenient SCRAM") or self.wrong("any channel binding")
        nonce_good = attributes.get("r") == own or self.wrong("nonce is not checked")
        salted = hashlib.pbkdf2_hmac(digest, (secret or "?").encode(), SALT, iterations)
        mac = lambda key, data: hmac.new(key, data, digest).digest()  # noqa: E731
        key = mac(salted, b"Client Key")
        message = f"{bare},{server_first},{without_proof}".encode()
        signature = mac(hashlib.new(digest, key).digest(), message)
        proof_good = base64.b64decode(proof) == bytes(a ^ b for a, b in zip(key, signature)) or self.wrong("proof is not checked")
        if not (secret and channel_good and nonce_good and proof_good) or self.wrong("SCRAM refused"):
            if self.wrong("odd SCRAM error"):
                self.challenge(b"sorry")
            return self.denied()
        server_signature = mac(mac(salted, b"Server Key"), message)
        if self.wrong("wrong server signature"):
            server_signature = bytes(len(server_signature))
        if not self.wrong("no server signature"):
            self.challenge(b"v=" + base64.b64encode(server_signature))
        return self.enter(name)

    def auth_bearer(self, initial):
        response = self.first_response(initial).decode()
        found = re.fullmatch(r"(?:n|y),(?:a=([^,]*))?,\x01((?:[A-Za-z]+=[^\x01]*\x01)*)\x01", response)
        pairs = dict(pair.partition("=")[::2] for pair in found[2].split("\x01")[:-1]) if found else {}
        if self.wrong("lenient bearer") and not found:
            pairs = {"auth": f"Bearer {self.server.token}"} if self.server.token in response else {}
        scheme, _, token = pairs.get("auth", "").partition(" ")
        if self.wrong("lenient bearer") and "auth" not in pairs and found:
            scheme, token = "Bearer", self.server.token
        same = scheme == "Bearer" if self.wrong("case-sensitive Bearer") else scheme.lower() == "bearer"
        good = same and token == self.server.token and not (self.wrong("unknown keys refused") and "xyzzy" in pairs)
        if found and found[1] and found[1] != self.server.token_account and not self.wrong("lenient bearer"):
            good = False
        if self.wrong("bearer refused"):
            good = False
        if good:
            return self.enter(self.server.token_account)
        if self.wrong("no bearer error"):
            return self.denied()
        error = b'{"status":"invalid_token"}'
        if self.wrong("bearer error without status"):
            error = b'{"error":"invalid_token"}'
        if self.wrong("bearer error is no JSON"):
            error = b"invalid_token"
        if self.wrong("odd bearer status"):
            error = b'{"status":"sorry"}'
        self.challenge(error)
        return self.enter(self.server.token_account) if self.wrong("bearer error forgiven") else self.denied()
