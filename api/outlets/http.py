"""Pushing a delivery over HTTP: no redirects, no proxies, a bounded answer; any 2xx is the receipt."""

import ssl
import time
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import httpx2

from api.outlets import parcel as parcels
from api.outlets import trust
from api.outlets.answers import Answer, failure, retry_after_s
from api.outlets.parcel import Parcel
from pulse.clock import SECOND_US, Clock
from pulse.sharing import signing
from pulse.sharing.keyfiles import Keys
from pulse.sharing.outlets import Outlet, address

MOST_ANSWER_BYTES = 65_536
"""More of an answer is not read."""
_KEPT_CHARACTERS = 500
_SHOWN_CHARACTERS = 200


class Pusher:
    """Connections to one department, used one delivery after the other."""

    def __init__(self, outlet: Outlet, keys: Keys, clock: Clock) -> None:
        """Raises `BadInput` naming a file of the outlet that cannot be used."""
        self._outlet = outlet
        self._keys = keys
        self._clock = clock
        password = keys.password(outlet.id)
        verify: ssl.SSLContext | bool = trust.context(outlet, keys) if address(outlet).tls else True
        self._client = httpx2.Client(
            verify=verify,
            auth=password,
            timeout=outlet.timeout_s,
            follow_redirects=False,
            # A proxy named in the environment would be a party that nobody chose.
            trust_env=False,
            headers={"User-Agent": "community-pulse", "Accept": "*/*", "Accept-Encoding": "identity"},
        )

    def __enter__(self) -> "Pusher":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def send(self, parcel: Parcel) -> Answer:
        """Send a delivery and wait for the answer. Raises `BadInput` naming a key that cannot be used."""
        url = self._outlet.url
        fields = parcels.fields(
            parcel,
            self._outlet,
            self._keys,
            self._clock.now_us(),
            id_field="idempotency-key",
            covered=signing.REQUEST,
            method="POST",
            target=target_of(url),
        )
        try:
            with self._client.stream("POST", url, content=parcel.content, headers=fields) as response:
                body = _begin(response, self._outlet.timeout_s)
        except httpx2.TimeoutException:
            return failure(
                f"{self._outlet.timeout_s:g} 秒内没有回答 / no answer within {self._outlet.timeout_s:g} s"
            )
        except httpx2.InvalidURL as error:
            return failure(f"地址不可用 / the address cannot be used: {error}")
        except (httpx2.HTTPError, httpx2.StreamError, OSError) as error:
            return failure(trust.explained(error))
        return _judged(response, body, self._clock.now_us() / SECOND_US)


def target_of(url: str) -> str:
    """The target URI as the far side sees it: a request always has a path."""
    parts = urlsplit(url)
    return url if parts.path else parts._replace(path="/").geturl()


def _begin(response: httpx2.Response, timeout_s: float) -> str:
    """The beginning of an answer's body; a far side that trickles or floods ends nothing but its own text."""
    body = b""
    deadline_s = time.monotonic() + timeout_s
    try:
        for chunk in response.iter_raw():
            body += chunk
            if len(body) >= MOST_ANSWER_BYTES or time.monotonic() > deadline_s:
                break
    except httpx2.HTTPError:
        # The status has come: that is the answer.
        pass
    return body[:MOST_ANSWER_BYTES].decode(errors="replace")


def _judged(response: httpx2.Response, body: str, now_s: float) -> Answer:
    status = response.status_code
    members: dict[str, Any] = {"status": status, "body": body[:_KEPT_CHARACTERS]}
    if response.is_success:
        return Answer(True, str(status), members)
    said = " ".join(body.split())[:_SHOWN_CHARACTERS]
    if 300 <= status < 400:
        host = urlsplit(response.headers.get("location", "")).hostname
        where = f" 到 {host} / to {host}" if host else ""
        return failure(f"{status}：不跟随重定向{where}；请改正出口的地址 / redirects are not followed")
    if status == 413:
        return Answer(
            False, f"413：对方嫌大 / too large for the far side. {said}".strip(), members, too_large=True
        )
    wait_s = retry_after_s(response.headers.get("retry-after"), now_s)
    return Answer(False, f"{status} {said}".strip(), members, retry_after_s=wait_s)
