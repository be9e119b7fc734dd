"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const points = data.points, shown = data.shown;
  const at = (id) => document.getElementById(id);
  const canvas = at("map"), card = at("card"), pen = canvas.getContext("2d");
  const number = new Map(points.map((point, i) => [point.name, i]));
  const accused = new Map((data.suspects || []).map((one) => [number.get(one.name), one]));
  const chosen = new Set();
  const order = points.map((_, i) => i).sort((a, b) => points[a].x - points[b].x || points[a].y - points[b].y);
  const far = [...points.keys()].sort((a, b) => points[a].apart - points[b].apart);
  const rank = new Float64Array(points.length);
  far.forEach((i, place) => { rank[i] = points.length > 1 ? place / (points.length - 1) : 0; });
  let visible = points.map(() => true), colours = [], view = { scale: 1, x: 0, y: 0 }, tool = "pan", hovered = -1;
  let drag = null, pinch = null, size = { width: 0, height: 0 }, pending = false, screen = [];

  // Text from the data goes into the page as text nodes only.
  const make = (tag, text, name) => {
    const made = document.createElement(tag);
    if (text !== undefined && text !== null) made.textContent = text;
    if (name) made.className = name;
    return made;
  };
  const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // --- what an example looks like

  const face = (name) => {
    const what = shown[name], frame = make("div", null, "face");
    if (what === undefined) return frame;
    if (what.series) frame.append(course(what.series));
    else if (what.startsWith("data:image/")) {
      const image = make("img");
      image.src = what;
      image.alt = "";
      frame.append(image);
    } else frame.append(make("q", what));
    return frame;
  };

  const course = (channels) => {
    const space = "http://www.w3.org/2000/svg", svg = document.createElementNS(space, "svg");
    svg.setAttribute("viewBox", "0 0 100 50");
    svg.setAttribute("preserveAspectRatio", "none");
    channels.forEach((values, which) => {
      const low = Math.min(...values), high = Math.max(...values), line = document.createElementNS(space, "polyline");
      const places = values.map((v, i) =>
        `${(100 * i) / Math.max(values.length - 1, 1)},${46 - (42 * (v - low)) / (high - low || 1)}`);
      line.setAttribute("points", places.join(" "));
      line.setAttribute("style", `fill:none;stroke:var(--series-${(which % 6) + 1});stroke-width:1.5`);
      line.setAttribute("vector-effect", "non-scaling-stroke");
      svg.append(line);
    });
    return svg;
  };

  const clusterName = (n) => (n < 0 ? "no cluster" : `cluster ${n + 1}`);

  // --- colours

  const HUES = [52, 190, 90, 255, 310, 5, 150, 225]; // between those of the style sheet, then golden angles
  const palette = (i) => {
    if (i < 5) return token(`--series-${i + 1}`);
    const hue = i < 5 + HUES.length ? HUES[i - 5] : Math.round(i * 137.5) % 360;
    return `hsl(${hue} ${i % 2 ? 75 : 50}% ${(dark() ? 62 : 42) + (i % 3) * 6}%)`;
  };
  const dark = () => matchMedia("(prefers-color-scheme: dark)").matches;
  const grey = () => token("--series-6");
  const ramp = (share) => `hsl(${Math.round(215 - 195 * share)} ${Math.round(35 + 45 * share)}% ${dark() ? 62 : 47}%)`;

  const kinds = {
    label: { called: "label", there: points.some((p) => p.label !== null), of: (i) => points[i].label ?? "no label" },
    cluster: { called: "cluster", there: data.clusters.found.length > 0, of: (i) => clusterName(points[i].cluster) },
    apart: { called: "outlier score", there: true, scale: (i) => rank[i] },
    suspect: { called: "suspected label", there: data.suspects !== null, of: (i) => (accused.has(i) ? "suspected" : "not suspected") },
    part: { called: "part", there: points.some((p) => p.part), of: (i) => points[i].part ?? "none" },
  };

  const recolour = () => {
    const kind = kinds[at("colour").value], legend = at("legend");
    legend.replaceChildren();
    if (kind.scale) {
      colours = points.map((_, i) => ramp(kind.scale(i)));
      const bar = make("i", null, "scale");
      bar.style.background = `linear-gradient(90deg, ${[0, 0.25, 0.5, 0.75, 1].map(ramp).join(", ")})`;
      legend.append(make("span", "like others"), bar, make("span", "apart"));
    } else {
      const counts = new Map();
      points.forEach((_, i) => counts.set(kind.of(i), (counts.get(kind.of(i)) || 0) + 1));
      const names = [...counts.keys()].sort((a, b) => counts.get(b) - counts.get(a));
      const quiet = new Set(["no label", "no cluster", "not suspected", "none"]);
      const loud = names.filter((name) => !quiet.has(name));
      const colour = new Map(names.map((name) => [name, quiet.has(name) ? grey() : palette(loud.indexOf(name))]));
      if (kind === kinds.suspect) colour.set("suspected", token("--bad"));
      colours = points.map((_, i) => colour.get(kind.of(i)));
      for (const name of names.slice(0, 60)) {
        const entry = make("span"), dot = make("i");
        dot.style.background = colour.get(name);
        entry.append(dot, document.createTextNode(`${name} (${counts.get(name)})`));
        legend.append(entry);
      }
    }
    draw();
  };

  // --- drawing

  const place = () => {
    const reach = Math.min(size.width, size.height) / 2 - 14;
    screen = points.map((p) => [
      size.width / 2 + (p.x * reach + view.x) * view.scale,
      size.height / 2 - (p.y * reach - view.y) * view.scale,
    ]);
  };

  const draw = () => {
    if (pending) return;
    pending = true;
    requestAnimationFrame(paint);
  };

  const paint = () => {
    pending = false;
    const ratio = devicePixelRatio || 1;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, size.width, size.height);
    place();
    const radius = Math.max(2, Math.min(5, 60 / Math.sqrt(points.length))) * Math.min(2, Math.sqrt(view.scale));
    const ink = token("--ink");
    pen.globalAlpha = 0.12;
    pen.fillStyle = grey();
    points.forEach((_, i) => { if (!visible[i]) dot(i, radius * 0.8); });
    pen.globalAlpha = points.length > 1500 ? 0.75 : 0.9;
    points.forEach((_, i) => {
      if (!visible[i]) return;
      pen.fillStyle = colours[i];
      dot(i, accused.has(i) && at("colour").value === "suspect" ? radius * 1.4 : radius);
    });
    pen.globalAlpha = 1;
    pen.strokeStyle = ink;
    pen.lineWidth = 1.6;
    for (const i of chosen) ring(i, radius + 2);
    if (hovered >= 0) { pen.lineWidth = 2.4; ring(hovered, radius + 4); }
    if (drag && drag.path) {
      pen.setLineDash([5, 4]);
      pen.lineWidth = 1.4;
      pen.beginPath();
      outline(drag).forEach(([x, y], i) => (i ? pen.lineTo(x, y) : pen.moveTo(x, y)));
      pen.closePath();
      pen.stroke();
      pen.setLineDash([]);
    }
  };

  const dot = (i, radius) => {
    pen.beginPath();
    pen.arc(screen[i][0], screen[i][1], radius, 0, 7);
    pen.fill();
  };
  const ring = (i, radius) => {
    pen.beginPath();
    pen.arc(screen[i][0], screen[i][1], radius, 0, 7);
    pen.stroke();
  };

  const fit = () => {
    const box = canvas.getBoundingClientRect(), ratio = devicePixelRatio || 1;
    size = { width: box.width, height: box.height };
    canvas.width = Math.round(box.width * ratio);
    canvas.height = Math.round(box.height * ratio);
    draw();
  };

  // --- the card beside a point

  const show = (i, told) => {
    hovered = i;
    card.hidden = i < 0;
    if (i >= 0) {
      const point = points[i], lines = [`${clusterName(point.cluster)}, farther out than ${Math.round(100 * rank[i])} %`];
      if (point.label !== null) lines.unshift(`label ${point.label}`);
      if (accused.has(i)) lines.unshift(`rather ${accused.get(i).likely}?`);
      if (point.part) lines.push(point.part);
      card.replaceChildren(face(point.name), make("b", point.name), ...lines.map((line) => make("div", line, "soft")));
      place();
      const [x, y] = screen[i], box = card.getBoundingClientRect();
      const left = x + 16 + box.width > size.width ? x - 16 - box.width : x + 16;
      card.style.left = `${Math.max(2, Math.min(left, size.width - box.width - 2))}px`;
      card.style.top = `${Math.max(2, Math.min(y - box.height / 2, size.height - box.height - 2))}px`;
      if (told) at("said").textContent = [point.name, ...lines].join(", ");
    }
    draw();
  };

  const nearest = (x, y, within) => {
    let best = -1, least = within * within;
    screen.forEach(([px, py], i) => {
      const distance = (px - x) ** 2 + (py - y) ** 2;
      if (visible[i] && distance < least) { least = distance; best = i; }
    });
    return best;
  };

  const goTo = (i) => {
    view.scale = Math.max(view.scale, 2.5);
    place();
    view.x += (size.width / 2 - screen[i][0]) / view.scale;
    view.y += (size.height / 2 - screen[i][1]) / view.scale;
    show(i, true);
  };

  // --- moving and selecting

  const zoom = (factor, x = size.width / 2, y = size.height / 2) => {
    const scale = Math.min(80, Math.max(0.5, view.scale * factor)), change = 1 / scale - 1 / view.scale;
    view.x += (x - size.width / 2) * change;
    view.y += (y - size.height / 2) * change;
    view.scale = scale;
    show(-1);
  };

  const home = () => { view = { scale: 1, x: 0, y: 0 }; show(-1); };

  const outline = ({ path, by }) => {
    if (by === "lasso") return path;
    const [[x, y], [u, v]] = [path[0], path[path.length - 1]];
    return [[x, y], [u, y], [u, v], [x, v]];
  };

  const inside = ([x, y], corners) => {
    let odd = false;
    for (let i = 0, j = corners.length - 1; i < corners.length; j = i++) {
      const [xi, yi] = corners[i], [xj, yj] = corners[j];
      if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) odd = !odd;
    }
    return odd;
  };

  const here = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };

  const touches = new Map();
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    touches.set(event.pointerId, here(event));
    if (touches.size === 2) { pinch = spread(); drag = null; return; }
    const by = event.shiftKey && tool === "pan" ? "rectangle" : tool;
    drag = { by, start: here(event), last: here(event), moved: false, path: by === "pan" ? null : [here(event)], add: event.ctrlKey || event.metaKey };
  });
  const spread = () => {
    const [[x, y], [u, v]] = [...touches.values()];
    return { far: Math.hypot(x - u, y - v), x: (x + u) / 2, y: (y + v) / 2 };
  };
  canvas.addEventListener("pointermove", (event) => {
    const [x, y] = here(event);
    if (touches.has(event.pointerId)) touches.set(event.pointerId, [x, y]);
    if (pinch && touches.size === 2) {
      const now = spread();
      zoom(now.far / Math.max(pinch.far, 1), now.x, now.y);
      pinch = now;
      return;
    }
    if (!drag) { show(nearest(x, y, 14)); return; }
    drag.moved = drag.moved || Math.hypot(x - drag.start[0], y - drag.start[1]) > 4;
    if (drag.path) drag.path.push([x, y]);
    else if (drag.moved) { view.x += (x - drag.last[0]) / view.scale; view.y += (y - drag.last[1]) / view.scale; show(-1); }
    drag.last = [x, y];
    draw();
  });
  const release = (event) => {
    touches.delete(event.pointerId);
    if (pinch) { if (touches.size < 2) pinch = null; drag = null; return; }
    const done = drag;
    drag = null;
    if (!done) return;
    if (!done.moved) show(nearest(...done.start, 20), true);
    else if (done.path) {
      const corners = outline(done);
      choose(points.map((_, i) => i).filter((i) => visible[i] && inside(screen[i], corners)), done.add);
    }
    draw();
  };
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", (event) => { touches.delete(event.pointerId); drag = pinch = null; draw(); });
  canvas.addEventListener("pointerleave", () => { if (!drag) show(-1); });
  canvas.addEventListener("dblclick", () => { if (hovered >= 0) toggle(hovered); });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(Math.exp(-event.deltaY * 0.0016), ...here(event));
  }, { passive: false });

  const step = (by) => {
    const seen = order.filter((i) => visible[i]);
    if (!seen.length) return;
    const next = seen.indexOf(hovered) < 0 ? 0 : (seen.indexOf(hovered) + by + seen.length) % seen.length;
    goTo(seen[next]);
  };
  const move = (x, y) => () => { view.x += (60 * x) / view.scale; view.y += (60 * y) / view.scale; show(-1); };
  const keys = {
    ArrowLeft: move(1, 0), ArrowRight: move(-1, 0), ArrowUp: move(0, 1), ArrowDown: move(0, -1),
    "+": () => zoom(1.4), "=": () => zoom(1.4), "-": () => zoom(1 / 1.4), 0: home,
    n: () => step(1), p: () => step(-1), Enter: () => { if (hovered >= 0) toggle(hovered); }, Escape: () => show(-1),
  };
  canvas.addEventListener("keydown", (event) => {
    const act = keys[event.key] || keys[event.key.toLowerCase()];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  });

  // --- the selection

  const choose = (found, add) => {
    if (!add) chosen.clear();
    found.forEach((i) => chosen.add(i));
    listChosen();
  };
  const toggle = (i) => {
    if (!chosen.delete(i)) chosen.add(i);
    listChosen();
  };
  const listChosen = () => {
    at("selected").textContent = chosen.size.toLocaleString("en");
    const some = [...chosen].slice(0, 200).map((i) => row(i));
    if (chosen.size > 200) some.push(make("li", `and ${chosen.size - 200} more, in what is copied and saved`, "soft"));
    at("chosen").replaceChildren(...some);
    draw();
  };
  const names = () => [...chosen].map((i) => points[i].name);
  const quoted = (value) => {
    const text = String(value ?? "");
    const safe = /^[=+\-@\t\r]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text; // a spreadsheet must not run it
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  const save = (name, text, type) => {
    const link = make("a");
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };
  const lines = () => names().map((name) => name.replace(/[\r\n]+/g, " ")).join("\n") + "\n";
  at("txt").onclick = () => save("names.txt", lines(), "text/plain");
  at("csv").onclick = () => {
    const head = ["name", "label", "part", "cluster", "outlier_distance", "suspected_label"];
    const body = [...chosen].map((i) => [points[i].name, points[i].label, points[i].part,
      points[i].cluster < 0 ? "" : points[i].cluster + 1, points[i].apart, accused.get(i)?.likely]);
    save("selection.csv", [head, ...body].map((one) => one.map(quoted).join(",")).join("\r\n") + "\r\n", "text/csv");
  };
  at("copy").onclick = async () => {
    const told = at("count");
    try {
      await navigator.clipboard.writeText(lines());
    } catch { // pages from the disk may not be allowed to
      const area = make("textarea", lines(), "hidden");
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    told.textContent = `${chosen.size} names copied`;
  };
  at("clear").onclick = () => choose([], false);

  // --- the lists beside the map

  const row = (i, said, flag) => {
    const made = make("li"), button = make("button"), words = make("span", points[i].name);
    button.type = "button";
    if (flag) words.append(document.createTextNode(" "), make("b", flag, "flag"));
    const under = said ?? [points[i].label, points[i].cluster < 0 ? null : clusterName(points[i].cluster)].filter(Boolean).join(", ");
    if (under) words.append(make("small", under));
    const look = shown[points[i].name];
    if (look !== undefined && (look.series || look.startsWith("data:image/"))) button.append(face(points[i].name));
    button.append(words);
    button.onclick = () => goTo(i);
    made.append(button);
    return made;
  };

  const list = (title, rows, why, open, all) => {
    const made = make("details"), inner = make("ol", null, "rows"), head = make("summary", `${title} (${rows.length})`);
    made.open = open && rows.length > 0;
    inner.append(...rows.slice(0, 300).map((give) => give()));
    made.append(head, make("p", why, "about"));
    if (rows.length > 300) made.append(make("p", `The first 300 are listed; explored.json has all.`, "about"));
    if (all && all.length) {
      const pick = make("button", "Select these");
      pick.type = "button";
      pick.onclick = () => choose(all, false);
      made.append(pick);
    }
    made.append(inner);
    at("lists").append(made);
  };

  const lists = () => {
    if (data.suspects !== null) {
      const found = data.suspects.map((one) => number.get(one.name));
      list("Suspected labels", data.suspects.map((one) => () =>
        row(number.get(one.name), `${one.given}, rather ${one.likely} (${one.score.toFixed(2)})`)),
        "Labels that all other examples speak against, the surest first.", true, found);
    }
    list("Outliers", data.outliers.map((one) => () => row(number.get(one.name), `distance ${one.distance.toFixed(2)}`)),
      "Like no other example, the farthest first.", data.suspects === null, data.outliers.map((one) => number.get(one.name)));
    list("Duplicates", data.duplicates.map((group) => () => {
      const made = make("li", null, "group"), inner = make("ol", null, "rows");
      const flags = [group.leak ? "in train and test" : "", group.conflict ? "labels differ" : ""].filter(Boolean);
      if (flags.length) made.append(make("b", flags.join(", "), "flag"));
      inner.append(...group.names.map((name) => row(number.get(name))));
      made.append(inner);
      return made;
    }), "Equal, or nearly so.", false, data.duplicates.flatMap((group) => group.names.slice(1)).map((name) => number.get(name)));
    list("Clusters", data.clusters.found.map((one) => () => {
      const made = make("li", null, "group"), inner = make("ol", null, "rows"), pick = make("button", `${clusterName(one.number)}: ${one.size}`);
      pick.type = "button";
      pick.onclick = () => choose(points.map((_, i) => i).filter((i) => points[i].cluster === one.number), false);
      const most = Object.entries(one.labels).slice(0, 6).map(([label, count]) => `${label} ${count}`).join(", ");
      inner.append(...one.typical.slice(0, 3).map((name) => row(number.get(name), "")));
      made.append(pick, make("small", most, "soft"), inner);
      return made;
    }), data.clusters.ari === null ? "The most typical examples of each." :
      `The most typical examples and the labels of each; agreement with the labels ${data.clusters.ari.toFixed(2)} (adjusted Rand index).`, false);
  };

  // --- filters

  const filter = () => {
    const only = at("only").value, find = at("find").value.trim().toLowerCase();
    const [kind, value] = only ? [only.slice(0, only.indexOf(":")), only.slice(only.indexOf(":") + 1)] : ["", ""];
    visible = points.map((point, i) => (!kind || kinds[kind].of(i) === value) &&
      (!find || point.name.toLowerCase().includes(find) || (point.label ?? "").toLowerCase().includes(find)));
    at("count").textContent = `${visible.filter(Boolean).length.toLocaleString("en")} of ${points.length.toLocaleString("en")} shown`;
    show(-1);
  };

  const options = () => {
    for (const [key, kind] of Object.entries(kinds)) {
      if (!kind.there) continue;
      const option = make("option", kind.called);
      option.value = key;
      at("colour").append(option);
      if (kind.scale) continue;
      const group = make("optgroup");
      group.label = kind.called;
      for (const name of [...new Set(points.map((_, i) => kind.of(i)))].sort()) {
        const one = make("option", name);
        one.value = `${key}:${name}`;
        group.append(one);
      }
      at("only").append(group);
    }
    const all = make("option", "all");
    all.value = "";
    at("only").prepend(all);
    at("only").value = "";
  };

  for (const button of document.querySelectorAll("[data-tool]")) {
    button.onclick = () => {
      tool = button.dataset.tool;
      document.querySelectorAll("[data-tool]").forEach((one) => one.setAttribute("aria-pressed", String(one === button)));
    };
  }
  at("in").onclick = () => zoom(1.5);
  at("out").onclick = () => zoom(1 / 1.5);
  at("home").onclick = home;
  at("colour").onchange = recolour;
  at("only").onchange = filter;
  at("find").oninput = filter;
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
  new ResizeObserver(fit).observe(canvas);
  options();
  fit();
  recolour();
  filter();
  lists();
  listChosen();
  window.headstartMap = { where: (name) => { place(); return screen[number.get(name)]; }, ready: true };
})();
