// The served pages of covey: ticks in ranges, names in place, the unsure queue by keys. Everything works without it, slower.
"use strict";

(() => {
  const $ = (selector, from = document) => from.querySelector(selector);
  const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];
  const state = $("#live");
  if (!state) return; // nothing can be edited
  const root = state.dataset.root;

  // ---- an edit: sent as JSON, answered with what it did; every form on the page has then seen it

  // An edit of somebody else in between has not been seen, so only an unbroken row of own ones counts as seen.
  const own = new Set();
  const see = (seq) => {
    own.add(seq);
    let seen = Number(state.dataset.seq);
    if (seen === 0 && own.has(2)) seen = 1; // the first edit starts the journal with one that changes nothing
    while (own.has(seen + 1)) seen += 1;
    state.dataset.seq = seen;
    for (const field of $$("input[name=seq]")) field.value = seen;
  };
  const send = async (edit) => {
    const body = JSON.stringify({ uuid: crypto.randomUUID(), seq: Number(state.dataset.seq), ...edit });
    const answer = await fetch(`${root}edits`, { method: "POST", headers: { "Content-Type": "application/json" }, body });
    const told = await answer.json();
    if (!answer.ok) throw new Error(told.message);
    see(told.seq);
    if (edit.op !== "undo") state.dataset.newest = told.seq;
    return told;
  };
  const toast = $("#toast");
  let last = null, timer = 0;
  const say = (text, undo = null) => {
    $("p", toast).textContent = text;
    $("button", toast).hidden = !undo;
    last = undo;
    toast.hidden = false;
    clearTimeout(timer);
    if (undo) timer = setTimeout(() => { toast.hidden = true; }, 10000);
  };
  const told = (report) => `${report.summary[0].toUpperCase()}${report.summary.slice(1)}.`;
  const undo = async (seq, after) => {
    try {
      say(told(await send({ op: "undo", edit: seq })));
      if (after) after();
      else location.reload();
    } catch (error) { say(error.message); }
  };
  $("button", toast).addEventListener("click", () => last && undo(last.seq, last.after));

  // ---- ticks: a count, ranges with Shift, all of a page

  const bar = $(".actions[data-ticks]");
  const boxes = bar ? $$(`input[name=${bar.dataset.ticks}][form=${bar.id}]`) : [];
  const count = () => {
    const n = boxes.filter((box) => box.checked).length;
    const noun = bar.dataset.ticks === "image" ? "picture" : "cluster";
    $("[data-count]", bar).textContent = n ? `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"} ticked` : `Tick ${noun}s to change them`;
    bar.classList.toggle("idle", n === 0);
  };
  let from = null;
  const tick = (box, isRange) => {
    const shown = boxes.filter((other) => !other.closest("[hidden]"));
    const [a, b] = [shown.indexOf(from), shown.indexOf(box)];
    if (isRange && a >= 0 && b >= 0) for (const other of shown.slice(Math.min(a, b), Math.max(a, b) + 1)) other.checked = box.checked;
    from = box;
    count();
  };
  if (bar) {
    for (const box of boxes) box.addEventListener("click", (event) => tick(box, event.shiftKey));
    const all = $("[data-all]", bar);
    if (all) {
      all.hidden = false;
      all.addEventListener("click", () => {
        const shown = boxes.filter((box) => !box.closest("[hidden]"));
        const wanted = !shown.every((box) => box.checked);
        for (const box of shown) box.checked = wanted;
        count();
      });
    }
    // Enter in a field presses the first button of a form; here it has to be the one beside the field.
    bar.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.target.tagName !== "INPUT") return;
      event.preventDefault();
      $("button", event.target.closest(".action"))?.click();
    });
    count();
  }
  const tickFocused = (isRange) => {
    const box = document.activeElement?.closest("li")?.querySelector(".tick input");
    if (!box) return;
    box.checked = !box.checked;
    tick(box, isRange);
  };

  // ---- the name, in place

  const rename = $("#rename");
  let isPlain = false;
  rename?.addEventListener("submit", async (event) => {
    if (isPlain) return;
    event.preventDefault();
    const field = rename.elements.namedItem("name"), cluster = Number(rename.elements.namedItem("cluster").value);
    try {
      const report = await send({ op: "rename", cluster, name: field.value });
      const title = report.touched.clusters[cluster].title;
      $("h1").textContent = title;
      document.title = document.title.replace(/^.* – /, () => `${title} – `);
      field.blur();
      say(told(report), { seq: report.seq });
    } catch {
      // Sent again as a form, it is answered by a page that has ways out: merge the two, or another name.
      isPlain = true;
      rename.requestSubmit($("button", rename));
    }
  });

  // ---- the unsure queue: a decision is drawn at once and sent; if it is refused, the picture comes back

  const queue = $(".doubts");
  const decide = async (tile, button) => {
    const form = button.form;
    const open = $$(".doubts > li:not(.decided, [hidden])"), place = open.indexOf(tile);
    const after = open[place + 1] || open[place - 1];
    const edit = { op: button.value, images: { ids: [form.elements.namedItem("image").value] } };
    if (edit.op === "move") edit.to = Number(form.elements.namedItem("to").value);
    const item = $("[data-item]", tile);
    // The filter of the page shows and hides whole tiles; a decided one stays away whatever is typed there.
    const show = (isShown) => { tile.classList.toggle("decided", !isShown); item.hidden = !isShown; };
    const back = () => { show(true); item.focus(); };
    show(false);
    if (after) $("[data-item]", after).focus();
    try {
      const report = await send(edit);
      say(told(report), { seq: report.seq, after: back });
    } catch (error) { back(); say(error.message); }
  };
  queue?.addEventListener("submit", (event) => {
    event.preventDefault();
    if (event.submitter) decide(event.target.closest("li"), event.submitter);
  });
  const choose = (key) => {
    const tile = document.activeElement?.closest(".doubts > li") || $(".doubts > li:not(.decided, [hidden])");
    const button = tile && $(`[data-key="${key}"]`, tile);
    if (button) decide(tile, button);
  };

  // ---- keys: none while a field or a dialog has them

  const keys = {
    x: () => tickFocused(false), X: () => tickFocused(true),
    m: () => bar && $("input[name=to]", bar)?.focus(),
    e: () => { const field = rename?.elements.namedItem("name"); field?.focus(); field?.select(); },
    z: () => {
      if (last && !toast.hidden) undo(last.seq, last.after);
      else if (state.dataset.newest) undo(Number(state.dataset.newest));
    },
    Escape: () => { if (bar) { for (const box of boxes) box.checked = false; count(); } },
  };
  const inQueue = { 1: () => choose("1"), 2: () => choose("2"), w: () => choose("w"), o: () => choose("o") };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || $("dialog[open]")) return;
    if (event.target.closest("input:not([type=checkbox]), select, textarea")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const action = keys[event.key] || (queue && inQueue[event.key]);
    if (!action) return;
    event.preventDefault();
    action();
  });
})();
