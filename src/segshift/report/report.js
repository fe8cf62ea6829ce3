"use strict";
(() => {
  const read = (id) => { const found = document.getElementById(id); return found && JSON.parse(found.textContent); };
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // Charts. Plotly's text becomes a script when the first chart comes into view.
  const plots = all(".plot");
  const figures = new Map();
  const drawn = new Map();
  const touch = matchMedia("(pointer: coarse)").matches;
  const config = { displaylogo: false, showTips: false, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"], displayModeBar: touch ? false : "hover" };
  const printedPx = { whole: 660, half: 318 };
  let printing = false;

  function loadPlotly() {
    if (window.Plotly) return;
    const source = document.getElementById("plotly-source");
    const script = document.createElement("script");
    script.textContent = source.textContent;
    document.head.append(script);
    source.textContent = "";
  }

{% include "figure_colors.js" %}

  function chosenView(plot) {
    const views = figures.get(plot);
    const chosen = plot.dataset.switch && document.querySelector(`input[name="${plot.dataset.switch}"]:checked`);
    return chosen && views[chosen.value] ? chosen.value : Object.keys(views)[0];
  }

  function draw(plot) {
    loadPlotly();
    if (!figures.has(plot)) figures.set(plot, JSON.parse(plot.closest("figure").querySelector("script").textContent));
    const view = chosenView(plot);
    const figure = colored(figures.get(plot)[view], getComputedStyle(document.documentElement));
    const width = printing ? (plot.closest(".grid") ? printedPx.half : printedPx.whole) : plot.clientWidth;
    if (!width) return;
    figure.layout.width = width;
    figure.layout.uirevision = view;
    if (touch) {
      // A finger scrolls the page; it does not zoom by accident.
      figure.layout.dragmode = false;
      for (const key of Object.keys(figure.layout)) if (/^[xy]axis/.test(key)) figure.layout[key].fixedrange = true;
    }
    plot.classList.remove("waiting");
    drawn.set(plot, width);
    Plotly.react(plot, figure.data, figure.layout, config);
  }

  const redraw = () => { for (const plot of drawn.keys()) draw(plot); };
  if ("IntersectionObserver" in window) {
    const seen = new IntersectionObserver((entries) => {
      for (const entry of entries) if (entry.isIntersecting) { seen.unobserve(entry.target); draw(entry.target); }
    }, { rootMargin: "400px" });
    plots.forEach((plot) => seen.observe(plot));
  } else {
    plots.forEach(draw);
  }
  if ("ResizeObserver" in window) {
    const sizes = new ResizeObserver((entries) => requestAnimationFrame(() => {
      if (printing) return;
      for (const { target } of entries) if (drawn.has(target) && target.clientWidth && target.clientWidth !== drawn.get(target)) draw(target);
    }));
    plots.forEach((plot) => sizes.observe(plot));
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

  function setPrinting(on) {
    if (on === printing) return;
    printing = on;
    document.documentElement.classList.toggle("printing", on);
    if (on) plots.forEach(draw);
    else redraw();
  }
  addEventListener("beforeprint", () => setPrinting(true));
  addEventListener("afterprint", () => setPrinting(false));
  matchMedia("print").addEventListener("change", (event) => setPrinting(event.matches));

  for (const name of ["scale", "level"]) {
    for (const input of all(`input[name="${name}"]`)) {
      input.addEventListener("change", () => {
        for (const plot of drawn.keys()) if (plot.dataset.switch === name) draw(plot);
        showLegend();
      });
    }
  }
  function showLegend() {
    const scale = document.querySelector('input[name="scale"]:checked');
    all("[data-scale]").forEach((item) => { item.hidden = item.dataset.scale !== scale.value; });
    const level = document.querySelector('input[name="level"]:checked');
    all('[data-of="classes"]').forEach((item) => { item.hidden = Boolean(level) && level.value === "image"; });
  }
  showLegend();
  for (const input of all('input[name="curves"]')) {
    input.addEventListener("change", () => {
      all("[data-curves]").forEach((part) => { part.hidden = part.dataset.curves !== input.value; });
    });
  }
  // A small screen begins with one run's curves; the others are a touch away.
  if (matchMedia("(max-width: 700px)").matches) {
    all("[data-curves]").forEach((part) => all("details", part).forEach((group, index) => { group.open = index === 0; }));
  }
  /* Browsers keep choices over a reload, so the page starts from them. */
  const curves = document.querySelector('input[name="curves"]:checked');
  if (curves) curves.dispatchEvent(new Event("change"));

  // The table.
  const table = document.getElementById("results-table");
  if (table) {
    const body = table.tBodies[0];
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
      const isText = column === 0;
      const now = head.getAttribute("aria-sort");
      // Numbers begin with the best, names with the first letter.
      const direction = now ? (now === "ascending" ? "descending" : "ascending") : isText ? "ascending" : "descending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", direction);
      const sign = direction === "ascending" ? 1 : -1;
      const value = (row) => row.cells[column].dataset.value;
      const rows = [...body.rows].sort((a, b) => {
        const [one, other] = [value(a), value(b)];
        if (isText) return sign * one.localeCompare(other);
        // What has no number stays at the end in both directions.
        if (one === "" || other === "") return (one === "") - (other === "");
        return sign * (Number(one) - Number(other));
      });
      body.append(...rows);
    }));
  }

  // Copying.
  const exported = read("exports");
  function copyByHand(text, place) {
    const area = document.createElement("textarea");
    area.value = text;
    area.setAttribute("aria-label", "Text to copy");
    place.append(area);
    area.select();
    let done = false;
    try { done = document.execCommand("copy"); } catch { done = false; }
    if (done) area.remove();
    return done;
  }
  for (const button of all("[data-copy]")) {
    button.addEventListener("click", async () => {
      const place = button.parentElement;
      const output = place.querySelector("output");
      all("textarea", place).forEach((old) => old.remove());
      const text = exported[button.dataset.copy];
      let done = false;
      // Some browsers offer no clipboard to pages that are opened from a file.
      if (navigator.clipboard) {
        try { await navigator.clipboard.writeText(text); done = true; } catch { done = false; }
      }
      done = done || copyByHand(text, place);
      output.textContent = done ? "Copied" : "The browser refused; copy it from here:";
      button.focus({ preventScroll: true });
    });
  }

  // The slider.
  const pictures = read("picture-data");
  if (pictures) {
    const root = document.getElementById("compare");
    const stage = root.querySelector(".stage");
    const range = stage.querySelector("input");
    const readout = root.querySelector(".readout");
    const selects = { left: root.querySelector('[data-side="left"]'), right: root.querySelector('[data-side="right"]') };
    const images = { left: stage.querySelector(".left"), right: stage.querySelector(".right") };
    const hint = readout.textContent;
    const maps = {};
    let current = 0;

    const isMap = (key) => key === "truth" || key.startsWith("prediction");
    const cut = (percent) => {
      range.value = String(Math.min(100, Math.max(0, percent)));
      stage.style.setProperty("--cut", `${range.value}%`);
    };
    range.addEventListener("input", () => cut(Number(range.value)));
    const follow = (event) => {
      const box = stage.getBoundingClientRect();
      cut(Math.round(100 * (event.clientX - box.left) / box.width));
    };
    stage.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      stage.setPointerCapture(event.pointerId);
      range.focus({ preventScroll: true });
      event.preventDefault();
      follow(event);
    });
    stage.addEventListener("pointermove", (event) => {
      if (stage.hasPointerCapture(event.pointerId)) follow(event);
      tell(event);
    });
    stage.addEventListener("pointerup", tell);
    stage.addEventListener("pointerleave", () => { readout.textContent = hint; });

    function pixels(side) {
      if (!(side in maps)) {
        const image = images[side];
        const canvas = document.createElement("canvas");
        canvas.width = image.naturalWidth;
        canvas.height = image.naturalHeight;
        const context = canvas.getContext("2d", { willReadFrequently: true });
        context.drawImage(image, 0, 0);
        maps[side] = context;
      }
      return maps[side];
    }
    const names = new Map();
    for (const one of pictures.classes) names.set(one.color, [...(names.get(one.color) || []), one.name]);
    function classAt(side, x, y) {
      const { width, height } = pixels(side).canvas;
      if (!width) return "";
      const [red, green, blue] = pixels(side).getImageData(Math.min(width - 1, Math.floor(x * width)), Math.min(height - 1, Math.floor(y * height)), 1, 1).data;
      const color = "#" + [red, green, blue].map((part) => part.toString(16).padStart(2, "0")).join("");
      return (names.get(color) || ["ignored"]).join(" or ");
    }
    function tell(event) {
      const box = stage.getBoundingClientRect();
      const x = (event.clientX - box.left) / box.width;
      const y = (event.clientY - box.top) / box.height;
      if (x < 0 || y < 0 || x >= 1 || y >= 1) return;
      const found = ["left", "right"].filter((side) => isMap(selects[side].value) && images[side].complete)
        .map((side) => `${selects[side].selectedOptions[0].textContent}: ${classAt(side, x, y)}`);
      readout.textContent = found.length ? found.join(" · ") : hint;
    }

    function show() {
      const image = pictures.images[current];
      stage.style.aspectRatio = `${image.width} / ${image.height}`;
      stage.style.maxWidth = `${80 * image.width / image.height}vh`;
      for (const side of ["left", "right"]) {
        const key = selects[side].value;
        const caption = selects[side].selectedOptions[0].textContent;
        const uri = image.layers[key];
        delete maps[side];
        images[side].hidden = !uri;
        if (uri) images[side].src = uri;
        images[side].alt = `${image.name}: ${caption}`;
        images[side].classList.toggle("map", isMap(key));
        const mean = image.means[key];
        stage.querySelector(`.of-${side}`).textContent = uri ? caption + (mean === undefined ? "" : `, mean ${mean.toFixed(3)}`) : `${caption}: none`;
      }
      const shown = [selects.left.value, selects.right.value];
      root.querySelector(".scale").hidden = !shown.some((key) => key.startsWith("entropy"));
      const legend = root.querySelector(".legend");
      legend.hidden = !shown.some(isMap);
      legend.replaceChildren(...image.present.map((index) => entry(pictures.classes[index])), ...(image.ignored ? [entry({ name: "ignored", color: "#000000" })] : []));
      all(".thumbs button").forEach((button, index) => button.setAttribute("aria-pressed", String(index === current)));
    }
    function entry({ name, color }) {
      const item = document.createElement("li");
      const swatch = document.createElement("span");
      swatch.className = "swatch";
      swatch.style.background = color;
      item.append(swatch, name);
      return item;
    }
    root.querySelector(".thumbs").append(...pictures.images.map((image, index) => {
      const button = document.createElement("button");
      button.type = "button";
      button.title = image.name;
      const thumb = document.createElement("img");
      thumb.src = image.layers.image;
      thumb.alt = image.name;
      button.append(thumb);
      button.addEventListener("click", () => { current = index; show(); });
      return button;
    }));
    for (const side of ["left", "right"]) selects[side].addEventListener("change", show);
    cut(Number(range.value));
    show();
  }

  // Where the reader is.
  const links = new Map(all("main > nav a").map((link) => [link.hash.slice(1), link]));
  if ("IntersectionObserver" in window) {
    const here = new IntersectionObserver((entries) => {
      for (const entry of entries) if (entry.isIntersecting) {
        links.forEach((link) => link.removeAttribute("aria-current"));
        links.get(entry.target.id)?.setAttribute("aria-current", "true");
      }
    }, { rootMargin: "-15% 0px -75% 0px" });
    all("main > header, main > section").forEach((section) => here.observe(section));
  }
})();
