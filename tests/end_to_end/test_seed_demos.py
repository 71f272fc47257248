"""What the seed was shown to do, each done inside a bundled image without a network, and looked at from outside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.sandbox.outputs import Display
from sandbox_interpreter.sandbox.policy import GIB, Policy
from sandbox_interpreter.sandbox.sandbox import Sandbox
from tests.support.runs import Run, run

DRAW_A_PHOTO = """
from PIL import Image
photo = Image.merge("RGB", [Image.linear_gradient("L").rotate(angle).resize((1600, 1200)) for angle in (0, 90, 180)])
photo.save("photo.jpg")
"""
WATERMARK = """
from PIL import Image, ImageDraw, ImageFont
small = Image.open("photo.jpg").resize((800, 600))
plain = small.copy()
font = ImageFont.truetype("DejaVuSans.ttf", 36)
ImageDraw.Draw(small).text((780, 580), "© grüße", font=font, fill="white", anchor="rs")
small.save("small.png")
from PIL import ImageChops
print(small.size, ImageChops.difference(small, plain).getbbox())
small
"""
FILM = """
ffmpeg -loglevel error -f lavfi -i testsrc=duration=4:size=320x240:rate=10 -pix_fmt yuv420p film.mp4
printf '1\\n00:00:00,000 --> 00:00:02,000\\nGrüße\\n' >words.srt
ffmpeg -loglevel error -ss 1 -i film.mp4 -t 2 -vf subtitles=words.srt -pix_fmt yuv420p cut.mp4
ffmpeg -loglevel error -ss 1 -i film.mp4 -t 2 -pix_fmt yuv420p plain.mp4
for name in cut plain; do ffmpeg -loglevel error -ss 1 -i $name.mp4 -frames:v 1 $name.png; done
ffprobe -loglevel error -show_entries format=duration -of csv=p=0 cut.mp4
differing=$(magick compare -metric AE -fuzz 20% cut.png plain.png null: 2>&1 | cut -d' ' -f1)
[ "$differing" != 0 ] && echo subtitled
"""
DOCUMENTS = """
import io
from pypdf import PdfReader, PdfWriter
from reportlab.pdfgen.canvas import Canvas

def page(text, x=100, y=700):
    data = io.BytesIO()
    canvas = Canvas(data)
    canvas.drawString(x, y, text)
    canvas.save()
    return PdfReader(data)

merged = PdfWriter()
for text in ("one", "two", "three"):
    merged.append(page(text))
for sheet in merged.pages:
    sheet.merge_page(page("DRAFT", 250, 400).pages[0])
merged.write("merged.pdf")
for number, sheet in enumerate(PdfReader("merged.pdf").pages, 1):
    split = PdfWriter()
    split.add_page(sheet)
    split.write(f"part-{number}.pdf")
"""
RESEARCH = """
import functools, http.server, pathlib, threading
import sandbox_browser
from selenium.webdriver.common.by import By

pathlib.Path("index.html").write_text('''<!doctype html><meta charset=utf-8><title>shop</title>
<ul id=found></ul><button onclick="fetch('/data.json').then(r => r.json()).then(all => all.forEach(each =>
  found.append(Object.assign(document.createElement('li'), {textContent: each}))))">search</button>''')
pathlib.Path("data.json").write_text('["tea", "grüße"]')
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
threading.Thread(target=server.serve_forever, daemon=True).start()
browser = sandbox_browser.start()
browser.implicitly_wait(5)
browser.get(f"http://127.0.0.1:{server.server_port}/")
browser.find_element(By.TAG_NAME, "button").click()
browser.find_element(By.CSS_SELECTOR, "li:nth-child(2)")
print(browser.title, [each.text for each in browser.find_elements(By.TAG_NAME, "li")])
display(sandbox_browser.picture(browser))
browser.quit()
"""
MAKE_ROWS = """
import numpy as np, pandas as pd
random = np.random.default_rng(1)
for start in range(0, 5_000_000, 500_000):
    pd.DataFrame({"day": random.integers(0, 365, 500_000), "shop": random.choice(["a", "b", " B", ""], 500_000),
                  "sales": random.normal(100, 15, 500_000).round(2)}).to_csv(
        "rows.csv", mode="a", header=start == 0, index=False)
"""
ANALYSE_ROWS = """
rows = pd.read_csv("rows.csv", dtype={"day": "int16", "sales": "float32"})
print(len(rows))
rows["shop"] = rows["shop"].str.strip().str.lower()
rows = rows.dropna(subset="shop")
by_day = rows.groupby(["day", "shop"])["sales"].mean().unstack()
print(by_day.shape, bool(by_day.mean().between(99, 101).all()))
by_day.rolling(7).mean().plot(title="sales");
"""


@contextmanager
def sandbox(image: str, engine: DockerEngine, policy: Policy | None = None) -> Iterator[Sandbox]:
    policy = policy or Policy()
    assert policy.network == "none"
    with Sandbox(image, engine=engine, policy=policy) as box:
        yield box


def succeed(box: Sandbox, language: str, code: str) -> Run:
    done = run(box, language, code)
    assert done.result.exit_code == 0, done.outputs
    return done


def pictures(done: Run) -> list[bytes]:
    return [each.data["image/png"] for each in done.outputs if isinstance(each, Display) and "image/png" in each.data]


def test_a_photo_is_resized_and_watermarked(engine: DockerEngine) -> None:
    with sandbox("media", engine) as box:
        succeed(box, "python", DRAW_A_PHOTO)
        done = succeed(box, "python", WATERMARK)
        size, _, mark = done.stdout.strip().partition(") (")
        assert size == "(800, 600"
        left, top, right, bottom = (int(number) for number in mark.rstrip(")").split(","))
        assert (left > 500, top > 500, right < 800, bottom < 600) == (True, True, True, True)
        assert len(pictures(done)) == 1


def test_a_video_is_cut_and_subtitled(engine: DockerEngine) -> None:
    with sandbox("media", engine) as box:
        length, said = succeed(box, "shell", FILM).stdout.split()
        assert float(length) == pytest.approx(2, abs=0.15)
        assert said == "subtitled"


def test_documents_are_merged_stamped_and_split(engine: DockerEngine) -> None:
    with sandbox("media", engine) as box:
        succeed(box, "python", DOCUMENTS)
        for name, words in (("merged", "one DRAFT two DRAFT three DRAFT"), ("part-2", "two DRAFT")):
            done = succeed(box, "shell", f"qpdf --check {name}.pdf >/dev/null && pdftotext {name}.pdf -")
            assert done.stdout.split() == words.split()


def test_a_browser_loads_a_page_served_inside_clicks_reads_and_photographs_it(engine: DockerEngine) -> None:
    with sandbox("browser", engine) as box:
        done = succeed(box, "python", RESEARCH)
        assert "shop ['tea', 'grüße']\n" in done.stdout
        (picture,) = pictures(done)
        assert picture.startswith(b"\x89PNG\r\n")
        assert len(picture) > 3000


def test_five_million_rows_are_cleaned_analysed_and_plotted_within_two_gigabytes(engine: DockerEngine) -> None:
    with sandbox("python", engine, Policy(memory=2 * GIB)) as box:
        succeed(box, "python", MAKE_ROWS)
        done = succeed(box, "python", ANALYSE_ROWS)
        assert done.stdout == "5000000\n(365, 2) True\n"
        assert len(pictures(done)) == 1
