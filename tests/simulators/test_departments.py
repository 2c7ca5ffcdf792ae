"""Simulated departments check what comes, keep it once, and misbehave only when told to."""

import http.client
import json
import subprocess
import sys
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pulse.certificates import make_authority, make_server
from pulse.errors import BadInput
from pulse.sharing.keyfiles import Keys
from pulse.sharing.reconciling import of_ids
from pulse.sharing.signing import content_digest
from pulse.tls import client_context
from simulators.departments.archive import number_of
from simulators.departments.description import described
from simulators.departments.subscriber import Subscriber
from simulators.departments.temper import Do, Mood, Step, Temper
from tests.servers import mosquitto
from tests.simulators.departments import DAY, MORNING, Publisher, body, hmac_file, push, record, running
from tests.simulators.live import until

NO_MATCHING_SUBSCRIBERS = 0x10
FIRE = {"id": "fire", "receives": "http"}


def tell(control: str, department: str, **order: Any) -> dict[str, Any]:
    request = urllib.request.Request(
        f"{control}/control/{department}",
        json.dumps(order).encode(),
        {"Content-Type": "application/json"},
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def test_a_signed_delivery_is_kept_by_kind_and_day(tmp_path: Path) -> None:
    path, key = hmac_file(tmp_path, "fire")
    with running(tmp_path, FIRE | {"keys": [str(path)]}) as town:
        fire = town.departments["fire"]
        content = body("fire-1", record(1), record(2), record(3, "lock_status", "2026-11-22T16:00:00Z"))
        assert push(fire.way.address, "fire-1", content, key).status == 204
        through, held = fire.archive.standing(DAY)
    assert through == "fire-1"
    assert held == {
        "gas_reading": of_ids([f"{1:016x}", f"{2:016x}"]),
        "lock_status": of_ids([f"{3:016x}"]),
    }


def test_the_same_delivery_again_is_acknowledged_and_kept_once(tmp_path: Path) -> None:
    with running(tmp_path, FIRE) as town:
        fire = town.departments["fire"]
        for _ in range(3):
            assert push(fire.way.address, "fire-1", body("fire-1", record(1)), None).status == 204
        assert fire.archive.totals() == (1, 2, {"gas_reading": 1})


def test_a_record_that_comes_in_two_deliveries_is_held_once(tmp_path: Path) -> None:
    with running(tmp_path, FIRE) as town:
        fire = town.departments["fire"]
        push(fire.way.address, "fire-1", body("fire-1", record(1)), None)
        push(fire.way.address, "fire-2", body("fire-2", record(1), record(2)), None)
        assert fire.archive.standing(DAY)[1]["gas_reading"] == of_ids([f"{1:016x}", f"{2:016x}"])


def test_other_content_under_a_known_id_is_refused(tmp_path: Path) -> None:
    with running(tmp_path, FIRE) as town:
        fire = town.departments["fire"]
        push(fire.way.address, "fire-1", body("fire-1", record(1)), None)
        assert push(fire.way.address, "fire-1", body("fire-1", record(2)), None).status == 409
        assert fire.archive.totals().records == {"gas_reading": 1}


def test_what_was_kept_is_there_after_a_restart(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with running(tmp_path, FIRE, state=state) as town:
        push(town.departments["fire"].way.address, "fire-1", body("fire-1", record(1)), None)
    with running(tmp_path, FIRE, state=state) as town:
        fire = town.departments["fire"]
        assert push(fire.way.address, "fire-1", body("fire-1", record(1)), None).status == 204
        assert fire.archive.totals() == (1, 1, {"gas_reading": 1})


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"content-digest": "sha-256=:" + "A" * 43 + "=:"}, 400),
        ({"signature": "pulse=:AAAA:"}, 401),
        ({"signature-input": 'pulse=("@method");created=1'}, 401),
        ({"idempotency-key": "fire-2"}, 401),
        ({"content-type": "text/csv"}, 401),
    ],
)
def test_what_is_not_as_it_was_signed_is_refused(
    tmp_path: Path, changed: dict[str, str], status: int
) -> None:
    path, key = hmac_file(tmp_path, "fire")
    with running(tmp_path, FIRE | {"keys": [str(path)]}) as town:
        fire = town.departments["fire"]
        content = body("fire-1", record(1))
        assert push(fire.way.address, "fire-1", content, key, changed=changed).status == status
        assert fire.archive.totals().deliveries == 0
        assert sum(fire.desk.refused.values()) == 1


