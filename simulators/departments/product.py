"""What a department asks of the product's API, with its token: pages of deliveries, commits, reports."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import httpx2 as httpx
import msgspec

from pulse.errors import PulseError
from pulse.sharing.reconciling import Holding

_TIMEOUT_S = 10.0


class Answered(PulseError):
    """The product's API did not do as asked; the text says what it answered."""


class Page(NamedTuple):
    """A delivery as a puller gets it, and the cursor that acknowledges it; `fields` are what signs it."""

    delivery: str
    cursor: str
    body: bytes
    fields: Mapping[str, str]


class _Delivery(msgspec.Struct):
    delivery: str
    cursor: str
    content_type: str
    content_digest: str
    signature_input: str | None
    signature: str | None
    body: msgspec.Raw


class _Pages(msgspec.Struct):
    deliveries: list[_Delivery]


def _bytes(body: msgspec.Raw) -> bytes:
    """A content byte for byte: JSON lies in the page as it is, CSV as a text."""
    raw = bytes(body)
    return msgspec.json.decode(raw, type=str).encode() if raw.startswith(b'"') else raw


class Product:
    """The API of one installation for one outlet."""

    def __init__(self, address: str, outlet: str, token: str | None) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._outlet = outlet
        self._client = httpx.Client(
            base_url=address.rstrip("/"),
            headers=headers,
            timeout=_TIMEOUT_S,
            follow_redirects=False,
            trust_env=False,
        )

    def page(self, cursor: str | None) -> Page | None:
        """The first delivery after a cursor, None if there is none. Raises `Answered`."""
        wanted = {"limit": "1"} | ({"cursor": cursor} if cursor else {})
        answer = self._ask("GET", "deliveries", params=wanted)
        try:
            found = msgspec.json.decode(answer.content, type=_Pages).deliveries
        except msgspec.MsgspecError as error:
            raise Answered(f"the answer is not of the agreed form: {error}") from error
        if not found:
            return None
        first = found[0]
        fields = {
            "delivery": first.delivery,
            "content-type": first.content_type,
            "content-digest": first.content_digest,
            "signature-input": first.signature_input,
            "signature": first.signature,
        }
        said = {name: value for name, value in fields.items() if value is not None}
        return Page(first.delivery, first.cursor, _bytes(first.body), said)

    def commit(self, cursor: str) -> None:
        """Acknowledge everything up to a cursor. Raises `Answered`."""
        self._ask("POST", "cursor", json={"cursor": cursor})

    def report(self, day: str, through: str | None, held: dict[str, Holding]) -> dict[str, Any]:
        """State what is held of a day; gives the comparison. Raises `Answered`."""
        body = {
            "day": day,
            "through": through,
            "kinds": [
                {"data_kind": kind, "count": holding.records, "digest": holding.digest}
                for kind, holding in held.items()
            ],
        }
        found: dict[str, Any] = self._ask("POST", "reports", json=body).json()
        return found

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _ask(self, method: str, what: str, **more: Any) -> httpx.Response:
        try:
            answer = self._client.request(method, f"/api/v1/sharing/outlets/{self._outlet}/{what}", **more)
        except httpx.HTTPError as error:
            raise Answered(f"{self._client.base_url}: {error or type(error).__name__}") from error
        if not answer.is_success:
            raise Answered(f"HTTP {answer.status_code}: {answer.text[:300]}")
        return answer
