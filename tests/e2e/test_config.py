"""What is wrong with a configuration is said in one line with file, line and key, and the exit code is 78."""

import re
import socket

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
    lines = done.stderr.strip().splitlines()
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
    ("", "hostname = ", 1, ""),
    ("", 'hostname = "x"\nhostname = "y"', 2, ""),
]
    ("listen.smtp", '[listen]\nsmtp = ["127.0.0.1:2525", "127.0.0.1:2525"]', 2, "listen.smtp has 127.0.0.1:2525 already"),
    ("listen.smtp", '[listen]\npop3 = ["*:2525"]\nsmtp = ["127.0.0.1:2525"]', 3, "listen.pop3 has [::]:2525 already"),
    ("listen.smtp", '[listen]\npop3 = ["127.0.0.1:2525"]\nsmtp = ["0.0.0.0:2525"]', 3, "listen.pop3 has 127.0.0.1:2525 already"),
    ("listen.lmtp", '[listen]\nlmtp = ["unix:/x", "unix:/x"]', 2, "listen.lmtp has unix:/x already"),
    ("listen.lmtp", 'admin_socket = "/x"\n[listen]\nlmtp = ["unix:/x"]', 3, "admin_socket has unix:/x already"),
    ("oauth", '[oauth]\nkeys = ["/x.pem"]', 1, "needs audience"),


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
