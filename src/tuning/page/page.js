// Comfort that a page can do without: copying, finding, and charts of the insights that are open.
(function () {
  "use strict";

  for (const box of document.querySelectorAll(".copy")) {
    const button = box.querySelector("button");
    const text = box.querySelector("pre");
    const status = box.querySelector("[role=status]");
    button.hidden = false;
    button.addEventListener("click", async function () {
      try {
        await navigator.clipboard.writeText(text.textContent);
        status.textContent = "Copied";
      } catch {
        // Without permission the text is at least selected.
        getSelection().selectAllChildren(text);
        status.textContent = "Selected, copy it with the keyboard";
      }
    });
  }

  const insights = Array.from(document.querySelectorAll(".insight"));
  const form = document.querySelector(".filter");

  function filter() {
    const words = form.elements.words.value.toLowerCase().split(/\s+/);
    const direction = form.elements.direction.value;
    const mark = form.elements.mark ? form.elements.mark.value : "";
    let shown = 0;
    for (const insight of insights) {
      const text = insight.querySelector("summary").textContent.toLowerCase();
      const fits =
        words.every((word) => text.includes(word)) &&
        (!direction || insight.dataset.direction === direction) &&
        (!mark || insight.dataset.mark === mark);
      insight.hidden = !fits;
      shown += fits;
    }
    form.querySelector("output").textContent = shown + " of " + insights.length;
  }

  // Opens the insight that the address names, even where the filter hides it.
  function openNamed() {
    const body = location.hash && document.getElementById(location.hash.slice(1));
    const insight = body && body.closest(".insight");
    if (!insight) return;
    if (insight.hidden) {
      form.reset();
      filter();
    }
    insight.open = true;
    body.scrollIntoView();
    body.focus({ preventScroll: true });
  }

  if (form && insights.length) {
    form.hidden = false;
    form.addEventListener("input", filter);
    form.addEventListener("submit", (event) => event.preventDefault());
    filter();
    addEventListener("hashchange", openNamed);
  }

  const drawn = new Map();

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  }

  function two(number) {
    return String(number).padStart(2, "0");
  }

  function dayOf(time) {
    return two(time.getUTCMonth() + 1) + "-" + two(time.getUTCDate());
  }

  function clockOf(time) {
    return two(time.getUTCHours()) + ":" + two(time.getUTCMinutes());
  }

  function axisLabels(chart, splits, axis, space, step) {
    let last = "";
    return splits.map(function (seconds) {
      const time = new Date(seconds * 1000);
      const day = dayOf(time);
      const clock = clockOf(time);
      let label = clock;
      if (step >= 86400 || clock === "00:00") label = day;
      else if (!last) label = clock + "\n" + day;
      last = day;
      return label;
    });
  }

  function number(chart, value) {
    return value == null ? "–" : String(Number(value.toPrecision(3)));
  }

  // Shades the incident below all lines, and marks when it was decided.
  function shade(data) {
    return function (chart) {
      const box = chart.bbox;
      const at = (seconds) =>
        Math.min(Math.max(chart.valToPos(seconds, "x", true), box.left), box.left + box.width);
      const pixel = devicePixelRatio;
      const context = chart.ctx;
      context.save();
      if (data.onset !== undefined) {
        context.fillStyle = colour("shade");
        const left = at(data.onset);
        context.fillRect(left, box.top, Math.max(at(data.end) - left, 2 * pixel), box.height);
      }
      context.strokeStyle = colour("up");
      context.lineWidth = pixel;
      context.setLineDash([4 * pixel, 3 * pixel]);
      context.beginPath();
      context.moveTo(at(data.decided), box.top);
      context.lineTo(at(data.decided), box.top + box.height);
      context.stroke();
      context.restore();
    };
  }

  function options(data, view, width, name) {
    const axis = { stroke: colour("ink"), grid: { stroke: colour("line"), width: 1 } };
    // All curves hold from the beginning of a bin to its end.
    const curve = { paths: uPlot.paths.stepped({ align: 1 }), points: { show: false }, value: number };
    const edge = { ...curve, stroke: colour("edge"), width: 1 };
    const isFine = view.step <= 60;
    return {
      width: width,
      height: 220,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      scales: { y: { range: (chart, low, high) => [0, (high || 1) * 1.08] } },
      axes: [
        { ...axis, values: axisLabels, ticks: axis.grid, size: 50, space: 60 },
        { ...axis, ticks: axis.grid, size: 56, label: "a minute", labelSize: 20 },
      ],
      series: [
        {
          label: "time",
          value: (chart, seconds) => {
            if (seconds == null) return "–";
            const time = new Date(seconds * 1000);
            return dayOf(time) + " " + clockOf(time);
          },
        },
        { ...edge, label: "usual, most" },
        { ...edge, label: "usual, least" },
        { ...curve, label: "expected", stroke: colour("expected"), width: 2, dash: [6, 4] },
        { ...curve, label: "seen", stroke: colour("ink"), width: isFine ? 1.5 : 1 },
      ],
      bands: [{ series: [1, 2], fill: colour("band") }],
      hooks: { drawClear: [shade(data)] },
    };
  }

  function draw(insight) {
    const source = insight.querySelector("script[type='application/json']");
    if (!source) return;
    const data = JSON.parse(source.textContent);
    const place = insight.querySelector(".charts");
    const names = { fine: "Around it", coarse: "The week before it" };
    for (const chart of drawn.get(insight) || []) chart.destroy();
    place.textContent = "";
    const charts = [];
    for (const kind of ["fine", "coarse"]) {
      const view = data[kind];
      if (!view) continue;
      const head = document.createElement("h3");
      head.textContent = names[kind];
      const box = document.createElement("div");
      place.append(head, box);
      const times = view.seen.map((_, index) => view.start + index * view.step);
      const columns = [times, view.high, view.low, view.expected, view.seen];
      const chart = new uPlot(options(data, view, place.clientWidth, names[kind]), columns, box);
      const canvas = chart.root.querySelector(".u-wrap");
      canvas.setAttribute("role", "img");
      canvas.setAttribute(
        "aria-label",
        names[kind] + ": rate a minute, expected rate and usual range."
      );
      charts.push(chart);
    }
    const hint = document.createElement("p");
    hint.className = "quiet";
    hint.textContent =
      (data.onset === undefined
        ? "Dashed upright: the minute asked for."
        : "Shaded: the incident; dashed upright: when it was decided.") +
      " Usual is what 90 % of single minutes hold. Drag to zoom, double click to go back.";
    place.append(hint);
    drawn.set(insight, charts);
  }

  const widths = new ResizeObserver(function (entries) {
    for (const entry of entries) {
      const charts = drawn.get(entry.target.closest(".insight, .drawn")) || [];
      const width = Math.floor(entry.contentRect.width);
      for (const chart of charts) {
        if (width > 0 && chart.width !== width) chart.setSize({ width: width, height: chart.height });
      }
    }
  });

  for (const insight of insights) {
    insight.addEventListener("toggle", function () {
      if (!insight.open || drawn.has(insight)) return;
      draw(insight);
      const place = insight.querySelector(".charts");
      if (place) widths.observe(place);
    });
  }

  for (const section of document.querySelectorAll("section.drawn")) {
    draw(section);
    widths.observe(section.querySelector(".charts"));
  }

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", function () {
    for (const insight of Array.from(drawn.keys())) draw(insight);
  });

  openNamed();
})();