def test_an_unsigned_delivery_and_one_signed_long_ago_are_refused(tmp_path: Path) -> None:
    path, key = hmac_file(tmp_path, "fire")
    with running(tmp_path, FIRE | {"keys": [str(path)]}) as town:
        address = town.departments["fire"].way.address
        assert push(address, "fire-1", body("fire-1", record(1)), None).status == 401
        assert push(address, "fire-1", body("fire-1", record(1)), key, created_s=1_700_000_000).status == 401


def test_a_public_key_verifies_what_was_signed_by_ed25519(tmp_path: Path) -> None:
    key = Keys(tmp_path).make("fire", "ed25519")
    with running(tmp_path, FIRE | {"keys": ["fire.ed25519.pub"]}) as town:
        address = town.departments["fire"].way.address
        assert push(address, "fire-1", body("fire-1", record(1)), key).status == 204


def test_a_delivery_in_csv_counts_like_one_in_json(tmp_path: Path) -> None:
    lines = [
        "id,data_kind,community,device,kind,at,received,data",
        f'{1:016x},lock_status,xinjinglou,lock-1,smart_lock,{MORNING},{MORNING},"{{""locked"":true}}"',
        f"{2:016x},lock_status,xinjinglou,lock-1,smart_lock,,{MORNING},{{}}",
        f"quiet,perimeter_event,xinjinglou,,,{MORNING},2026-11-23T01:00:00Z,",
    ]
    content = ("\r\n".join(lines) + "\r\n").encode()
    with running(tmp_path, FIRE) as town:
        fire = town.departments["fire"]
        answer = push(fire.way.address, "fire-1", content, None, content_type="text/csv; charset=utf-8")
        assert answer.status == 204
        assert fire.archive.standing(DAY)[1] == {"lock_status": of_ids([f"{1:016x}", f"{2:016x}"])}


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b"{}", "application/json", 422),
        (b"\xff", "application/json", 422),
        (body("fire-2", record(1)), "application/json", 422),
        (b"id,data_kind\r\n1,gas\r\n", "text/csv", 422),
        (b"id,data_kind,at,received\r\n1,gas,,yesterday\r\n", "text/csv", 422),
        (b"{}", "application/xml", 415),
    ],
)
def test_content_that_cannot_be_read_is_refused(
    tmp_path: Path, content: bytes, content_type: str, status: int
) -> None:
    with running(tmp_path, FIRE) as town:
        fire = town.departments["fire"]
        assert push(fire.way.address, "fire-1", content, None, content_type=content_type).status == status
        assert fire.archive.totals().deliveries == 0


def test_more_than_it_takes_is_too_large(tmp_path: Path) -> None:
    with running(tmp_path, FIRE | {"max_bytes": 100}) as town:
        address = town.departments["fire"].way.address
        assert push(address, "fire-1", body("fire-1", record(1)), None).status == 413


def test_a_receiver_over_tls_shows_its_certificate(tmp_path: Path) -> None:
    authority = make_authority(tmp_path, datetime.now(UTC))
    made = make_server(tmp_path, ["127.0.0.1"], datetime.now(UTC))
    described_ = FIRE | {"tls_cert": str(made.certificate), "tls_key": str(made.key)}
    with running(tmp_path, described_) as town:
        address = town.departments["fire"].way.address
        assert address.startswith("https://")
        context = client_context(authority.certificate)
        content = body("fire-1", record(1))
        assert push(address, "fire-1", content, None, context=context).status == 204


