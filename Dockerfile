# Build the environment in one stage, so that the image holds neither pip's cache nor the sources.
FROM python:3.11-slim AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY watchdog ./watchdog
RUN python -m venv /opt/watchdog \
    && /opt/watchdog/bin/pip install --no-cache-dir --no-compile -c constraints.txt ".[postgres]" \
    # compiled once here: a read-only container could not keep what it compiles at each start
    && /opt/watchdog/bin/python -m compileall -q -j 0 /opt/watchdog/lib

FROM python:3.11-slim
# The uid of Phantom's own image, so that reading its database can never do harm; see the README.
ARG UID=1000
RUN useradd --uid "${UID}" --no-create-home --shell /usr/sbin/nologin watchdog \
    && mkdir -p /var/lib/watchdog /etc/watchdog \
    && chown watchdog /var/lib/watchdog
COPY --from=build /opt/watchdog /opt/watchdog
COPY config/watchdog.yaml /etc/watchdog/watchdog.yaml
# So that `docker exec watchdog scheduler-watchdog incidents` needs no -c.
ENV PATH=/opt/watchdog/bin:$PATH PYTHONUNBUFFERED=1 WATCHDOG_CONFIG=/etc/watchdog/watchdog.yaml
USER ${UID}
VOLUME /var/lib/watchdog
EXPOSE 9846
# Fails when the loop stands still, not only when the process is gone.
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:9846/healthz', timeout=4)"]
ENTRYPOINT ["scheduler-watchdog"]
CMD ["run", "-c", "/etc/watchdog/watchdog.yaml"]
