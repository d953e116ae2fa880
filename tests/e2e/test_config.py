"""Each mistake in a configuration is told in one line with file, line and key, and the exit code is 78."""

import json
import re
import signal
import socket
import subprocess

import pytest

from poplar_server import free_port, make_certificate, run_poplar, to_toml

EXIT_CONFIG = 78


def check_config(directory, text):
    file = directory / "poplar.toml"
    file.write_text(text)
    return run_poplar("check-config", "--config", file)


def good(directory):
    return {"hostname": "mx.example.test", "data_dir": str(directory / "data"), "admin_socket": str(directory / "admin.sock"),
            "listen": {"pop3": ["127.0.0.1:0"], "smtp": ["127.0.0.1:0"]}}


def refused(done, file, key, line=None):
    assert done.returncode == EXIT_CONFIG, (done.returncode, done.stdout, done.stderr)
    lines = [line for line in done.stderr.strip().splitlines() if "warning: " not in line]
    assert len(lines) == 1, lines
    where = f"{file}:{line}:" if line else f"{file}:"
    assert where in lines[0] and key in lines[0], lines
    return lines[0]


def test_a_good_one(directory):
    done = check_config(directory, to_toml(good(directory)))
    assert done.returncode == 0, done.stderr


# key, the bad lines, the line it stands on, a word of the explanation
BAD = [
    ("hostnam", 'hostnam = "x.example"', 1, "hostname"),
    ("listen.pop", '[listen]\npop = ["127.0.0.1:0"]', 2, "pop3"),
    ("workers", 'workers = "two"', 1, "number"),
    ("workers", "workers = -1", 1, "between"),
    ("hostname", "hostname = 7", 1, "text"),
    ("listen.pop3", "[listen]\npop3 = 110", 2, "list"),
    ("listen.pop3", '[listen]\npop3 = ["nonsense"]', 2, "nonsense"),
    ("listen.pop3", '[listen]\npop3 = ["127.0.0.1:70000"]', 2, "70000"),
    ("auth.allow_plaintext", '[auth]\nallow_plaintext = "sometimes"', 2, "loopback"),
    ("limits.message_size", '[limits]\nmessage_size = "big"', 2, "big"),
    ("limits.drain_time", '[limits]\ndrain_time = "5 parsecs"', 2, "parsecs"),
    ("data_dir", 'data_dir = "relative"', 1, "absolute"),
    ("tls.certificate", '[tls]\ncertificate = "/x.pem"', 2, "private_key"),
    ("listen.smtp", '[listen]\nsmtp = ["127.0.0.1:2525", "127.0.0.1:2525"]', 2, "listen.smtp has 127.0.0.1:2525 already"),
    ("listen.smtp", '[listen]\npop3 = ["*:2525"]\nsmtp = ["127.0.0.1:2525"]', 3, "listen.pop3 has [::]:2525 already"),
    ("listen.smtp", '[listen]\npop3 = ["127.0.0.1:2525"]\nsmtp = ["0.0.0.0:2525"]', 3, "listen.pop3 has 127.0.0.1:2525 already"),
    ("listen.lmtp", '[listen]\nlmtp = ["unix:/x", "unix:/x"]', 2, "listen.lmtp has unix:/x already"),
    ("listen.lmtp", 'admin_socket = "/x"\n[listen]\nlmtp = ["unix:/x"]', 3, "admin_socket has unix:/x already"),
    ("oauth", '[oauth]\nkeys = ["/x.pem"]', 1, "needs audience"),
    ("", "hostname = ", 1, ""),
    ("", 'hostname = "x"\nhostname = "y"', 2, ""),
]


@pytest.mark.parametrize("key,text,line,word", BAD, ids=[f"{key or 'syntax'}-{n}" for n, (key, *_) in enumerate(BAD)])
def test_a_bad_one(directory, key, text, line, word):
    message = refused(check_config(directory, text + "\n"), directory / "poplar.toml", key, line)
    assert word in message


def test_serve_says_the_same(directory):
    file = directory / "poplar.toml"
    file.write_text("colour = 1\n")
    refused(run_poplar("serve", "--config", file), file, "colour", 1)


def test_a_missing_file(directory):
    file = directory / "none.toml"
    refused(run_poplar("serve", "--config", file), file, "")


def test_certificates_are_read_at_start(directory):
    certificate, key = make_certificate(directory)
    config = good(directory)
    config["tls"] = {"certificate": str(directory / "none.pem"), "private_key": str(key)}
    file = directory / "poplar.toml"
    line = to_toml(config).splitlines().index(f'certificate = "{directory / "none.pem"}"') + 1
    refused(check_config(directory, to_toml(config)), file, "tls.certificate", line)
    refused(run_poplar("serve", "--config", file), file, "tls.certificate", line)

    (directory / "junk.pem").write_text("junk\n")
    config["tls"] = {"certificate": str(certificate), "private_key": str(directory / "junk.pem")}
    refused(check_config(directory, to_toml(config)), file, "tls.private_key")

    other = directory / "other"
    other.mkdir()
    _, foreign = make_certificate(other)
    config["tls"] = {"certificate": str(certificate), "private_key": str(foreign)}
    refused(check_config(directory, to_toml(config)), file, "tls.")


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def make_chain(directory):
    """A root, an intermediate and the server's certificate: [(certificate, key)], the server's first."""
    made = []
    for name, issuer in (("root", None), ("middle", "root"), ("server", "middle")):
        key, certificate, request = (directory / f"{name}.{kind}" for kind in ("key", "crt", "csr"))
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}", "-keyout",
                key, "-out", request)
        signer = ["-CA", directory / f"{issuer}.crt", "-CAkey", directory / f"{issuer}.key", "-CAcreateserial"] if issuer else ["-key", key]
        openssl("x509", "-req", "-in", request, *signer, "-days", "30", "-out", certificate)
        made.insert(0, (certificate, key))
    return made


