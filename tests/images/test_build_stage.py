"""What a build takes over from the host ends with the throwaway stage."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest
from docker.errors import NotFound

from sandbox_interpreter.catalogue import build, index
from sandbox_interpreter.catalogue.build import BuildOptions
from sandbox_interpreter.catalogue.certificates import Certificates
from sandbox_interpreter.catalogue.index import BundledImage
from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.engines.image_base import ImageStore
from sandbox_interpreter.errors import BuildFailed
from sandbox_interpreter.sandbox.sandbox import Sandbox
from tests.support.certificate import COMMON_NAME, PEM

CA = Certificates((PEM.encode(),))
TRUSTED = ("import ssl; subjects = str([c['subject'] for c in ssl.create_default_context().get_ca_certs()]);"
           f" print('{COMMON_NAME}' in subjects)")

DOCKERFILE = f"""\
ARG PARENT
FROM ${{PARENT}} AS stage
USER root
COPY Dockerfile host-ca.cr[t] /build/
ARG PIP_INDEX_URL
RUN build-stage begin; \\
    python3 -c "{TRUSTED}" >/usr/local/trusted-in-stage; \\
    echo "$PIP_INDEX_URL" | wc -c >/usr/local/length-of-index; \\
    ln /usr/local/trusted-in-stage '/usr/local/second name'; \\
    ln -s trusted-in-stage /usr/local/link; \\
    mkdir -m 0700 /usr/local/empty; \\
    chmod 0600 /etc/debian_version; \\
    cp /bin/true /usr/local/setuid; chmod 6755 /usr/local/setuid; \\
    mkdir -p /var/cache/apt; echo x >/var/cache/apt/left; echo x >/var/log/left; \\
    build-stage end
