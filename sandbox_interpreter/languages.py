"""The languages that can be run, each as one record. Adding a language is one record here and one kernel file.

docs/languages.md shows how, by adding one.
"""

from __future__ import annotations

from pathlib import Path, PurePath

from sandbox_interpreter.errors import UnknownLanguage
from sandbox_interpreter.frozen import frozen

_KERNELS = Path(__file__).parent / "agent" / "kernels"


@frozen
class Language:
    """One language: its name, how people and models write it, its file suffixes, its syntax lexer, and how it runs.

    ``program`` runs a file as a program, ``build`` makes one first; their words may be ``{file}`` (the source),
    ``{folder}`` (where it lies), ``{name}`` (its name without suffix) and ``{program}`` (what was built). What was
    built is kept for the next run of the same source, unless that matches ``includes``: then it depends on other files.
    ``main`` are patterns; the group of the first that is found in the source names its file.

    ``kernel`` keeps state from cell to cell. It names a file in ``agent/kernels``: one that ends in ``.py`` is a
    CellRunner and runs in the agent's own Python; before any other stand the words of the command that runs it.
    ``kernel_rest`` is the second half of that file, for one that would be too long. A language without a kernel runs
    each cell as a program; one without ``program`` runs a file as one cell. Python and shell have neither: their
    kernels are the agent's own. A ``guarded`` kernel says when it can be interrupted (agent/permit.py).
    """

    name: str
    aliases: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ()
    lexer: str = ""
    kernel: tuple[str, ...] = ()
    kernel_rest: str = ""
    program: tuple[str, ...] = ()
    build: tuple[str, ...] = ()
    includes: str = ""
    main: tuple[str, ...] = ()
    guarded: bool = False

    @property
    def highlight(self) -> str:
        """Return the name that the syntax highlighter knows this language by."""
        return self.lexer or self.name

    @property
    def suffix(self) -> str:
        """Return the suffix that a file of this language has."""
        return self.suffixes[0] if self.suffixes else ""

    @property
    def is_built_in(self) -> bool:
        """Tell whether the agent brings this language with it."""
        return not (self.kernel or self.program)

    def kernel_source(self) -> bytes:
        """Return the kernel file's contents; nothing for a language that has none."""
        if not self.kernel:
            return b""
        return b"".join((_KERNELS / name).read_bytes() for name in (self.kernel[-1], self.kernel_rest) if name)


_NODE = ("node", "--no-warnings", "javascript.js")

_R = ("Rscript", "--no-save", "--no-init-file")
_C = ("-O1", "-g", "-Wall", "-pthread", "-I/workspace")
_KIND = r"\b(?:class|record|enum|interface)\s"
_TYPE = rf"{_KIND}+(\w+)"
_JAVA = (rf"^\s*public\s+(?:\w+\s+)*?{_TYPE}", rf"{_TYPE}(?:(?!{_KIND}).)*?\bvoid\s+main\s*\(", _TYPE)
"""A public type names its file; else the one that has ``main`` is to be started."""

LANGUAGES = (
    Language("python", ("py", "python3", "ipython"), (".py", ".pyw")),
    Language("shell", ("sh", "bash", "zsh", "console", "terminal", "shell-session"), (".sh", ".bash"), "bash"),
    Language("javascript", ("js", "node", "nodejs", "mjs", "cjs", "jsx"), (".js", ".mjs", ".cjs"),
             kernel=_NODE, kernel_rest="javascript_modules.js", program=("node", "{file}"), guarded=True),
    Language("typescript", ("ts", "tsx", "mts"), (".ts", ".mts", ".cts", ".tsx"),
             kernel=_NODE, kernel_rest="javascript_modules.js", program=("tsx", "{file}"), guarded=True),
    Language("ruby", ("rb", "irb"), (".rb",), kernel=("ruby", "ruby.rb"), program=("ruby", "{file}"),
             guarded=True),
    Language("r", ("rscript", "rlang"), (".r",), kernel=(*_R, "r.R"), program=(*_R, "{file}"), guarded=True),
    Language("c", ("gcc",), (".c",), build=("gcc", *_C, "-std=gnu17", "-o", "{program}", "{file}", "-lm"),
             program=("{program}",), includes=r'#\s*include\s*"'),
    Language("c++", ("cpp", "cxx", "cc", "cplusplus", "g++"), (".cpp", ".cc", ".cxx"), "cpp",
             build=("g++", *_C, "-std=gnu++23", "-o", "{program}", "{file}"), program=("{program}",),
             includes=r'#\s*include\s*"'),
    Language("go", ("golang",), (".go",), build=("go", "build", "-o", "{program}", "{file}"), program=("{program}",)),
    Language("java", (), (".java",), build=("javac", "-encoding", "UTF-8", "-d", "{program}", "{file}"),
             program=("java", "-cp", "{program}", "{name}"), main=_JAVA),
    Language("html", ("htm", "xhtml"), (".html", ".htm"), kernel=("html.py",)),
    Language("sql", ("sqlite", "sqlite3"), (".sql",), kernel=("sql.py",)),
)

_DOCUMENTS = frozenset({"css", "xml", "svg"})
"""What models write into blocks as if it were to run."""

_BY_NAME = {name: language for language in LANGUAGES for name in (language.name, *language.aliases)}
_BY_SUFFIX = {suffix: language for language in LANGUAGES for suffix in language.suffixes}


def find(name: str) -> Language:
    """Return the language that ``name`` means, whatever its case.

    Raises UnknownLanguage with the nearest names.
    """
    wanted = str(name).strip().lower()  # a program may have passed None
    language = _BY_NAME.get(wanted)
    if language is None:
        import difflib  # only where there is a mistake to mend

        near = difflib.get_close_matches(wanted, _BY_NAME, n=1)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        if wanted in _DOCUMENTS:
            hint = "It is a document, which does not run: write it to a file in /workspace. "
        known = ", ".join(language.name for language in LANGUAGES)
        raise UnknownLanguage(f"Unknown language {str(name)[:40]!r}.", next_step=f"{hint}Known languages: {known}.")
    return language


def of_file(path: PurePath) -> Language | None:
    """Return the language that a file's suffix tells, or None where it does not tell."""
    return _BY_SUFFIX.get(path.suffix.lower())
