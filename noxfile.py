"""The checks, each by its name: `nox -s lint`, `nox -s tests`. `./check` runs those that every change must pass.

All sessions run in the environment that nox itself runs in, so that nothing is installed twice.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nox

nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "types", "page", "imports", "docs", "tests"]
nox.options.stop_on_first_error = True

# The programs of this environment come first, also where nox was called by its path.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

TYPESCRIPT = "typescript@7.0.2"
CLUSTER = "ROADCLEAR_CLUSTER"


def run(session: nox.Session, *command: str) -> None:
    """Run a program of the environment."""
    session.run(*command, external=True)


@nox.session
def lint(session: nox.Session) -> None:
    """Format, lint and spelling."""
    run(session, "ruff", "format", "--check", ".")
    run(session, "ruff", "check", ".")
    run(session, "codespell")


@nox.session
def types(session: nox.Session) -> None:
    """Strict types of everything under src/."""
    run(session, "mypy")


@nox.session
def page(session: nox.Session) -> None:
    """Strict types of the studio's page, by TypeScript from npm. Skipped where npm or its registry is out of reach."""
    folder = Path(".nox", "typescript").resolve()
    compiler = folder / "node_modules" / ".bin" / "tsc"
    if not compiler.exists():
        if shutil.which("npm") is None:
            session.skip("needs npm, for TypeScript")
        install = ["npm", "install", "--prefix", folder, "--no-audit", "--no-fund", TYPESCRIPT]
        with contextlib.suppress(subprocess.TimeoutExpired):  # no error of npm is one of the page
            subprocess.run(install, capture_output=True, timeout=60)  # noqa: S603
    if not compiler.exists():
        session.skip(f"npm could not install {TYPESCRIPT}")
    session.run(str(compiler), "--project", "tests/deploy/studio/tsconfig.json", external=True)


@nox.session
def imports(session: nox.Session) -> None:
    """Which room may import which."""
    run(session, "lint-imports")


@nox.session
def docs(session: nox.Session) -> None:
    """The generated pages are those of this code, and the site builds. `nox -s docs -- write` writes the pages."""
    run(session, "python", "scripts/write_reference.py", *([] if "write" in session.posargs else ["--check"]))
    run(session, "sphinx-build", "--quiet", "--fail-on-warning", "--conf-dir", "docs", ".", "site")


@nox.session
def tests(session: nox.Session) -> None:
    """Every test. With arguments: those tests."""
    # Some tests wait for cameras, servers and killed processes. One more worker than cores uses the time.
    workers = str((os.cpu_count() or 2) + 1)
    run(session, "pytest", "-n", workers, "--dist", "loadfile", *session.posargs)
    if not any(argument.startswith("tests") for argument in session.posargs):
        some_on_a_cluster(session)


def some_on_a_cluster(session: nox.Session) -> None:
    """Run the shortest tests on a Ray cluster. Ray may end its process, and must not end the other tests with it."""
    command = ["pytest", "-q", "tests/utils/test_ray_cluster.py"]
    try:
        done = subprocess.run(command, env={**os.environ, CLUSTER: "some"}, timeout=240, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        session.error("the tests on a Ray cluster did not end within 240 s")
    if done.returncode:
        session.error("a test on a Ray cluster failed")


@nox.session
def cluster(session: nox.Session) -> None:
    """Tests on a Ray cluster of two nodes, with nodes and drivers that are killed. Takes some minutes."""
    session.env[CLUSTER] = "all"
    files = ["tests/utils/test_ray_cluster.py", "tests/training/finetune/test_distributed.py"]
    files += ["tests/deploy/serve/test_ray_app.py"]
    run(session, "pytest", "-v", "--durations=10", *files, *session.posargs)


@nox.session
def coverage(session: nox.Session) -> None:
    """Every test, with branch coverage. Takes half as long again as the tests alone."""
    run(session, "pytest", "-n", "auto", "--dist", "loadfile", "--cov", "--cov-report=term:skip-covered")


@nox.session
def bench(session: nox.Session) -> None:
    """Alarm at stages that are slower by 15% than they were. CONTRIBUTING.md says what the longer benchmarks need."""
    run(session, "python", "benchmarks/regression.py", *session.posargs)


@nox.session
def mutants(session: nox.Session) -> None:
    """Whether a test notices small faults in the numbers and in the moves of photos. Takes hours."""
    run(session, "mutmut", "run", *session.posargs)
    run(session, "mutmut", "results")
