"""Shared by the scripts in bench/: servers on loopback, the load tool, tables and charts."""
