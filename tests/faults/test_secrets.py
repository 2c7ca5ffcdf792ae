"""Fault 28: no password, token, session, one-time code or device password in a URL, a log or a table."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests import servers
from tests.api.pages.visitor import hidden

PASSWORD, CHANGED, INVITED, WRONG = (
    "seven quiet lanterns on the river",
    "nine loud kettles under the bridge",
    "eleven slow ferries before the dawn",
    "four wrong umbrellas in a corridor",
)
COLUMNS = (
    "id,community,kind,name_zh,name_en,building,location,tags,vendor,model,serial,"
    "timeout_s,max_lateness_s,clock_untrusted,commissioned_at,retired_at"
)
PATIENCE_S = 30.0


class House:
    """A `pulse serve` of its own, with everything that it says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, mqtt_port = servers.free_port(), servers.free_port()
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "COLUMNS": "200",
            "PULSE_DATA_DIR": str(folder / "data"),
            "PULSE_HTTP_PORT": str(self.port),
            "PULSE_MQTT_PORT": str(mqtt_port),
            "PULSE_LOG_LEVEL": "DEBUG",
            "PULSE_BROKER_AUTH": "always",
        }
        self.said: list[str] = []

    def pulse(self, *arguments: str, given: str = "") -> str:
        """Run a command to its end; what it logs is looked at later, what it prints is its answer."""
        done = subprocess.run(
            [sys.executable, "-m", "pulse", *arguments],
            env=self.environment,
            input=given,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        self.said.append(done.stderr)
        return done.stdout

    def serve(self) -> "subprocess.Popen[bytes]":
        """The server; it is ready once this returns."""
        output = (self.folder / "serve.out").open("wb")
        errors = (self.folder / "serve.err").open("wb")
        process = subprocess.Popen(
            [sys.executable, "-m", "pulse", "serve"], env=self.environment, stdout=output, stderr=errors
        )
        deadline = time.monotonic() + PATIENCE_S
        while "#" not in (self.folder / "serve.out").read_text(encoding="utf-8"):
            assert process.poll() is None, (self.folder / "serve.err").read_text(encoding="utf-8")
            assert time.monotonic() < deadline, "no set-up link was printed"
            time.sleep(0.05)
        return process

    def written(self) -> Iterator[tuple[str, bytes]]:
        """Everything that stays, by where it stands."""
        for path in sorted(self.folder.rglob("*")):
            if path.is_file():
                yield str(path.relative_to(self.folder)), path.read_bytes()
        for number, text in enumerate(self.said):
            yield f"output {number}", text.encode()


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def _form(client: httpx2.Client, page: str, action: str, **fields: str) -> httpx2.Response:
    answer = client.get(page)
    assert answer.status_code == 200, (page, answer.status_code)
    return client.post(action, data={**hidden(answer.text, action), **fields})


def test_fault_28_no_secret_is_in_a_log_a_table_or_a_file(house: House) -> None:
    secrets = {PASSWORD, CHANGED, WRONG}
    process = house.serve()
    try:
        out = house.folder / "serve.out"
        code = re.search(r"/setup#(\S+)", out.read_text(encoding="utf-8"))
        assert code is not None
        secrets |= {code[1], code[1].replace("-", "")}
        base = f"http://127.0.0.1:{house.port}"
        with httpx2.Client(base_url=base, headers={"Accept": "text/html"}, timeout=PATIENCE_S) as web:
            made = _form(web, "/setup", "/setup", code=code[1], name="ann", password=PASSWORD)
            assert made.status_code == 303
            secrets.add(web.cookies["pulse_session"])
            wrong = httpx2.Client(base_url=base, headers={"Accept": "text/html"}, timeout=PATIENCE_S)
            assert _form(wrong, "/sign-in", "/sign-in", name="ann", password=WRONG).status_code == 401
            # A password where the name belongs.
            assert _form(wrong, "/sign-in", "/sign-in", name=WRONG, password="x").status_code == 401
            account = web.get("/account").text
            secrets.add(hidden(account, "/account/password")["form"])
            changed = _form(web, "/account", "/account/password", present=PASSWORD, password=CHANGED)
            assert changed.status_code in {200, 303}
            secrets.add(web.cookies["pulse_session"])
            invited = house.pulse("user", "create", "eva", "--role", "evaluator", "--all-communities")
            invitation = re.search(r"[0-9A-Z]{5}(?:-[0-9A-Z]{5}){4}", invited)
            assert invitation is not None
            secrets |= {invitation[0], invitation[0].replace("-", "")}
            eva = httpx2.Client(base_url=base, headers={"Accept": "text/html"}, timeout=PATIENCE_S)
            chosen = _form(eva, "/welcome", "/welcome", code=invitation[0])
            answer = eva.post("/welcome", data={**hidden(chosen.text, "/welcome"), "password": INVITED})
            assert answer.status_code == 303
            secrets |= {INVITED, eva.cookies["pulse_session"]}
            again = httpx2.Client(base_url=base, headers={"Accept": "text/html"}, timeout=PATIENCE_S)
            assert _form(again, "/sign-in", "/sign-in", name="eva", password=INVITED).status_code == 303
            secrets.add(again.cookies["pulse_session"])
            token = re.search(
                r"pulse_[\w-]+",
                house.pulse(
                    "token", "create", "eva", "--label", "x", "--scope", "indicators:read", "--days", "3"
                ),
            )
            assert token is not None
            secrets.add(token[0])
            rate = "/api/v1/indicators/online-rate"
            asks = httpx2.Client(base_url=base, timeout=PATIENCE_S)
            right = {"Authorization": f"Bearer {token[0]}"}
            assert asks.get(rate, headers=right).status_code == 200
            almost = token[0][:-1] + ("A" if token[0][-1] != "A" else "B")
            secrets.add(almost)
            assert asks.get(rate, headers={"Authorization": f"Bearer {almost}"}).status_code == 401
            for name in ("token", "access_token"):
                for path in (rate, "/devices", "/nothing"):
                    assert asks.get(path, params={name: token[0]}, headers=right).status_code == 400
            assert asks.get("/api/v1/devices/none", headers=right).status_code in {403, 404}
            assert asks.get(rate, params={"at": "never"}, headers=right).status_code == 422
            files = {
                "communities": "id,name_zh,name_en\nxinjinglou,新景楼,Xinjinglou\n",
                "kinds": "id,name_zh,name_en,interval_s,timeout_s\ncamera,摄像机,Camera,30,90\n",
                "devices": f"{COLUMNS}\ncam-1,xinjinglou,camera,,,,,,,,,,,,2026-01-01T00:00:00Z,\n",
            }
            for what, rows in files.items():
                table = house.folder / f"{what}.csv"
                table.write_text(rows, encoding="utf-8")
                house.pulse("registry", "import", "--what", what, str(table))
            for command in ("issue", "rotate"):
                printed = house.pulse("device", "credentials", command, "cam-1")
                secrets.add(printed.splitlines()[0].partition(":")[2])
            house.said.append(house.pulse("audit", "list"))
            exported = house.folder / "audit.csv"
            house.pulse("audit", "export", str(exported))
            assert "user.create" in exported.read_text(encoding="utf-8")
            assert _form(web, "/account", "/sign-out").status_code == 303
    finally:
        process.send_signal(signal.SIGTERM)
        status = process.wait(PATIENCE_S)
    assert status == 0
    # The link is meant to be read, this once.
    lines = out.read_text(encoding="utf-8").splitlines()
    out.write_text("\n".join(line for line in lines if "/setup#" not in line), encoding="utf-8")
    assert all(len(secret) >= 15 for secret in secrets), "each is long enough to be found for sure"
    assert len(secrets) >= 12
    found = [
        (place, secret)
        for place, data in house.written()
        for secret in secrets
        if secret.encode() in data or secret.lower().encode() in data
    ]
    assert not found
    assert b"pulse_ses" not in (house.folder / "serve.err").read_bytes()
    assert (house.folder / "serve.err").stat().st_size > 0, "it did log"
