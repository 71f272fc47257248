"""sbi run: what it hands back beside the program's streams: JSON lines, artifacts, pictures."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

import pytest

from tests.support.sbi_process import SECONDS, Commands

CONSOLE = {"role": "computer", "type": "console", "format": "output"}
PICTURE = "import matplotlib.pyplot as plt; plt.plot([1, 3, 2]); plt.show(); print('drawn')"
PNG = b"\x89PNG\r\n\x1a\n"


def events(output: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.decode("ascii").splitlines()]


def test_json_is_chunks_and_a_result(sbi: Commands) -> None:
    code = "import sys; print('ü', flush=True); print('oops', file=sys.stderr); sys.exit(3)"
    ended = sbi("run", "--json", "-c", code)
    *chunks, result = events(ended.out)
    assert (ended.code, ended.err) == (3, b"")
    assert chunks[0] == CONSOLE | {"start": True}
    assert chunks[-1] == CONSOLE | {"end": True}
    assert all(chunk.keys() == {"role", "type", "format", "content"} for chunk in chunks[1:-1])
    assert sorted("".join(chunk["content"] for chunk in chunks[1:-1]).split()) == ["oops", "ü"]
    assert list(result) == ["type", "exit_code", "duration_ms", "limit", "artifacts", "session", "image"]
    assert (result["type"], result["exit_code"], result["limit"], result["artifacts"]) == ("result", 3, None, [])
    assert 0 < result["duration_ms"] < SECONDS * 1000
    assert re.fullmatch(r"[0-9a-f]{12}", result["session"])
    assert re.fullmatch(r"sbi-python:[^@]+@sha256:[0-9a-f]{64}", result["image"])


def test_a_folder_that_is_copied_comes_back_and_what_is_kept_is_said(sbi: Commands) -> None:
    (work := sbi.folder / "work").mkdir()
    (work / "in.txt").write_text("6")
    (work / "main.sh").write_text("cat in.txt; rm in.txt; echo 42 > out.txt; exit 3")
    ended = sbi("run", "-w", "work:copy", "--artifact", "*.txt", "--out", "out", "work/main.sh")
    assert (ended.code, ended.out) == (3, b"6")
    assert ended.said == f"Deleted in the sandbox, kept in {work}: in.txt.\n"
    assert ((work / "in.txt").read_text(), (work / "out.txt").read_text()) == ("6", "42\n")
    assert (sbi.folder / "out/out.txt").read_text() == "42\n"


@pytest.mark.parametrize(("flags", "code", "limit", "expected"), [
    (["--timeout", "0.3"], "import time; time.sleep(60)", "time", 124),
    (["--memory", "64m"], "x = bytearray(200 << 20)", "memory", 137),
    (["--pids", "16", "-l", "shell"], "for each in $(seq 99); do sleep 9 & done; wait %99", "pids", 254),
    (["-l", "shell"], "cat /dev/zero > /tmp/full", "disk", 1),
    (["-l", "shell"], "cat /dev/zero > /dev/shm/full; false", "disk", 1),
])
def test_the_result_names_the_limit_that_ended_the_run(flags: list[str], code: str, limit: str, expected: int,
                                                       sbi: Commands) -> None:
    ended = sbi("run", "--json", *flags, "-c", code)
    result = events(ended.out)[-1]
    assert (ended.code, result["exit_code"], result["limit"]) == (expected, expected, limit)


def test_the_image_of_a_result_runs_the_same_again(sbi: Commands) -> None:
    image = events(sbi("run", "--json", "-c", "pass").out)[-1]["image"]
    digest = image.partition("@")[2]
    assert sbi("run", "--image", digest, "-c", "print(1)").out == b"1\n"


def test_events_come_while_the_program_runs(sbi: Commands) -> None:
    process = sbi.start("run", "--json", "-c", "import sys; print('up', flush=True); sys.stdin.read()")
    assert process.stdout is not None
    assert json.loads(process.stdout.readline()) == CONSOLE | {"start": True}
    assert json.loads(process.stdout.readline()) == CONSOLE | {"content": "up\n"}
    out, _ = process.communicate(timeout=SECONDS)
    assert events(out)[-1]["exit_code"] == 0


def test_artifacts_are_copied_out_also_after_a_failure(sbi: Commands) -> None:
    code = """
