// Without this the pages are whole. With it, they follow what happens: what changes is replaced where it stands by what
// the server says of it now, and what is new is told, and shown when asked for.
(() => {
  "use strict";
  const MOST = 50; // asked for at a time
  const PAUSE = 400; // milliseconds in which changes gather
  const PATIENCE = 5000; // milliseconds after which is asked again what was not answered
  class Over extends Error {}
  const note = document.getElementById("news");
  if (!note) return;
  const words = note.dataset;
  const count = new Intl.NumberFormat(document.documentElement.lang);
  const isList = !location.pathname.includes("/orders/");

  const say = (text, link, address) => {
    const anchor = document.createElement("a");
    anchor.textContent = link;
    anchor.href = address;
    note.replaceChildren(`${text} `, anchor);
  };
  const whisper = (text) => { document.getElementById("changed").textContent = text; };

  // What is sent by a form is about what was seen, and the server says so where that is no longer so: one that is open
  // stays, and what is around it changes.
  const around = (present, next, open) => {
    for (const child of [...present.children]) if (child !== open) child.remove();
    open.before(...[...next.children].filter((child) => !child.matches("details")));
    return present;
  };
  const textOf = (part) => part.textContent + [...part.querySelectorAll("[name=version]")].map((field) => field.value);
  const swap = (present, next) => {
    if (textOf(present) === textOf(next)) return false;
    const focused = [...present.querySelectorAll("a, summary")].indexOf(document.activeElement);
    const made = document.adoptNode(next);
    const open = present.querySelector("details[open]");
    if (open) around(present, made, open);
    else present.replaceWith(made);
    const part = open ? present : made;
    part.classList.add("fresh");
    if (focused >= 0) part.querySelectorAll("a, summary")[focused]?.focus({ preventScroll: true });
    return true;
  };

  const load = async (address) => {
    const answer = await fetch(address, { cache: "no-store" });
    if (answer.redirected || answer.status === 403 || answer.status === 404) throw new Over();
    if (!answer.ok) throw new Error(`${answer.status}`);
    return new DOMParser().parseFromString(await answer.text(), "text/html");
  };

  // The list of some shipments alone, with the columns of this one; by its filters too, where it asks what belongs here.
  const addressOf = (ids, isFiltered) => {
    const query = new URLSearchParams(location.search);
    const chosen = query.getAll("ids").filter(Boolean);
    for (const name of [...new Set(query.keys())]) {
      if (name === "page" || name === "rows" || name === "ids" || !(isFiltered || name === "columns" || name === "lang")) query.delete(name);
    }
    for (const id of ids) if (!isFiltered || !chosen.length || chosen.includes(id)) query.append("ids", id);
    query.set("rows", `${MOST}`);
    return query.has("ids") ? `${location.pathname}?${query}` : null;
  };

  const fresh = new Set(); // what is new, and belongs here
  const tellNew = () => {
    if (!fresh.size) return;
    const query = new URLSearchParams(location.search);
    query.delete("page");
    say(`${words.new} ${count.format(fresh.size)}`, words.show, `${location.pathname}?${query}`);
  };
  const tellChanged = (changed, gone) => {
    const told = [];
    if (changed) told.push(`${words.changed} ${count.format(changed)}`);
    if (gone) told.push(`${words.gone} ${count.format(gone)}`);
    if (told.length) whisper(told.join(", "));
  };

  const swapRows = async (ids) => {
    const found = await load(addressOf(ids, false));
    let changed = 0;
    let gone = 0;
    for (const id of ids) {
      const present = document.getElementById(id);
      const next = found.getElementById(id);
      if (next) changed += swap(present, next);
      else if (!present.classList.contains("gone")) { present.classList.add("gone"); gone += 1; }
    }
    tellChanged(changed, gone);
  };
  const countNew = async (ids) => {
    const address = addressOf(ids, true);
    if (!address) return;
    for (const row of (await load(address)).querySelectorAll("tr[data-part]")) fresh.add(row.id);
    tellNew();
  };
  const swapParts = async () => {
    const found = await load(location.pathname + location.search);
    let changed = 0;
    for (const next of found.querySelectorAll("[data-part]")) {
      const present = document.getElementById(next.id);
      if (present) changed += swap(present, next);
      else fresh.add(next.id);
    }
    tellChanged(changed, 0);
    tellNew();
  };

  const waiting = new Set();
  const created = new Set();
  const take = (from) => {
    const some = [...from].slice(0, MOST);
    for (const id of some) from.delete(id);
    return some;
  };
  let timer = null;
  let isLoading = false;
  const soon = (pause = PAUSE) => { if (timer === null && !isLoading) timer = setTimeout(refresh, pause); };
  const refresh = async () => {
    timer = null;
    isLoading = true;
    const changed = take(waiting);
    const appeared = take(created);
    let pause = PAUSE;
    try {
      if (!isList) await swapParts();
      if (isList && changed.length) await swapRows(changed);
      if (appeared.length) await countNew(appeared);
    } catch (error) {
      if (error instanceof Over) stop();
      for (const id of changed) waiting.add(id);
      for (const id of appeared) created.add(id);
      pause = PATIENCE;
    } finally {
      isLoading = false;
    }
    if (!isOver && (waiting.size || created.size)) soon(pause);
  };

  let isOver = false;
  let source = null;
  let last = null;
  const stop = () => {
    source?.close();
    source = null;
    isOver = true;
    say(words.over, words.again, location.pathname + location.search);
  };
  const hear = (event) => {
    const { data } = JSON.parse(event.data);
    if (!data) { stop(); return; }
    last = event.lastEventId || last;
    const [told] = Object.values(data);
    if (told.action === "UP_TO_DATE") return;
    if (!isList) waiting.add("");
    else if (document.getElementById(told.shipmentId)) waiting.add(told.shipmentId);
    else if (told.action === "CREATED" && told.change.type === "SHIPMENT" && !fresh.has(told.shipmentId)) created.add(told.shipmentId);
    else return;
    soon();
  };
  const follow = () => {
    const address = new URL(words.live, location.href);
    if (last) address.searchParams.set("after", last);
    source = new EventSource(address);
    source.addEventListener("next", hear);
    // A service that stops lets the browser come back by itself; one that refuses does not.
    source.addEventListener("error", () => { if (source?.readyState === EventSource.CLOSED) stop(); });
    source.addEventListener("complete", () => { if (source) stop(); });
  };

  // A browser has six connections to a site, if it speaks HTTP/1.1: those that nobody looks at are for others.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) { source?.close(); source = null; } else if (!source && !isOver) follow();
  });
  follow();
})();
