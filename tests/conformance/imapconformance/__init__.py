"""Checks IMAP servers against the RFCs: every response by a strict parser, and rows of commands with what must come of them."""
