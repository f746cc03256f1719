"""The built wheel, not the checkout, is what users get."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def copy_of_the_tree(place: Path) -> Path:
    place.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, place)
    skip = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "sync", place / "sync", ignore=skip)
    return place


def test_the_wheel_holds_every_module_and_the_console_command(tmp_path: Path) -> None:
    tree = copy_of_the_tree(tmp_path / "tree")  # building leaves things behind
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    command += ["--no-build-isolation", "--wheel-dir", str(tmp_path), str(tree)]
    subprocess.run(command, check=True, cwd=tmp_path, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (entry_points,) = [name for name in names if name.endswith("entry_points.txt")]
        commands = archive.read(entry_points).decode()
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "sync").rglob("*.py")}
    assert modules <= names
    assert {"sync/py.typed", "sync/checking/page.html"} <= names
    assert "3gsync = sync.cli:main" in commands
    assert not {name for name in names if name.startswith(("tests/", "bench/", "deploy/"))}
