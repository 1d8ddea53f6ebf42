// Sign-in view: asks for an API key.
import { field, fill, h } from "../lib/dom.js";
import { problem } from "../lib/parts.js";

export function signIn({ enter }) {
  const key = h("input", { type: "password", autocomplete: "current-password", required: true, spellcheck: "false" });
  const said = h("div", {});
  const button = h("button", { class: "button primary wide", type: "submit" }, "Sign in");
  const card = h("form", {
    class: "signin card",
    onsubmit: async (event) => {
      event.preventDefault();
      const secret = key.value.trim();
      fill(said);
      if (!/^[\x21-\x7e]+$/.test(secret)) {
        fill(said, problem(new Error("An API key is one word of ASCII letters, digits and punctuation.")));
        key.focus();
        return;
      }
      button.disabled = true;
      try {
        await enter(secret);
      } catch (error) {
        fill(said, problem(error));
        key.select();
      } finally {
        button.disabled = false;
      }
    },
  },
  h("span", { class: "logo" }),
  h("h1", {}, "facegraph"),
  h("p", { class: "hint" }, "Face search on your own machines"),
  field("API key", key, "It stays in this tab and is forgotten when the tab closes."),
  said, button);
  queueMicrotask(() => key.focus());
  return card;
}
