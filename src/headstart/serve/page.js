"use strict";
(() => {
  const at = (id) => document.getElementById(id);
  const AT_ONCE = 4, LISTED = 5, AGAIN = 20; // requests under way, classes of an answer, times that a busy server is asked
  let about = null, token = "", waiting = [], under = 0, asked = 0, answered = 0;

  // Text from the data goes into the page as text nodes only.
  const make = (tag, text, name) => {
    const made = document.createElement(tag);
    if (text !== undefined && text !== null) made.textContent = text;
    if (name) made.className = name;
    return made;
  };
  const percent = (p) => (p > 0.9995 && p < 1 ? "> 99.9 %" : p < 0.0005 && p > 0 ? "< 0.1 %" : `${(100 * p).toFixed(1)} %`);
  const keys = () => (token ? { Authorization: `Bearer ${token}` } : {});

  // --- how an example looks

  const KINDS = { image: "picture", series: "series", text: "words", table: "row" };
  const NOUNS = { image: "photos", series: "files of series", text: "files of text", table: "tables" };
  const MANY = ["series", "table"]; // of which a file may hold several

  const drawn = (lines) => {
    const space = "http://www.w3.org/2000/svg", svg = document.createElementNS(space, "svg"), frame = make("div", null, "drawn");
    svg.setAttribute("viewBox", "0 0 200 90");
    svg.setAttribute("preserveAspectRatio", "none");
    lines.forEach((line, channel) => {
      const known = line.filter((v) => v !== null), low = Math.min(...known), high = Math.max(...known);
      const path = document.createElementNS(space, "path");
      let pen = "", down = false;
      line.forEach((v, i) => {
        if (v === null) { down = false; return; }
        const y = 84 - 78 * (high > low ? (v - low) / (high - low) : 0.5);
        pen += `${down ? "L" : "M"}${((200 * i) / Math.max(line.length - 1, 1)).toFixed(1)} ${y.toFixed(1)}`;
        down = true;
      });
      path.setAttribute("d", pen);
      path.setAttribute("class", `c${(channel % 6) + 1}`);
      svg.append(path);
    });
    frame.append(svg);
    return frame;
  };

  const cells = (row) => {
    const list = make("dl");
    for (const [name, value] of Object.entries(row)) {
      const pair = make("div");
      pair.append(make("dt", name), make("dd", value === null ? "" : String(value)));
      list.append(pair);
    }
    return list;
  };

  const picture = (address) => {
    const image = make("img");
    image.alt = "";
    image.onerror = () => image.remove(); // a format that the browser does not show
    image.src = address;
    return image;
  };

  // Of an exhibit as the server writes it, one part is there.
  const look = (shown) => {
    if (!shown) return [];
    if (shown.picture && shown.picture.startsWith("data:image/")) return [picture(shown.picture)];
    if (shown.words) return [make("q", shown.words)];
    if (shown.lines && shown.lines.length) return [drawn(shown.lines)];
    if (shown.cells && Object.keys(shown.cells).length) return [cells(shown.cells)];
    return [];
  };

  // --- an answer

  const label = (left, right) => {
    const made = make("p", null, "label");
    made.append(make("span", left));
    if (right) made.append(make("span", right));
    return made;
  };

  const shares = (answer) => {
    const list = make("ul", null, "shares"), named = new Set(answer.labels || [answer.label]);
    const all = Object.entries(answer.probabilities).sort((a, b) => b[1] - a[1]);
    const kept = all.filter(([name], i) => i < LISTED || named.has(name));
    for (const [name, p] of kept) {
      const row = make("li", null, named.has(name) ? "named" : ""), bar = make("div", null, "share"), filled = make("i");
      filled.style.width = `${100 * p}%`;
      bar.append(filled);
      row.append(make("span", name), make("b", percent(p)), bar);
      list.append(row);
    }
    if (all.length > kept.length) list.append(make("li", `and ${all.length - kept.length} more classes, all less likely`, "more"));
    return list;
  };

  const near = (answer) => {
    const part = make("div", null, `near ${KINDS[about.modality] || ""}`), list = make("ul");
    part.append(make("h3", "Most like it among what was learned from"));
    for (const one of answer.nearest) {
      const row = make("li");
      row.title = one.name;
      row.append(...look(one.shown), make("b", one.label), make("small", one.name));
      list.append(row);
    }
    part.append(list);
    return part;
  };

  const headline = (answer) => {
    if (answer.value !== null) return label(answer.label, answer.off === null ? "" : `± ${Number(answer.off.toPrecision(3))}`);
    return label(answer.label || "none of the labels", answer.probability === null || answer.labels ? "" : percent(answer.probability));
  };

  const tell = (card, answer) => {
    const told = card.querySelector(".told");
    card.classList.remove("waiting");
    card.classList.toggle("failed", Boolean(answer.error));
    if (answer.error) { told.replaceChildren(make("p", answer.error, "alarm bad")); return; }
    told.replaceChildren(headline(answer));
    if (answer.value === null) told.append(shares(answer));
    else if (answer.off !== null) told.append(make("small", "nine in ten numbers are at most so far off"));
    if (answer.unlike) told.append(make("p", "Unlike anything it was trained on: do not rely on this answer.", "alarm"));
    if (answer.shown) card.querySelector(".look").prepend(...look(answer.shown));
    if (answer.nearest && answer.nearest.length) card.append(near(answer));
  };

  const count = () => {
    at("bar").hidden = asked === 0;
    at("count").textContent = answered < asked ? `${answered} of ${asked} answered` : `${asked} answered`;
  };

  // --- asking

  const request = async ({ route, body, headers }) => {
    for (let turn = 0; ; turn++) {
      const found = await fetch(route, { method: "POST", body, headers: { ...headers, ...keys() } });
      if (found.status === 503 && turn < AGAIN) {
        await new Promise((go) => setTimeout(go, 1000 * Number(found.headers.get("retry-after") || 1)));
        continue;
      }
      if (found.status === 401) lock("The server wants its token again.");
      return await found.json();
    }
  };

  const next = async () => {
    if (under >= AT_ONCE || !waiting.length) return;
    const one = waiting.shift();
    under++;
    let found;
    try {
      found = await request(one);
    } catch {
      found = { error: "The server does not answer; is it still running?" };
    }
    under--;
    if (one.card.isConnected) several(one.card, found.answers || [found]);
    next();
  };

  // A file may hold several examples: each gets a card.
  const several = (card, [first, ...others]) => {
    if (others.length) card.querySelector(".look small").textContent = first.name;
    tell(card, first);
    for (const one of others.reverse()) tell(place(one.name, [], card), one);
    answered += 1 + others.length;
    count();
  };

  const place = (name, looks, before) => {
    const card = make("li", null, `new waiting ${KINDS[about.modality] || ""}`), side = make("div", null, "look"), told = make("div", null, "told");
    side.append(...looks);
    if (name) side.append(make("small", name));
    told.append(label("asking", ""));
    card.append(side, told);
    if (before) before.after(card);
    else at("answers").prepend(card);
    asked++;
    count();
    return card;
  };

  const ask = (name, looks, body, headers, route = "/predict") => {
    waiting.push({ card: place(name, looks), route, body, headers });
    next();
  };

  const megabytes = () => `${Math.round(about.limits.request / 1e5) / 10} MB`;

  const json = (example) => [JSON.stringify({ example }), { "Content-Type": "application/json" }];

  const most = () => {
    const counted = { text: [about.limits.characters, "characters"], series: [about.limits.values, "values"], table: [about.limits.examples, "rows"] }[about.modality];
    return counted ? `${counted[0].toLocaleString("en")} ${counted[1]}` : megabytes();
  };

  const files = (list) => {
    for (const file of list) {
      const looks = about.modality === "image" ? [picture(URL.createObjectURL(file))] : [];
      if (file.size > about.limits.request) {
        answered++;
        tell(place(file.name, []), { error: `This server takes up to ${megabytes()} at a time; send it smaller.` });
        count();
        continue;
      }
      const form = new FormData();
      form.append("file", file, file.name);
      ask(file.name, looks, form, {}, MANY.includes(about.modality) ? "/batch" : "/predict");
    }
  };

  const series = (text) => {
    const lines = text.trim().split(/\n+/).map((line) => line.trim().split(/[\s,;]+/));
    return lines.map((line) => line.map((one) => (/^(\?|nan|null)?$/i.test(one) ? null : Number(one))));
  };

  const writers = {
    text: (text) => ask("", [make("q", text)], ...json(text)),
    series: (text) => ask("typed", [], ...json(series(text))),
  };

  const submit = (event) => {
    event.preventDefault();
    if (at("words").value.trim()) writers[about.modality](at("words").value);
  };

  const row = (event) => {
    event.preventDefault();
    const values = {};
    for (const input of at("cells").querySelectorAll("input")) {
      if (input.value.trim() !== "") values[input.name] = input.type === "number" ? Number(input.value) : input.value.trim();
    }
    ask("", [cells(values)], ...json(values));
  };

  // --- the page

  const dropping = () => {
    const drop = at("drop"), input = at("files");
    drop.hidden = false;
    input.accept = about.media;
    at("invite").textContent = `Drop ${NOUNS[about.modality]} here, or choose them`;
    at("takes").textContent = `${about.takes}; up to ${most()} each`;
    input.onchange = () => { files([...input.files]); input.value = ""; };
    const over = (yes) => (event) => {
      if (![...(event.dataTransfer ? event.dataTransfer.types : [])].includes("Files")) return;
      event.preventDefault();
      drop.classList.toggle("over", yes);
    };
    document.addEventListener("dragover", over(true));
    document.addEventListener("dragleave", over(false));
    document.addEventListener("drop", (event) => {
      if (!event.dataTransfer || !event.dataTransfer.files.length) return;
      event.preventDefault();
      drop.classList.remove("over");
      files([...event.dataTransfer.files]);
    });
    document.addEventListener("paste", (event) => {
      const pasted = [...(event.clipboardData ? event.clipboardData.files : [])];
      if (pasted.length) files(pasted);
    });
  };

  const writing = (says) => {
    at("write").hidden = false;
    at("ask").textContent = says;
    at("write").onsubmit = submit;
    at("words").onkeydown = (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit(event); };
  };

  const asking = {
    image: dropping,
    text: () => { writing("A text"); dropping(); at("asking").className = "written"; },
    series: () => { dropping(); writing("Or the numbers themselves, a line for each channel"); },
    table: () => {
      dropping();
      at("asking").className = "written";
      at("row").hidden = false;
      at("row").onsubmit = row;
      for (const column of about.columns) {
        const named = make("label", column.name), input = make("input");
        input.name = column.name;
        input.type = column.kind === "number" ? "number" : "text";
        if (input.type === "number") input.step = "any";
        named.append(input);
        at("cells").append(named);
      }
    },
  };

  const title = () => {
    const { kind, classes, task } = about;
    if (kind === "regression") return `${task}: how much?`;
    if (classes.length <= 4) return `${classes.slice(0, -1).join(", ")} or ${classes[classes.length - 1]}?`;
    return `Which of ${classes.length} ${kind === "multi-label" ? "labels" : "classes"}?`;
  };

  const example = () => {
    const here = location.origin, auth = token ? ` -H "Authorization: Bearer $HEADSTART_TOKEN"` : "";
    if (about.modality === "image" || about.modality === "series") {
      const name = about.modality === "image" ? "photo.jpg" : "series.ts";
      return `curl${auth} -F file=@${name} ${here}/predict\ncurl${auth} -F file=@1-${name} -F file=@2-${name} ${here}/batch`;
    }
    const one = about.modality === "text" ? '"some words"' : `{${about.columns.slice(0, 2).map((c) => `"${c.name}": ${c.kind === "number" ? 1 : '"a"'}`).join(", ")}}`;
    const head = `curl${auth} -H "Content-Type: application/json"`;
    return `${head} -d '{"example": ${one}}' ${here}/predict\n${head} -d '{"examples": [${one}, ${one}]}' ${here}/batch`;
  };

  const open = () => {
    document.title = `${about.task}: headstart`;
    at("of").textContent = `predicts ${about.task}`;
    at("title").textContent = title();
    at("said").textContent = about.said;
    at("verdict").textContent = about.verdict;
    const terms = about.sources.map((one) => `${one.name} (${one.licence || "no stated licence"})`).join(", ");
    at("terms").textContent = `It answers with ${about.delivered}. Sources that were tried: ${terms}.`;
    at("curl").textContent = example();
    at("door").hidden = true;
    at("room").hidden = at("foot").hidden = false;
    asking[about.modality]();
  };

  const lock = (why) => {
    at("door").hidden = false;
    at("wrong").hidden = !why;
    at("wrong").textContent = why;
    at("token").focus();
  };

  const enter = async () => {
    const found = await fetch("/about", { headers: keys() });
    if (found.status === 401) { lock(token ? "That is not the token." : ""); return; }
    if (about === null) { about = await found.json(); open(); }
    at("door").hidden = true;
  };

  at("key").onsubmit = (event) => {
    event.preventDefault();
    token = at("token").value;
    at("token").value = "";
    enter();
  };
  at("clear").onclick = () => {
    waiting = [];
    asked = answered = 0;
    for (const image of document.querySelectorAll(".look img")) if (image.src.startsWith("blob:")) URL.revokeObjectURL(image.src);
    at("answers").replaceChildren();
    count();
  };
  enter();
})();
