"""Serve: a model behind HTTP, for programs, for other model servers' clients, and for a page in the browser.

Its job: bytes of a photo in, an answer out, within limits of size, time and waiting photos.
`answers.py` answers a photo without HTTP. `service.py` joins the answers with the queue, the metrics and the current
model. `app.py` puts them behind HTTP, with the routes of `predict.py`, `v2.py`, `probes.py` and `page.py`. `server.py`
runs the whole.
"""
