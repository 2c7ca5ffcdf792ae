#!/bin/sh
# Starts the broker with the users of this installation: those of ours from the environment, the devices that
# were added before. `add-device.sh` adds one. A service user without a password is removed.
set -eu

root=${MOSQUITTO_ROOT:-/mosquitto}
passwords=$root/data/passwords
health=${MOSQUITTO_HEALTH:-/tmp/health}

umask 077
touch "$passwords"
# Mosquitto wants both files to be its own and nobody else's to read; the mounted one is neither.
cp "$root/config/acl" "$root/data/acl.new"
mv -f "$root/data/acl.new" "$root/data/acl"

user() {
    if [ -n "$2" ]; then
        mosquitto_passwd -b "$passwords" "$1" "$2"
    else
        # Not there is as good as removed; its complaint about that would only confuse.
        mosquitto_passwd -D "$passwords" "$1" >/dev/null 2>&1 || true
    fi
}

: "${MQTT_COLLECTOR_PASSWORD:?set MQTT_COLLECTOR_PASSWORD, see .env.example}"
user _collector "$MQTT_COLLECTOR_PASSWORD"
user _reader "${MQTT_READER_PASSWORD:-}"
user _simulator "${MQTT_SIMULATOR_PASSWORD:-}"

# A new one at every start, known to the health check only.
od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$health"
user _health "$(cat "$health")"

unset MQTT_COLLECTOR_PASSWORD MQTT_READER_PASSWORD MQTT_SIMULATOR_PASSWORD
exec mosquitto -c "$root/config/mosquitto.conf"
