"""A file per command: its options, its help, and what can be refused before its work is loaded."""
