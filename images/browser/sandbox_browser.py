"""Chromium, ready to be driven: ``start()`` gives a selenium driver, ``picture(driver)`` the page as a picture."""

import base64

MOST_HEIGHT = 8000  # CSS pixels of a picture; an endless page has to end somewhere


class Picture(bytes):
    """The bytes of a PNG, which notebooks and the sandbox's Python show as a picture."""

    def _repr_png_(self):
        return bytes(self)

    def __repr__(self):
        return f"<picture of {len(self)} bytes>"


def start(width=1280, height=800):
    """Return a selenium driver of a new browser; ``quit()`` ends it, or a ``with`` statement."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in ("headless=new", "no-sandbox", "disable-dev-shm-usage", f"window-size={width},{height}"):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService("/usr/bin/chromedriver")
    return webdriver.Chrome(options=options, service=service)


def picture(driver):
    """Return the whole page that a driver shows, as the bytes of a PNG."""
    size = driver.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
    clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], MOST_HEIGHT), "scale": 1}
    shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
    return Picture(base64.b64decode(shot["data"]))