import os
os.makedirs("out/deep"); os.makedirs(".hidden")
for name in ("a.txt", "b.csv", "out/c.csv", "out/deep/d.csv", ".hidden/e.csv"):
    open(name, "wb").write(name.encode() * 1000)
os.symlink("/etc/passwd", "link.csv")
raise SystemExit(9)
"""
    ended = sbi("run", "--json", "--artifact", "*.csv", "--artifact", "out/**", "--out", "results/new", "-c", code)
    result = events(ended.out)[-1]
    copied = ["results/new/b.csv", "results/new/out/c.csv", "results/new/out/deep/d.csv"]
    assert (ended.code, sorted(result["artifacts"])) == (9, copied)
    found = sorted(str(path.relative_to(sbi.folder)) for path in sbi.folder.rglob("*") if path.is_file())
    assert found == copied
    assert (sbi.folder / "results/new/out/c.csv").read_bytes() == b"out/c.csv" * 1000


def test_artifacts_are_copied_out_after_the_time_limit(sbi: Commands) -> None:
    code = "open('part', 'w').write('x'); import time; time.sleep(60)"
    assert sbi("run", "--timeout", "0.5", "--artifact", "part", "--out", ".", "-c", code).code == 124
    assert (sbi.folder / "part").read_text() == "x"


def test_a_pattern_that_matches_nothing_is_no_failure(sbi: Commands) -> None:
    ended = sbi("run", "--artifact", "*.none", "--out", "results", "-c", "print(1)")
    assert (ended.code, ended.out, ended.err) == (0, b"1\n", b"")


def test_a_large_artifact_arrives_intact(sbi: Commands) -> None:
    code = """
import hashlib, os
data = os.urandom(1 << 20) * 40
open("big", "wb").write(data)
print(hashlib.sha256(data).hexdigest())
"""
    ended = sbi("run", "--artifact", "big", "--out", ".", "-c", code)
    seen = subprocess.run(["sha256sum", sbi.folder / "big"], capture_output=True, text=True, check=True).stdout
    assert seen.split()[0] == ended.out.decode().strip()


def test_a_link_planted_by_code_does_not_lead_a_copy_outside(sbi: Commands) -> None:
    sbi.folder.chmod(0o777)
    outside = sbi.folder.parent / "outside"
    outside.mkdir(mode=0o777)
    code = f"import os; os.symlink({str(outside)!r}, 'results'); open('a', 'w').write('x')"
    ended = sbi("run", "-w", ".", "--artifact", "a", "--out", "results", "-c", code)
    assert ended.code == 125
    assert "results" in ended.said
    assert "could not be written" in ended.said
    assert list(outside.iterdir()) == []


def test_a_copy_that_fails_does_not_hide_the_programs_own_failure(sbi: Commands) -> None:
    sbi.folder.chmod(0o777)
    ended = sbi("run", "-w", ".", "--artifact", "a", "--out", "out", "-c",
                "open('a', 'w').close(); open('out', 'w').close(); raise SystemExit(4)")
    assert ended.code == 4
    assert "could not be written" in ended.said


def test_pictures_are_saved_to_the_out_folder(sbi: Commands) -> None:
    ended = sbi("run", "--out", "pictures", "-c", PICTURE)
    assert (ended.code, ended.out) == (0, b"drawn\n")
    assert (sbi.folder / "pictures" / "figure-1.png").read_bytes().startswith(PNG)


def test_pictures_are_chunks_and_artifacts_in_json(sbi: Commands) -> None:
    ended = sbi("run", "--json", "--out", "pictures", "-c", PICTURE)
    *chunks, result = events(ended.out)
    kinds = [chunk["format"] for chunk in chunks if chunk["type"] == "image"]
    assert kinds == ["base64.png"] * 3
    assert result["artifacts"] == ["pictures/figure-1.png"]
    assert (sbi.folder / "pictures" / "figure-1.png").read_bytes().startswith(PNG)


def test_a_picture_nobody_asked_for_leaves_the_streams_clean(sbi: Commands) -> None:
    ended = sbi("run", "-c", PICTURE)
    assert (ended.code, ended.out, ended.err) == (0, b"drawn\n", b"")
    assert list(sbi.folder.iterdir()) == []
