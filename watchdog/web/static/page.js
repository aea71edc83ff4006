"use strict";
// Fetches what changes on this page anew, and puts it in place without losing focus, what is open, or what is selected.
(() => {
  const EVERY = 5000;
  const live = document.getElementById("live");
  const announce = document.getElementById("announce");
  const state = document.getElementById("refresh");
  let shown = null;
  let failed = 0;

  const verdict = () => live.querySelector("[data-verdict]")?.dataset.verdict ?? "";

  function isBusy() {
    const at = document.activeElement;
    const types = at && live.contains(at) && at.matches("input, textarea, select");
    const selection = document.getSelection();
    return types || (selection && !selection.isCollapsed && live.contains(selection.anchorNode));
  }

  // A path to what has the focus: its id, or its place among what can have it.
  function focused() {
    const at = document.activeElement;
    if (!at || !live.contains(at)) return null;
    const owner = at.closest("[id]");
    const like = [...owner.querySelectorAll("a, button, summary, input")];
    return { id: owner.id, index: at === owner ? -1 : like.indexOf(at) };
  }

  function focusAgain(place) {
    if (!place) return;
    const owner = document.getElementById(place.id);
    const target = owner && (place.index < 0 ? owner : owner.querySelectorAll("a, button, summary, input")[place.index]);
    (target || document.getElementById("main")).focus({ preventScroll: true });
  }

  function equip() {
    if (!navigator.clipboard) return;
    for (const button of live.querySelectorAll("button.copy")) {
      button.hidden = false;
    }
  }

  function put(html) {
    const before = verdict();
    const open = [...live.querySelectorAll("details[open][id]")].map((details) => details.id);
    const place = focused();
    const made = new DOMParser().parseFromString(html, "text/html");
    live.replaceChildren(...made.body.childNodes);
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    equip();
    focusAgain(place);
    if (verdict() && verdict() !== before) announce.textContent = verdict();
  }

  function tell(words) {
    state.textContent = words;
    state.hidden = !words;
  }

  async function refresh() {
    if (document.hidden || isBusy()) return;
    try {
      const answer = await fetch(location.href, { headers: { "X-Fragment": "live", Accept: "text/html" }, cache: "no-store" });
      if (!answer.ok) throw new Error(String(answer.status));
      const html = await answer.text();
      failed = 0;
      tell("");
      if (html === shown || isBusy()) return;
      shown = html;
      put(html);
    } catch {
      failed += 1;
      if (failed > 1) tell("not up to date: the watchdog does not answer");
    }
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

  equip();
  if (live.querySelector("[data-verdict]")) {
    setInterval(refresh, EVERY);
    document.addEventListener("visibilitychange", refresh);
  }
})();
