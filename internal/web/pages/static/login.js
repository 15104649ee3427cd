// Comfort for password fields: a button that shows what was typed, and a word
// about Caps Lock. Every page works without this file.
"use strict";

for (const box of document.querySelectorAll(".secret")) {
  const input = box.querySelector("input");

  const show = document.createElement("button");
  show.type = "button";
  show.className = "show";
  show.textContent = box.dataset.show;
  show.setAttribute("aria-pressed", "false");
  show.setAttribute("aria-controls", input.id);
  show.setAttribute("aria-label", box.dataset.show + " " + document.querySelector(`label[for="${input.id}"]`).textContent.toLowerCase());
  show.addEventListener("click", () => {
    const hidden = input.type === "password";
    input.type = hidden ? "text" : "password";
    show.textContent = hidden ? box.dataset.hide : box.dataset.show;
    show.setAttribute("aria-pressed", String(hidden));
    input.focus();
  });
  box.append(show);

  const caps = document.createElement("p");
  caps.className = "hint caps";
  caps.setAttribute("role", "status");
  box.after(caps);
  const note = (event) => {
    const on = event.getModifierState && event.getModifierState("CapsLock");
    caps.textContent = on ? box.dataset.caps : "";
  };
  input.addEventListener("keydown", note);
  input.addEventListener("keyup", note);
  input.addEventListener("blur", () => { caps.textContent = ""; });

  // Browsers offer to keep a password only when the field is one on sending.
  input.form.addEventListener("submit", () => { input.type = "password"; });
}
