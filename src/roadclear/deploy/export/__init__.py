"""Export: a model becomes files for another runtime, and the files are checked before they are written.

Its job: to convert a model, to compare the converted model with the original on photos, and to refuse what differs.
It may import model and the rooms below model. NNCF is imported by `quantize.py` alone.
It must not know training, report or curation: the photos to check on are handed over.
`export.py` reads as the flow: convert, check, refuse or write.
"""
