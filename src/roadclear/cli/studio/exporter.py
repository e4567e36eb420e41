"""What the studio takes away: a run folder as by `roadclear train`, and a web page as by `roadclear export`."""

import shlex
import zipfile
from datetime import datetime
from pathlib import Path

from roadclear.cli.export import photos_to_check
from roadclear.deploy.export.export import ExportJob, export
from roadclear.deploy.export.settings import ExportSettings
from roadclear.deploy.studio.ports import TakenAway
from roadclear.errors import RoadclearError
from roadclear.report.page import build_report
from roadclear.training.api import train
from roadclear.training.config import TrainSettings
from roadclear.training.run_folder import Run
from roadclear.utils.progress import ProgressCallback
from roadclear.utils.temporary import temporary_folder

_WEB = "web"


class RunExporter:
    """Exporter of the studio; see `roadclear.deploy.studio.ports.Exporter`.

    Args:
        photos: folder of photos.
        settings: settings of the training.
        runs: folder for the runs.
        runtime: folder with the files of onnxruntime-web; None to get them by npm.
        options: options of the training as they are typed, with a space before.
    """

    def __init__(self, photos: Path, settings: TrainSettings, runs: Path, runtime: Path | None, options: str) -> None:
        self._photos, self._settings, self._runs = photos, settings, runs
        self._runtime, self._options = runtime, options

    @property
    def command(self) -> str:
        """Command that trains the same model."""
        return f"roadclear train {shlex.quote(str(self._photos))}{self._options}"

    def __call__(self, progress: ProgressCallback) -> TakenAway:
        """Train, write the run folder, and export the web page."""
        folder = self._free_folder()
        train(self._photos, self._settings, out=folder, report=build_report, progress=progress)
        run = Run.open(folder)
        archive = temporary_folder() / f"{folder.name}.zip"
        _pack(folder, archive)
        files = {"report.html": run.report_file, "model.onnx": run.model_file, "run.zip": archive}
        commands = [f"{self.command} --out {shlex.quote(str(folder))}"]
        page = folder.with_name(f"{folder.name}-{_WEB}")
        refused = self._export_page(run, page, progress)
        if not refused:
            files["index.html"] = page / "index.html"
            names = shlex.join(["roadclear", "export", str(folder), "--to", _WEB, "--out", str(page)])
            given = f" --runtime {shlex.quote(str(self._runtime))}" if self._runtime is not None else ""
            commands.append(names + given)
        return TakenAway(folder, tuple(commands), files, refused)

    def _export_page(self, run: Run, out: Path, progress: ProgressCallback) -> str:
        """Export the web page, and return why it was refused; "" where it was written."""
        try:
            on, _ = photos_to_check(run.model, run, None, _WEB)
            job = ExportJob(_WEB, out, on, [], ExportSettings(), runtime=self._runtime)
            return export(run.model, job, progress).refused or ""
        except RoadclearError as error:
            return str(error)

    def _free_folder(self) -> Path:
        stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
        return self._runs / stamp


def _pack(folder: Path, archive: Path) -> None:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(folder.iterdir()):
            packed.write(path, f"{folder.name}/{path.name}")
