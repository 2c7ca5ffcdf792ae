"""Pages and API over TLS, with certificates of one's own, on a real server."""

import http.client
import socket
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from api.tls import server_context
from pulse import health, settings
from pulse.certificates import make_authority, make_server
from pulse.clock import SECOND_US
from pulse.errors import SettingsError
from tests.api.serving import PATIENCE_S, running
from tests.api.site import Site


@pytest.fixture
def files(site: Site, tmp_path: Path) -> tuple[Path, Path, Path]:
    """CA, certificate and key, valid now as the installation sees it."""
    now = datetime.fromtimestamp(site.clock.now / SECOND_US, UTC)
    folder = tmp_path / "certificates"
    make_authority(folder, now)
    pair = make_server(folder, ["localhost", "127.0.0.1"], now)
    return folder / "ca.pem", pair.certificate, pair.key


def test_it_speaks_tls_and_nothing_else(site: Site, files: tuple[Path, Path, Path]) -> None:
    authority, certificate, key = files
    given = settings.load(
        data_dir=site.context.settings.data_dir,
        public_view=True,
        http_tls_cert_file=certificate,
        http_tls_key_file=key,
    )
    with running(replace(site.context, settings=given)) as server:
        assert server.address.startswith("https://")
        trusting = ssl.create_default_context(cafile=str(authority))
        client = http.client.HTTPSConnection("localhost", server.port, timeout=PATIENCE_S, context=trusting)
        client.request("GET", "/api/v1/indicators/online-rate")
        answer = client.getresponse()
        assert answer.status == 200
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
        client.close()
        stranger = http.client.HTTPSConnection("localhost", server.port, timeout=PATIENCE_S)
        with pytest.raises(ssl.SSLCertVerificationError):
            stranger.request("GET", "/")
        old = ssl.create_default_context(cafile=str(authority))
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        with (
            pytest.raises((ssl.SSLError, ConnectionError)),
            socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) as plain,
        ):
            old.wrap_socket(plain, server_hostname="localhost")
        with socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) as plain:
            plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            try:
                said = plain.recv(1000)
            except ConnectionError:
                said = b""
            assert not said.startswith(b"HTTP/")
        health.api(given.model_copy(update={"http_port": server.port}))


def test_what_cannot_be_used_is_named_before_anything_listens(
    site: Site, files: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    _, certificate, key = files
    now = datetime.fromtimestamp(site.clock.now / SECOND_US, UTC)
    make_authority(tmp_path / "others", now)
    other = make_server(tmp_path / "others", ["other"], now)
    nothing = tmp_path / "nothing.pem"
    text = tmp_path / "text.pem"
    text.write_text("no certificate")
    for cert, secret, when, words in (
        (nothing, key, now, "PULSE_HTTP_TLS_CERT_FILE: cannot read"),
        (text, key, now, "PULSE_HTTP_TLS_CERT_FILE.*no certificate"),
        (certificate, nothing, now, "PULSE_HTTP_TLS_KEY_FILE: cannot read"),
        (certificate, other.key, now, "PULSE_HTTP_TLS_KEY_FILE.*not the private key"),
        (certificate, key, now + timedelta(days=5000), "expired on"),
        (certificate, key, now - timedelta(days=5000), "not valid before"),
    ):
        with pytest.raises(SettingsError, match=words):
            server_context(cert, secret, when)
    with pytest.raises(SettingsError, match="PULSE_HTTP_TLS"):
        settings.load(http_tls_cert_file=certificate)


def test_a_forged_address_from_this_machine_is_not_believed(site: Site) -> None:
    given = settings.load(data_dir=site.context.settings.data_dir, public_view=True, rate_limit="3/minute")
    with running(replace(site.context, settings=given)) as server:
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
        statuses = []
        for _ in range(6):
            # Counted, it would be refused; from the loopback address it is this machine that asks.
            client.request(
                "GET", "/api/v1/indicators/online-rate", headers={"X-Forwarded-For": "203.0.113.9"}
            )
            answer = client.getresponse()
            answer.read()
            statuses.append(answer.status)
        client.close()
    assert statuses == [200] * 6
