"""Who is measured, and as what: each with the set-up that its documentation recommends, and with its fast settings."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Peer:
    """One line of the table. ``driver`` is a module of ``drivers`` with its arguments, ``image`` a file of ``images``.

    ``requirement`` is what pip installs into the environment of its own, the system first; without one, it runs in
    this program's.
    """

    name: str
    set_up: str
    driver: tuple[str, ...]
    image: str
    requirement: str = ""

    @property
    def key(self) -> str:
        """Return its name in labels and tags."""
        return "-".join(self.driver).replace("_", "-")

    @property
    def environment(self) -> str:
        """Return the name of its environment's folder; peers with the same requirement share one."""
        return self.requirement.partition("[")[0].partition("=")[0]


# Pinned, so that a table can be had again; a newer one may need another driver.
_LLM_SANDBOX = "llm-sandbox[docker]==0.3.46"
_AUTOGEN = "autogen-ext[docker,docker-jupyter-executor]==0.7.5"

OURS = Peer("sandbox_interpreter", "`Sandbox()`, defaults", ("ours",), "ours")
PEERS = (
    OURS,
    Peer("llm-sandbox", "`SandboxSession`, defaults", ("llm_sandbox", "default"), "llm-sandbox", _LLM_SANDBOX),
    Peer("llm-sandbox", "`skip_environment_setup`, with an init", ("llm_sandbox", "fast"), "llm-sandbox", _LLM_SANDBOX),
    Peer("llm-sandbox", "`InteractiveSandboxSession`, IPython in the image, with an init",
         ("llm_sandbox", "interactive"), "llm-sandbox", _LLM_SANDBOX),
    Peer("autogen-ext", "`DockerCommandLineCodeExecutor`", ("autogen_docker",), "plain", _AUTOGEN),
    Peer("autogen-ext", "`DockerJupyterCodeExecutor`, image given", ("autogen_jupyter",), "jupyter", _AUTOGEN),
    Peer("smolagents", "`DockerExecutor`, image given", ("smolagents",), "jupyter", "smolagents[docker]==1.26.0"),
    Peer("SWE-ReX", "`DockerDeployment`, its server in the image; cells are `python3 -c` in a shell", ("swe_rex",),
         "swe-rex", "swe-rex==1.4.0 aiohttp"),  # which it imports and does not ask for
)
