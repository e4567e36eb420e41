"""Web: one page that predicts in the browser, with the model and its runtime inside.

Its job: to fetch the runtime, to build the page, and to check page and model together in Node.js.
`jpeg.js` and `photo.js` read and scale photos as `roadclear.images` does. `model.js` runs the model, `page.js` is the
page's behaviour, and `check.js` runs the first three in Node.js. `server.js` is added where a server serves the page:
its answers come from the server, or from the model that the server sends.
"""
