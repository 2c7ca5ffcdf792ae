"""docker-compose.yml and the Dockerfile are what their specifications and our own promises say.

No container engine runs here. So the file is checked against the compose specification's schema, and what
it starts is started as plain processes.
"""

import fnmatch
import importlib.resources
import json
import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from pulse.settings import PREFIX, Settings

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ["certificates", "collector", "api", "scheduler", "simulated-fleet", "simulators"]
ONCE = ["certificates", "simulated-fleet"]
"""They do their work and end."""
DEMO = ["simulated-fleet", "simulators"]
MONITORING = ["prometheus", "grafana"]
THEIRS = ["mosquitto", "influxdb", "postgres", *MONITORING]

_VARIABLE = re.compile(r"(?<!\$)\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<rest>[^}]*))?\}")


def _variables(kind: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for match in _VARIABLE.finditer(TEXT):
        if match["kind"] == kind:
            found.setdefault(match["name"], set()).add(match["rest"])
    return found


def test_it_is_valid_by_the_compose_specification() -> None:
    shipped = importlib.resources.files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json"
    schema = json.loads(shipped.read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(COMPOSE)
    broken = {**COMPOSE, "services": {**SERVICES, "extra": {"imagee": "x"}}}
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(broken)


def test_it_has_the_promised_services() -> None:
    assert sorted(SERVICES) == sorted(OURS + THEIRS)
    assert SERVICES["influxdb"]["image"] == "influxdb:2.7"
    assert [name for name, service in SERVICES.items() if "profiles" in service] == DEMO + MONITORING
    assert {SERVICES[name]["profiles"][0] for name in MONITORING} == {"monitoring"}


def test_every_port_is_on_loopback_unless_told_otherwise() -> None:
    for name, service in SERVICES.items():
        for port in service.get("ports", []):
            plain = _VARIABLE.sub(lambda match: match["rest"] or "", port)
            assert plain.startswith("127.0.0.1:"), f"{name}: {plain}"
    assert "ports" not in SERVICES["postgres"]


def test_no_secret_has_a_default() -> None:
    for name, defaults in _variables("-").items():
        if re.search("PASSWORD|TOKEN|SECRET", name):
            assert defaults == {""}, name
    # A bare ${NAME} would silently be empty.
    assert all(match["kind"] for match in _VARIABLE.finditer(TEXT))


def test_every_image_is_pinned_and_what_needs_a_secret_ends_without_it() -> None:
    for name in THEIRS:
        assert re.fullmatch(r"[\w./-]+:v?\d[\w.]*", SERVICES[name]["image"]), name
    # ${NAME:?…} would ask those too who do not monitor; the start scripts ask instead.
    for name, variable in (("prometheus", "METRICS_TOKEN"), ("grafana", "GF_SECURITY_ADMIN_PASSWORD")):
        program, script = SERVICES[name]["entrypoint"]
        assert (program, Path(script).name) == ("sh", "start.sh")
        done = subprocess.run(
            ["sh", str(ROOT / "deploy" / name / "start.sh")],
            env={"PATH": os.environ["PATH"], variable: ""},
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert done.returncode != 0
        assert " in .env, see docs/monitoring.md" in done.stderr


def test_what_is_required_says_so_and_stands_in_the_example() -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^#? ?(\w+)=(.*)$", example, re.MULTILINE))
    required = _variables("?")
    assert {name for name, value in listed.items() if name in required and value} == set()
    assert set(required) | set(_variables("-")) == set(listed)
    for name, messages in required.items():
        assert messages == {f"set {name} in .env"}


def test_every_setting_that_is_handed_over_exists() -> None:
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    given = {name for service in OURS for name in SERVICES[service].get("environment", {})}
    assert given
    assert given <= known


@pytest.mark.parametrize("name", OURS + THEIRS)
def test_every_service_is_watched_restarted_and_bounded(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == ("on-failure" if name in ONCE else "unless-stopped")
    assert service["logging"]["options"]["max-size"]
    assert "no-new-privileges:true" in service["security_opt"]
    if name in {*DEMO, *ONCE}:
        assert service["healthcheck"] == {"disable": True}
    else:
        assert service["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("name", [*OURS, "mosquitto", *MONITORING])
def test_what_can_do_without_privileges_has_none(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert not service.get("privileged")


def test_named_volumes_are_declared_and_used() -> None:
    used = {
        volume.split(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", [])
        if not volume.startswith(".")
    }
    assert used == set(COMPOSE["volumes"])


def test_mounted_files_exist() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            if volume.startswith("."):
                assert (ROOT / volume.split(":")[0]).exists()
                assert volume.endswith(":ro")


def test_everything_waits_for_what_it_needs() -> None:
    for name in ("collector", "api", "scheduler"):
        assert SERVICES[name]["depends_on"] == {
            store: {"condition": "service_healthy"} for store in ("mosquitto", "influxdb", "postgres")
        }


def test_nobody_speaks_to_the_broker_without_tls() -> None:
    settings = SERVICES["collector"]["environment"]
    assert settings["PULSE_MQTT_URL"].startswith("mqtts://")
    assert settings["PULSE_MQTT_CA_FILE"] == "/var/lib/pulse-certificates/ca.pem"
    command = SERVICES["simulators"]["command"]
    assert "mqtts://mosquitto:8883" in command
    assert command[command.index("--ca-file") + 1] == settings["PULSE_MQTT_CA_FILE"]
    for name in ("collector", "simulators"):
        assert "certificates:/var/lib/pulse-certificates:ro" in SERVICES[name]["volumes"]
    assert SERVICES["mosquitto"]["depends_on"] == {
        "certificates": {"condition": "service_completed_successfully"}
    }


def test_the_pages_can_speak_tls_with_the_certificate_of_this_installation() -> None:
    keep = SERVICES["certificates"]
    (folder,) = {volume.partition(":")[2] for volume in keep["volumes"]}
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    for setting, variable, name in (
        ("PULSE_HTTP_TLS_CERT_FILE", "HTTP_TLS_CERT_FILE", "server.pem"),
        ("PULSE_HTTP_TLS_KEY_FILE", "HTTP_TLS_KEY_FILE", "server-key.pem"),
    ):
        assert SERVICES["api"]["environment"][setting] == f"${{{variable}:-}}"
        assert f"# {variable}={folder}/{name}\n" in example
    assert f"certificates:{folder}:ro" in SERVICES["api"]["volumes"]
    assert "--group-reads" in keep["command"]


# --- the image ---

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def _copied() -> list[str]:
    lines = [line.split()[1:] for line in DOCKERFILE.splitlines() if line.startswith("COPY ")]
    return [source for words in lines if not words[0].startswith("--") for source in words[:-1]]


def test_the_image_copies_what_exists_and_every_package() -> None:
    for source in _copied():
        assert (ROOT / source).exists(), source
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert set(packages) <= set(_copied())
    assert project["project"]["readme"] in _copied()


def test_what_the_image_copies_reaches_the_build() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    for source in _copied():
        ignored = False
        for line in lines:
            pattern = line.removeprefix("!")
            top = source.split("/")[0]
            if any(fnmatch.fnmatchcase(path, pattern) for path in (source, top)):
                ignored = not line.startswith("!")
        assert not ignored, source


def test_the_image_runs_as_nobody_in_particular() -> None:
    last_stage = DOCKERFILE[DOCKERFILE.rindex("FROM ") :]
    (user,) = re.findall(r"^USER (\S+)$", last_stage, re.MULTILINE)
    uid, gid = user.split(":")
    assert int(uid) >= 10_000
    assert int(gid) >= 10_000
    assert "PASSWORD" not in DOCKERFILE
    assert "-c constraints.txt" in DOCKERFILE


@pytest.mark.parametrize("script", sorted((ROOT / "deploy").rglob("*.sh")), ids=lambda path: path.name)
def test_scripts_are_posix_shell(script: Path) -> None:
    subprocess.run(["sh", "-n", str(script)], check=True)
    assert script.read_text(encoding="utf-8").startswith("#!/bin/sh\n")
    assert os.access(script, os.X_OK)
