"""Does a POP3 server do what the RFCs say? See docs/reference/conformance.md."""

__version__ = "1.0"
