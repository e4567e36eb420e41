"""`roadclear demo`: every step from photos to a report, on drawn street scenes or on copies of the user's photos."""

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
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FOLDER", help="Folder for everything that the demo writes.")
    ] = Path("roadclear-demo"),
    count: Annotated[int, typer.Option(help="Number of scenes to draw or of photos to copy.")] = 300,
    seed: Annotated[int, typer.Option(min=0, help="Random seed of the scenes, the faults and the training.")] = 0,
    photos: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of labelled photos. The demo works on copies of the photos, not on drawn scenes.",
            show_default=False,
        ),
    ] = None,
    show_report: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the report in the browser at the end.")
    ] = True,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the results of an earlier demo in the same folder.")
    ] = False,
) -> None:
    """Show every step in a minute: cleaning, label issues, training, report. Needs neither a network nor photos.

    The demo hides known faults among drawn street scenes, and counts how many of the faults each step finds. With
    --photos, the demo works on copies of your photos. Your photos stay unchanged.
    """
    if count < _LEAST:
        raise OptionError(f"--count must be at least {_LEAST}, got {count}")
    from roadclear.cli.demo.folder import claimed, write_marker

    try:
        with claimed(out, photos, overwrite):
            story = Story(context, out, seed)
            _run_steps(story, count, photos)
            write_marker(out, finished=True, count=count, seed=seed, seconds=story.seconds)
    except KeyboardInterrupt:
        print(f"\nStopped. Run the same command to begin again in {printable(out)}.", file=sys.stderr)
        sys.exit(_INTERRUPTED)
    _close(story, photos, show_report)


def _run_steps(story: Story, count: int, photos: Path | None) -> None:
    from roadclear.cli.demo.scoring import score_cleaning

    story.say(
        "This demo goes from photos to a tested model and a report in six steps, without a network. All results are "
        f"written to {printable(story.out)}. Lines that begin with $ are commands that you can type yourself."
    )
    if photos is None:
        _draw(story, count)
    else:
        _copy(story, photos, count)
    plants = _plant(story)
    _clean(story)
    cleaned = score_cleaning(plants, story.at("photos"))
    _print_cleaned(story, cleaned, drawn=photos is None)
    _triage(story, cleaned.mislabelled)
    _train(story, cleaned.mislabelled)
    _show(story)


def _draw(story: Story, count: int) -> None:
    photos = story.at("photos")
    with story.step(
        "Draw street scenes",
        "photos/",
        "A model learns from photos with labels. The label of a photo is the name of its folder. This step draws "
        f"{count:,} scenes: half with people on the road ({printable(photos / 'crossing')}) and half without "
        f"({printable(photos / 'empty')}).",
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
        "A model learns from photos with labels. The label of a photo is the name of its folder. This step copies "
        f"about {count:,} photos at most from {printable(photos)} to {story.named('photos')}. All later steps change "
        "the copies only.",
    ):
        copied = copy_photos(photos, story.at("photos"), count, story.seed)
        story.say(f"{copied:,} photos were copied.")
    labels = load_folder(story.at("photos")).labels
    story.positive = choose_positive(labels, None)


def _plant(story: Story) -> "list[Plant]":
    from roadclear.cli.demo.planting import plant, write_plants

    with story.step(
        "Plant faults",
        "planted.csv",
        "Real collections contain copies, broken files and wrong labels. This step plants the same faults among the "
        f"photos and lists the faults in {story.named('planted.csv')}. Later steps count how many faults are found.",
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
        "Broken files teach a model nothing. A photo with a copy in both training and test makes a model look better "
        f"than it is. Cleaning moves such files to {story.named('photos/.quarantine')} and deletes nothing.",
    ):
        story.run("clean", story.at("photos"))


def _print_cleaned(story: Story, cleaned: "Cleaned", drawn: bool) -> None:
    from roadclear.cli.demo.planting import Kind

    rows = table("planted fault", "files", "found", "reason given", numbers=["files", "found"])
    for kind, planted in cleaned.planted.items():
        if kind != Kind.WRONG_LABEL:
            called = ", ".join(f"{reason} {n}" for reason, n in cleaned.called[kind].items())
            rows.add_row(kind, str(planted), str(cleaned.found[kind]), called)
    story.say("\nPlanted faults that cleaning found:")
    console().print(rows)
    innocent = len(cleaned.innocent)
    verdict = "an error, because no scene is drawn twice" if drawn else "which may be right: look at the files"
    named = ", ".join(map(printable, cleaned.innocent[:_NAMED])) + (", ..." if innocent > _NAMED else "")
    story.say(
        f"Files set aside without a planted fault: {innocent:,}, {verdict} ({named})."
        if innocent
        else "No other file was set aside."
    )
    wrong = cleaned.planted[Kind.WRONG_LABEL]
    story.say(
        f"{len(cleaned.mislabelled)} of the {wrong} wrong labels are still there. Cleaning compares pictures, and "
        "a photo with a wrong label is a sound picture. Finding wrong labels takes a model."
    )


