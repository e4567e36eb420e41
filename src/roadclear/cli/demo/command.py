"""`roadclear demo`: the whole way, on drawn street scenes or on copies of one's own photos, told step by step."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roadclear.cli.console import console, table
from roadclear.cli.demo.story import Story
from roadclear.errors import OptionError
from roadclear.utils.text import printable

if TYPE_CHECKING:
    from roadclear.cli.demo.planting import Plant
    from roadclear.cli.demo.scoring import Cleaned

_LEAST = 40
_HEATMAPS = 6
_NAMED = 5
_INTERRUPTED = 130


def demo(
    context: typer.Context,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder that everything is written to.")] = Path(
        "roadclear-demo"
    ),
    count: Annotated[int, typer.Option(help="Scenes to draw, or photos to copy.")] = 400,
    seed: Annotated[int, typer.Option(min=0, help="Of everything that is drawn.")] = 0,
    photos: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Show it on copies of these labelled photos.", show_default=False),
    ] = None,
    show_report: Annotated[bool, typer.Option("--open/--no-open", help="Open the report in the browser.")] = True,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a finished demo.")] = False,
) -> None:
    """See the whole way in a minute: photos, cleaning, wrong labels, training, report. No network, no photos needed.

    Faults are hidden among drawn street scenes, so that it can be counted how many of them are found. With --photos,
    the same is done to copies of your own; your photos stay as they are.
    """
    if count < _LEAST:
        raise OptionError(f"--count must be at least {_LEAST}, got {count}")
    from roadclear.cli.demo.folder import claimed, write_marker

    try:
        with claimed(out, photos, overwrite):
            story = Story(context, out, seed)
            _tell(story, count, photos)
            write_marker(out, finished=True, count=count, seed=seed, seconds=story.seconds)
    except KeyboardInterrupt:
        print(f"\nStopped. The same command begins again, in {printable(out)}.", file=sys.stderr)
        sys.exit(_INTERRUPTED)
    _close(story, photos, show_report)


def _tell(story: Story, count: int, photos: Path | None) -> None:
    from roadclear.cli.demo.scoring import score_cleaning

    story.say(
        "From photos to a tested model and its report, in six steps and without a network. Everything is written to "
        f"{printable(story.out)}. What stands behind a $ is a command that you can type yourself."
    )
    if photos is None:
        _draw(story, count)
    else:
        _copy(story, photos, count)
    plants = _plant(story)
    _clean(story)
    cleaned = score_cleaning(plants, story.at("photos"))
    _tell_cleaned(story, cleaned, drawn=photos is None)
    _triage(story, cleaned.mislabelled)
    _train(story, cleaned.mislabelled)
    _show(story)


def _draw(story: Story, count: int) -> None:
    photos = story.at("photos")
    with story.step(
        "Draw street scenes",
        "photos/",
        "A model learns from examples, so there must be photos under two labels: the folder that a photo lies in is "
        f"its label. {count:,} scenes are drawn, half with people on the road ({printable(photos / 'crossing')}), half "
        f"without ({printable(photos / 'empty')}).",
    ):
        story.run("scenes", photos, f"--count={count}", f"--seed={story.seed}")
    story.positive = "crossing"


def _copy(story: Story, photos: Path, count: int) -> None:
    from roadclear.cli.demo.copying import copy_photos
    from roadclear.data.dataset import load_folder
    from roadclear.data.labels import choose_positive

    with story.step(
        "Copy photos",
        "photos/",
        "A model learns from examples, so there must be photos under two labels: the folder that a photo lies in is "
        f"its label. At most about {count:,} of {printable(photos)} are copied to {story.named('photos')}; what follows "
        "is done to the copies alone.",
    ):
        copied = copy_photos(photos, story.at("photos"), count, story.seed)
        story.say(f"{copied:,} photos are copied.")
    labels = load_folder(story.at("photos")).labels
    try:
        story.positive = choose_positive(labels, None)
    except OptionError:
        story.positive = labels[0]


def _plant(story: Story) -> "list[Plant]":
    from roadclear.cli.demo.planting import plant, write_plants

    with story.step(
        "Set things wrong",
        "planted.csv",
        "Real collections hold copies, broken files and wrong labels. The same faults are now planted among the photos "
        f"and written down in {story.named('planted.csv')}, so that it can be counted how many are found.",
    ):
        plants = plant(story.at("photos"), story.seed)
        write_plants(story.at("planted.csv"), plants)
        kinds = dict.fromkeys(one.kind for one in plants)
        counts = (f"{sum(one.kind == kind for one in plants)} x {kind}" for kind in kinds)
        story.say(f"{len(plants):,} faults: {', '.join(counts)}.")
    return plants


def _clean(story: Story) -> None:
    with story.step(
        "Clean",
        "photos/.quarantine/, photos/cleaning.csv",
        "Broken files teach nothing, and a copy that is in training and in the test makes a model look better than it "
        f"is. Cleaning moves them to {story.named('photos/.quarantine')}; nothing is deleted.",
    ):
        story.run("clean", story.at("photos"))


def _tell_cleaned(story: Story, cleaned: "Cleaned", drawn: bool) -> None:
    from roadclear.cli.demo.planting import Kind

    rows = table("planted", "files", "found", "called", numbers=["files", "found"])
    for kind, planted in cleaned.planted.items():
        if kind != Kind.WRONG_LABEL:
            called = ", ".join(f"{reason} {n}" for reason, n in cleaned.called[kind].items())
            rows.add_row(kind, str(planted), str(cleaned.found[kind]), called)
    story.say("\nCompared with what was planted:")
    console().print(rows)
    innocent = len(cleaned.innocent)
    verdict = "which is wrong: no scene is drawn twice" if drawn else "rightly or wrongly: look at them"
    named = ", ".join(map(printable, cleaned.innocent[:_NAMED])) + (", ..." if innocent > _NAMED else "")
    story.say(
        f"Set aside though not planted: {innocent:,}, {verdict} ({named})."
        if innocent
        else "Nothing else was set aside."
    )
    wrong = cleaned.planted[Kind.WRONG_LABEL]
    story.say(
        f"{len(cleaned.mislabelled)} of the {wrong} wrong labels are still there. Cleaning compares pictures, and a "
        "wrongly labelled one looks sound: that takes a model."
    )


def _triage(story: Story, mislabelled: "Sequence[Plant]") -> None:
    from roadclear.cli.demo.scoring import score_triage, write_decisions

    photos, folder, decisions = story.at("photos"), story.at("triage"), story.at("decisions.csv")
    page, listing = folder / "triage.html", folder / "triage.csv"
    with story.step(
        "Find wrong labels",
        "triage/triage.html, decisions.csv",
        "Every photo is judged by models that did not see it. Where they are sure of the other label, the label is "
        f"probably wrong. The photos to look at, the most doubtful first, are on {printable(page)}.",
    ):
        story.run("triage", photos, f"--positive={story.positive}", f"--seed={story.seed}", f"--out={folder}")
        found = score_triage(mislabelled, listing)
        caught, planted = len(found.caught), len(mislabelled)
        story.say(
            f"\nCompared with what was planted: of {found.suspects} suspects {caught} are planted wrong labels "
            f"(precision {_share(caught, found.suspects)}); of {planted} planted ones {caught} are suspects (recall "
            f"{_share(caught, planted)}), and {len(found.listed)} are somewhere in the list."
        )
        if found.listed:
            story.say(
                "Now a person would look at that page and decide. Here the answers are known: "
                f"{printable(decisions)} gives {len(found.listed)} photos of the list their true labels; wrong labels "
                "that are not in the list stay."
            )
            write_decisions(decisions, found.listed, listing)
            story.run("triage", photos, f"--apply={decisions}")


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "undefined"


def _train(story: Story, mislabelled: "Sequence[Plant]") -> None:
    import json

    run = story.at("run")
    with story.step(
        "Train and test",
        "run/model.onnx, run/report.html",
        "A small head learns to read what a ready-made network sees in the photos. 15% of the photos are held back and "
        f"measured only once, at the end, so that the number is honest. {printable(run)} holds the model, one file, "
        "and its report.",
    ):
        story.run("train", story.at("photos"), f"--positive={story.positive}", f"--seed={story.seed}", f"--out={run}")
    test = json.loads((run / "metrics.json").read_bytes())
    accuracy, unsure = test["test"]["accuracy"], test["reliability"]["test"]["unsure"]
    low, high = accuracy["ci95"]
    wrong = sum((story.at("photos") / one.file).exists() for one in mislabelled)
    story.say(
        f"\nIn short: {accuracy['value']:.0%} of {accuracy['n']} test photos are right; with so few of them, "
        f"the truth may be anywhere from {low:.0%} to {high:.0%}. {unsure['value']:.0%} are so close that the "
        "model says 'unsure'.",
        f"Of all photos, training and test, {wrong} still have a planted wrong label." if wrong else "",
    )


def _show(story: Story) -> None:
    from roadclear.cli.demo.pointing import point, read_boxes
    from roadclear.model.predictor import load
    from roadclear.report.samples import choose, run_test_photos
    from roadscenes import BOXES_FILE

    photos, run, heatmaps = story.at("photos"), story.at("run"), story.at("heatmaps")
    boxes = photos / BOXES_FILE
    with story.step(
        "Look at predictions",
        "grid.png, heatmaps/",
        f"A number hides what a model gets wrong, so look: {story.named('grid.png')} shows test photos with their "
        f"predictions, {printable(heatmaps)} which places of some photos spoke for {story.positive}.",
    ):
        tested = run_test_photos(run)
        chosen = [photos / s.path.relative_to(photos.resolve()) for s in choose(tested, _HEATMAPS, story.seed)]
        story.run("show", run, f"--out={story.at('grid.png')}")
        story.run("predict", run, *chosen, f"--heatmaps={heatmaps}")
        if boxes.is_file():
            pointing = point(load(run), [sample.path for sample in tested], read_boxes(boxes))
            story.say(
                f"\nIt is known where people were drawn: in {pointing.hits} of {pointing.photos} test photos with "
                f"people the place that spoke most for {story.positive} touches a person "
                f"({_share(pointing.hits, pointing.photos)}; a place taken blindly would in {pointing.chance:.0%})."
            )


def _close(story: Story, photos: Path | None, show_report: bool) -> None:
    report = story.at("run") / "report.html"
    rows = table("", "step", "seconds", f"in {printable(story.out)}", numbers=["seconds"])
    for number, (title, left) in enumerate(story.left.items(), start=1):
        rows.add_row(str(number), title, f"{story.seconds[title]:.1f}", left)
    rows.add_row("", "in all", f"{sum(story.seconds.values()):.1f}", "")
    out = console()
    out.print("\nDone", style="bold cyan")
    out.print(rows)
    opened = show_report and sys.stdout.isatty() and _open(report)
    out.print(f"The report{' is opened in the browser' if opened else ''}: {printable(report)}", style="bold")
    _tell_what_next(story, photos)


def _tell_what_next(story: Story, photos: Path | None) -> None:
    mine = shlex.quote(printable(photos)) if photos is not None else "PHOTOS"
    demo_again = f"roadclear demo --photos {mine} --out mine"
    commands = {
        demo_again: "the same on copies of your photos",
        f"roadclear clean {mine}": "set aside what does not belong",
        f"roadclear triage {mine}": "find labels that are probably wrong",
        f"roadclear train {mine}": "train, test and report",
        f"roadclear predict {shlex.quote(story.named('run'))} PHOTO": "ask the model of this demo",
    }
    if photos is None:
        story.say("\nNext, with your own photos (PHOTOS has two folders, each named as the label of the photos in it):")
    else:
        del commands[demo_again]
        story.say("\nNext, with the photos themselves:")
    rows = table("type", "to")
    for command, purpose in commands.items():
        rows.add_row(command, purpose)
    console().print(rows)


def _open(report: Path) -> bool:
    """Open the report where there is a display; a browser in the terminal would only be in the way."""
    import os
    import webbrowser

    named = {"DISPLAY", "WAYLAND_DISPLAY", "BROWSER"} & os.environ.keys()
    return bool(named or sys.platform in ("darwin", "win32")) and webbrowser.open(report.resolve().as_uri())