def with_tls(directory, certificates, key):
    bundle = directory / "bundle.pem"
    bundle.write_bytes(b"".join(file if isinstance(file, bytes) else file.read_bytes() for file in certificates))
    config = good(directory)
    config["tls"] = {"certificate": str(bundle), "private_key": str(key)}
    return to_toml(config)


def warned(done, *words):
    """A warning does not keep the server from its start."""
    assert done.returncode == 0, done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and "warning: " in lines[0] and all(word in lines[0] for word in words), lines


def test_a_chain_is_looked_at(directory):
    (server, key), (middle, _), (root, _) = make_chain(directory)
    file = directory / "poplar.toml"
    assert check_config(directory, with_tls(directory, [server, middle, root], key)).stderr == ""
    assert check_config(directory, with_tls(directory, [server], key)).stderr == ""
    done = check_config(directory, with_tls(directory, [server, root, middle], key))
    assert done.returncode == 0 and "bundle.pem: certificate 2 did not issue number 1 before it" in done.stderr, done.stderr
    message = refused(check_config(directory, with_tls(directory, [root, middle, server], key)), file, "tls.certificate")
    assert "the server's own certificate is number 3 of 3 and must be the first" in message


def test_an_expired_certificate_is_told_by_check_config_and_at_the_start(make_server, directory):
    server = make_server(start=False)
    openssl("req", "-new", "-key", server.key, "-subj", "/CN=localhost", "-out", directory / "r")
    openssl("x509", "-req", "-in", directory / "r", "-key", server.key, "-days", "-1", "-out", server.certificate)
    server.start()
    warned(server.run_cli("check-config"), "tls.certificate", "the certificate expired at 20")
    server.wait_log("warning server.config_warning")
    server.wait_log("the certificate expired at 20")
    before = server.log().count("expired at")
    server.process.send_signal(signal.SIGHUP)
    server.wait_log("server.reloaded")
    assert server.log().count("expired at") == before + 1
    assert json.loads(server.run_cli("check-config", "--json").stdout)["errors"] == []


def test_a_byte_order_mark_is_no_matter(directory):
    certificate, key = make_certificate(directory)
    done = check_config(directory, "\ufeff" + with_tls(directory, [b"\xef\xbb\xbf", certificate], key))
    assert (done.returncode, done.stderr) == (0, "")


def test_a_key_with_a_passphrase_is_named(directory):
    certificate, key = make_certificate(directory)
    file = directory / "poplar.toml"
    for form in ("pkey", "ec"):  # PKCS #8, and the form that OpenSSL had before
        openssl(form, "-in", key, "-aes128", "-passout", "pass:x", "-out", directory / "locked.pem")
        message = refused(check_config(directory, with_tls(directory, [certificate], directory / "locked.pem")), file, "tls.private_key")
        assert "has a passphrase, and nobody can be asked for it" in message


def test_who_may_read_and_write_the_files_is_looked_at(make_server, directory):
    server = make_server(start=False)
    server.data.mkdir(mode=0o700)
    assert server.spawn() and server.wait_ready() is None
    assert server.run_cli("check-config").stderr == ""
    server.stop()
    assert "config_warning" not in server.log()

    server.key.chmod(0o644)
    warned(server.run_cli("check-config"), "tls.private_key", f"everybody on this machine can read {server.key} (mode 0644)")
    server.start()
    server.wait_log(f"everybody on this machine can read {server.key}")
    server.stop()
    server.key.chmod(0o640)

    server.data.chmod(0o770)
    warned(server.run_cli("check-config"), "data_dir", f"a group can write in {server.data} (mode 0770): chmod 700")
    server.data.chmod(0o777)
    for command in ("check-config", "serve"):
        message = refused(run_poplar(command, "--config", server.config_file), server.config_file, "data_dir")
        assert f"everybody on this machine can write in {server.data} (mode 0777): chmod 700 {server.data}" in message


def test_a_port_in_use(directory):
    port = free_port()
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", port))
        holder.listen()
        config = good(directory)
        config["listen"]["smtp"] = [f"127.0.0.1:{port}"]
        file = directory / "poplar.toml"
        file.write_text(to_toml(config))
        line = to_toml(config).splitlines().index(f'smtp = ["127.0.0.1:{port}"]') + 1
        message = refused(run_poplar("serve", "--config", file), file, "listen.smtp", line)
        assert re.search(r"in use", message) and str(port) in message




def test_a_port_of_our_own_is_named(directory):
    config = good(directory)
    port = free_port()
    config["listen"]["smtp"] = [f"[::]:{port}", f"127.0.0.1:{port}"]
    file = directory / "poplar.toml"
    file.write_text(to_toml(config))
    message = refused(run_poplar("serve", "--config", file), file, "listen.smtp")
    assert f"listen.smtp has [::]:{port}" in message


def test_a_data_directory_of_something_else_is_named(directory):
    config = good(directory)
    (directory / "data").mkdir()
    (directory / "data" / "FORMAT").write_text("something else\n")
    file = directory / "poplar.toml"
    file.write_text(to_toml(config))
    done = run_poplar("serve", "--config", file)
    assert done.returncode == 1 and f"{file}:2: data_dir: " in done.stderr, done.stderr
