# A Jupyter kernel behind its gateway, as autogen-ext and smolagents build it: the token's variable is each one's own.
ARG PARENT
FROM ${PARENT}
USER root
ENV HOME=/root
COPY host-ca.cr[t] /tmp/host-ca/
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
RUN if [ -f /tmp/host-ca/host-ca.crt ]; then export PIP_CERT=/tmp/host-ca/host-ca.crt; fi; \
    pip install --no-cache-dir jupyter_kernel_gateway jupyter_client ipykernel && rm -rf /tmp/host-ca
EXPOSE 8888
CMD exec jupyter kernelgateway --KernelGatewayApp.ip=0.0.0.0 --KernelGatewayApp.port=8888 \
    --KernelGatewayApp.auth_token="${TOKEN:-$KG_AUTH_TOKEN}" --JupyterApp.answer_yes=true \
    --JupyterWebsocketPersonality.list_kernels=true
