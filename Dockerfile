# One image for every process of Community Pulse: `pulse collector`, `pulse api`, `pulse scheduler`, …
FROM python:3.13-slim AS build

# Mirrors, where PyPI or npm cannot be reached: docker compose build --build-arg PIP_INDEX_URL=…
ARG PIP_INDEX_URL
ARG NPM_CONFIG_REGISTRY

WORKDIR /build
RUN python -m venv /opt/pulse
# The locked versions first: they change less often than the code.
COPY constraints.txt pyproject.toml hatch_build.py README.md ./
COPY api/frontend/package.json api/frontend/package-lock.json api/frontend/
COPY pulse pulse
COPY collector collector
COPY api api
COPY simulators simulators
RUN /opt/pulse/bin/pip install --no-cache-dir --disable-pip-version-check -c constraints.txt .

FROM python:3.13-slim

RUN groupadd --gid 10001 pulse \
    && useradd --uid 10001 --gid pulse --home-dir /var/lib/pulse --shell /usr/sbin/nologin pulse \
    && install --directory --owner=pulse --group=pulse --mode=0750 \
        /var/lib/pulse /var/lib/pulse-broker /var/lib/pulse-certificates /var/lib/pulse-outlets
COPY --from=build /opt/pulse /opt/pulse

ENV PATH=/opt/pulse/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PULSE_DATA_DIR=/var/lib/pulse

USER 10001:10001
WORKDIR /var/lib/pulse
VOLUME /var/lib/pulse
EXPOSE 8000
CMD ["pulse", "serve"]
