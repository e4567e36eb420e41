"""Model: what a model is, from its head to model.onnx.

Its job: fit a head, set the rules of its answers (`decision`), write and read model.onnx, predict, explain and draw.
It may import features, data, metrics, images and utils.
It must not know how a dataset was prepared, what a run folder holds, or PyTorch.
The same rules apply in training and in model.onnx: `onnx_file` writes into the graph what `decision` has set.
"""
