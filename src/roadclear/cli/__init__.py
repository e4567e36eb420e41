"""Command line: one module for each command.

Its job: parse, call one function of the rooms below, and print. Results go to stdout, everything else to stderr.
It may import every room, slow ones inside the command. Only this room imports Typer and Rich.
It must not know how anything is computed: a command of more than 40 lines beside its options does library work.
Exit codes: 0 done; 1 failed; 2 wrong usage; 3 done, but some inputs could not be read (they are listed).
"""
