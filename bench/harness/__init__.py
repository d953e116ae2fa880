"""What bench/compare, bench/growth and bench/soak share: servers on loopback, the load tool, tables and charts."""
