"""HTTP to InfluxDB 2 through its client library, with failures translated into ours."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import influxdb_client
import msgspec
from influxdb_client.client.exceptions import InfluxDBError
from influxdb_client.rest import ApiException
from urllib3.exceptions import HTTPError

from pulse.errors import StoreRejected, StoreUnavailable

CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 60.0
STORED = 204
AT_ONCE = 2
"""Writes under way at a time."""

BUCKET_SETTING = "PULSE_INFLUXDB_BUCKET"

library: Any = influxdb_client
"""The library calls itself typed, and is not."""

Parameter = str | int


class Misconfigured(StoreUnavailable):
    """InfluxDB answered that a setting is wrong; `setting` names it. It works again once that is mended."""

    def __init__(self, message: str, setting: str) -> None:
        super().__init__(message)
        self.setting = setting


class Series(msgspec.Struct, gc=False):
    """Rows that share a measurement and the tags they were grouped by."""

    name: str = ""
    columns: list[str] = []
    values: list[list[Any]] = []
    tags: dict[str, str] = {}


class _Result(msgspec.Struct, gc=False):
    series: list[Series] = []
    partial: bool = False
    error: str | None = None


class _Answer(msgspec.Struct, gc=False):
    results: list[_Result] = []
    error: str | None = None


_decode = msgspec.json.Decoder(_Answer).decode


class Client:
    """One InfluxDB, organisation and bucket. Every method may be called from any thread."""

    def __init__(
        self,
        url: str,
        token: str,
        org: str,
        bucket: str,
        *,
        gzip: bool = False,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        answer_timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> None:
        self.url = url
        self.org = org
        self.bucket = bucket
        self.api = library.InfluxDBClient(
            url,
            token,
            org=org,
            enable_gzip=gzip,
            timeout=(int(connect_timeout_s * 1000), int(answer_timeout_s * 1000)),
        )
        self.beside = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="influxdb-write")
        """Runs writes that go on at the same time."""
        self._writer = library.WriteService(self.api.api_client)

    def write(self, lines: bytes) -> None:
        """Write lines with nanosecond timestamps; they are stored when this returns.

        `StoreRejected`: at least one line is not acceptable; the others may or may not have been stored.
        `StoreUnavailable`: any other answer than 204; a proxy's page with 200 means nothing is stored.
        """
        with self.translated():
            _, status, _ = self._writer.post_write_with_http_info(
                self.org, self.bucket, lines, precision="ns"
            )
        if status != STORED:
            raise StoreUnavailable(
                f"{self.url} answered {status} to a write, and InfluxDB says {STORED} when it has stored it;"
                " check PULSE_INFLUXDB_URL and the proxies on the way"
            )

    def query(
        self, influxql: str, parameters: Mapping[str, Parameter] | None = None, *, chunk_rows: int = 5000
    ) -> Iterator[Series]:
        """The series of one InfluxQL statement as they arrive; long ones come in several parts.

        Values reach the statement only by `parameters` (`$name`). Closing the iterator ends the query.
        """
        database, _, policy = self.bucket.partition("/")
        options = [
            ("db", database),
            ("rp", policy),
            ("q", influxql),
            ("params", json.dumps(dict(parameters or {}))),
            ("epoch", "ns"),
            ("chunked", "true"),
            ("chunk_size", str(chunk_rows)),
        ]
        with self.translated():
            response = self.api.api_client.call_api(
                "/query",
                "POST",
                query_params=[option for option in options if option[1]],
                header_params={"Accept": "application/json"},
                _preload_content=False,
                _return_http_data_only=True,
            )
            try:
                more = False
                for document in _documents(response):
                    answer = self._answer(document)
                    more = any(result.partial for result in answer.results)
                    for result in answer.results:
                        yield from result.series
                if more:
                    raise StoreUnavailable(f"{self.url} broke off its answer")
            finally:
                response.close()

    def rows(self, influxql: str, parameters: Mapping[str, Parameter] | None = None) -> list[list[Any]]:
        """All rows of a statement whose answer is small."""
        return [row for series in self.query(influxql, parameters) for row in series.values]

    def close(self) -> None:
        """Close the connections."""
        self.beside.shutdown()
        self.api.close()

    def _answer(self, document: bytes) -> _Answer:
        try:
            answer = _decode(document)
        except msgspec.MsgspecError as error:
            raise StoreUnavailable(
                f"{self.url} broke off its answer or is no InfluxDB 2; check PULSE_INFLUXDB_URL"
            ) from error
        for said in (answer.error, *(result.error for result in answer.results)):
            if said is not None:
                self._refuse_query(said)
        return answer

    def _refuse_query(self, error: str) -> NoReturn:
        if "database not found" in error or "retention policy not" in error:
            raise Misconfigured(
                f"{self.url} has no bucket {self.bucket!r}, or the token may not read it;"
                " check PULSE_INFLUXDB_BUCKET and the token's permissions",
                BUCKET_SETTING,
            )
        raise StoreUnavailable(f"{self.url} could not answer: {error}")

    @contextlib.contextmanager
    def translated(self) -> Iterator[None]:
        """Turn what the library raises in the block into our errors."""
        try:
            yield
        except ApiException as error:
            raise self._of_status(error) from error
        except InfluxDBError as error:
            # The library's own, when it finds no organisation that the token may see.
            raise Misconfigured(
                f"{error} Check PULSE_INFLUXDB_TOKEN, or make the bucket {self.bucket!r} by hand",
                "PULSE_INFLUXDB_TOKEN",
            ) from error
        except (HTTPError, OSError) as error:
            raise StoreUnavailable(
                f"cannot reach InfluxDB at {self.url}: {error}; check that it runs and PULSE_INFLUXDB_URL"
            ) from error

    def _of_status(self, error: ApiException) -> StoreUnavailable | StoreRejected:
        said = _message(error)
        match error.status:
            case 401:
                return Misconfigured(
                    f"{self.url} does not accept the token ({said}); check PULSE_INFLUXDB_TOKEN",
                    "PULSE_INFLUXDB_TOKEN",
                )
            case 403:
                return Misconfigured(
                    f"the token may not do this in bucket {self.bucket!r} of {self.url} ({said});"
                    " give PULSE_INFLUXDB_TOKEN read and write access to the bucket",
                    "PULSE_INFLUXDB_TOKEN",
                )
            case 404:
                unknown_org = said.startswith("organization")
                setting = "PULSE_INFLUXDB_ORG" if unknown_org else BUCKET_SETTING
                return Misconfigured(
                    f"{self.url} does not know organisation {self.org!r} or bucket {self.bucket!r} ({said});"
                    f" check {setting}",
                    setting,
                )
            case 400 | 413 | 422:
                return StoreRejected(f"InfluxDB refused the data: {said}")
            case 429 | 503:
                return StoreUnavailable(
                    f"InfluxDB at {self.url} is overloaded ({said})", retry_after_s=_retry_after_s(error)
                )
            case _:
                return StoreUnavailable(
                    f"InfluxDB at {self.url} answered {error.status} ({said}); look into its log,"
                    " and check PULSE_INFLUXDB_URL",
                    retry_after_s=_retry_after_s(error),
                )


def _documents(response: Any) -> Iterator[bytes]:
    """The JSON documents of a chunked answer, one a line."""
    parts: list[bytes] = []
    for piece in response.stream(1 << 16):
        *whole, rest = piece.split(b"\n")
        for line in whole:
            document = b"".join((*parts, line))
            parts.clear()
            if document:
                yield document
        parts.append(rest)
    if last := b"".join(parts):
        yield last


def _message(error: ApiException) -> str:
    """What InfluxDB said, or the reason of the status."""
    body = error.body
    if isinstance(body, bytes):
        body = body.decode(errors="replace")
    with contextlib.suppress(TypeError, ValueError):
        found = json.loads(body or "")
        if isinstance(found, dict):
            said = found.get("message") or found.get("error")
            if said:
                return str(said)[:300]
    return str(error.reason or body or error.status)[:300]


def _retry_after_s(error: ApiException) -> float | None:
    """The wait asked for in seconds; dates, which InfluxDB does not send, are left aside."""
    asked = str((error.headers or {"Retry-After": ""}).get("Retry-After", ""))
    return float(asked) if asked.isascii() and asked.isdigit() else None
