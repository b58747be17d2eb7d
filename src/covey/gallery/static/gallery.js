// The gallery of covey: keys, filter, sorting, the large view, dark and light. Everything works without it, slower.
"use strict";

(() => {
  const $ = (selector, from = document) => from.querySelector(selector);
  const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];
  const root = document.documentElement;

  // ---- dark and light: the system's choice, until someone makes another; set before anything is painted

  const THEME = "covey-theme";
  const systemDark = matchMedia("(prefers-color-scheme: dark)");
  const remember = (value) => {
    try {
      if (value) localStorage.setItem(THEME, value);
      else localStorage.removeItem(THEME);
    } catch { /* storage is off: the choice lasts as long as the page */ }
  };
  const remembered = () => {
    try { return localStorage.getItem(THEME); } catch { return null; }
  };
  const isDark = () => (root.dataset.theme || (systemDark.matches ? "dark" : "light")) === "dark";
  const showTheme = () => $("#theme")?.setAttribute("aria-pressed", isDark());
  const setTheme = (value) => {
    if (value === "dark" || value === "light") root.dataset.theme = value;
    else delete root.dataset.theme;
    showTheme();
  };
  const turnTheme = () => {
    const wanted = isDark() ? "light" : "dark";
    const isSystems = (wanted === "dark") === systemDark.matches;
    remember(isSystems ? null : wanted);
    setTheme(isSystems ? null : wanted);
  };
  setTheme(remembered());
  root.classList.add("live"); // shows what only works with this script

  // ---- pictures that are gone: the same stand-in as for those that never were; heard from the first one on

  const draw = (name, attributes) => {
    const shape = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const key in attributes) shape.setAttribute(key, attributes[key]);
    return shape;
  };
  const words = (alt) => (alt ? { role: "img", "aria-label": `${alt} (no preview)` } : { "aria-hidden": "true" });
  const standIn = (image) => {
    const width = image.getAttribute("width"), height = image.getAttribute("height");
    const blank = draw("svg", { class: "blank", viewBox: `0 0 ${width} ${height}`, width, height, ...words(image.alt) });
    blank.append(draw("use", { href: "#blank", width: 48, height: 48, x: width / 2 - 24, y: height / 2 - 24 }));
    image.replaceWith(blank);
  };
  document.addEventListener("error", (event) => {
    if (event.target instanceof HTMLImageElement && event.target.closest("main")) standIn(event.target);
  }, true);

  document.addEventListener("DOMContentLoaded", () => {
    // ---- the grid: one stop for Tab, arrows from picture to picture

    const all = $$("[data-item]");
    const shown = () => all.filter((item) => !item.closest("[hidden], details.group:not([open])"));
    const box = (item) => item.parentElement.getBoundingClientRect();
    let current = null;
    const setCurrent = (item) => {
      if (current) current.tabIndex = -1;
      current = item;
      if (item) item.tabIndex = 0;
    };
    for (const item of all) item.tabIndex = -1;
    setCurrent(all[0] || null);
    document.addEventListener("focusin", (event) => {
      const item = event.target.closest?.("[data-item]");
      if (item) setCurrent(item);
    });
    const focusItem = (item) => {
      if (!item) return;
      item.focus({ preventScroll: true });
      item.parentElement.scrollIntoView({ block: "nearest" });
    };
    const hasFocus = () => current && document.activeElement === current;
    const step = (by) => {
      const items = shown();
      if (!hasFocus()) return focusItem(items.includes(current) && by > 0 ? current : items[by > 0 ? 0 : items.length - 1]);
      const next = items[items.indexOf(current) + by];
      if (next) focusItem(next);
      else turnPage(by, "focus");
    };
    const stepRow = (by) => {
      const items = shown(), here = box(current), middle = here.left + here.width / 2;
      let edge = null, nearest = null, least = Infinity;
      for (let i = items.indexOf(current) + by; items[i]; i += by) {
        const there = box(items[i]);
        if (by * (there.top - here.top) <= here.height / 2) continue; // still this row
        edge ??= there.top;
        if (Math.abs(there.top - edge) > here.height / 2) break; // already the row after
        const off = Math.abs(there.left + there.width / 2 - middle);
        if (off < least) [nearest, least] = [items[i], off];
      }
      focusItem(nearest);
    };
    const follow = (selector, hash = "") => {
      const link = $(selector);
      if (link) location.href = link.href + hash;
      return Boolean(link);
    };
    // The next page begins where this one was left: at its first or last picture, in the grid or in the large view.
    const turnPage = (by, how) => follow(by > 0 ? ".pager a[rel=next]" : ".pager a[rel=prev]", `#${how}-${by > 0 ? "first" : "last"}`);

    // ---- filter and sort

    const lists = $$("[data-filtered]"); // several where clusters are in groups
    const groups = $$("details.group");
    const filter = $("#filter");
    const sort = $("#sort");
    const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
    const entries = lists.flatMap((list) => [...list.children]);
    const texts = new Map();
    const textOf = (entry) => {
      if (!texts.has(entry)) texts.set(entry, plain(entry.dataset.name ?? $(".caption", entry).textContent));
      return texts.get(entry);
    };
    const applyFilter = () => {
      const words = plain(filter.value).split(/\s+/).filter(Boolean);
      let n = 0;
      for (const entry of entries) {
        entry.hidden = !words.every((word) => textOf(entry).includes(word));
        n += !entry.hidden;
      }
      for (const group of groups) { // a group opens while something in it is looked for
        group.hidden = !$(".card:not([hidden])", group);
        if (words.length) group.dataset.was ??= group.open ? "open" : "shut";
        group.open = words.length ? !group.hidden : (group.dataset.was ?? (group.open ? "open" : "shut")) === "open";
        if (!words.length) delete group.dataset.was;
      }
      $("#shown").textContent = words.length ? `${n.toLocaleString("en")} of ${entries.length.toLocaleString("en")}` : "";
      $("#nothing").hidden = n > 0;
      if (!current || current.closest("[hidden]")) setCurrent(shown()[0] || null);
    };
    const applySort = () => {
      const [key, direction] = sort.value.split(" ");
      const sign = direction === "asc" ? 1 : -1;
      const order = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
      const compare = key === "name"
        ? (a, b) => order.compare(a.dataset.name, b.dataset.name)
        : (a, b) => sign * (a.dataset[key] - b.dataset[key]) || order.compare(a.dataset.name, b.dataset.name);
      for (const list of lists) list.append(...[...list.children].sort(compare));
      all.splice(0, all.length, ...$$("[data-item]"));
      setCurrent(shown()[0] || null);
    };
    filter?.addEventListener("input", applyFilter);
    sort?.addEventListener("change", applySort);
    if (filter?.value) applyFilter(); // a browser restores the words on the way back
    if (sort && sort.selectedIndex > 0) applySort();

    // ---- the large view

    const lightbox = $("#lightbox");
    const show = (item) => {
      const items = shown();
      const tile = item.closest("li");
      const thumbnail = $("img", item);
      const image = new Image();
      image.alt = thumbnail ? thumbnail.alt : $(".name", tile).textContent;
      image.onerror = () => {
        image.onerror = null;
        const notice = document.createElement("span");
        notice.className = "notice";
        if (thumbnail) image.src = thumbnail.src;
        notice.textContent = thumbnail ? "This is the preview: the file is gone, or of a kind that browsers do not show." : "There is no picture to show: the file is gone, or of a kind that browsers do not show.";
        $("figcaption", lightbox).lastElementChild.append(notice);
      };
      const caption = $(".caption", tile).cloneNode(true);
      caption.className = "";
      $("figcaption", lightbox).replaceChildren(caption);
      // Small pictures are enlarged, but not to mush.
      const limit = (img) => {
        const width = img.naturalWidth, height = img.naturalHeight, factor = Math.max(4, 480 / Math.max(width, height));
        img.style.maxWidth = `${factor * width}px`;
        img.style.maxHeight = `${factor * height}px`;
        img.style.imageRendering = factor > 4 ? "pixelated" : "";
      };
      // The preview stands in until the file is there.
      const preview = thumbnail ? thumbnail.cloneNode() : null;
      if (preview) {
        preview.alt = "";
        preview.loading = "eager";
        $(".stage", lightbox).replaceChildren(preview);
        if (Math.max(thumbnail.naturalWidth, thumbnail.naturalHeight) < 256) limit(preview);
      } else $(".stage", lightbox).replaceChildren(image);
      image.onload = () => { limit(image); if (preview?.isConnected) preview.replaceWith(image); };
      image.src = item.href;
      $("#original").href = item.href;
      const row = tile.parentElement, whole = items.length === all.length;
      const place = items.filter((other) => row.contains(other)).indexOf(item) + 1 + (whole ? Number(row.dataset.before || 0) : 0);
      const total = whole && row.dataset.total || items.filter((other) => row.contains(other)).length;
      $(".count", lightbox).textContent = `${place.toLocaleString("en")} of ${Number(total).toLocaleString("en")}`;
      setCurrent(item);
      if (!lightbox.open) {
        lightbox.showModal();
        lightbox.focus();
      }
      const next = items[items.indexOf(item) + 1];
      if (next) new Image().src = next.href;
    };
    const turn = (by) => {
      const items = shown();
      const next = items[items.indexOf(current) + by];
      if (next) show(next);
      else turnPage(by, "open");
    };
    const shut = () => {
      lightbox.close();
      focusItem(current);
    };
    if (lightbox) {
      document.addEventListener("click", (event) => {
        const item = event.target.closest("[data-item]");
        if (!item || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
        event.preventDefault();
        show(item);
      });
      $(".back", lightbox).addEventListener("click", () => turn(-1));
      $(".on", lightbox).addEventListener("click", () => turn(1));
      $(".close", lightbox).addEventListener("click", shut);
      $(".stage", lightbox).addEventListener("click", (event) => event.target.tagName === "IMG" || shut());
      lightbox.addEventListener("cancel", () => setTimeout(() => focusItem(current))); // a phone's way back
    }

    // ---- help, theme, keys

    const help = $("#help");
    $(".shut", help).addEventListener("click", () => help.close());
    $("#keys").addEventListener("click", () => help.showModal());
    $("#theme").addEventListener("click", turnTheme);
    systemDark.addEventListener("change", showTheme);
    showTheme();

    const everywhere = { t: turnTheme, "?": () => (help.open ? help.close() : help.showModal()) };
    const inLightbox = {
      ArrowRight: () => turn(1), j: () => turn(1), " ": () => turn(1), ArrowLeft: () => turn(-1), k: () => turn(-1),
      Home: () => show(shown()[0]), End: () => show(shown().at(-1)), Escape: shut,
    };
    const onPage = {
      ArrowRight: () => step(1), j: () => step(1), ArrowLeft: () => step(-1), k: () => step(-1),
      n: () => follow(".pager a[rel=next]"), p: () => follow(".pager a[rel=prev]"),
      "]": () => follow("#after"), "[": () => follow("#before"), u: () => follow("[rel=home]"),
      "/": () => filter?.focus(),
    };
    const onItem = {
      ArrowDown: () => stepRow(1), ArrowUp: () => stepRow(-1), Home: () => focusItem(shown()[0]), End: () => focusItem(shown().at(-1)),
    };
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
      if (event.target.closest("input, select, textarea")) {
        if (event.key === "Escape" && event.target === filter) { filter.value = ""; applyFilter(); filter.blur(); }
        if (event.key === "Enter" && event.target === filter) { event.preventDefault(); focusItem(shown()[0]); }
        return;
      }
      const onButton = event.key === " " && event.target.closest("button, summary");
      const keys = help.open ? {} : lightbox?.open ? inLightbox : { ...onPage, ...(hasFocus() ? onItem : {}) };
      const action = onButton ? undefined : keys[event.key] || everywhere[event.key];
      if (!action) return;
      event.preventDefault();
      action();
    });

    // ---- coming from the next or the previous page

    const [how, where] = location.hash.slice(1).split("-");
    const arrival = where === "first" ? $(".grid [data-item]") : where === "last" ? all.at(-1) : null;
    if (arrival && how === "focus") focusItem(arrival);
    if (arrival && how === "open" && lightbox) show(arrival);
    if (arrival) {
      try { history.replaceState(null, "", location.pathname); } catch { /* then a reload arrives here again */ }
    }
  });
})();
