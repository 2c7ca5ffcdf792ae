#!/bin/sh
# Starts the broker with the users of this installation: ours, from the environment, and the devices, from the
# file that `pulse device credentials` writes into a shared volume. That file and the certificates are looked at
# every few seconds: a signal cannot cross from one container to another, so what changed is taken in here and
# the broker told. A service user without a password does not exist.
set -eu

root=${MOSQUITTO_ROOT:-/mosquitto}
port=${MOSQUITTO_TLS_PORT:-8883}
look_s=${MOSQUITTO_LOOK_S:-2}
data=$root/data
health=${MOSQUITTO_HEALTH:-/tmp/health}

# Mosquitto wants its files to be its own and nobody else's to read; those that it is given are neither.
umask 077

# take FROM TO: exit status 0 if TO was brought up to FROM, 1 if there was nothing to do.
take() {
    if [ ! -f "$1" ] || cmp -s "$1" "$2"; then
        return 1
    fi
    cp "$1" "$2.new"
    mv -f "$2.new" "$2"
}

users() {
    # A name that begins with _ is a service user's, and those come from the environment alone.
    {
        cat "$data/services"
        if [ -f "$root/devices/passwords" ]; then
            grep -v '^_' "$root/devices/passwords" || true
        fi
    } >"$data/users"
    take "$data/users" "$data/passwords"
}

certificates() {
    changed=1
    for name in server.pem server-key.pem; do
        if take "$root/certificates/$name" "$data/$name"; then
            changed=0
        fi
    done
    return $changed
}

watch() {
    while sleep "$look_s" && kill -0 "$1" 2>/dev/null; do
        news=
        if users; then news=1; fi
        if certificates; then news=1; fi
        if [ -n "$news" ]; then
            kill -HUP "$1" || return 0
        fi
    done
}

user() {
    if [ -n "$2" ]; then
        mosquitto_passwd -b "$data/services" "$1" "$2"
    fi
}

: "${MQTT_COLLECTOR_PASSWORD:?set MQTT_COLLECTOR_PASSWORD, see .env.example}"
: >"$data/services"
user _collector "$MQTT_COLLECTOR_PASSWORD"
user _reader "${MQTT_READER_PASSWORD:-}"

# A new one at every start, known to the health check only.
od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$health"
user _health "$(cat "$health")"
unset MQTT_COLLECTOR_PASSWORD MQTT_READER_PASSWORD

take "$root/acl" "$data/acl" || true
users || true
certificates || true

cp "$root/config/mosquitto.conf" "$data/mosquitto.conf"
if [ -f "$data/server.pem" ]; then
    printf 'listener %s\ncertfile %s\nkeyfile %s\n' "$port" "$data/server.pem" "$data/server-key.pem" \
        >>"$data/mosquitto.conf"
fi

watch $$ &
exec mosquitto -c "$data/mosquitto.conf"