@pytest.mark.parametrize("status", [500, 400, 413, 503, 202])
def test_told_to_it_answers_a_status_and_keeps_nothing(tmp_path: Path, status: int) -> None:
    with running(tmp_path, FIRE) as town:
        fire = town.departments["fire"]
        assert tell(town.control, "fire", do="status", status=status)["behaviour"] == "status"
        assert push(fire.way.address, "fire-1", body("fire-1", record(1)), None).status == status
        assert fire.archive.totals().deliveries == 0
        tell(town.control, "fire", do="start")
        assert push(fire.way.address, "fire-1", body("fire-1", record(1)), None).status == 204


def test_told_to_it_closes_the_connection(tmp_path: Path) -> None:
    with running(tmp_path, FIRE) as town:
        fire = town.departments["fire"]
        tell(town.control, "fire", do="close")
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            push(fire.way.address, "fire-1", body("fire-1", record(1)), None)
        assert fire.archive.totals().deliveries == 0


def test_a_lost_acknowledgement_leaves_a_delivery_that_comes_again(tmp_path: Path) -> None:
    with running(tmp_path, FIRE) as town:
        fire = town.departments["fire"]
        tell(town.control, "fire", do="lost")
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            push(fire.way.address, "fire-1", body("fire-1", record(1)), None)
        tell(town.control, "fire", do="start")
        assert push(fire.way.address, "fire-1", body("fire-1", record(1)), None).status == 204
        assert fire.archive.totals() == (1, 1, {"gas_reading": 1})


def test_told_to_it_acknowledges_and_forgets(tmp_path: Path) -> None:
    with running(tmp_path, FIRE) as town:
        fire = town.departments["fire"]
        tell(town.control, "fire", do="forget")
        assert push(fire.way.address, "fire-1", body("fire-1", record(1)), None).status == 204
        assert fire.archive.standing(DAY) == ("fire-1", {})


def test_told_to_it_redirects_to_another_host(tmp_path: Path) -> None:
    with running(tmp_path, FIRE) as town:
        tell(town.control, "fire", do="redirect")
        answer = push(town.departments["fire"].way.address, "fire-1", body("fire-1", record(1)), None)
        assert (answer.status, answer.location) == (307, "http://elsewhere.invalid/")


def test_a_stopped_one_is_not_there_and_comes_back_on_the_same_port(tmp_path: Path) -> None:
    with running(tmp_path, FIRE) as town:
        address = town.departments["fire"].way.address

        def answers() -> bool:
            try:
                return push(address, "fire-1", body("fire-1", record(1)), None).status == 204
            except OSError:
                return False

        assert answers()
        tell(town.control, "fire", do="stop")
        assert until(lambda: not answers(), 5)
        tell(town.control, "fire", do="start")
        assert until(answers, 5)


def test_a_connection_that_was_open_takes_nothing_for_a_stopped_one(tmp_path: Path) -> None:
    with running(tmp_path, FIRE) as town:
        fire = town.departments["fire"]
        host, port = fire.way.address.removeprefix("http://").rstrip("/").split(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=10)
        content = body("fire-1", record(1))
        fields = {
            "Content-Type": "application/json",
            "Content-Digest": content_digest(content),
            "Idempotency-Key": "fire-1",
        }
        connection.request("POST", "/", content, fields)
        assert connection.getresponse().read() == b""
        tell(town.control, "fire", do="stop")
        connection.request("POST", "/", content, fields)
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            connection.getresponse()
        connection.close()
        assert fire.archive.totals() == (1, 0, {"gas_reading": 1})


def test_the_control_endpoint_tells_how_all_stand(tmp_path: Path) -> None:
    with running(tmp_path, FIRE) as town:
        push(town.departments["fire"].way.address, "fire-1", body("fire-1", record(1)), None)
        with urllib.request.urlopen(f"{town.control}/control", timeout=10) as answer:
            (fire,) = json.load(answer)["departments"]
    assert (fire["department"], fire["behaviour"], fire["deliveries"]) == ("fire", "ok", 1)
    assert fire["records"] == {"gas_reading": 1}


