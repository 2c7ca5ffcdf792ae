// What the frame of every page does beside showing the page.

// On a phone not every entry fits: the one of this page is in sight.
const current = document.querySelector(".top nav [aria-current]");
if (current) {
  const row = current.parentElement;
  row.scrollLeft = current.offsetLeft - row.offsetLeft - (row.clientWidth - current.offsetWidth) / 2;
}

// The theme changes at once; the link behind it does the same without scripts.
document.addEventListener("click", (event) => {
  const link = event.target.closest("#theme");
  if (!link) return;
  event.preventDefault();
  const wish = new URL(link.href).searchParams.get("theme");
  document.documentElement.dataset.theme = wish;
  fetch(link.href)
    .then((answer) => answer.text())
    .then((text) => {
      const page = new DOMParser().parseFromString(text, "text/html");
      document.getElementById("theme").replaceWith(page.getElementById("theme"));
      document.getElementById("theme").focus();
      const address = new URL(location.href);
      if (address.searchParams.has("theme")) {
        address.searchParams.set("theme", wish);
        history.replaceState(history.state, "", address);
      }
      document.body.dispatchEvent(new CustomEvent("pulse:theme"));
    })
    .catch(() => location.assign(link.href));
});

// A menu closes when the reader turns elsewhere.
document.addEventListener("click", (event) => {
  for (const open of document.querySelectorAll("details.me[open], details.confirm[open]")) {
    if (!open.contains(event.target)) open.open = false;
  }
});
