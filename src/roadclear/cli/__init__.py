"""The command line: one module a command, each of which parses, calls and renders.

Results go to stdout, everything else to stderr. Exit codes: 0 done; 1 failed; 2 wrong usage; 3 done, but some
inputs could not be read (they are listed). Whatever takes long to import is imported inside the command.
"""
