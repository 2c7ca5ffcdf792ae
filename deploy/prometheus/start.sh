#!/bin/sh
# Starts Prometheus with the token of the API, from the environment, in a file that only it can read, and with
# the scheme that the API speaks.
set -eu

folder=${PROMETHEUS_FOLDER:-/tmp}
here=${0%/*}

: "${METRICS_TOKEN:?set METRICS_TOKEN in .env, see docs/monitoring.md}"
umask 077
printf %s "$METRICS_TOKEN" >"$folder/token"
unset METRICS_TOKEN

scheme=http
if [ -n "${HTTP_TLS_CERT_FILE:-}" ]; then
    scheme=https
fi
sed "s/^    scheme: http$/    scheme: $scheme/" "$here/prometheus.yml" >"$folder/prometheus.yml"

exec prometheus --config.file="$folder/prometheus.yml" "$@"
