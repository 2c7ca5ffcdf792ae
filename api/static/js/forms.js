// Conveniences of forms; every form works without them.

const TOO_SHORT_TO_BE_A_CODE = 25;

for (const button of document.querySelectorAll(".reveal")) {
  const field = document.getElementById(button.getAttribute("aria-controls"));
  button.hidden = false;
  button.addEventListener("click", () => {
    const shown = field.type === "password";
    field.type = shown ? "text" : "password";
    button.textContent = shown ? button.dataset.hide : button.dataset.show;
    button.setAttribute("aria-pressed", String(shown));
    field.focus();
  });
  // A password manager should not keep it as plain text, nor should the browser remember it as such.
  field.form.addEventListener("submit", () => (field.type = "password"));
}

for (const hint of document.querySelectorAll(".length")) {
  const field = hint.closest(".field").querySelector("input");
  const least = Number(hint.dataset.least);
  const tell = () => {
    const length = [...field.value.normalize("NFC")].length;
    hint.classList.toggle("enough", length >= least);
    hint.textContent =
      length === 0 ? "" : length < least ? hint.dataset.short.replace("{n}", least - length) : hint.dataset.enough;
  };
  field.addEventListener("input", tell);
  tell();
}

for (const button of document.querySelectorAll(".copy")) {
  const field = document.getElementById(button.dataset.copy);
  const words = button.querySelector("span");
  button.hidden = false;
  button.addEventListener("click", async () => {
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
    } catch {
      // Without TLS browsers keep the clipboard from scripts; what is selected can be copied by hand.
      if (!document.execCommand("copy")) return;
    }
    words.textContent = button.dataset.done;
  });
  field.addEventListener("focus", () => field.select());
}

// A one-time code comes behind the # of its link, which no server and no log gets to see.
const form = document.querySelector("[data-fragment]");
const code = location.hash.slice(1);
if (form && code.length >= TOO_SHORT_TO_BE_A_CODE) {
  history.replaceState(history.state, "", location.pathname + location.search);
  form.elements[form.dataset.fragment].value = code;
  if ("goesOn" in form.dataset) form.requestSubmit();
}

// A page that answered a form gets its own address, so that loading it again does not send the form again.
const address = document.querySelector("main")?.dataset.address;
if (address && location.pathname !== address) history.replaceState(history.state, "", address);
