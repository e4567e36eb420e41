"""`roadclear info`: what a model file says of itself."""

from dataclasses import asdict

from roadclear.cli.console import console, table
from roadclear.cli.options import JsonOption, RunArgument


def info(run: RunArgument, json: JsonOption = False) -> None:
    """Show what is in a model file: classes, threshold, weights, how it was trained."""
    from roadclear.model.predictor import load
    from roadclear.utils.tables import to_json

    model = load(run)
    facts = model.facts
    if json:
        print(to_json(asdict(facts)))
        return
    rows = table("", "")
    rows.show_header = False
    accuracy = facts.training.get("accuracy", {})
    for name, value in {
        "positive class": f"{facts.positive} (probability at least {facts.threshold:.4f}; aim: {facts.aim})",
        "negative class": facts.negative,
        "input": f"photo: uint8 [N, {facts.size}, {facts.size}, 3], RGB",
        "outputs": "probability, logit, embedding, heatmap, offset, distance, unsure, unfamiliar",
        "unsure": f"probability {facts.band.low:.4f} to {facts.band.high:.4f} (promised coverage "
        f"{facts.band.coverage:.1%} of each class)"
        if facts.band.low < facts.band.high
        else "never",
        "unfamiliar": f"distance above {facts.distance_limit:.4f}",
        "head": facts.head,
        "backbone": f"MobileNetV2 1.0, weights {facts.weights_name!r}",
        "weights' origin": facts.weights_origin,
        "weights' SHA-256": facts.weights_sha256,
        "trained on": ", ".join(f"{n} {part} photos" for part, n in facts.training.get("photos", {}).items()),
        **{
            f"{part} accuracy": f"{a['value']:.3f} (95% interval {a['ci95'][0]:.3f} to {a['ci95'][1]:.3f}, n={a['n']})"
            for part, a in accuracy.items()
        },
        "options": ", ".join(f"{k}={v}" for k, v in facts.training.get("options", {}).items() if v is not None),
        "model card": facts.training.get("card", "report.html of the run"),
        "made by": f"roadclear {facts.training.get('roadclear', '')}",
        "size on disk": f"{len(model.data) / 1e6:.1f} MB",
    }.items():
        rows.add_row(name, value)
    console().print(rows)
