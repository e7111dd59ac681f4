# The image of the service: `docker build -t retrainer .`. How it is run: docs/container.md.
ARG PYTHON_IMAGE=docker.io/library/python:3.11-slim-bookworm

# Everything the service stands on. It changes with the lock alone, so a new version of ours adds a layer of kilobytes.
# pip lives in a venv of its own: the one that is shipped never had it.
FROM ${PYTHON_IMAGE} AS dependencies
RUN python3 -m venv /opt/build && python3 -m venv --without-pip /opt/retrainer
COPY requirements/runtime.txt /src/requirements/
# TensorFlow's headers (430 MB) serve only to compile operations in C++.
RUN /opt/build/bin/pip --python /opt/retrainer/bin/python install --only-binary :all: --require-hashes \
        -r /src/requirements/runtime.txt \
    && rm -r /opt/retrainer/lib/python3*/site-packages/tensorflow/include

FROM dependencies AS project
COPY requirements/build.txt /src/requirements/
RUN /opt/build/bin/pip install --only-binary :all: --require-hashes -r /src/requirements/build.txt
WORKDIR /src
COPY . .
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /dist . \
    && /opt/build/bin/pip --python /opt/retrainer/bin/python install --no-deps --no-index --prefix /opt/project \
        /dist/*.whl

FROM ${PYTHON_IMAGE}
# The base image's own pip, and what could bring it back.
RUN rm -rf /usr/local/bin/pip* /usr/local/bin/wheel /usr/local/lib/python3*/site-packages/* \
        /usr/local/lib/python3*/ensurepip /usr/lib/python3*/ensurepip /usr/share/python-wheels \
    && useradd --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin retrainer \
    && install -d -o retrainer -g retrainer /var/lib/retrainer /var/lib/retrainer/state /var/lib/features
COPY --from=dependencies /opt/retrainer /opt/retrainer
COPY --from=project /opt/project /opt/retrainer

# Libraries drop their caches in HOME: /tmp, a tmpfs where the root is read-only. The bytecode was compiled above.
# PYTHONSAFEPATH: nothing in the writable working directory is ever imported.
ENV PATH=/opt/retrainer/bin:$PATH \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1 \
    RETRAINER_LOG__FORMAT=json \
    RETRAINER_STATE_DIR=/var/lib/retrainer/state
LABEL org.opencontainers.image.title="retrainer" \
      org.opencontainers.image.description="Turns feature-store commits into better versions of a two-tower model" \
      org.opencontainers.image.licenses="Apache-2.0"

USER 10001:10001
WORKDIR /var/lib/retrainer
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s --retries=3 CMD ["python", "-m", "consumer.health"]
ENTRYPOINT ["retrainer"]
CMD ["run"]
