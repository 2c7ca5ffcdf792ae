#!/bin/sh
# Starts Grafana only with a password: without one it would take its own well-known default.
set -eu

: "${GF_SECURITY_ADMIN_PASSWORD:?set GRAFANA_PASSWORD in .env, see docs/monitoring.md}"

exec "${GRAFANA_RUN:-/run.sh}" "$@"
