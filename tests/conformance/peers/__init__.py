"""Starts other POP3 servers on loopback, each with its own configuration and data: for comparisons.

    from peers import Courier, Cyrus, Dovecot
    with Dovecot(accounts=20, format="sdbox", tuned=True) as server:
        ...

See Peer in base.py for what they offer. Needs root, since each changes to the users of its package.
"""

from .base import Account, Peer, PeerError, make_accounts
from .courier import Courier
from .cyrus import Cyrus
from .dovecot import Dovecot

PEERS = {peer.name: peer for peer in (Dovecot, Courier, Cyrus)}

__all__ = ["Account", "Courier", "Cyrus", "Dovecot", "PEERS", "Peer", "PeerError", "make_accounts"]
