# llm-sandbox makes a virtual environment in each container, from the system's Python, and upgrades its pip: it is to
# find the index and the certificates that this machine uses. Its own default image runs Python as root.
ARG PARENT
FROM ${PARENT}
USER root
COPY host-ca.cr[t] /etc/ssl/host-ca/
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
ENV HOME=/root PIP_INDEX_URL=${PIP_INDEX_URL} PIP_EXTRA_INDEX_URL=${PIP_EXTRA_INDEX_URL} \
    PIP_TRUSTED_HOST=${PIP_TRUSTED_HOST} SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    PIP_CERT=/etc/ssl/certs/ca-certificates.crt
RUN cat /etc/ssl/host-ca/host-ca.crt >>/etc/ssl/certs/ca-certificates.crt || true; \
    pip install --no-cache-dir --target "$(/usr/bin/python3 -c 'import site; print(site.getsitepackages()[0])')" ipython
CMD ["python3"]
