"""The bucket: found, or made with its retention."""

from influxdb_client.rest import ApiException

from pulse.clock import DAY_US, SECOND_US
from pulse.errors import SettingsError, StoreRejected
from pulse.stores.influx.client import BUCKET_SETTING, Client, Misconfigured, library


def ensure_bucket(client: Client, retention_days: int) -> int | None:
    """Make the bucket unless it is there; gives its retention in microseconds, None for unlimited.

    A bucket that is there keeps the retention it has. `retention_days` 0 makes an unlimited one.
    Raises `SettingsError` naming the setting when InfluxDB does not accept token or organisation.
    """
    try:
        found = _retention(client)
        if found is None:
            _make(client, retention_days)
            found = _retention(client)
    except Misconfigured as error:
        raise SettingsError(str(error), where=error.setting) from error
    except StoreRejected as error:
        raise SettingsError(
            f"InfluxDB does not accept the bucket {client.bucket!r} ({error});"
            " make it by hand or choose another",
            where=BUCKET_SETTING,
        ) from error
    if found is None:
        raise SettingsError(
            f"the token cannot see the bucket {client.bucket!r}; give it read and write access",
            where="PULSE_INFLUXDB_TOKEN",
        )
    return found * SECOND_US if found else None


def _retention(client: Client) -> int | None:
    """Retention of the bucket in seconds (0: unlimited), None if there is no such bucket."""
    try:
        with client.translated():
            answer = client.api.buckets_api().find_buckets(name=client.bucket, org=client.org)
    except Misconfigured as error:
        if error.setting == BUCKET_SETTING:
            return None
        raise
    for bucket in answer.buckets or ():
        if bucket.name == client.bucket:
            return max((int(rule.every_seconds) for rule in bucket.retention_rules or ()), default=0)
    return None


def _make(client: Client, retention_days: int) -> None:
    rules = []
    if retention_days:
        seconds = retention_days * DAY_US // SECOND_US
        rules.append(library.BucketRetentionRules(type="expire", every_seconds=seconds))
    with client.translated():
        try:
            client.api.buckets_api().create_bucket(
                bucket_name=client.bucket, org=client.org, retention_rules=rules
            )
        except ApiException as error:
            # Another process may have been faster; whether the bucket is there now is asked next.
            if not (error.status in {409, 422} and "already exists" in str(error.body)):
                raise
