"""The front-end files come with the wheel, from npm and nowhere else, and a failure names npm."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("pulse", "collector", "api", "simulators")

sys.path.insert(0, str(ROOT))
import hatch_build  # noqa: E402 - it lies beside the packages, not in one

VENDOR = "api/static/vendor"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """What a clone holds: no vendor folder, no npm packages."""
    root = tmp_path / "project"
    root.mkdir()
    for name in (".gitignore", "README.md", "hatch_build.py", "pyproject.toml"):
        shutil.copy(ROOT / name, root)
    left_out = shutil.ignore_patterns("node_modules", "vendor", "__pycache__")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, root / package, ignore=left_out)
    return root


@pytest.fixture(scope="module")
def pip(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """pip of an environment with nothing else in it."""
    folder = tmp_path_factory.mktemp("fresh")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=120)
    return [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]


def _made_by_hand(root: Path) -> Path:
    for target in hatch_build.FILES.values():
        path = root / VENDOR / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("made before")
    (root / VENDOR / "STAMP").write_text(hatch_build.stamp(root))
    return root / VENDOR


def test_the_lock_file_pins_every_package_by_digest_and_names_no_registry() -> None:
    text = (ROOT / "api/frontend/package-lock.json").read_text(encoding="utf-8")
    packages = json.loads(text)["packages"]
    wanted = packages[""]
    assert all(version[0].isdigit() for version in wanted["dependencies"].values())
    assert all("integrity" in entry for name, entry in packages.items() if name)
    assert "resolved" not in text
    assert "http" not in text.replace('"url": "https://github.com', "")


def test_a_folder_made_from_this_lock_file_is_left_alone_and_needs_no_npm(project: Path) -> None:
    vendor = _made_by_hand(project)
    assert hatch_build.is_made(project)
    hatch_build.make(project)
    assert (vendor / "htmx/htmx.min.js").read_text() == "made before"


def test_another_lock_file_or_a_missing_file_makes_the_folder_anew(project: Path) -> None:
    vendor = _made_by_hand(project)
    (vendor / "htmx/htmx.min.js").unlink()
    assert not hatch_build.is_made(project)
    _made_by_hand(project)
    lock = project / "api/frontend/package-lock.json"
    lock.write_text(lock.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert not hatch_build.is_made(project)


@pytest.mark.slow
def test_a_fresh_environment_builds_a_wheel_with_the_front_end_in_it(
    project: Path, pip: list[str], tmp_path: Path
) -> None:
    done = subprocess.run(
        [*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(project)],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {name: archive.getinfo(name).file_size for name in archive.namelist()}
    for target in hatch_build.FILES.values():
        assert packed.get(f"{VENDOR}/{target}", 0) > 0, target
    assert not [name for name in packed if "node_modules" in name or "package-lock" in name]
    assert hatch_build.is_made(project)


@pytest.mark.slow
def test_an_unreachable_registry_is_named_in_one_clear_line(
    project: Path, pip: list[str], tmp_path: Path
) -> None:
    done = subprocess.run(
        [*pip, "wheel", "--no-deps", "--wheel-dir", str(tmp_path), str(project)],
        env={**os.environ, "NPM_CONFIG_REGISTRY": "http://127.0.0.1:9/", "NPM_CONFIG_CACHE": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode != 0
    assert "the npm registry could not be reached" in done.stdout + done.stderr
    assert "NPM_CONFIG_REGISTRY" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
