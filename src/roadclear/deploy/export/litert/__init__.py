"""LiteRT: model.onnx becomes a .tflite file for phones and small computers.

Its job: to write the same graph in LiteRT's format, layer by layer, without a converter.
`flatbuffer.py` knows the file format, `translate.py` knows which operator of LiteRT does what an ONNX operator does.
Only the schema and the interpreter of the package ai-edge-litert are imported, when they are needed.
"""