FROM ${{PARENT}}
COPY --from=stage /layer /
"""


@pytest.fixture
def image(throwaway: BundledImage) -> BundledImage:
    (throwaway.folder / "Dockerfile").write_text(DOCKERFILE)
    return throwaway


def run(image: BundledImage, engine: DockerEngine, command: str) -> str:
    """Return what a command prints in a sandbox of ``image``."""
    with Sandbox(image.tag, engine=engine) as box:
        return "".join(chunk.get("content") or "" for chunk in box.run("shell", command)
                       if chunk.get("format") == "output").strip()


def history(engine: DockerEngine, image: str) -> str:
    """Return the instructions that made an image; "" for one that others have removed meanwhile."""
    try:
        return str(engine.client.history(image))  # type: ignore[no-untyped-call]  # so in the stubs
    except NotFound:
        return ""


def test_certificates_are_trusted_in_the_stage_and_gone_from_the_image(
        image: BundledImage, store: ImageStore, engine: DockerEngine) -> None:
    list(build.build(image, store, BuildOptions(ca=CA)))
    assert run(image, engine, "cat /usr/local/trusted-in-stage") == "True"
    assert run(image, engine, f'python3 -c "{TRUSTED}"') == "False"
    some_line = PEM.splitlines()[3]
    assert run(image, engine, f"grep -rlsF '{some_line}' /etc /usr /var /opt /home /workspace || echo none") == "none"
    assert run(image, engine, "ls /usr/local/share/ca-certificates | wc -l; ls -d /build /layer 2>&1 | wc -l") == "0\n2"
    info = store.image(image.tag)
    assert info is not None
    assert build.CA_LABEL not in info.labels


def test_the_store_of_the_image_is_the_parents_to_the_byte(
        image: BundledImage, store: ImageStore, engine: DockerEngine) -> None:
    list(build.build(image, store, BuildOptions(ca=CA)))
    listing = "find /etc/ssl/certs /etc/ca-certificates* -printf '%p %m %s %l\\n' | sort | sha256sum; "
    listing += "cat /etc/ssl/certs/ca-certificates.crt | sha256sum"
    assert run(image, engine, listing) == run(index.find("base"), engine, listing)


def test_the_package_index_reaches_the_stage_and_is_nowhere_in_the_image(
        image: BundledImage, store: ImageStore, engine: DockerEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    index_url = "https://user:secret@index.example/simple"
    monkeypatch.setenv("PIP_INDEX_URL", index_url)
    monkeypatch.setenv("http_proxy", "")
    list(build.build(image, store, BuildOptions()))
    assert int(run(image, engine, "cat /usr/local/length-of-index")) == len(index_url) + 1
    known = history(engine, image.tag) + str(engine.client.inspect_image(image.tag))  # type: ignore[no-untyped-call]  # so in the stubs
    assert "index.example" not in known
    assert run(image, engine, "grep -rlsF index.example /etc /usr /var /opt || echo none") == "none"


def test_the_layer_keeps_kinds_and_modes_and_leaves_caches_and_privileges_out(
        image: BundledImage, store: ImageStore, engine: DockerEngine) -> None:
    list(build.build(image, store, BuildOptions()))
    assert run(image, engine, "cat '/usr/local/second name' /usr/local/link") == "False\nFalse"
    paths = "/usr/local/link /usr/local/empty /etc/debian_version /usr/local/setuid"
    assert run(image, engine, f"stat -c '%F %a' {paths}") == (
        "symbolic link 777\ndirectory 700\nregular file 600\nregular file 755")
    assert run(image, engine, "ls /var/cache/apt/left /var/log/left 2>/dev/null | wc -l") == "0"
    assert run(image, engine, "stat -c %u:%g /workspace/.. /home/sandbox") == "0:0\n1000:1000"


def test_the_stage_itself_is_removed_and_its_parent_is_not(
        image: BundledImage, store: ImageStore, engine: DockerEngine) -> None:
    marker = f"mark-{secrets.token_hex(8)}"
    (image.folder / "Dockerfile").write_text(DOCKERFILE.replace("build-stage end", f"build-stage end; : {marker}"))
    list(build.build(image, store, BuildOptions(ca=CA)))
    unnamed = engine.client.images(filters={"dangling": True}, quiet=True)
    assert not [each for each in unnamed if marker in history(engine, each)]
    assert store.image(index.resolve("base")) is not None


def test_a_stage_that_changes_nothing_does_not_take_its_parent_along(
        image: BundledImage, store: ImageStore) -> None:
    (image.folder / "Dockerfile").write_text(
        "ARG PARENT\nFROM ${PARENT} AS stage\nFROM ${PARENT}\nCOPY --from=stage /etc/hostname /copied\n")
    list(build.build(image, store, BuildOptions()))
    assert store.image(image.tag) is not None
    assert store.image(index.resolve("base")) is not None


def test_an_unchanged_parent_is_not_copied_into_the_layer(image: BundledImage, store: ImageStore) -> None:
    list(build.build(image, store, BuildOptions()))
    base, built = store.image(index.resolve("base")), store.image(image.tag)
    assert base is not None
    assert built is not None
    assert built.size - base.size < 1_000_000


def test_a_build_that_fails_says_its_last_lines(image: BundledImage, store: ImageStore) -> None:
    (image.folder / "Dockerfile").write_text(
        "ARG PARENT\nFROM ${PARENT}\nRUN printf 'first\\n\\033]0;title\\007second\\n'; "
        f": {'long ' * 200}; exit 3\n")
    with pytest.raises(BuildFailed) as caught:
        list(build.build(image, store, BuildOptions()))
    assert "second" in str(caught.value)
    assert "returned a non-zero code: 3" in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert max(map(len, str(caught.value).splitlines())) < 320
    assert store.image(image.tag) is None


def test_a_changed_file_makes_it_stale_and_a_build_mends_that(image: BundledImage, store: ImageStore) -> None:
    assert build.stale(image, store) == "is not built yet"
    list(build.build(image, store, BuildOptions()))
    assert build.stale(image, store) is None
    Path(image.folder / "Dockerfile").write_text(DOCKERFILE + "ENV NEW=1\n")
    assert build.stale(image, store) == "was built from other files"
    list(build.build(image, store, BuildOptions()))
    assert build.stale(image, store) is None
