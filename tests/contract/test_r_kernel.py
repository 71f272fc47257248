"""What R shows is shown to its end, and an interrupt in the midst of that swallows nothing that comes later."""

from __future__ import annotations

import time

from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.sandbox.policy import Policy
from sandbox_interpreter.sandbox.sandbox import Sandbox
from tests.support.runs import finish, run

# A method may divert what is printed, and an interrupt then finds two diversions: its own, and the kernel's.
DIVERTED = "print.slow <- function(x, ...) { sink(tempfile()); Sys.sleep(60) }\nstructure(1, class = 'slow')"


def test_an_interrupt_while_a_value_is_shown_leaves_no_output_diverted(engine: DockerEngine) -> None:
    with Sandbox("r", engine=engine, policy=Policy(grace=30)) as box:
        for _ in range(3):
            execution = box.execute("r", DIVERTED)
            time.sleep(0.5)
            execution.interrupt()
            assert finish(execution).result.exit_code == 130
        assert run(box, "r", "cat(42, '\\n')\nsink.number()").stdout == "42 \n"
        assert run(box, "r", "sink.number()").values == ["[1] 0"]


def test_a_diversion_that_code_asked_for_stays_from_cell_to_cell(engine: DockerEngine) -> None:
    with Sandbox("r", engine=engine, policy=Policy(grace=0.5)) as box:
        run(box, "r", "sink('kept.txt')")
        run(box, "r", "cat('here', '\\n')\nx <- 1\nx")
        assert run(box, "r", "sink()\ncat(readLines('kept.txt'), '\\n')").stdout == "here  \n"


def test_a_value_of_several_lines_is_shown_whole_and_without_its_last_line_end(engine: DockerEngine) -> None:
    with Sandbox("r", engine=engine) as box:
        assert run(box, "r", "print(c('é', '😀'))\nlist(1, 'é')").values == ["[[1]]\n[1] 1\n\n[[2]]\n[1] \"é\"\n"]
