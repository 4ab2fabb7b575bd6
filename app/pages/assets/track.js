// Without this the page is whole. With it, it follows its order, and codes can be copied.
(() => {
  "use strict";
  const story = () => document.getElementById("story");
  const news = document.getElementById("news");
  const say = (text) => { news.textContent = ""; setTimeout(() => { news.textContent = text; }, 50); };

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    await navigator.clipboard.writeText(button.dataset.copy);
    say(story().dataset.copied);
  });
  const offerCopies = () => {
    if (!navigator.clipboard) return;
    for (const button of document.querySelectorAll("[data-copy]")) button.hidden = false;
  };

  // Replaces what has changed and nothing else, so that whoever reads, or has opened something, is not disturbed.
  const replace = (next) => {
    const present = story();
    const closed = new Set([...present.querySelectorAll("details:not([open])")].map((one) => one.id));
    const before = new Map([...present.children].filter((one) => one.id).map((one) => [one.id, one.textContent]));
    const focused = present.contains(document.activeElement) ? document.activeElement.closest("[id]") : null;
    for (const one of next.querySelectorAll("details")) one.open = !closed.has(one.id);
    present.replaceWith(document.adoptNode(next));
    for (const one of next.children) {
      if (one.id && before.get(one.id) !== one.textContent) one.classList.add("fresh");
    }
    if (focused) document.getElementById(focused.id)?.querySelector("a, button, summary")?.focus({ preventScroll: true });
    offerCopies();
    say(`${next.dataset.updated} ${document.getElementById("headline").textContent}`);
  };

  let running = null;
  let again = false;
  const refresh = async () => {
    if (running) { again = true; return; }
    running = true;
    try {
      const answer = await fetch(location.href, { headers: { "If-None-Match": story().dataset.version }, cache: "no-store" });
      if (answer.status === 404) { location.reload(); return; }
      if (answer.ok) {
        const next = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("story");
        if (next) replace(next);
      }
    } finally {
      running = null;
      if (again) { again = false; refresh(); }
    }
  };

  offerCopies();
  const source = new EventSource(story().dataset.live);
  source.addEventListener("next", (event) => { if (event.data.includes('"data"')) refresh(); else source.close(); });
  source.addEventListener("complete", () => source.close());
})();
