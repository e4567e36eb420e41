"""The base network: MobileNetV2 weights from a checked file (`weights`), and the graph that runs them (`graph`).

Only `graph` imports onnx, so code that must start fast imports `graph` where the graph is built.
"""
