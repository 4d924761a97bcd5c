# syntax=docker/dockerfile:1
ARG PYTHON=3.11

FROM python:${PYTHON}-slim-bookworm AS build

# Compiled for any machine of the architecture: kernels compiled for this one's CPU would be compiled again by
# every other kind. The kernels gain nothing from a newer CPU.
ENV NUMBA_CPU_NAME=generic \
    NUMBA_CACHE_DIR=/opt/crossrealm/share/kernels \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1

WORKDIR /src
COPY requirements/runtime.txt requirements/build.txt requirements/
# Without pip: it installs from outside, and what the last stage gets has no installer.
RUN python -m venv --without-pip /opt/crossrealm \
 && pip install --require-hashes -r requirements/build.txt \
 && pip --python /opt/crossrealm/bin/python install --require-hashes --only-binary :all: -r requirements/runtime.txt

COPY pyproject.toml README.md LICENSE ./
COPY app app
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
 && pip --python /opt/crossrealm/bin/python install --no-deps /wheels/*.whl \
 && /opt/crossrealm/bin/crossrealm warmup

FROM python:${PYTHON}-slim-bookworm

LABEL org.opencontainers.image.title="Crossrealm" \
      org.opencontainers.image.description="One querier for many certificate realms: a drop-in for thanos query" \
      org.opencontainers.image.licenses="Apache-2.0"

RUN pip uninstall --yes --quiet --root-user-action=ignore setuptools wheel pip

COPY --from=build /opt/crossrealm /opt/crossrealm

# The same as above, or the kernels would not be found.
ENV NUMBA_CPU_NAME=generic \
    NUMBA_CACHE_DIR=/opt/crossrealm/share/kernels \
    PATH=/opt/crossrealm/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

# A number, so that Kubernetes can see that it is not root (runAsNonRoot).
USER 65532:65532
EXPOSE 10901 10902

HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["python", "-c", "import urllib.request as http; http.urlopen('http://127.0.0.1:10902/-/healthy', timeout=4)"]

ENTRYPOINT ["crossrealm"]
CMD ["query"]
