// Keeps a page true: server-sent events say that something changed, htmx fetches the page's sections anew.
// When neither events nor fetches get through, the page says so instead of showing old numbers as current.

const TOPICS = ["transition", "indicator", "sharing", "coverage", "incident", "reset"];
const GATHER_MS = 150; // a burst of transitions makes one fetch
const APART_MS = 1000; // and a stream of them no more than one a second
const PERIOD_MS = 5000; // "as of" and "since" move on without events
const RETRY_MS = 3000;
const PATIENCE_MS = 1500; // a reconnection shorter than this is no loss

const root = document.documentElement;
let source = null;
let streaming = false;
let answering = true;
let busy = null;
let refreshed = 0;
let doubt = null;
let paused = false;

function show(link) {
  if (root.dataset.link === link) return;
  root.dataset.link = link;
  const status = document.getElementById("link");
  const words = { live: status?.dataset.live, wait: status?.dataset.wait, lost: status?.dataset.lost };
  if (status) document.getElementById("link-text").textContent = words[link];
  const banner = document.getElementById("lost");
  if (link === "lost") {
    document.getElementById("lost-at").textContent = document.getElementById("notices")?.dataset.atText ?? "—";
  }
  banner.hidden = link !== "lost";
}

function judge() {
  if (streaming && answering) {
    clearTimeout(doubt);
    doubt = null;
    show("live");
  } else if (doubt === null && root.dataset.link !== "lost") {
    doubt = setTimeout(() => {
      doubt = null;
      if (!(streaming && answering)) show("lost");
    }, PATIENCE_MS);
  }
}

function refresh() {
  clearTimeout(busy);
  busy = null;
  refreshed = performance.now();
  window.htmx.trigger(document.body, "pulse:refresh");
}

function soon() {
  if (busy === null) busy = setTimeout(refresh, Math.max(GATHER_MS, refreshed + APART_MS - performance.now()));
}

function connect() {
  source?.close();
  source = new EventSource("/api/v1/events");
  source.addEventListener("open", () => {
    streaming = true;
    judge();
    refresh();
  });
  source.addEventListener("error", () => {
    streaming = false;
    judge();
    // The browser retries a broken stream itself, but gives up after an answer that is no stream.
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, RETRY_MS);
  });
  for (const topic of TOPICS) {
    source.addEventListener(topic, () => {
      soon();
      if (topic !== "transition") document.body.dispatchEvent(new CustomEvent("pulse:chart"));
    });
  }
}

function fetched(works) {
  answering = works;
  judge();
}

const own = (event) => event.target.classList.contains("refresh");
document.addEventListener("htmx:sendError", (event) => own(event) && fetched(false));
document.addEventListener("htmx:timeout", (event) => own(event) && fetched(false));
document.addEventListener("htmx:afterRequest", (event) => own(event) && event.detail.xhr.status && fetched(event.detail.successful));

// An answer for filters that the reader has changed meanwhile comes too late.
const address = () => location.href.split("#")[0];
document.addEventListener("htmx:beforeSwap", (event) => {
  if (own(event) && new URL(event.detail.requestConfig.path, address()).href !== address()) {
    event.detail.shouldSwap = false;
  }
});

// A section that did not change is left alone, with whatever is focused or selected in it.
document.addEventListener("htmx:oobBeforeSwap", (event) => {
  const fresh = event.detail.fragment.firstElementChild ?? event.detail.fragment;
  const clean = (html) => html.replace(/ hx-swap-oob="[^"]*"/g, "").replace(/ class=""/g, "");
  if (clean(fresh.outerHTML) === clean(event.detail.target.outerHTML)) event.detail.shouldSwap = false;
});

document.addEventListener("visibilitychange", () => {
  paused = document.hidden;
  if (!paused) refresh();
});
setInterval(() => paused || refresh(), PERIOD_MS);

show("wait");
window.addEventListener("pagehide", () => source?.close());
window.addEventListener("pageshow", (event) => event.persisted && connect());
connect();
