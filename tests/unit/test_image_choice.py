"""Which image a sandbox starts from: locked ones by their digest, and what an image's label takes from the policy."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, cast

import pytest

from sandbox_interpreter import config
from sandbox_interpreter.catalogue import index, pins
from sandbox_interpreter.catalogue.labels import POLICY_LABEL
from sandbox_interpreter.engines.base import ContainerEngine
from sandbox_interpreter.engines.image_base import ImageInfo, ImageStore
from sandbox_interpreter.errors import ConfigError, ImageDiffers, ImageMissing
from sandbox_interpreter.sandbox.policy import MIB, Policy
from sandbox_interpreter.sandbox.settle import Choice, settle
from sandbox_interpreter.values import parse_locks
from tests.support.image_store import MemoryStore

REF = "registry.example/team/python:1"
GOOD, BAD = "sha256:" + "a" * 64, "sha256:" + "b" * 64


class Engine:
    """An engine that has images and nothing else; ``asked`` counts who wanted them."""

    def __init__(self, store: MemoryStore) -> None:
        self.store, self.asked = store, 0

    def images(self) -> ImageStore:
        self.asked += 1
        return cast(ImageStore, self.store)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def have(store: MemoryStore, name: str, digest: str, **labels: str) -> None:
    repository = pins.repository_of(name)
    store.images[name] = ImageInfo("sha256:" + "1" * 64, (name,), 1, labels, (f"{repository}@{digest}",))


def chosen(store: MemoryStore, image: str, policy: Policy | None = None, *,
           locked: Mapping[str, str] | None = None) -> tuple[Choice, list[str]]:
    said: list[str] = []

    def pull(name: str, images: ImageStore) -> None:
        said.append(f"pulled {name}")
        have(store, name, name.partition("@")[2] or GOOD)

    engine = cast(ContainerEngine, Engine(store))
    return settle(image, policy or Policy(), engine, locked=locked or {}, provide=pull, notify=said.append), said


def test_a_bundled_image_that_is_not_locked_costs_the_engine_no_question(store: MemoryStore) -> None:
    engine = Engine(store)
    choice = settle("python", Policy(), cast(ContainerEngine, engine), locked={}, provide=lambda *_: None,
                    notify=lambda _: None)
    assert choice == Choice(index.resolve("python"), Policy())
    assert engine.asked == 0


def test_an_image_of_the_locked_digest_is_started_by_its_identifier(store: MemoryStore) -> None:
    have(store, REF, GOOD)
    assert chosen(store, REF, locked={REF: GOOD})[0].reference == "sha256:" + "1" * 64


def test_a_bundled_image_may_be_locked_by_its_name_and_its_identifier(store: MemoryStore) -> None:
    have(store, index.resolve("python"), BAD)
    assert chosen(store, "python", locked={"python": "sha256:" + "1" * 64})[0].reference == "sha256:" + "1" * 64


def test_another_image_under_the_same_name_is_refused_with_both_digests(store: MemoryStore) -> None:
    have(store, REF, BAD)
    with pytest.raises(ImageDiffers) as caught:
        chosen(store, REF, locked={REF: GOOD})
    assert GOOD in str(caught.value)
    assert BAD in str(caught.value)
    assert f"sbi images pull {REF}" in caught.value.next_step


def test_a_locked_image_that_is_absent_is_pulled_by_its_digest_and_gets_its_name(store: MemoryStore) -> None:
    choice, said = chosen(store, REF, locked={REF: GOOD})
    assert said == [f"pulled registry.example/team/python@{GOOD}"]
    assert choice.reference == store.images[REF].id


def test_a_registry_that_answers_with_another_image_is_refused(store: MemoryStore) -> None:
    def lie(name: str, _: object) -> None:
        have(store, name, BAD)

    with pytest.raises(ImageDiffers, match=BAD):
        settle(REF, Policy(), cast(ContainerEngine, Engine(store)), locked={REF: GOOD}, provide=lie,
               notify=lambda _: None)


def test_a_locked_bundled_image_is_not_built_since_that_would_be_another_one(store: MemoryStore) -> None:
    with pytest.raises(ImageMissing, match="'python' is locked to") as caught:
        chosen(store, "python", locked={"python": GOOD})
    assert "sbi images load FILE" in caught.value.next_step


def test_an_engine_without_digests_starts_nothing_that_is_locked() -> None:
    with pytest.raises(ImageDiffers, match="tells no digests"):
        settle(REF, Policy(), cast(ContainerEngine, object()), locked={REF: GOOD}, provide=lambda *_: None,
               notify=lambda _: None)


# --- what the image itself takes away ---


@pytest.mark.parametrize(("wanted", "changed"), [
    ({"memory": "256m"}, {"memory": 256 * MIB}), ({"memory": "64g"}, {}), ({"network": "none"}, {}),
    ({"timeout": "30", "pids": "64"}, {"timeout": 30.0, "pids": 64}), ({"timeout": "0"}, {}),
    ({"cpus": 1}, {"cpus": 1.0}),
    ({"output": "1m"}, {"output": MIB}), ({"idle": 60}, {"idle": 60.0}), ({"idle": "9000"}, {}),
])
def test_an_image_tightens_the_policy_and_widens_nothing(wanted: dict[str, Any], changed: dict[str, Any],
                                                         store: MemoryStore) -> None:
    have(store, REF, GOOD, **{POLICY_LABEL: json.dumps(wanted)})
    choice, said = chosen(store, REF)
    assert choice.policy == dataclasses.replace(Policy(), **changed)
    assert bool(said) is bool(changed)


def test_an_image_takes_the_network_away_and_says_so(store: MemoryStore) -> None:
    have(store, REF, GOOD, **{POLICY_LABEL: '{"network": "none", "memory": "256m"}'})
    choice, said = chosen(store, REF, Policy(network="full"))
    assert choice.policy.network == "none"
    assert said == [f"The image {REF} limits what runs in it: network none, memory 256m."]


@pytest.mark.parametrize("label", ["[]", "nonsense", '{"access": "rw"}', '{"runtime": "runc"}', '{"memory": "much"}',
                                   '{"env": "A=b"}', '{"network": "full"}', "[" * 100_000])
def test_an_image_whose_limits_cannot_be_understood_is_not_started(label: str, store: MemoryStore) -> None:
    have(store, REF, GOOD, **{POLICY_LABEL: label})
    with pytest.raises(ConfigError, match="label"):
        chosen(store, REF)


# --- the setting ---


@pytest.mark.parametrize("text", ["python", "python=sha256:abc", f"a b={GOOD}", f"={GOOD}"])
def test_a_lock_that_is_none_is_an_error(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SBI_LOCK", text)
    with pytest.raises(ConfigError, match="SBI_LOCK"):
        config.load()


def test_a_lock_is_a_map_by_name() -> None:
    assert parse_locks([f"python={GOOD}", f"{REF}={BAD}"]) == {"python": GOOD, REF: BAD}


@pytest.mark.parametrize(("reference", "repository"), [
    ("python", "python"), ("python:3", "python"), ("h:5000/a/b", "h:5000/a/b"), ("h:5000/a/b:1", "h:5000/a/b"),
    (f"h/a@{GOOD}", "h/a"), (f"h/a:1@{GOOD}", "h/a"),
])
def test_a_repository_is_a_reference_without_tag_and_digest(reference: str, repository: str) -> None:
    assert pins.repository_of(reference) == repository
