"""The tables: numbered DDL, one statement a file, and what applies and checks it."""
