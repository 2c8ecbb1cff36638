// Puts in what the server sends. The server escapes everything; the page's policy lets no other script run.
"use strict";
(() => {
  const shown = new Map();
  const mark = document.getElementById("live");
  const say = (text, good) => {
    mark.textContent = text;
    mark.className = good ? "live" : "live lost";
  };

  function put(id, html) {
    const place = document.getElementById(id);
    if (!place || shown.get(id) === html) return;
    shown.set(id, html);
    const open = new Set([...place.querySelectorAll("details[open][id]")].map((e) => e.id));
    const focused = place.contains(document.activeElement) ? document.activeElement.id : "";
    place.innerHTML = html;
    for (const each of place.querySelectorAll("details[id]")) if (open.has(each.id)) each.open = true;
    const again = focused && document.getElementById(focused);
    if (again) again.focus({ preventScroll: true });
    const title = place.querySelector("[data-title]");
    if (title) document.title = title.dataset.title;
  }

  function follow() {
    const source = new EventSource(document.body.dataset.events);
    source.onopen = () => say("live", true);
    source.onmessage = (event) => {
      for (const [id, html] of Object.entries(JSON.parse(event.data))) put(id, html);
    };
    source.onerror = () => {
      say("not connected, trying again", false);
      // After an answer that is no stream (the server just started, or the token is wrong) the browser gives up.
      if (source.readyState === EventSource.CLOSED) setTimeout(follow, 2000);
    };
  }

  // j and k walk through the links of the campaigns, as Tab does through all of them.
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || (event.key !== "j" && event.key !== "k")) return;
    const links = [...document.querySelectorAll("a.walk")];
    if (!links.length) return;
    const at = links.indexOf(document.activeElement);
    const next = event.key === "j" ? Math.min(at + 1, links.length - 1) : Math.max(at - 1, 0);
    links[next].focus();
  });

  follow();
})();
