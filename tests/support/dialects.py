"""The same small programs in every language that keeps state, for the one contract that all kernels fulfil."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Dialect:
    """One language's words for what the contract asks; "" where the language has none.

    ``image`` is the bundled image to run it in. ``shown`` is what ``show`` says after ``assign``. ``line_2`` is how a
    failure names the second line. ``waiting`` waits for what never comes, where that is another thing than being busy.
    ``many`` is what ten thousand cells run. ``collect`` has the language's own collector run, and prints the KiB
    that are in use then, where the language counts them.
    """

    language: str
    image: str
    assign: str
    show: str
    fail_on_line_2: str
    endless: str
    many: str
    shown: str = "42\n"
    line_2: str = "line 2"
    value: str = ""
    both_streams: str = ""
    slow: str = ""
    letters: str = ""
    deaf: str = ""
    leave_with_7: str = ""
    crash: str = ""
    background: str = ""
    flood: str = ""
    question: str = ""
    picture: str = ""
    waiting: str = ""
    collect: str = ""

    def __str__(self) -> str:
        return self.language


PNG = ("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==")
"""A picture of one pixel, as base64."""

COLLECT_IN_NODE = ("require('v8').setFlagsFromString('--expose-gc'); require('vm').runInNewContext('gc')()\n"
                   "console.log(Math.round(process.memoryUsage().heapUsed / 1024))")

DIALECTS = [
    Dialect(
        language="python",
        image="python",
        assign="x = 41",
        show="print(x + 1)",
        fail_on_line_2="\nnosuch()",
        endless="while True: pass",
        waiting="import time\ntime.sleep(60)",
        many="def f(): return 1\nf()",
        collect="import gc\ngc.collect();",
        value="x = 42\nx",
        both_streams="import sys\nprint('out')\nprint('err', file=sys.stderr)",
        slow="import time\nfor i in range(3):\n    print(i, end='')\n    time.sleep(0.3)",
        letters="print('aéあ😀' * 100_000)",
        deaf=("import signal\nfor s in (signal.SIGINT, signal.SIGTERM): signal.signal(s, signal.SIG_IGN)\n"
              "while True: pass"),
        leave_with_7="import os; os._exit(7)",
        crash="import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
        background="import subprocess\np = subprocess.Popen(['sleep', '60'])\nprint('now')",
        flood="import os\nfor _ in range(20 * 16): os.write(1, b'x' * 65536)",
        question="name = input('name? ')\nprint('hello', name)",
        picture=f"import base64\nclass P:\n    def _repr_png_(self): return base64.b64decode('{PNG}')\ndisplay(P())",
    ),
    Dialect(
        language="shell",
        image="base",
        assign="x=41",
        show="echo $((x + 1))",
        fail_on_line_2="\nnosuch",
        endless="while :; do :; done",
        waiting="sleep 60",
        many="f() { y=$1; }; f $((y + 1)); (exit 0)",
        collect=":",
        both_streams="echo out; echo err >&2",
        slow="for i in 0 1 2; do printf $i; sleep 0.3; done",
        letters="printf 'aéあ😀%.0s' {1..100000}; echo",
        deaf="trap '' INT TERM URG; while :; do :; done",
        leave_with_7="exit 7",
        crash="kill -SEGV $$",
        background="sleep 60 &\necho now",
        flood="head -c 20971520 /dev/zero",
    ),
    Dialect(
        language="javascript",
        image="node",
        assign="let x = 41",
        show="console.log(x + 1)",
        fail_on_line_2="\nnosuch()",
        line_2="cell-1:2:1",
        endless="while (true) {}",
        waiting="await new Promise(() => {})",
        many="let y = 1; y",
        collect=COLLECT_IN_NODE,
        value="const x = 42; x",
        both_streams="console.log('out'); console.error('err')",
        slow=("for (let i = 0; i < 3; i++) { process.stdout.write(String(i)); "
              "await new Promise((done) => setTimeout(done, 300)) }"),
        letters="console.log('aéあ😀'.repeat(100_000))",
        deaf="process.on('SIGINT', () => {}); process.on('SIGTERM', () => {}); setTimeout(() => { while (true) {} })\n"
             "await new Promise(() => {})",
        leave_with_7="process.exit(7)",
        crash="process.kill(process.pid, 'SIGSEGV'); await new Promise(() => {})",
        background="require('child_process').spawn('sleep', ['60'], { stdio: 'inherit' })\nconsole.log('now')",
        flood="for (let i = 0; i < 20 * 16; i++) process.stdout.write('x'.repeat(65536)); 0",
        question="const name = prompt('name? ')\nconsole.log('hello ' + name)",
        picture=f"display(Buffer.from('{PNG}', 'base64'))",
    ),
    Dialect(
        language="typescript",
        image="node",
        assign="let x: number = 41",
        show="console.log(x + 1 as number)",
        fail_on_line_2="interface A { a: number }\nnosuch()",
        line_2="cell-1:2:1",
        endless="while (true as boolean) {}",
        waiting="await new Promise<void>(() => {})",
        many="let y: number = 1; y",
        collect=COLLECT_IN_NODE,
        value="const x: number = 42; x",
        question="const name: string = prompt('name? ')\nconsole.log('hello ' + name)",
    ),
    Dialect(
        language="ruby",
        image="ruby",
        assign="x = 41",
        show="puts x + 1",
        fail_on_line_2="\nnosuch()",
        line_2="cell-1:2",
        endless="loop {}",
        waiting="sleep",
        many="def f = 1\nf",
        collect="GC.start\nnil",
        value="x = 42\nx",
        both_streams="puts 'out'\nwarn 'err'",
        slow="3.times { |i| print i; sleep 0.3 }\nnil",
        letters="puts 'aéあ😀' * 100_000",
        deaf="trap('INT') {}\ntrap('TERM') {}\nloop {}",
        leave_with_7="exit!(7)",
        crash="Process.kill(:SEGV, Process.pid)\nsleep",
        background="spawn('sleep 60')\nputs 'now'",
        flood="(20 * 16).times { $stdout.write('x' * 65536) }\nnil",
        question="print 'name? '\nname = gets.chomp\nputs \"hello #{name}\"",
        picture=f"display '{PNG}'.unpack1('m')",
    ),
    Dialect(
        language="r",
        image="r",
        assign="x <- 41",
        show="cat(x + 1, '\\n', sep = '')",
        fail_on_line_2="y <- 1\nnosuch()",
        endless="while (TRUE) {}",
        waiting="Sys.sleep(60)",
        many="f <- function() 1\nf()",
        collect="cat(round(sum(gc()[, 2]) * 1024), '\\n')",
        value="x <- 42\nx",
        both_streams="cat('out\\n')\nmessage('err')",
        slow="for (i in 0:2) { cat(i); Sys.sleep(0.3) }",
        letters="cat(strrep('aéあ😀', 100000), '\\n', sep = '')",
        deaf="suspendInterrupts(while (TRUE) {})",
        leave_with_7="quit('no', 7)",
        crash="tools::pskill(Sys.getpid(), 11)\nSys.sleep(60)",
        background="system('sleep 60', wait = FALSE)\ncat('now\\n')",
        flood="for (i in 1:(20 * 16)) cat(strrep('x', 65536))",
        question="name <- readline('name? ')\ncat('hello ', name, '\\n', sep = '')",
        picture="plot(1:3)",
    ),
    Dialect(
        language="sql",
        image="base",
        assign="CREATE TABLE t AS SELECT 41 AS x",
        show="SELECT x + 1 AS y FROM t",
        fail_on_line_2="\nSELECT nosuch",
        endless="WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c",
        many="CREATE TABLE IF NOT EXISTS many (n); INSERT INTO many VALUES (1); DELETE FROM many",
        collect="PRAGMA shrink_memory",
        shown=" y\n--\n42\n(1 row)",
        value="SELECT 42 AS y",
    ),
]


def those_with(field: str) -> list[Dialect]:
    """Return the dialects that have a program for ``field``."""
    return [dialect for dialect in DIALECTS if getattr(dialect, field)]
