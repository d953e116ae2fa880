"""A network of its own for a test: hundreds of peers, each with an address of its own, on one machine.

Inside `network()` the calling thread, and every thread and process it starts, is in a new network namespace. Its loopback
interface has all of 192.0.2.0/24, 198.51.100.0/24 and 203.0.113.0/24 (RFC 5737) and of 2001:db8::/32 (RFC 3849), so a
client may bind to any of them (Wire's `source`) and the server sees that address. The namespace is gone with the last
process in it, however the test ends.
"""

import contextlib
import ctypes
import os
import pathlib
import subprocess

CLONE_NEWNET = 0x40000000
NETWORKS = ("192.0.2", "198.51.100", "203.0.113")

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result, what):
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


@contextlib.contextmanager
def network():
    """PermissionError without the right to make a namespace (root has it)."""
    outside = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(_libc.unshare(CLONE_NEWNET), "unshare")
        try:
            for command in ["link set lo up", *(f"address add {network}.0/24 dev lo" for network in NETWORKS),
                            "-6 route add local 2001:db8::/32 dev lo"]:
                subprocess.run(["ip", *command.split()], check=True, capture_output=True)
            pathlib.Path("/proc/sys/net/ipv6/ip_nonlocal_bind").write_text("1")
            yield
        finally:
            _check(_libc.setns(outside, CLONE_NEWNET), "setns")
    finally:
        os.close(outside)


def sources(count):
    """So many IPv4 addresses, 762 at most: neighbours of up to three /24."""
    assert count <= 254 * len(NETWORKS)
    return [f"{NETWORKS[i // 254]}.{i % 254 + 1}" for i in range(count)]


def sources6(count):
    """So many IPv6 addresses, each of a /48 of its own."""
    assert count <= 1 << 16
    return [f"2001:db8:{i:x}::1" for i in range(count)]