@pytest.mark.parametrize(
    ("path", "order", "content_type", "status"),
    [
        ("fire", '{"do":"dance"}', "application/json", 422),
        ("fire", '{"do":"future"}', "application/json", 422),
        ("fire", '{"do":"status","status":99}', "application/json", 422),
        ("fire", '{"do":"stop","why":1}', "application/json", 422),
        ("fire", "stop", "application/json", 422),
        ("fire", '{"do":"stop"}', "text/plain", 415),
        ("gas", '{"do":"stop"}', "application/json", 404),
        ("fire", '{"do":"report"}', "application/json", 422),
    ],
)
def test_an_order_that_cannot_be_is_refused_in_words(
    tmp_path: Path, path: str, order: str, content_type: str, status: int
) -> None:
    with running(tmp_path, FIRE) as town:
        request = urllib.request.Request(
            f"{town.control}/control/{path}", order.encode(), {"Content-Type": content_type}, method="POST"
        )
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=10)
        with refused.value as answer:
            assert answer.code == status
            assert json.load(answer)["error"]
        assert town.departments["fire"].desk.temper().do is Do.OK


def test_a_request_by_another_name_is_not_for_the_control_endpoint(tmp_path: Path) -> None:
    """What a page of another site would send once it made its own name lead here."""
    with running(tmp_path, FIRE) as town:
        request = urllib.request.Request(f"{town.control}/control", headers={"Host": "evil.example:80"})
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=10)
        with refused.value as answer:
            assert answer.code == 404


def test_of_a_scenario_the_last_step_that_holds_counts() -> None:
    mood = Mood([Step(Do.SLOW, 10, delay_s=2), Step(Do.STATUS, 20, 5, status=503)], 100.0)
    told = [(after, mood.at(100.0 + after)) for after in (0, 9.9, 10, 20, 24.9, 25)]
    assert [(after, temper.do) for after, temper in told] == [
        (0, Do.OK),
        (9.9, Do.OK),
        (10, Do.SLOW),
        (20, Do.STATUS),
        (24.9, Do.STATUS),
        (25, Do.SLOW),
    ]
    assert told[3][1].status == 503


def test_what_is_told_goes_before_the_scenario_until_it_runs_out() -> None:
    mood = Mood([Step(Do.SLOW)], 0.0)
    mood.tell(Temper(Do.STOP), 5.0, 10.0)
    assert [mood.at(at).do for at in (5.0, 14.9, 15.0)] == [Do.STOP, Do.STOP, Do.SLOW]
    mood.tell(Temper(), 20.0)
    assert mood.at(1e9).do is Do.OK


@pytest.mark.parametrize(
    ("members", "place"),
    [
        ({"departments": []}, "departments"),
        ({"departments": [{"id": "fire"}]}, "receives"),
        ({"departments": [FIRE, FIRE]}, "fire"),
        ({"departments": [{"id": "a/b", "receives": "http"}]}, "id"),
        ({"departments": [{"id": "w", "receives": "mqtt"}]}, "w"),
        ({"departments": [{"id": "w", "receives": "pull"}]}, "w"),
        ({"departments": [FIRE | {"behaviour": [{"do": "future"}]}]}, "behaviour[0]"),
        ({"departments": [FIRE | {"colour": "red"}]}, "colour"),
        ({"departments": [FIRE], "timezone": "Mars/Phobos"}, "timezone"),
        ({"departments": [FIRE | {"tls_cert": "x.pem"}]}, "tls_cert"),
        (["fire"], "test"),
    ],
)
def test_a_description_that_cannot_be_is_refused_by_its_place(
    tmp_path: Path, members: Any, place: str
) -> None:
    with pytest.raises(BadInput) as refused:
        described(members, tmp_path, "test")
    assert place in str(refused.value)


