"""Studio: one local page in which a person labels photos, trains, understands, tries, and takes the model away.

Its job: to show a folder of photos and the numbers of the model, and to pass on what the person decides.
It may import model and the rooms below model. FastAPI and uvicorn are imported by the modules that serve, and no other.
It must not know training, report or curation. `ports.py` says what the studio needs of them, the command hands it in.
`showing.py`, `changing.py` and `working.py` read as lists of what the page may ask for; `app.py` puts them together.
"""
