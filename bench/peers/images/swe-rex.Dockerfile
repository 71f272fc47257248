# SWE-ReX with its server installed, which its documentation recommends for a fast start.
ARG PARENT
FROM ${PARENT}
USER root
ENV HOME=/root
COPY host-ca.cr[t] /tmp/host-ca/
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
ARG REQUIREMENT
RUN if [ -f /tmp/host-ca/host-ca.crt ]; then export PIP_CERT=/tmp/host-ca/host-ca.crt; fi; \
    pip install --no-cache-dir "${REQUIREMENT}" && rm -rf /tmp/host-ca
