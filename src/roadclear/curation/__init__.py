"""Curation: what a person decides about photos.

Its job: `clean` sets aside photos that do not belong; `triage` finds wrong labels and carries out decisions.
Every move of a file goes through `moves`, and `journal` holds the move before it is made, so each move can be undone.
It may import training and the rooms below training.
It must not know report, deploy or the command line.
"""
