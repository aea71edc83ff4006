"use strict";
// Says instants in the viewer's own time zone, searches while one types, and fetches what has changed on this page,
// without losing focus, what is open, or what is selected. Without it the page is whole, in UTC.
(() => {
  const EVERY = 5000;
  const main = document.getElementById("main");
  const announce = document.getElementById("announce");
  const state = document.getElementById("refresh");
  const asOf = document.getElementById("as-of");
  const search = document.getElementById("q");
  const regions = [...main.querySelectorAll("[data-frame]")];
  const frames = new Map();
  const title = document.title;
  let etag = regions.length ? `W/"${regions[0].dataset.page}"` : "";
  let failed = 0;
  let asking = null;

  // Instants. The watchdog's clock counts, not the viewer's.

  const heard = { at: asOf ? Date.parse(asOf.dateTime) : Date.now(), when: performance.now() };
  const now = () => heard.at + performance.now() - heard.when;
  const MINUTE = 60e3, HOUR = 60 * MINUTE, DAY = 24 * HOUR;
  const form = (options) => new Intl.DateTimeFormat("en-GB", options);
  const time = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  const forms = {
    clock: form(time),
    exact: form({ ...time, second: "2-digit" }),
    day: form({ day: "numeric", month: "short" }),
    year: form({ day: "numeric", month: "short", year: "numeric" }),
    zone: form({ timeZoneName: "short" }),
    whole: form({ weekday: "short", day: "numeric", month: "short", year: "numeric", ...time, second: "2-digit", timeZoneName: "short" }),
  };

  function rough(ms) {
    let seconds = Math.max(0, Math.round(ms / 1000));
    for (const [word, size] of [["d", 86400], ["h", 3600], ["min", 60]]) {
      if (seconds >= size) return `${Math.floor(seconds / size)} ${word}`;
    }
    return `${seconds} s`;
  }

  function ago(at) {
    const gone = now() - at;
    if (Math.abs(gone) < 1000) return "now";
    return gone > 0 ? `${rough(gone)} ago` : `in ${rough(-gone)}`;
  }

  function spoken(at) {
    const date = new Date(at);
    const clock = (at / 1000) % 60 < 1 ? forms.clock.format(date) : forms.exact.format(date);
    const day = forms.year.format(date);
    for (const [word, shift] of [["today", 0], ["yesterday", -DAY], ["tomorrow", DAY]]) {
      if (day === forms.year.format(new Date(now() + shift))) return `${clock} ${word}`;
    }
    return `${clock}, ${Math.abs(now() - at) < 300 * DAY ? forms.day.format(date) : day}`;
  }

  const utc = (at) => `${new Date(at).toISOString().slice(0, 19).replace("T", " ")} UTC`;

  function tell(element) {
    const at = Date.parse(element.dateTime);
    if (Number.isNaN(at)) return;
    const kind = element.className;
    const words = {
      at: () => spoken(at), for: () => rough(now() - at),
      hour: () => forms.clock.format(at), date: () => forms.day.format(at),
    }[kind] ?? (() => ago(at));
    const said = words();
    if (element.textContent !== said) element.textContent = said;
    if (!element.dataset.local) {
      element.title = kind === "at" ? utc(at) : `${forms.whole.format(at)} · ${utc(at)}`;
      element.dataset.local = "1";
    }
  }

  const tellAll = (under = document) => under.querySelectorAll("time").forEach(tell);

  // What a cell was, when it is looked at: there are hundreds.
  function localise(event) {
    const cell = event.target.closest?.("i[title], rect");
    if (!cell || cell.dataset.local) return;
    cell.dataset.local = "1";
    const own = cell.querySelector("title");
    const said = (own ? own.textContent : cell.title).replace(/(\d{4}-\d\d-\d\d) (\d\d:\d\d(?::\d\d)?) UTC/g,
      (_, day, clock) => spoken(Date.parse(`${day}T${clock}Z`)));
    if (own) own.textContent = said;
    else cell.title = said;
  }

  // What has changed.

  const verdict = () => main.querySelector("[data-verdict]");

  // Whoever has not done anything for a minute is not in the middle of it any more.
  let touched = -Infinity;
  for (const what of ["keydown", "pointerdown", "selectionchange"]) {
    document.addEventListener(what, () => { touched = performance.now(); });
  }

  function isBusy() {
    if (performance.now() - touched > 60e3) return false;
    const at = document.activeElement;
    const types = at && at.closest("[data-frame]") && at.matches("input, textarea, select");
    const selection = document.getSelection();
    return types || (selection && !selection.isCollapsed && regions.some((one) => one.contains(selection.anchorNode)));
  }

  // A path to what has the focus: its id, or its place among what can have it.
  function focused() {
    const at = document.activeElement;
    if (!at || !at.closest("[data-frame]")) return null;
    const owner = at.closest("[id]");
    const like = [...owner.querySelectorAll("a, button, summary, input, select")];
    return { id: owner.id, index: at === owner ? -1 : like.indexOf(at) };
  }

  function focusAgain(place) {
    if (!place || document.activeElement !== document.body) return;
    const owner = document.getElementById(place.id);
    const target = owner && (place.index < 0 ? owner : owner.querySelectorAll("a, button, summary, input, select")[place.index]);
    (target || main).focus({ preventScroll: true });
  }

  function equip(under) {
    tellAll(under);
    if (!navigator.clipboard) return;
    for (const button of under.querySelectorAll("button.copy")) button.hidden = false;
  }

  function made(html) {
    const template = document.createElement("template");
    template.innerHTML = html;
    return template.content;
  }

  const has = (region) => [...region.querySelectorAll("[data-mark]")];

  // A part that is there already is kept, wherever it goes; one that took another's place stays as open as that was.
  function put(region, news, parts, before) {
    const there = has(region);
    const kept = new Map(there.map((one) => [one.dataset.mark, one]));
    const fresh = (mark) => {
      const one = kept.get(mark) ?? (mark in parts ? made(parts[mark]).firstElementChild : before.get(mark).cloneNode(true));
      kept.delete(mark);
      return one;
    };
    if (news.mark === region.dataset.frame && news.parts.length === there.length) {
      const changed = there.map((one, index) => [one, news.parts[index]]).filter(([one, mark]) => one.dataset.mark !== mark);
      const marks = changed.map(([one]) => one.dataset.mark);
      for (const mark of kept.keys()) if (!marks.includes(mark)) kept.delete(mark);
      const places = changed.map(([one]) => { const place = document.createElement("template"); one.replaceWith(place); return place; });
      places.forEach((place, index) => place.replaceWith(fresh(changed[index][1])));
    } else {
      if (news.frame !== undefined) frames.set(news.mark, news.frame);
      const content = made(frames.get(news.mark));
      content.querySelectorAll("template[data-part]").forEach((place, index) => place.replaceWith(fresh(news.parts[index])));
      region.replaceChildren(content);
      region.dataset.frame = news.mark;
    }
    equip(region);
  }

  function putAll(news) {
    const before = verdict()?.dataset.verdict;
    const open = [...main.querySelectorAll("details[open][id]")].map((details) => details.id);
    const place = focused();
    const all = new Map(has(main).map((one) => [one.dataset.mark, one]));
    news.regions.forEach((one, index) => put(regions[index], one, news.parts, all));
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    focusAgain(place);
    const after = verdict();
    if (after && after.dataset.verdict !== before) announce.textContent = after.dataset.verdict;
  }

  function head() {
    const shown = verdict();
    const said = shown ? `${shown.dataset.verdict} · Scheduler watchdog` : title;
    document.title = failed > 1 ? `Not up to date · ${said}` : said;
    if (shown?.dataset.icon) document.querySelector("link[rel=icon]").href = shown.dataset.icon;
    state.textContent = failed > 1 ? "not up to date: the watchdog does not answer" : "";
    state.hidden = failed < 2;
  }

  async function refresh(isAsked) {
    if (!isAsked && (document.hidden || asking || isBusy())) return;
    asking?.abort();
    const mine = asking = new AbortController();
    const marks = regions.flatMap((one) => [...has(one).map((part) => part.dataset.mark)]);
    const headers = { Accept: "text/html", "X-Parts": [...marks, ...frames.keys(), ...regions.map((one, index) => `${index}-${one.dataset.frame}`)].join(",") };
    if (etag && !isAsked) headers["If-None-Match"] = etag;
    try {
      const answer = await fetch(location.pathname + location.search, { headers, cache: "no-store", signal: mine.signal });
      if (!answer.ok && answer.status !== 304) throw new Error(String(answer.status));
      const news = answer.status === 304 ? null : await answer.json();
      if (asking !== mine) return;
      failed = 0;
      const at = Date.parse(answer.headers.get("X-As-Of") ?? "");
      if (!Number.isNaN(at) && asOf) {
        Object.assign(heard, { at, when: performance.now() });
        asOf.dateTime = new Date(at).toISOString();
        delete asOf.dataset.local;
      }
      if (news && (isAsked || !isBusy())) {
        putAll(news);
        etag = answer.headers.get("ETag") ?? "";
      }
    } catch (error) {
      if (error.name === "AbortError") return;
      failed += 1;
    } finally {
      if (asking === mine) asking = null;
    }
    head();
    tellAll();
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button.copy");
    if (!button) return;
    await navigator.clipboard.writeText(button.dataset.copy);
    announce.textContent = "Copied";
    const label = button.firstChild;
    label.textContent = "Copied";
    setTimeout(() => { label.textContent = "Copy"; }, 1500);
  });

  document.addEventListener("pointerover", localise);

  function ask() {
    const query = new URLSearchParams(new FormData(search.form));
    if (!query.get("q")) query.delete("q");
    history.replaceState(null, "", query.size ? `?${query}` : location.pathname);
    refresh(true);
  }

  if (search) {
    search.form.querySelector("button").hidden = true;
    search.addEventListener("input", ask);
    search.form.addEventListener("submit", (event) => { event.preventDefault(); ask(); });
  }

  // A link in a message to an incident that is no longer on the first page.
  const wanted = /^#incident-(\d+)$/.exec(location.hash);
  if (wanted && location.pathname === "/" && !document.getElementById(location.hash.slice(1))) {
    location.replace(`/incidents/${wanted[1]}`);
  }

  if (verdict()?.dataset.verdict === "waiting") setTimeout(() => location.reload(), 2000);

  equip(document);
  const zone = forms.zone.formatToParts(new Date()).find((one) => one.type === "timeZoneName")?.value ?? "";
  if (zone !== "UTC") document.getElementById("zone").textContent = `Times are in your own zone, ${zone}; UTC is shown when pointed at.`;
  if (regions.length) {
    setInterval(() => refresh(), EVERY);
    document.addEventListener("visibilitychange", () => refresh());
  }
})();
