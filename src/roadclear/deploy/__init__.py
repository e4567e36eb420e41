"""Deploy: the ways in which a model leaves the workshop.

Its job: to use a trained model elsewhere, as an exported file, on a camera's frames, or behind a server.
It may import model and the rooms below model.
It must not know training, PyTorch, report or curation: what is deployed does not train.
"""
