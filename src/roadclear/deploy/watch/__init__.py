"""Watch: frames of a road become events, by a model.

Its job: to read frames of a video, a folder or a camera, to predict each, and to find events.
It may import model and the rooms below model. PyAV is imported by the modules that read or write video, and no other.
It must not know training, report or curation.
`watch.py` reads as the flow: source, frames, zone, evidence, events, records.
"""
