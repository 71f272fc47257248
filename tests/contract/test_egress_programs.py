"""The programs that people download with, through the relay, against servers of this machine's that the user listed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.sandbox import way_out
from sandbox_interpreter.sandbox.gate import Decision, Gate
from sandbox_interpreter.sandbox.policy import GIB, Policy
from sandbox_interpreter.sandbox.sandbox import Sandbox
from tests.support import authority, packages
from tests.support.authority import Authority
from tests.support.runs import run
from tests.support.web import Web, web


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority.make(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(trusted: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """Give a server that speaks TLS with a certificate which only the test's authority vouches for."""
    with web(trusted.identity) as made:
        made.folder = tmp_path_factory.mktemp("served")
        yield made


def sandbox(engine: DockerEngine, image: str, server: Web, trusted: Authority, env: dict[str, str]) -> Sandbox:
    network = f"127.0.0.1:{server.server_port}"
    return Sandbox(image, engine=engine, policy=Policy(network=network, grace=0.5), env=env,
                   way_out=way_out.make(network, pem=trusted.pem))


@pytest.fixture(scope="module")
def box(engine: DockerEngine, server: Web, trusted: Authority) -> Iterator[Sandbox]:
    with sandbox(engine, "python", server, trusted, {"PIP_INDEX_URL": f"{server.url}/files/simple"}) as made:
        yield made


def said(box: Sandbox, code: str, language: str = "shell") -> str:
    done = run(box, language, code)
    return (done.stdout or done.stderr).strip()


def test_curl_checks_the_servers_certificate_through_the_tunnel(box: Sandbox, server: Web) -> None:
    assert said(box, f"curl -sS {server.url}/size/1000000 | wc -c") == "1000000"
    assert "certificate" in said(box, f"env -u CURL_CA_BUNDLE -u SSL_CERT_FILE curl -sS {server.url}/size/1")


def test_requests_keeps_a_session_open(box: Sandbox, server: Web) -> None:
    code = (f"import requests\nwith requests.Session() as session:\n"
            f"    print(*[len(session.get('{server.url}/size/%d' % size).content) for size in (10, 200_000, 30)])")
    assert said(box, code, "python") == "10 200000 30"


def test_git_clones_over_https(box: Sandbox, server: Web) -> None:
    script = """set -e; git init -q one; cd one; echo hello >file; git add file
        git -c user.name=a -c user.email=a@example.com commit -qm first; cd ..
        git clone -q --bare one served.git; cd served.git; git update-server-info"""
    subprocess.run(["sh", "-c", script], cwd=server.folder, check=True, timeout=30)
    assert said(box, f"git clone -q {server.url}/files/served.git /tmp/clone && cat /tmp/clone/file") == "hello"


def test_pip_installs_from_an_index_over_https(box: Sandbox, server: Web) -> None:
    packages.offer_wheel(server.folder / "simple")
    assert said(box, packages.PIP_PRINTS) == "1"


def test_npm_installs_from_a_registry_over_https(engine: DockerEngine, server: Web, trusted: Authority) -> None:
    packages.offer_npm(server.folder / "npm", f"{server.url}/files/npm/")
    with sandbox(engine, "node", server, trusted, {"npm_config_registry": f"{server.url}/files/npm/"}) as box:
        assert said(box, packages.NPM_PRINTS) == "22"


PAGE = """<!doctype html><title>none</title><script src="http://static.example.test:{port}/files/page.js"></script>
<img src="http://elsewhere.test:{port}/files/pixel"><img src="http://169.254.169.254/latest/meta-data">"""


def test_chromium_loads_a_page_and_what_it_needs_from_listed_hosts_only(
        engine: DockerEngine, trusted: Authority, tmp_path: Path) -> None:
    decisions: list[Decision] = []
    with web() as plain, web(trusted.identity) as secure:
        for each in (plain, secure):
            each.folder = tmp_path
        (tmp_path / "page.js").write_text("document.title = 'loaded by a script';")
        (tmp_path / "page.html").write_text(PAGE.format(port=plain.server_port))
        (tmp_path / "safe.html").write_text("<!doctype html><title>over TLS</title>")
        network = "*.example.test,127.0.0.1"
        out = way_out.make(network)._replace(  # names, since Chromium asks no proxy for the loopback
            gate=Gate(network, record=decisions.append, resolve=lambda _name, _port: ["127.0.0.1"]))
        code = f"""
from selenium import webdriver
import sandbox_browser
with sandbox_browser.start() as browser:
    browser.get('http://www.example.test:{plain.server_port}/files/page.html')
    print(browser.title)
    browser.get('http://elsewhere.test:{plain.server_port}/files/page.html')
    print(browser.execute_script("return performance.getEntriesByType('navigation')[0].responseStatus"))
    print("Forbidden by the sandbox's setting network" in browser.page_source)
options = webdriver.ChromeOptions()
options.binary_location = '/usr/bin/chromium'
options.accept_insecure_certs = True
for argument in ('headless=new', 'no-sandbox', 'disable-dev-shm-usage'):
    options.add_argument('--' + argument)
with webdriver.Chrome(options=options, service=webdriver.ChromeService('/usr/bin/chromedriver')) as browser:
    browser.get('https://secure.example.test:{secure.server_port}/files/safe.html')
    print(browser.title)
"""
        policy = Policy(network=network, grace=0.5, memory=2 * GIB, pids=512)
        with Sandbox("browser", engine=engine, policy=policy, way_out=out) as box:
            done = run(box, "python", code)
        assert done.stdout.splitlines() == ["loaded by a script", "403", "True", "over TLS"], done.stderr
        reached = {(each.host, each.allowed) for each in decisions}
        assert {("www.example.test", True), ("static.example.test", True), ("secure.example.test", True),
                ("elsewhere.test", False)} <= reached  # link-local addresses Chromium tries itself, where no way leads
        assert not any("elsewhere" in each for each in plain.seen)