def _triage(story: Story, mislabelled: "Sequence[Plant]") -> None:
    from roadclear.cli.demo.scoring import score_triage, write_decisions

    photos, folder, decisions = story.at("photos"), story.at("triage"), story.at("decisions.csv")
    page, listing = folder / "triage.html", folder / "triage.csv"
    with story.step(
        "Find wrong labels",
        "triage/triage.html, decisions.csv",
        "Models predict the label of every photo that they were not trained on. A label is probably wrong if the "
        f"models are sure of the other label. {printable(page)} shows the photos to review, the most doubtful first.",
    ):
        story.run("triage", photos, f"--positive={story.positive}", f"--seed={story.seed}", f"--out={folder}")
        found = score_triage(mislabelled, listing)
        caught, planted = len(found.caught), len(mislabelled)
        story.say(
            f"\n{caught} of {found.suspects} label issues are planted wrong labels (precision "
            f"{_share(caught, found.suspects)}). {caught} of {planted} planted wrong labels are label issues (recall "
            f"{_share(caught, planted)}), and {len(found.listed)} are anywhere in the list."
        )
        if found.listed:
            story.say(
                "Normally, a person would now review the page and decide. Here the true labels are known: "
                f"{printable(decisions)} gives {len(found.listed)} photos of the list their true labels. Wrong labels "
                "outside the list stay."
            )
            write_decisions(decisions, found.listed, listing)
            story.run("triage", photos, f"--apply={decisions}")


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "undefined"


def _train(story: Story, mislabelled: "Sequence[Plant]") -> None:
    from roadclear.training.run_folder import Run

    run = story.at("run")
    with story.step(
        "Train and test",
        "run/model.onnx, run/report.html",
        "A small head learns to classify the embeddings that a pretrained network computes from the photos. 15% of the "
        "photos are held back and used only once, for the test at the end, so that the test is fair. "
        f"{printable(run)} has the model in one file, and the report.",
    ):
        story.run("train", story.at("photos"), f"--positive={story.positive}", f"--seed={story.seed}", f"--out={run}")
    test = Run.open(run).metrics
    accuracy, unsure = test["test"]["accuracy"], test["reliability"]["test"]["unsure"]
    low, high = accuracy["ci95"]
    wrong = sum((story.at("photos") / one.file).exists() for one in mislabelled)
    story.say(
        f"\nIn short: the model is right on {accuracy['value']:.0%} of {accuracy['n']} test photos. With so few test "
        f"photos, the true accuracy may be anywhere from {low:.0%} to {high:.0%}. The model answers 'unsure' for "
        f"{unsure['value']:.0%} of the test photos.",
        f"{wrong} {'photo still has' if wrong == 1 else 'photos still have'} a planted wrong label." if wrong else "",
    )


def _show(story: Story) -> None:
    from roadclear.cli.demo.pointing import point, read_boxes
    from roadclear.model.predictor import load
    from roadclear.report.samples import choose
    from roadclear.training.run_folder import Run
    from roadscenes import BOXES_FILE

    photos, run, heatmaps = story.at("photos"), story.at("run"), story.at("heatmaps")
    boxes = photos / BOXES_FILE
    with story.step(
        "Look at predictions",
        "grid.png, heatmaps/",
        f"Accuracy does not show what a model gets wrong. {story.named('grid.png')} shows test photos with their "
        f"predictions. {printable(heatmaps)} shows which places of a photo are evidence for {story.positive}.",
    ):
        tested = Run.open(run).test_photos()
        chosen = [photos / photo.file for photo in choose(tested, _HEATMAPS, story.seed)]
        story.run("show", run, f"--out={story.at('grid.png')}")
        story.run("predict", run, *chosen, f"--heatmaps={heatmaps}")
        if boxes.is_file():
            pointing = point(load(run), [sample.path for sample in tested], read_boxes(boxes))
            story.say(
                f"\nThe places of the drawn people are known. In {pointing.hits} of {pointing.photos} test photos with "
                f"people ({_share(pointing.hits, pointing.photos)}), the strongest evidence for {story.positive} "
                f"touches a person. A random place touches a person in {pointing.chance:.0%} of cases."
            )


def _close(story: Story, photos: Path | None, show_report: bool) -> None:
    from roadclear.training.run_folder import Run

    report = Run.open(story.at("run")).report_file
    rows = table("", "step", "seconds", f"results in {printable(story.out)}", numbers=["seconds"])
    for number, (title, left) in enumerate(story.left.items(), start=1):
        rows.add_row(str(number), title, f"{story.seconds[title]:.1f}", left)
    rows.add_row("", "total", f"{sum(story.seconds.values()):.1f}", "")
    out = console()
    out.print("\nDone", style="bold cyan")
    out.print(rows)
    opened = show_report and sys.stdout.isatty() and _open(report)
    out.print(f"Report{' (opened in the browser)' if opened else ''}: {printable(report)}", style="bold")
    _print_next_steps(story, photos)


def _print_next_steps(story: Story, photos: Path | None) -> None:
    mine = shlex.quote(printable(photos)) if photos is not None else "PHOTOS"
    demo_again = f"roadclear demo --photos {mine} --out mine"
    commands = {
        demo_again: "run the demo on copies of your photos",
        f"roadclear clean {mine}": "set aside unsuitable files",
        f"roadclear triage {mine}": "find labels that are probably wrong",
        f"roadclear train {mine}": "train and test a model, and write a report",
        f"roadclear predict {shlex.quote(story.named('run'))} PHOTO": "classify a photo with the model of this demo",
    }
    if photos is None:
        story.say("\nNext steps with your own photos (PHOTOS has one subfolder of photos per label):")
    else:
        del commands[demo_again]
        story.say("\nNext steps with the photos themselves:")
    rows = table("command", "purpose")
    for command, purpose in commands.items():
        rows.add_row(command, purpose)
    console().print(rows)


def _open(report: Path) -> bool:
    """Open the report where there is a display. A text browser in the terminal would hide the summary."""
    import os
    import webbrowser

    named = {"DISPLAY", "WAYLAND_DISPLAY", "BROWSER"} & os.environ.keys()
    return bool(named or sys.platform in ("darwin", "win32")) and webbrowser.open(report.resolve().as_uri())
