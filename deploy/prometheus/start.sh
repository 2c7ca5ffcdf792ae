#!/bin/sh
# Starts Prometheus with the token of the API, from the environment, in a file that only it can read.
set -eu

: "${METRICS_TOKEN:?set METRICS_TOKEN in .env, see docs/monitoring.md}"
umask 077
printf %s "$METRICS_TOKEN" >"${METRICS_TOKEN_FILE:-/tmp/token}"
unset METRICS_TOKEN

exec prometheus "$@"
