"""Reports in a real browser: both widths, light and dark, judged by axe-core.

    pages.py PICTURES PAGE...

Each PAGE is opened from its file in headless Chromium, with the first insight open and charts
drawn; an explanation draws its own. The judge fails on a request to any other address, an error on the console, a serious or
critical violation, text that is wider than the screen, or an open insight without a chart; without
JavaScript the list must still be there. PICTURES is a folder for what was seen.
"""

import importlib.resources
import pathlib
import shutil
import sys
import time

from playwright.sync_api import sync_playwright

WIDTHS = (400, 1400)
SCHEMES = ("light", "dark")
# Opening and first drawing of a page, in seconds; generous for a machine that does other things.
SECONDS_MAX = 10
PICTURE_HEIGHT_MAX = 8000


def axe_source():
    """The text of axe-core, which a package of the requirements brings."""
    return (importlib.resources.files("axe_playwright_python") / "axe.min.js").read_text()


def watch(page, address, faults):
    """Notes every error and every request but the one for the page itself."""
    page.on("console", lambda message: message.type in ("error", "warning")
            and faults.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: faults.append(f"error: {error}"))
    page.on("request", lambda request: not request.url.startswith((address, "data:"))
            and faults.append(f"request: {request.url}"))


def judge(browser, axe, path, width, scheme, pictures):
    """Faults of one page at one width in one scheme."""
    faults = []
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme
    )
    page = context.new_page()
    address = path.as_uri()
    watch(page, address, faults)
    began = time.monotonic()
    page.goto(address)
    insights = page.locator("details.insight")
    has_charts = page.locator("details.insight script").count() > 0
    if insights.count():
        insights.first.locator("summary").focus()
        page.keyboard.press("Enter")
        if has_charts:
            page.wait_for_selector("details[open] canvas", timeout=SECONDS_MAX * 1000)
    if page.locator("section.drawn").count():
        page.wait_for_selector("section.drawn canvas", timeout=SECONDS_MAX * 1000)
    seconds = time.monotonic() - began
    if seconds > SECONDS_MAX:
        faults.append(f"{seconds:.1f} s until a chart was drawn")
    overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    if overflow > 0:
        faults.append(f"{overflow} pixels wider than the screen")
    name = f"{path.stem}-{width}-{scheme}"
    height = min(page.evaluate("document.documentElement.scrollHeight"), PICTURE_HEIGHT_MAX)
    # As tall as the page, so that what is only laid out on the screen is in the picture.
    page.set_viewport_size({"width": width, "height": height})
    page.evaluate("scrollTo(0, 0)")
    page.screenshot(path=pictures / f"{name}.png")
    if insights.count():
        insights.first.screenshot(path=pictures / f"{name}-insight.png")
    # Through the debugger, which the page's policy does not bind.
    page.evaluate(axe + "; 0")
    result = page.evaluate("axe.run(document, {resultTypes: ['violations', 'incomplete']})")
    for violation in result["violations"]:
        text = f"axe: {violation['impact']}: {violation['id']}: {violation['nodes'][0]['html'][:120]}"
        if violation["impact"] in ("serious", "critical"):
            faults.append(text)
        else:
            print(f"  {name}: {text}")
    print(f"  {name}: {seconds:.2f} s, {len(result['passes'])} rules of axe passed")
    context.close()
    return [f"{name}: {fault}" for fault in faults]


def judge_without_scripts(browser, path):
    """What is there without JavaScript: every insight, and its text once it is opened."""
    context = browser.new_context(java_script_enabled=False, viewport={"width": 400, "height": 900})
    page = context.new_page()
    page.goto(path.as_uri())
    faults = []
    insights = page.locator("details.insight")
    if insights.count():
        insights.last.locator("summary").click()
        if not insights.last.locator("dl").is_visible():
            faults.append(f"{path.stem}: an insight cannot be read without JavaScript")
        bars = page.locator(".lanes a").count()
        if bars != insights.count():
            faults.append(f"{path.stem}: {bars} bars for {insights.count()} insights")
    elif page.locator("section.drawn").count() and not page.locator("table.steps").is_visible():
        faults.append(f"{path.stem}: an explanation cannot be read without JavaScript")
    context.close()
    return faults


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    pictures = pathlib.Path(sys.argv[1])
    pictures.mkdir(parents=True, exist_ok=True)
    chromium = shutil.which("chromium") or sys.exit("needs the Debian package chromium")
    axe = axe_source()
    faults = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for path in (pathlib.Path(name).resolve() for name in sys.argv[2:]):
            for width in WIDTHS:
                for scheme in SCHEMES:
                    faults += judge(browser, axe, path, width, scheme, pictures)
            faults += judge_without_scripts(browser, path)
        browser.close()
    print("\n".join(faults) or f"{len(sys.argv) - 2} pages: no fault")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
