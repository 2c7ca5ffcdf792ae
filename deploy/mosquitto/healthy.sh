#!/bin/sh
# Exit status 0 if the broker lets a client in and answers it.
set -eu
mosquitto_sub -h 127.0.0.1 -p "${MOSQUITTO_PORT:-1883}" -u _health -P "$(cat "${MOSQUITTO_HEALTH:-/tmp/health}")" \
    -t '$SYS/broker/uptime' -C 1 -W 5 >/dev/null
