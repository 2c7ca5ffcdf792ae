#!/bin/sh
# Adds a device to the broker, or gives it a new password:
#   docker compose exec mosquitto sh /mosquitto/config/add-device.sh DEVICE_ID
# Prints the password, which is stored only as a hash, and has the broker read its users again.
set -eu

root=${MOSQUITTO_ROOT:-/mosquitto}
broker=${MOSQUITTO_PID:-1}

device=${1:?usage: add-device.sh DEVICE_ID}
case $device in
[!A-Za-z0-9]* | *[!A-Za-z0-9._-]*)
    echo "$device is not an id: use A-Z a-z 0-9 . _ - beginning with a letter or digit" >&2
    exit 2
    ;;
esac
if [ ${#device} -gt 64 ]; then
    echo "an id has at most 64 characters" >&2
    exit 2
fi

password=$(od -An -N18 -tx1 /dev/urandom | tr -d ' \n')
mosquitto_passwd -b "$root/data/passwords" "$device" "$password"
kill -HUP "$broker"
echo "$password"
