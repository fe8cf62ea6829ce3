(() => {
  const PERIOD_MS = 2000;
  const STATES = ["running", "finished", "stopped", "failed"];
  const byId = (id) => document.getElementById(id);
  const hidden = new Set();
  let runs = [], seen = "", drawnOf = "", failures = 0;

  /* An element with its children; text is never read as markup. */
  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
    element.append(...children.flat().filter((child) => child !== null && child !== false));
    return element;
  }
  /* A name that may be broken after its separators rather than within a word. */
  const breakable = (name) => name.split(/(?<=[_/.=-])/).flatMap((part) => [part, make("wbr")]).slice(0, -1);
  const percent = (value) => (value === null || value === undefined ? "n/a" : (100 * value).toFixed(1));
  const number = (value) => String(value).replace(/\B(?=(\d{3})+$)/g, "\u202f");
  function clock(seconds) {
    const minutes = Math.round(seconds / 60), hours = Math.floor(minutes / 60);
    if (seconds < 90) return `${Math.round(seconds)} s`;
    return hours >= 48 ? `${Math.round(hours / 24)} days` : hours ? `${hours} h ${minutes % 60} min` : `${minutes} min`;
  }
  function ago(when) {
    const seconds = Math.max(0, (Date.now() - Date.parse(when)) / 1000);
    return seconds < 5 ? "now" : `${clock(seconds)} ago`;
  }
  const speed = (value) => (value >= 10 ? value.toFixed(0) : value >= 1 ? value.toFixed(1) : value.toFixed(2));
  async function ask(path, parameters = []) {
    const query = new URLSearchParams(parameters).toString();
    const answer = await fetch(path + (query ? `?${query}` : ""));
    const value = await answer.json();
    if (!answer.ok) throw new Error(value.error);
    return value;
  }

  // What is chosen stands in the address, so that a page can be opened again as it was.
  const chosen = () => new URLSearchParams(location.hash.slice(1)).getAll("run");
  const choose = (keys) => { location.hash = new URLSearchParams(keys.slice(-MOST).map((key) => ["run", key])).toString(); };

  /* As in the charts: the last folder, or as many as it takes to tell them apart. */
  function captions(paths) {
    const parts = paths.map((path) => path.split("/"));
    for (let length = 1; ; length++) {
      const short = parts.map((part) => part.slice(-length).join("/"));
      if (new Set(short).size === new Set(paths).size) return short;
    }
  }

  // The list.
  function drawStates() {
    byId("states").replaceChildren(...STATES.map((state) => {
      const count = runs.filter((run) => run.state === state).length;
      const button = make("button", { type: "button", "aria-pressed": String(!hidden.has(state)), "data-state": state }, make("span", { class: `dot ${state}`, "aria-hidden": "true" }), `${count} ${state}`);
      button.addEventListener("click", () => { hidden.has(state) ? hidden.delete(state) : hidden.add(state); drawList(); });
      return button;
    }));
  }
  function progress(run) {
    const share = run.steps ? Math.min(1, run.step / run.steps) : 0;
    return make("span", { class: `progress ${run.state}`, role: "progressbar", "aria-valuenow": Math.round(100 * share), "aria-valuemin": 0, "aria-valuemax": 100, "aria-label": "steps" }, make("i", { style: `width:${100 * share}%` }));
  }
  function entry(run, keys) {
    const more = [make("span", { class: "method" }, run.method)];
    if (run.state === "finished") more.push(make("span", {}, `${number(run.step)} steps`), make("span", {}, ago(run.changed)));
    else more.push(make("span", {}, `step ${number(run.step)} of ${number(run.steps)}${run.stage ? `, ${run.stage}` : ""}`));
    if (run.steps_per_second) more.push(make("span", {}, `${speed(run.steps_per_second)} steps/s`));
    if (run.seconds_left !== null) more.push(make("span", {}, `${clock(run.seconds_left)} left`));
    if (run.advice.length) more.push(make("span", { class: "sick" }, `⚠ advice: ${run.advice.length}`));
    const box = make("input", { type: "checkbox", "aria-label": `compare ${run.run}` });
    box.checked = keys.includes(run.run);
    box.addEventListener("change", () => choose(box.checked ? [...chosen(), run.run] : chosen().filter((key) => key !== run.run)));
    const open = make("button", { type: "button", title: run.state },
      make("span", { class: "line" }, make("span", { class: `dot ${run.state}`, role: "img", "aria-label": run.state }), make("span", { class: "name" }, breakable(run.name)), run.miou === null ? null : make("span", { class: "miou" }, `mIoU ${percent(run.miou)}`)),
      run.state === "finished" ? null : progress(run), make("span", { class: "more" }, more));
    open.addEventListener("click", () => choose([run.run]));
    return make("li", { class: keys.includes(run.run) ? "chosen" : null, "data-run": run.run }, make("label", {}, box), open);
  }
  function drawList() {
    drawStates();
    const wanted = byId("search").value.trim().toLowerCase(), keys = chosen(), groups = new Map();
    for (const run of runs) {
      if (hidden.has(run.state) || !`${run.run} ${run.method}`.toLowerCase().includes(wanted)) continue;
      if (!groups.has(run.group)) groups.set(run.group, []);
      groups.get(run.group).push(run);
    }
    // What is going on comes first.
    for (const members of groups.values()) members.sort((one, other) => (other.state === "running") - (one.state === "running"));
    const focus = document.activeElement && document.activeElement.closest("li");
    const focused = focus && [focus.dataset.run, document.activeElement.tagName];
    byId("groups").replaceChildren(...[...groups].map(([group, members]) => make("div", { class: "group" },
      group === "." && members[0].kind === "folder" ? null : make("h2", {}, group === "." ? "this folder" : group, make("small", {}, `${members[0].kind === "folder" || members[0].kind === group ? "" : `${members[0].kind}, `}${members.length} run${members.length === 1 ? "" : "s"}`)),
      make("ul", { class: "runs card" }, members.map((run) => entry(run, keys))))));
    if (!groups.size) byId("groups").replaceChildren(make("p", { class: "nothing" }, runs.length ? "No run fits." : "No run is here yet; this page shows it when one begins."));
    if (focused) byId("groups").querySelector(`li[data-run="${CSS.escape(focused[0])}"] ${focused[1]}`)?.focus({ preventScroll: true });
  }

  // The details.
  function tile(title, value) { return make("div", { class: "card" }, make("dt", {}, title), make("dd", {}, value)); }
  function drawSummary(one) {
    const tiles = [
      tile("state", make("span", {}, make("span", { class: `dot ${one.state}`, "aria-hidden": "true" }), one.state)),
      tile("step", one.state === "finished" ? number(one.step) : `${number(one.step)} of ${number(one.steps)}`),
      one.steps_per_second ? tile("steps/s", speed(one.steps_per_second)) : null,
      one.seconds_left === null ? null : tile("to the end", clock(one.seconds_left)),
      one.miou === null ? null : tile("mIoU", percent(one.miou)),
      tile("last written", ago(one.changed)),
    ];
    byId("summaries").replaceChildren(make("dl", { class: "tiles" }, tiles), ...(one.reason || one.method ? [make("p", { class: "reason" }, one.method, one.reason ? make("span", { class: one.state }, make("br"), make("code", {}, one.reason)) : null)] : []));
  }
  function named(name, index) { return make("span", { class: "run" }, make("span", { class: "key", style: `background:var(--run-${index})`, "aria-hidden": "true" }), make("span", { title: name }, breakable(name))); }
  function drawTable(several, names) {
    const head = ["run", "state", "step", "steps/s", "to the end", "mIoU"];
    byId("summaries").replaceChildren(make("table", { class: "card states-of" }, make("thead", {}, make("tr", {}, head.map((name) => make("th", { scope: "col" }, name)))), make("tbody", {}, several.map((run, index) => make("tr", {},
      make("th", { scope: "row" }, named(names[index], index)), make("td", {}, run.state), make("td", {}, `${number(run.step)} of ${number(run.steps)}`),
      make("td", {}, run.steps_per_second ? speed(run.steps_per_second) : "–"), make("td", {}, run.seconds_left === null ? "–" : clock(run.seconds_left)), make("td", {}, percent(run.miou)))))));
  }
  function drawAdvice(several, names) {
    const told = several.flatMap((run, index) => run.advice.map((one) => make("li", {}, several.length > 1 ? make("b", {}, `${names[index]}, `) : null, make("b", {}, one.step === null ? "pseudo labels: " : `step ${number(one.step)}: `), `${one.seen}; ${one.remedy}`)));
    byId("advice").replaceChildren(...(told.length ? [make("ul", { class: "told" }, told)] : []));
  }
  function drawClasses(several, names) {
    const classes = [...new Set(several.flatMap((run) => Object.keys(run.iou)))];
    if (!classes.length) return byId("classes").replaceChildren();
    const cell = (value, index) => make("td", {}, percent(value), value === null || value === undefined ? null : make("span", { class: "bar", style: `--own:var(--run-${several.length > 1 ? index : 1})` }, make("i", { style: `width:${100 * value}%` })));
    byId("classes").replaceChildren(make("h3", {}, "IoU by class, newest evaluation"), make("div", { class: "card scroll" }, make("table", { class: "iou", style: `--runs:${several.length}` },
      make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "class"), several.map((_, index) => make("th", { scope: "col" }, several.length > 1 ? named(names[index], index) : "IoU, %")))),
      make("tbody", {}, classes.map((name) => make("tr", {}, make("th", { scope: "row" }, name), several.map((run, index) => cell(run.iou[name], index))))))));
  }

  let plotly = null;
  function loadPlotly() {
    return plotly ??= new Promise((resolve, reject) => {
      const script = make("script", { src: `plotly.js?${VERSION}` });
      script.addEventListener("load", resolve);
      script.addEventListener("error", () => { plotly = null; reject(new Error("plotly.js")); });
      document.head.append(script);
    });
  }
  const figures = new Map();
  const touch = matchMedia("(pointer: coarse)").matches;
  function drawPlot(plot) {
    const figure = colored(figures.get(plot), getComputedStyle(document.documentElement));
    if (!plot.clientWidth) return;
    figure.layout.width = plot.clientWidth;
    if (touch) { figure.layout.dragmode = false; for (const key of Object.keys(figure.layout)) if (/^[xy]axis/.test(key)) figure.layout[key].fixedrange = true; }
    Plotly.react(plot, figure.data, figure.layout, { displaylogo: false, showTips: false, displayModeBar: touch ? false : "hover", modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] });
  }
  const redraw = () => { for (const plot of figures.keys()) drawPlot(plot); };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  addEventListener("resize", redraw);
  function drawCharts(groups) {
    const there = new Map([...figures.keys()].map((plot) => [plot.id, plot]));
    figures.clear();
    const parts = groups.flatMap((group) => [group.title ? make("h3", {}, group.title) : make("h3", {}, "Curves"), make("div", { class: "charts" }, group.charts.map((chart) => {
      // What the reader zoomed in a chart stays while its lines grow.
      const plot = there.get(`chart-${chart.key}`) ?? make("div", { class: "plot", id: `chart-${chart.key}`, role: "group" });
      plot.setAttribute("aria-label", chart.label);
      plot.style.height = `${chart.height_px}px`;
      figures.set(plot, chart.figure);
      return make("figure", { class: "card" }, make("figcaption", {}, chart.caption), plot);
    }))]);
    byId("charts").replaceChildren(...(parts.length ? parts : [make("p", { class: "reason" }, "No curve yet: it takes two lines of the log.")]));
    redraw();
  }
  async function drawMore(key) {
    const more = await ask("api/run", [["run", key]]);
    if (chosen().join("\n") !== key) return;
    const shots = more.pictures.map((one) => {
      const address = `picture?${new URLSearchParams([["run", key], ["stage", one.stage], ["name", one.name]])}`;
      const step = Number(one.name.match(/\d+/)[0]);
      return make("figure", { class: "card" }, make("a", { href: address, target: "_blank", rel: "noopener" }, make("img", { src: address, loading: "lazy", alt: `what the method drew after step ${step}` })), make("figcaption", {}, `step ${number(step)}`));
    });
    byId("pictures").replaceChildren(...(shots.length ? [make("h3", {}, "Pictures that the run drew"), make("div", { class: "pictures" }, shots)] : []));
    const open = new Set([...byId("texts").querySelectorAll("details[open]")].map((one) => one.dataset.name));
    const texts = [["Recipe", more.recipe], ["Versions and device", more.environment]].filter(([, text]) => text);
    byId("texts").replaceChildren(make("h3", {}, "How it was made"), ...texts.map(([name, text]) => make("details", { class: "card", "data-name": name, open: open.has(name) }, make("summary", {}, name), make("pre", {}, text))));
  }
  async function drawDetails() {
    const keys = chosen(), several = keys.map((key) => runs.find((run) => run.run === key)).filter(Boolean);
    document.body.classList.toggle("one", several.length > 0);
    byId("shown").hidden = !several.length;
    byId("nothing").hidden = Boolean(several.length);
    if (!several.length) { drawnOf = ""; return; }
    const names = captions(several.map((run) => (run.run === "." ? run.name : run.run)));
    byId("heading").replaceChildren(...(several.length === 1 ? breakable(several[0].run) : [`${several.length} runs compared`]));
    if (several.length === 1) drawSummary(several[0]); else drawTable(several, names);
    drawAdvice(several, names);
    const now = JSON.stringify(several.map((run) => [run.run, run.step, run.changed]));
    if (now === drawnOf) return;
    drawnOf = now;
    drawClasses(several, names);
    const [answer] = await Promise.all([ask("api/curves", several.map((run) => ["run", run.run])), loadPlotly()]);
    if (drawnOf !== now) return;
    drawCharts(answer.groups);
    if (several.length === 1) await drawMore(several[0].run);
    else { byId("pictures").replaceChildren(); byId("texts").replaceChildren(); }
  }

  async function refresh() {
    try {
      runs = (await ask("api/runs")).runs;
      failures = 0;
      const now = JSON.stringify(runs) + Math.floor(Date.now() / 30000);
      if (now !== seen) { seen = now; drawList(); }
      await drawDetails();
    } catch (error) {
      failures += 1;
      drawnOf = "";
    }
    byId("lost").hidden = failures < 2;
  }
  let asleep;
  async function follow() {
    if (!document.hidden) await refresh();
    asleep = setTimeout(follow, PERIOD_MS);
  }
  addEventListener("hashchange", () => { drawList(); drawDetails().catch(() => { drawnOf = ""; }); if (chosen().length) scrollTo(0, 0); });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) { clearTimeout(asleep); follow(); } });
  byId("search").addEventListener("input", drawList);
  byId("back").addEventListener("click", () => choose([]));
  follow();
})();
