"""An image that a stranger's .sbi.yaml chose, or that was pulled: it gets what every image gets, and no more."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from sandbox_interpreter.catalogue import index
from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.errors import SandboxInterpreterError
from sandbox_interpreter.sandbox import standby
from sandbox_interpreter.sandbox.policy import MIB, Policy
from sandbox_interpreter.sandbox.sandbox import Sandbox
from tests.support.images import MakeImage
from tests.support.runs import run


def writable(box: Sandbox) -> list[str]:
    code = ("find / -xdev \\( -path /proc -o -path /sys \\) -prune -o -type d -print 2>/dev/null "
            "| while read -r d; do touch \"$d/x\" 2>/dev/null && rm \"$d/x\" && echo \"$d\"; done; "
            "touch /srv/x /media/x 2>/dev/null && echo more; true")
    return run(box, "shell", code).stdout.split()


def test_a_volume_of_the_image_is_no_place_to_write_to(engine: DockerEngine, image: MakeImage) -> None:
    """The engine would make it on the host's disk, without a limit."""
    name = image('VOLUME ["/srv", "/media", "/tmp", "/home/sandbox", "/workspace"]')
    with Sandbox(name, engine=engine, policy=Policy(grace=0.5)) as box:
        assert writable(box) == ["/tmp", "/home/sandbox", "/workspace"]
        mounts = engine.client.inspect_container(box.container_id or "")["Mounts"]
        assert [mount["Destination"] for mount in mounts] == ["/workspace"]


def test_a_volume_is_none_in_a_sandbox_that_waits_either(engine: DockerEngine, image: MakeImage) -> None:
    wanted = standby.Wanted(image('VOLUME ["/srv"]'), Policy(grace=0.5), None)
    assert standby.leave(engine, wanted, most=1)
    claimed = standby.claim(engine, wanted, {})
    assert claimed is not None
    try:
        mounts = engine.client.inspect_container(claimed.instance.container.id)["Mounts"]
        assert [mount["Destination"] for mount in mounts] == ["/workspace"]
    finally:
        claimed.instance.discard()


def test_the_image_chooses_neither_user_nor_program_nor_port(engine: DockerEngine, image: MakeImage) -> None:
    name = image("USER root", 'ENTRYPOINT ["/bin/false"]', 'CMD ["sleep", "1"]', "EXPOSE 80", "WORKDIR /proc/self/fd/8",
                 "ENV HOME=/etc LD_LIBRARY_PATH=/nowhere")
    with Sandbox(name, engine=engine, policy=Policy(grace=0.5)) as box:
        assert run(box, "shell", "id -u; pwd; echo $HOME; grep -h ^CapBnd /proc/self/status").stdout.split() == [
            "1000", "/workspace", "/home/sandbox", "CapBnd:", "0" * 16]


def test_labels_of_the_image_stand_for_no_label_of_ours(engine: DockerEngine, image: MakeImage) -> None:
    mark = "org.sandbox-interpreter"
    name = image(f"LABEL {mark}.session=stolen {mark}.owner=1 {mark}.standby.folder=/etc")
    with Sandbox(name, engine=engine, policy=Policy(grace=0.5)) as box:
        run(box, "shell", "true")
        assert [each.id for each in engine.list({f"{mark}.session": box.session})] == [box.container_id]
        assert engine.list({f"{mark}.session": "stolen"}) == []
        assert standby.dismiss(engine) == []


@pytest.mark.parametrize("label", ['{"network": "full"}', '{"memory": "64g"}', '{"disk": "0"}', "[" * 3000, "{",
                                   '{"workspace": "/"}', '{"memory": {"a": 1}}', '{"pids": 1e999}'])
def test_a_policy_that_an_image_asks_for_widens_nothing(engine: DockerEngine, image: MakeImage, label: str) -> None:
    name = image(f"LABEL org.sandbox-interpreter.policy={json.dumps(label)}")
    policy = Policy(grace=0.5, memory=128 * MIB)
    box = Sandbox(name, engine=engine, policy=policy, notify=lambda _: None)
    try:
        run(box, "shell", "true")
        assert box.policy == policy
    except SandboxInterpreterError:
        pass  # it is not started at all
    finally:
        box.close()


# --- image.yaml: the record of an image in a checkout that somebody else has changed ---


@pytest.mark.parametrize("record", [
    "name: !!python/object/apply:os.system ['touch {mark}']", "&a [*a, *a]", "parent: x\nlanguages: 7\ndescription: d",
    "parent: p\nlanguages: [python]\ndescription: d\ndemo: d\nmegabytes: [1]", "- 1", "[" * 5000, "", "\0",
    "parent: &a ['x', *a]\nlanguages: *a",
])
def test_a_malicious_image_yaml_runs_nothing_and_is_an_error_that_names_it(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: str) -> None:
    file = tmp_path / "evil" / "image.yaml"
    file.parent.mkdir()
    file.write_text(record.replace("{mark}", str(tmp_path / "mark")))
    monkeypatch.setattr(index, "images_folder", lambda: tmp_path)
    index.bundled.cache_clear()
    try:
        with pytest.raises(SandboxInterpreterError, match=r"image\.yaml"):
            index.bundled()
    finally:
        monkeypatch.undo()
        index.bundled.cache_clear()
    assert not (tmp_path / "mark").exists()


def test_names_in_an_image_yaml_reach_no_shell_and_no_other_place(tmp_path: Path,
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "evil").mkdir()
    (tmp_path / "evil" / "image.yaml").write_text(yaml.safe_dump({
        "name": "../../x", "parent": "x; touch y", "languages": ["python"], "description": "\x1b[2J", "demo": "d"}))
    monkeypatch.setattr(index, "images_folder", lambda: tmp_path)
    index.bundled.cache_clear()
    try:
        (found,) = index.bundled().values()
        assert (found.name, found.tag.startswith("sbi-evil:"), found.folder) == ("evil", True, tmp_path / "evil")
    finally:
        monkeypatch.undo()
        index.bundled.cache_clear()
