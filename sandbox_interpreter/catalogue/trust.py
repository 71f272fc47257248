"""An image that trusts extra certificates at run time: one more layer on top of it, and a label that says so."""

from __future__ import annotations

from sandbox_interpreter.catalogue.certificates import Certificates

STORE = "/etc/ssl/certs/ca-certificates.crt"

# Python, requests, pip, curl, git, Node and npm: each reads its own variable before any default.
VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO",
             "NODE_EXTRA_CA_CERTS", "NPM_CONFIG_CAFILE")


def layer(parent: str, certificates: Certificates) -> dict[str, bytes]:
    """Return the build files of ``parent`` plus ``certificates``, which every program in it then trusts."""
    # One certificate a file: update-ca-certificates makes no hash links for bundles.
    files = {f"certificates/extra-{number:03}.crt": block for number, block in enumerate(certificates.blocks)}
    return files | {"Dockerfile": _dockerfile(parent).encode()}


def _dockerfile(parent: str) -> str:
    variables = " ".join(f"{name}={STORE}" for name in VARIABLES)
    return "\n".join([
        f"FROM {parent}",
        "USER root",
        "COPY certificates/ /usr/local/share/ca-certificates/",
        "RUN update-ca-certificates",
        f"ENV {variables}",
        "USER 1000:1000",
    ]) + "\n"