def test_deliveries_are_ordered_by_their_number() -> None:
    assert [number_of(text) for text in ("fire-9", "fire-10", "fire-1x", "fire", "f-" + "9" * 30)] == [
        9,
        10,
        0,
        0,
        0,
    ]


def test_the_command_runs_a_described_department_until_it_got_something(tmp_path: Path) -> None:
    """As a user starts it: a file, a folder, an order by another command, what came at the end."""
    path, key = hmac_file(tmp_path, "fire")
    (tmp_path / "departments.yaml").write_text(
        f"departments:\n  - id: fire\n    receives: http\n    keys: [{path.name}]\n"
        "    behaviour: [{do: status, status: 503}]\n",
        encoding="utf-8",
    )
    state = tmp_path / "state"
    command = [sys.executable, "-m", "pulse", "simulate-departments"]
    process = subprocess.Popen(
        [*command, "--file", str(tmp_path / "departments.yaml"), "--state", str(state), "--once", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert until((state / "control.json").exists, 30)
        listed = subprocess.run(
            [*command, "control", "--state", str(state)], capture_output=True, text=True, check=True
        )
        address = listed.stdout.split()[1]
        assert push(address, "fire-1", body("fire-1", record(1)), key).status == 503
        subprocess.run([*command, "control", "--state", str(state), "fire", "start"], check=True)
        assert push(address, "fire-1", body("fire-1", record(1)), key).status == 204
        printed, _ = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    received = json.loads(printed)
    assert received["records"] == {"gas_reading": 1}
    assert received["refused"] == {"HTTP 503": 1}
    assert not (state / "control.json").exists()


def test_a_command_to_departments_that_do_not_run_says_so(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pulse", "simulate-departments", "control", "--state", str(tmp_path)]
    done = subprocess.run([*command, "fire", "stop"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--state" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_subscriber_takes_what_its_broker_got_and_a_stopped_one_has_no_subscription(tmp_path: Path) -> None:
    """The broker acknowledges with "no matching subscribers" while the department is not there."""
    path, key = hmac_file(tmp_path, "water")
    with mosquitto(tmp_path / "broker") as broker:
        described_ = {"id": "water", "receives": "mqtt", "broker": broker.url, "keys": [str(path)]}
        with running(tmp_path, described_) as town, Publisher(broker.port) as publisher:
            water = town.departments["water"]
            assert isinstance(water.way, Subscriber)
            assert water.way.subscribed.wait(10)
            assert publisher.publish("water-1", body("water-1", record(1, "flow_reading")), key) == 0
            assert until(lambda: water.archive.totals().deliveries == 1, 10)
            tell(town.control, "water", do="stop")
            second, third = (body(f"water-{n}", record(n, "flow_reading")) for n in (2, 3))
            assert until(lambda: publisher.publish("water-2", second, key) == NO_MATCHING_SUBSCRIBERS, 10)
            tell(town.control, "water", do="start")
            assert until(lambda: publisher.publish("water-3", third, key) == 0, 10)
            assert until(lambda: water.archive.standing(DAY)[0] == "water-3", 10)


def test_a_subscriber_does_not_keep_what_is_not_signed(tmp_path: Path) -> None:
    path, _ = hmac_file(tmp_path, "water")
    with mosquitto(tmp_path / "broker") as broker:
        described_ = {"id": "water", "receives": "mqtt", "broker": broker.url, "keys": [str(path)]}
        with running(tmp_path, described_) as town, Publisher(broker.port) as publisher:
            water = town.departments["water"]
            assert isinstance(water.way, Subscriber)
            assert water.way.subscribed.wait(10)
            publisher.publish("water-1", body("water-1", record(1)), None)
            assert until(lambda: sum(water.desk.refused.values()) == 1, 10)
            assert water.archive.totals().deliveries == 0
