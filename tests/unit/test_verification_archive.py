"""An image's export, as old and new engines write it, and as somebody hostile might."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Iterator

import pytest

from sandbox_interpreter.errors import EngineError
from sandbox_interpreter.verification import archive

KEY = b"-----BEGIN OPENSSH PRIVATE KEY-----\n" + b"b3BlbnNzaC1rZXktdjEA" * 4 + b"\n"


def tar(files: dict[str, bytes], modes: dict[str, int] | None = None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as made:
        for name, data in files.items():
            entry = tarfile.TarInfo(name.rstrip("/"))
            entry.mode = (modes or {}).get(name, 0o644)
            entry.size = len(data)
            if name.endswith("/"):
                entry.type = tarfile.DIRTYPE
            made.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def image(*layers: bytes, **config: object) -> dict[str, bytes]:
    names = [f"{number}/layer.tar" for number in range(len(layers))]
    record = {"config": config, "history": [{"created_by": "RUN x"}]}
    manifest = [{"Config": "c.json", "Layers": names, "RepoTags": None}]
    return {**dict(zip(names, layers, strict=True)), "c.json": json.dumps(record).encode(),
            "manifest.json": json.dumps(manifest).encode()}


def pieces(files: dict[str, bytes], size: int = 1000) -> Iterator[bytes]:
    data = tar(files)
    return (data[start:start + size] for start in range(0, len(data), size))


def test_configuration_history_and_files_are_read() -> None:
    found = archive.read(pieces(image(tar({"etc/": b"", "etc/x": b"1"}, {"etc/x": 0o4755}), User="1000")))
    assert found.settings == {"User": "1000"}
    assert found.history == ["RUN x"]
    assert found.files()["/etc/x"].mode == 0o4755
    assert found.files()["/etc"].is_folder


@pytest.mark.parametrize("size", [1, 511, 100_000])
def test_the_pieces_may_be_of_any_size(size: int) -> None:
    assert "/a" in archive.read(pieces(image(tar({"./a": b"x"})), size)).files()


def test_packed_layers_are_read_too() -> None:
    assert "/a" in archive.read(pieces(image(gzip.compress(tar({"a": b"x"}))))).files()


def test_an_upper_layer_hides_files_and_folders_and_what_was_in_them() -> None:
    lower = tar({"a/": b"", "a/x": b"1", "b/": b"", "b/y": b"1", "c": b"1", "cc": b"1"})
    upper = tar({".wh.c": b"", "a/.wh..wh..opq": b"", "a/new": b"1", ".wh.b": b""})
    assert set(archive.read(pieces(image(lower, upper))).files()) == {"/a", "/a/new", "/cc"}


def test_a_secret_in_a_layer_is_found_though_an_upper_one_hides_it() -> None:
    found = archive.read(pieces(image(tar({"root/id": KEY}), tar({"root/.wh.id": b""}))))
    assert "/root/id" not in found.files()
    assert found.layers[0].found == ["/root/id holds a private key"]


def test_layers_are_in_the_manifests_order_and_equal_ones_are_stored_once() -> None:
    files = image(tar({"a": b"1"}), tar({".wh.a": b""}))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as made:
        link = tarfile.TarInfo("2/layer.tar")
        link.type, link.linkname = tarfile.SYMTYPE, "../0/layer.tar"
        manifest = [{"Config": "c.json", "Layers": ["0/layer.tar", "1/layer.tar", "2/layer.tar"]}]
        for name, data in {**files, "manifest.json": json.dumps(manifest).encode()}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            made.addfile(entry, io.BytesIO(data))
        made.addfile(link)
    found = archive.read([buffer.getvalue()])
    assert len(found.layers) == 3
    assert "/a" in found.files()


@pytest.mark.parametrize("data", [
    b"", b"garbage" * 200, tar({}), tar({"manifest.json": b"[]"}), tar({"manifest.json": b"{"}),
    tar({"manifest.json": b'[{"Config": "gone", "Layers": []}]'}), tar({"0/layer.tar": gzip.compress(b"no tar")}),
    tar(image(tar({"a": b"x" * 2000})))[:3000],
], ids=range(8))
def test_what_is_no_image_is_an_error(data: bytes) -> None:
    with pytest.raises(EngineError, match="cannot be read"):
        archive.read([data])


def test_a_huge_description_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "_MOST_JSON", 100)
    with pytest.raises(EngineError, match="too large"):
        archive.read(pieces(image(Env=["A=" + "x" * 200])))


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_head_of_gigabytes_is_refused_before_it_is_read(kind: bytes) -> None:
    head = tarfile.TarInfo("x")
    head.type, head.size = kind, 2 * 1024**3
    layer = head.tobuf(tarfile.GNU_FORMAT) + b"x" * 4096
    with pytest.raises(EngineError, match="head that is too large"):
        archive.read(pieces(image(layer)))


def test_heads_behind_heads_without_end_are_refused() -> None:
    head = tarfile.TarInfo("x")
    head.type, head.size = tarfile.GNUTYPE_LONGNAME, 2
    with pytest.raises(EngineError, match="cannot be read"):
        archive.read(pieces(image((head.tobuf(tarfile.GNU_FORMAT) + b"a".ljust(512, b"\0")) * 3000), 100_000))


def test_a_long_name_is_read() -> None:
    name = "a" * 90 + "/" + "b" * 200
    assert f"/{name}" in archive.read(pieces(image(tar({name: b"x"})))).files()
