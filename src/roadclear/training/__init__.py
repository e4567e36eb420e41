"""Training: a labelled dataset becomes a trained and measured model.

Its job: prepare, fit heads, fine-tune, decide and measure (`recipe.train`); cross-validate; run folder; estimator.
It may import model and the rooms below model. `finetune/{trainer,network,device}.py` alone import PyTorch.
It must not know report, curation, deploy or the command line: progress goes to a callback, results are returned.
`config.TrainSettings` gathers the options that the rooms declare.
"""
