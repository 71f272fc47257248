"""What every language without a kernel must do: each block is a program, built once for the same source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.languages import LANGUAGES
from sandbox_interpreter.sandbox.policy import Policy
from sandbox_interpreter.sandbox.sandbox import Sandbox, Script
from tests.support.runs import finish, run


@dataclass(frozen=True)
class Source:
    """The same small programs in one language."""

    language: str
    image: str
    hello: str
    fail_on_line_2: str
    line_2: str
    endless: str
    leave_with_7: str
    read: str

    def __str__(self) -> str:
        return self.language


SOURCES = [
    Source(
        language="c", image="cpp",
        hello='#include <stdio.h>\nint main(int n, char **v) { printf("é %d %s\\n", n, n > 1 ? v[1] : "-"); }',
        fail_on_line_2="int main(void) {\n  nosuch();\n}", line_2="main.c:2:",
        endless="int main(void) { for (;;) {} }",
        leave_with_7="int main(void) { return 7; }",
        read='#include <stdio.h>\nint main(void) { int c; while ((c = getchar()) != EOF) putchar(c); }'),
    Source(
        language="c++", image="cpp",
        hello=('#include <iostream>\nint main(int n, char **v) '
               '{ std::cout << "é " << n << " " << (n > 1 ? v[1] : "-") << "\\n"; }'),
        fail_on_line_2="int main() {\n  nosuch();\n}", line_2="main.cpp:2:",
        endless="int main() { volatile int n = 0; for (;;) { n = n + 1; } }",
        leave_with_7="int main() { return 7; }",
        read="#include <iostream>\nint main() { std::cout << std::cin.rdbuf(); }"),
    Source(
        language="go", image="go",
        hello=('package main\nimport ("fmt"; "os")\nfunc main() { a := append(os.Args, "-"); '
               'fmt.Println("é", len(os.Args), a[1]) }'),
        fail_on_line_2="package main\nfunc main() { nosuch() }", line_2="main.go:2:",
        endless="package main\nfunc main() { for {} }",
        leave_with_7='package main\nimport "os"\nfunc main() { os.Exit(7) }',
        read='package main\nimport ("io"; "os")\nfunc main() { io.Copy(os.Stdout, os.Stdin) }'),
    Source(
        language="java", image="java",
        hello=('class Helper {}\nclass Hello { public static void main(String[] a) { System.out.println("é " '
               '+ (a.length + 1) + " " + (a.length > 0 ? a[0] : "-")); } }'),
        fail_on_line_2="public class Any {\n  int n = nosuch;\n}", line_2="Any.java:2:",
        endless="class Main { public static void main(String[] a) { while (true) {} } }",
        leave_with_7="class Main { public static void main(String[] a) { System.exit(7); } }",
        read=("public class Copy { public static void main(String[] a) throws Exception "
              "{ System.in.transferTo(System.out); } }")),
]


@pytest.fixture(params=SOURCES, ids=str)
def source(request: pytest.FixtureRequest) -> Source:
    value: Source = request.param
    return value


@pytest.fixture
def box(engine: DockerEngine, source: Source) -> Iterator[Sandbox]:
    with Sandbox(source.image, engine=engine, policy=Policy(grace=0.5)) as sandbox:
        yield sandbox


def built(box: Sandbox) -> int:
    """Return how many programs are kept."""
    return int(run(box, "shell", "ls ~/.cache/sbi-programs 2>/dev/null | wc -l").stdout)


def test_every_language_without_a_kernel_stands_in_this_contract() -> None:
    programs = {language.name for language in LANGUAGES if not (language.kernel or language.is_built_in)}
    assert programs == {source.language for source in SOURCES}


def test_a_block_runs_and_is_built_once(box: Sandbox, source: Source) -> None:
    for _ in range(2):
        done = run(box, source.language, source.hello)
        assert (done.stdout, done.stderr, done.result.exit_code) == ("é 1 -\n", "", 0)
        assert built(box) == 1


def test_a_script_gets_arguments_and_stdin(box: Sandbox, source: Source) -> None:
    done = run(box, source.language, source.hello, script=Script("hello", ("ä b",)))
    assert done.stdout == "é 2 ä b\n"
    execution = box.execute(source.language, source.read, script=Script("read"), stdin="pipe")
    execution.send_stdin("grüße\n".encode())
    execution.close_stdin()
    assert finish(execution).stdout == "grüße\n"


def test_a_build_that_fails_names_the_users_own_line_and_nothing_is_kept(box: Sandbox, source: Source) -> None:
    done = run(box, source.language, source.fail_on_line_2)
    assert done.result.exit_code == 1
    assert source.line_2 in done.stderr
    assert "nosuch" in done.stderr
    assert "/tmp/" not in done.stderr
    assert built(box) == 0


def test_a_time_limit_ends_the_program(box: Sandbox, source: Source) -> None:
    done = run(box, source.language, source.endless, timeout=4)
    assert (done.result.exit_code, done.result.limit) == (124, "time")


def test_the_exit_code_is_the_programs_own(box: Sandbox, source: Source) -> None:
    assert run(box, source.language, source.leave_with_7).result.exit_code == 7


def test_a_file_of_the_workspace_is_built_from_its_neighbours(engine: DockerEngine) -> None:
    code = '#include <stdio.h>\n#include "n.h"\nint main(void) { printf("%d", N); }'
    with Sandbox("cpp", engine=engine) as box:
        for number in ("1", "2"):
            run(box, "shell", f"echo '#define N {number}' >n.h")
            assert run(box, "c", code).stdout == number
        assert built(box) == 2  # each time anew: what the header says is not in the source
        run(box, "shell", f"mkdir sub; echo '#define N 3' >sub/n.h; cat >sub/a.c <<'C'\n{code}\nC")
        assert run(box, "c", code, script=Script("/workspace/sub/a.c")).stdout == "3"


def test_only_so_many_programs_are_kept(engine: DockerEngine) -> None:
    with Sandbox("cpp", engine=engine) as box:
        for number in range(22):
            run(box, "c", f"int main(void) {{ return {number}; }}")
        assert built(box) == 20


def test_an_image_that_lacks_a_language_says_what_it_has_not(engine: DockerEngine) -> None:
    with Sandbox("base", engine=engine) as box:
        for language, command in (("javascript", "node"), ("c++", "g++"), ("java", "javac")):
            done = run(box, language, "1")
            assert (done.result.exit_code, done.failure.name) == (1, "KernelFailed")
            assert f"this image has no '{command}'" in done.failure.value
        assert run(box, "shell", "echo alive").stdout == "alive\n"
