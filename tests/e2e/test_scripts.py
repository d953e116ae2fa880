"""scripts/lib.sh, which ./run and ./test use, on other machines. Commands at the front of PATH play those machines."""

import os
import subprocess

import pytest

from poplar_server import ROOT

# As dpkg-query -W lists them: a mail server early among more packages than a pipe holds.
INSTALLED = "installed adduser \ninstalled exim4-daemon-light mail-transport-agent\n" + "installed package-%d something\n" * 5000


@pytest.fixture
def machine(directory):
    """Runs shell text as ./run and ./test run theirs; keywords are the commands of the machine, as shell text."""
    commands = directory / "bin"
    commands.mkdir()

    def run(text, only=False, **fakes):
        for name, body in fakes.items():
            file = commands / name.replace("_", "-")
            file.write_text(f"#!/bin/bash\n{body}\n")
            file.chmod(0o755)
        script = directory / "script"
        script.write_text("set -euo pipefail\ncd " + str(ROOT) + "\n. scripts/lib.sh\n" + text)
        path = str(commands) if only else f"{commands}:{os.environ['PATH']}"
        done = subprocess.run(["/bin/bash", script], env={"PATH": path}, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 or done.stderr, "it ended without a word"
        return done
    return run


def dpkg_query(directory):
    listing = directory / "installed"
    listing.write_text(INSTALLED % tuple(range(5000)))
    # Asked for single packages it knows none of them.
    return f'[ "$#" -gt 3 ] && exit 1; exec cat {listing}'


def test_another_mail_server_is_found_however_many_packages_there_are(machine, directory):
    done = machine("another_mta", dpkg_query=dpkg_query(directory))
    assert (done.returncode, done.stdout, done.stderr) == (0, "exim4-daemon-light\n", "")


def test_postfix_is_not_installed_in_another_mail_servers_place(machine, directory):
    done = machine("install_packages clients", dpkg_query=dpkg_query(directory), apt_get='echo "$@" >>"$0.log"')
    assert done.returncode == 0, done.stderr
    assert "Not installing postfix: it would replace exim4-daemon-light." in done.stderr
    installed = (directory / "bin/apt-get.log").read_text().splitlines()[-1].split()
    assert "mutt" in installed and "postfix" not in installed


def test_nothing_is_asked_of_anybody_when_nothing_is_missing(machine):
    done = machine("install_packages build clients", apt_get="exit 1", sudo="exit 1",
                   dpkg_query='shift 3; for one; do echo "installed $one"; done')
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_without_root_and_sudo_the_command_for_root_is_told(machine, directory):
    tools = "for tool in awk basename cat comm sort; do ln -sf $(command -v $tool) {0}/; done".format(directory / "bin")
    subprocess.run(["/bin/bash", "-c", tools], check=True)
    done = machine("install_packages demo", only=True, id="echo 1000", dpkg_query="exit 1")
    assert done.returncode == 1
    assert "As root, run: apt-get --no-install-recommends install ca-certificates curl openssl python3" in done.stderr


@pytest.mark.parametrize("failing", ["update", "install"])
def test_without_network_it_says_what_could_not_be_installed(machine, failing):
    done = machine("install_packages demo", dpkg_query="exit 1", id="echo 0",
                   apt_get=f'case " $* " in *" {failing} "*) echo "E: no network" >&2; exit 100; esac')
    assert done.returncode == 1
    assert "E: no network" in done.stderr and "script: apt-get" in done.stderr


def test_elsewhere_than_on_debian_it_says_so(machine, directory):
    done = machine("install_packages demo", only=True)
    assert done.returncode == 1 and "this is made for Debian 12" in done.stderr


def test_a_failed_command_is_named_with_its_line(machine):
    done = machine("inner() {\n  false\n}\nouter() {\n  inner\n}\nouter\n")
    assert done.returncode == 1
    assert done.stderr == "script: stopped at script:5, because this failed with status 1: false\n"


def test_a_failed_substitution_and_a_failed_pipe_are_named_too(machine):
    done = machine("text=$(exit 7)\n")
    assert (done.returncode, done.stderr) == (7, "script: stopped at script:4, because this failed with status 7: text=$(exit 7)\n")
    done = machine("yes | :\n")
    assert done.returncode == 141 and "script:4" in done.stderr, done.stderr


def test_no_end_is_silent(machine):
    assert machine("exit 3").stderr == "script: ended with status 3\n"
    assert machine("die 'because of that'").stderr == "script: because of that\n"
    assert machine("exit 0").stderr == ""
