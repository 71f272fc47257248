from __future__ import annotations

import threading
from pathlib import Path

import pytest

from sandbox_interpreter.catalogue import build, context, index
from sandbox_interpreter.catalogue.build import BuildOptions
from sandbox_interpreter.catalogue.certificates import Certificates
from sandbox_interpreter.catalogue.lock import BuildLock
from sandbox_interpreter.engines.image_base import Progress
from sandbox_interpreter.errors import ConfigError, ImageMissing
from tests.support.certificate import PEM
from tests.support.image_store import MemoryStore

CA = Certificates((PEM.encode(),))


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    store.add("debian:trixie-slim")
    return store


def run(store: MemoryStore, name: str = "python", how: BuildOptions | None = None) -> list[str]:
    """Build; return the tags that were built for it."""
    before = len(store.builds)
    list(build.build(index.find(name), store, how or BuildOptions()))
    return [each.tag.partition(":")[0] for each in store.builds[before:]]


def label(store: MemoryStore, name: str, label: str) -> str | None:
    info = store.image(index.resolve(name))
    assert info is not None
    return info.labels.get(label)


def test_parents_are_built_first_and_named_in_labels(store: MemoryStore) -> None:
    assert run(store) == ["sbi-base", "sbi-python"]
    base = store.image(index.resolve("base"))
    assert base is not None
    assert label(store, "python", build.PARENT_LABEL) == base.id
    assert label(store, "python", build.NAME_LABEL) == "python"


def test_what_is_up_to_date_is_not_built_again(store: MemoryStore) -> None:
    run(store)
    assert run(store) == []
    assert not build.needs_build(index.find("python"), store)


def test_changed_files_make_an_image_and_its_children_stale(store: MemoryStore,
                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    run(store)
    original = context.files
    monkeypatch.setattr(context, "files", lambda folder: original(folder) | (
        {"new": b""} if folder.name == "base" else {}))
    assert build.stale(index.find("base"), store) == "was built from other files"
    assert build.stale(index.find("python"), store) == "was built from other files"
    assert run(store) == ["sbi-base", "sbi-python"]


def test_a_parent_that_was_rebuilt_makes_its_child_stale(store: MemoryStore) -> None:
    run(store)
    assert run(store, "base", BuildOptions(use_cache=False)) == ["sbi-base"]
    assert build.stale(index.find("python"), store) == "was built on another parent"
    assert run(store) == ["sbi-python"]


def test_without_the_cache_only_the_named_image_is_built_anew(store: MemoryStore) -> None:
    run(store)
    assert run(store, "python", BuildOptions(use_cache=False)) == ["sbi-python"]
    assert store.builds[-1].use_cache is False


def test_an_image_from_a_file_needs_no_parent(store: MemoryStore) -> None:
    run(store)
    del store.images[index.resolve("base")]
    assert build.stale(index.find("python"), store) is None


def test_the_hosts_certificates_are_in_the_context_and_in_no_label(store: MemoryStore) -> None:
    run(store, "python", BuildOptions(ca=CA))
    assert all(each.files["host-ca.crt"] == CA.pem for each in store.builds)
    assert label(store, "python", build.CA_LABEL) is None


def test_without_certificates_the_context_has_no_file_for_them(store: MemoryStore) -> None:
    run(store)
    assert all("host-ca.crt" not in each.files for each in store.builds)


def test_with_ca_adds_a_layer_to_the_named_image_alone(store: MemoryStore) -> None:
    how = BuildOptions(ca=CA, with_ca=True)
    assert run(store, how=how) == ["sbi-base", "sbi-python", "sbi-python"]
    assert label(store, "python", build.CA_LABEL) == CA.digest
    assert label(store, "base", build.CA_LABEL) is None
    assert run(store, how=how) == []


def test_a_child_of_an_image_that_trusts_inherits_it_without_a_layer(store: MemoryStore) -> None:
    how = BuildOptions(ca=CA, with_ca=True)
    assert run(store, "base", how) == ["sbi-base", "sbi-base"]
    assert run(store, "python", how) == ["sbi-python"]
    assert label(store, "python", build.CA_LABEL) == CA.digest


def test_the_trust_can_be_taken_away_again(store: MemoryStore) -> None:
    run(store, how=BuildOptions(ca=CA, with_ca=True))
    assert run(store, how=BuildOptions(ca=CA, with_ca=False)) == ["sbi-python"]
    assert label(store, "python", build.CA_LABEL) is None


def test_a_plain_build_leaves_the_trust_as_it_is(store: MemoryStore) -> None:
    run(store, how=BuildOptions(ca=CA, with_ca=True))
    assert run(store, how=BuildOptions(ca=CA)) == []
    assert run(store, how=BuildOptions(ca=CA, use_cache=False)) == ["sbi-python", "sbi-python"]
    assert label(store, "python", build.CA_LABEL) == CA.digest


def test_ensure_keeps_an_image_that_trusts(store: MemoryStore) -> None:
    run(store, how=BuildOptions(ca=CA, with_ca=True))
    said: list[Progress] = []
    assert build.ensure("python", store, said.append) == index.resolve("python")
    assert said == []
    assert label(store, "python", build.CA_LABEL) == CA.digest


def test_ensure_announces_and_builds_what_is_missing(store: MemoryStore) -> None:
    said: list[Progress] = []
    assert build.ensure("python", store, said.append) == index.resolve("python")
    assert "'python' is not built yet" in said[0].text
    assert store.image(index.resolve("python")) is not None
    assert len([step for step in said if not step.total]) < 10


def test_ensure_pulls_what_is_not_bundled(store: MemoryStore) -> None:
    store.in_registry.add("example.org/r:4")
    assert build.ensure("example.org/r:4", store, lambda _: None) == "example.org/r:4"
    assert build.ensure("example.org/r:4", store, lambda _: None) == "example.org/r:4"
    assert store.asked_registry == ["example.org/r:4"]


def test_a_misspelt_name_is_told_the_nearest(store: MemoryStore) -> None:
    with pytest.raises(ImageMissing) as caught:
        build.ensure("pyton", store, lambda _: None)
    assert "'python'" in caught.value.next_step


def test_with_ca_without_a_bundle_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match="no CA bundle"):
        build.options(with_ca=True)


def test_a_second_build_waits_for_the_first_and_says_so(store: MemoryStore) -> None:
    said: list[str] = []
    waiting = threading.Event()

    def second() -> None:
        for step in build.build(index.find("base"), store, BuildOptions()):
            said.append(step.text)
            waiting.set()

    with BuildLock() as lock:
        assert lock.try_acquire()
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(5)
        assert said == ["Waiting for another build to end"]
        assert store.builds == []
    thread.join(5)
    assert [each.tag for each in store.builds] == [index.resolve("base")]


def test_the_lock_is_free_after_a_build_that_was_abandoned(store: MemoryStore, tmp_path: Path) -> None:
    steps = build.build(index.find("base"), store, BuildOptions())
    next(steps)
    del steps
    with BuildLock() as lock:
        assert lock.try_acquire()
