"""Real mail clients, each driven as a device with a state of its own.

There is a module for each client. device.py has what they share, wire.py the proxy that cuts connections. A device fetches
what is new to it and returns what it stored, with only its own way of storing undone (line ends, mbox quoting, fields it
adds). normal() does the same to the server's copy, so that the two can be compared octet by octet.
"""

import os

from . import alpine, claws, curl, fetchmail, getmail, mpop, mutt, net_pop3, python_poplib, snail, thunderbird

DEVICES = (
    alpine.Alpine,
    claws.Claws,
    curl.Curl,
    fetchmail.Fetchmail,
    getmail.Getmail,
    mpop.Mpop,
    mutt.Mutt,
    net_pop3.NetPop3,
    python_poplib.Poplib,
    snail.Snail,
)

if os.environ.get("POPLAR_THUNDERBIRD"):  # ./test --thunderbird: big to install, slow to start
    DEVICES += (thunderbird.Thunderbird,)
