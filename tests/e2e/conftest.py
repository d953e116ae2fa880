"""Fixtures: one server for the tests of a file that only need accounts, and servers of their own for the others."""

import contextlib
import itertools
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

import netns
import poplar_server
from poplar_server import DOMAIN, Server


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="more rounds of the tests that look for rare failures")


def pytest_configure(config):
    if not poplar_server.BINARY.is_file():
        pytest.exit(f"no binary {poplar_server.BINARY}: ./test --e2e builds it (or set POPLAR_BINARY)", 2)


@pytest.fixture(scope="session")
def long(request):
    return request.config.getoption("--long")


@pytest.fixture
def directory():
    """A short path: Unix sockets live in it, and their names hold 107 octets."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="poplar-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def make_server(directory):
    """Makes servers with directories of their own; what still runs at the end must stop cleanly."""
    servers = []

    def make(domain=DOMAIN, start=True, **tables):
        home = directory / f"s{len(servers)}"
        home.mkdir()
        server = Server(home, **tables)
        servers.append(server)
        if start:
            server.start()
            if domain:
                server.add_domain(domain)
        return server

    yield make
    errors = []
    for server in servers:
        try:
            server.stop()
        except AssertionError as error:
            errors.append(str(error))
    assert not errors, "\n".join(errors)


@pytest.fixture(scope="module")
def server():
    home = pathlib.Path(tempfile.mkdtemp(prefix="poplar-"))
    server = Server(home).start()
    try:
        server.add_domain()
        yield server
        server.stop()
    finally:
        if server.process is not None:
            server.kill()
        shutil.rmtree(home, ignore_errors=True)


_numbers = itertools.count(1)


@pytest.fixture
def account(server):
    """The address of a new account on the file's server, with poplar_server.PASSWORD."""
    return server.add_user(f"user{next(_numbers)}@{DOMAIN}")


@pytest.fixture(scope="session")
def need():
    """Says that a test needs programs. ./test installs them, so there a missing one is a failure, never a skip."""
    def check(*programs):
        path = os.environ["PATH"] + ":/usr/sbin:/sbin"
        missing = [program for program in programs if shutil.which(program, path=path) is None]
        assert not missing, f"not installed: {', '.join(missing)}; ./test installs them"
    return check


@pytest.fixture(scope="session")
def as_root():
    """The prefix that makes a command root's: empty as root, sudo if that asks no password; else the test is skipped."""
    if os.getuid() == 0:
        return []
    if shutil.which("sudo") and subprocess.run(["sudo", "-n", "true"], capture_output=True).returncode == 0:
        return ["sudo", "-n"]
    pytest.skip("needs root, or sudo without a password")


@pytest.fixture
def crowd(need):
    """The test runs in a network of its own, with hundreds of addresses (netns.py). To be named before make_server."""
    need("ip")
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(netns.network())
        except PermissionError:
            pytest.skip("needs root, or another right to make a network namespace")
        yield netns


@pytest.fixture
def outbound(crowd, make_server):
    """A world with a DNS server and mail servers of its own (outbound_world.py)."""
    import outbound_world
    world = outbound_world.OutboundWorld(make_server)
    yield world
    world.close()
