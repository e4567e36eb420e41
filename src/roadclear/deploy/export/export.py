"""Export of a model: convert, check, and write what passed the check."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roadclear.deploy.export import quantize, repository
from roadclear.deploy.export.check import Check, CheckPhotos, check_export, check_values, refusal
from roadclear.deploy.export.convert import XML, network_files, read_network
from roadclear.deploy.export.litert.build import WEIGHTS, make_litert
from roadclear.deploy.export.made import Made
from roadclear.deploy.export.readme import openvino_readme
from roadclear.deploy.export.runners import EngineRunner
from roadclear.deploy.export.settings import FORMATS, ExportSettings
from roadclear.deploy.export.web.build import make_web
from roadclear.errors import DatasetError, OptionError, PhotoError
from roadclear.images.decode import read_photo
from roadclear.model.predictor import Model
from roadclear.utils.files import check_free, write_folder
from roadclear.utils.progress import ProgressCallback, no_progress
from roadclear.utils.tables import to_json

_REPORT = "export.json"
_README = "README.md"


@dataclass(frozen=True)
class ExportJob:
    """What to export, and where to.

    Attributes:
        to: format, one of `settings.FORMATS`.
        out: folder to make.
        on: photos to check the export on.
        calibration: photos that set the ranges of openvino-int8. None of them is checked on.
        settings: largest drop, number of calibration photos, and name on a server.
        runtime: folder with the files of onnxruntime-web; None to get them by npm.
        overwrite: whether a folder that is there is replaced.
    """

    to: str
    out: Path
    on: CheckPhotos
    calibration: Sequence[Path]
    settings: ExportSettings
    runtime: Path | None = None
    overwrite: bool = False


@dataclass(frozen=True)
class ExportResult:
    """The result of an export.

    Attributes:
        check: comparison of the export with the original.
        refused: why nothing was written; None for an export that was written.
    """

    check: Check
    refused: str | None


def export(model: Model, job: ExportJob, progress: ProgressCallback = no_progress) -> ExportResult:
    """Convert a model, check the result on photos, and write the result if it answers like the original.

    Args:
        model: model to export.
        job: what to export, and where to.
        progress: called after every photo.

    Raises:
        OptionError: there is no such format, or a name cannot work.
        OutputError: the folder is there and must not be replaced, or cannot be written.
        EngineError: a program or a package that the format needs is missing, or the export cannot be run.
        DatasetError: no photo can be read.
    """
    if job.to not in FORMATS:
        raise OptionError(f"--to must be one of {', '.join(FORMATS)}, got {job.to!r}")
    check_free(job.out, job.overwrite)
    made = _MAKERS[job.to](model, job, progress)
    checked = _check(model, made, job, progress)
    refused = refusal(checked, job.settings.max_drop, made.exact)
    if refused is None:
        report = to_json({"to": job.to, **_facts(model), **check_values(checked, refused)}).encode()
        write_folder(job.out, {**made.files, _REPORT: report}, job.overwrite)
    return ExportResult(checked, refused)


def _check(model: Model, made: Made, job: ExportJob, progress: ProgressCallback) -> Check:
    """Check the very files that will be written, in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        for name, data in made.files.items():
            (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
            (Path(folder) / name).write_bytes(data)
        with (
            closing(EngineRunner(model.data, model.facts.size)) as original,
            closing(made.open(Path(folder))) as exported,
        ):
            size = sum(len(made.files[name]) for name in made.needed) / 1e6
            return check_export(
                model.facts, (original, len(model.data) / 1e6), (job.to, exported, size), job.on, progress
            )


def _openvino(model: Model, job: ExportJob, progress: ProgressCallback) -> Made:
    files = network_files(read_network(model.data), model.facts)
    return _of_openvino(model, files, exact=True)


def _openvino_int8(model: Model, job: ExportJob, progress: ProgressCallback) -> Made:
    quantize.check_installed()
    photos = []
    chosen = list(job.calibration)[: job.settings.calibration]
    for done, path in enumerate(chosen, start=1):
        try:
            photos.append(read_photo(path, model.facts.size))
        except PhotoError:
            continue  # the number of photos that were read is what counts
        finally:
            progress("Reading", done, len(chosen))
    if len(photos) < _FEWEST:
        raise DatasetError(
            f"expected at least {_FEWEST} photos to calibrate on, found {len(photos)}: name a run with its photos, or "
            "more photos with --check"
        )
    files = network_files(quantize.quantize(read_network(model.data), photos), model.facts)
    return _of_openvino(model, files, exact=False)


def _of_openvino(model: Model, files: dict[str, bytes], exact: bool) -> Made:
    needed = tuple(files)
    files = {**files, _README: openvino_readme(model.facts)}
    return Made(files, needed, exact, lambda folder: EngineRunner(folder / XML, model.facts.size))


def _litert(model: Model, job: ExportJob, progress: ProgressCallback) -> Made:
    return make_litert(model, job.to)


def _repository(model: Model, job: ExportJob, progress: ProgressCallback) -> Made:
    return repository.make_repository(model, job.settings.name)


def _web(model: Model, job: ExportJob, progress: ProgressCallback) -> Made:
    return make_web(model, job.runtime)


def _facts(model: Model) -> dict[str, Any]:
    facts = model.facts
    return {"positive": facts.positive, "negative": facts.negative, "threshold": facts.threshold, "size": facts.size}


_FEWEST = 10

_MAKERS: Mapping[str, Callable[[Model, ExportJob, ProgressCallback], Made]] = {
    "openvino": _openvino,
    "openvino-int8": _openvino_int8,
    **dict.fromkeys(WEIGHTS, _litert),
    "model-repository": _repository,
    "web": _web,
}
