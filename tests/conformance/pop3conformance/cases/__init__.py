"""The cases, a file for each group of RFCs. A number, once given, keeps its meaning for ever."""
