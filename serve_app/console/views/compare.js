// View that compares two pictures: do they show the same person?
import { form } from "../lib/api.js";
import { fill, h } from "../lib/dom.js";
import { falseMatchRate, oneIn } from "../lib/meaning.js";
import { dropzone, problem } from "../lib/parts.js";
import { loaded, marked } from "../lib/pictures.js";

const NAMES = ["First image", "Second image"];

export async function compare(body, { api, signal }) {
  const files = [null, null];
  const images = [null, null];
  const slots = NAMES.map(() => h("div", { class: "slot" }));
  const verdict = h("section", { class: "verdict", "aria-live": "polite", "aria-label": "Result" });
  NAMES.forEach((_, index) => empty(index));
  // A pasted picture goes to the first slot if that is free, else to the second.
  document.addEventListener("paste", (event) => {
    const file = [...event.clipboardData.files][0];
    if (!file || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    put(files[0] ? 1 : 0, file);
  }, { signal });
  fill(body, h("div", { class: "pair" }, slots), verdict);

  function empty(index) {
    fill(slots[index], dropzone({
      title: NAMES[index],
      hint: "Drop it here. Its largest face counts.",
      take: ([{ file }]) => put(index, file),
      refuse: (text) => fill(verdict, problem(new Error(text))),
      signal,
      paste: false,
    }));
  }

  function show(index, picture) {
    const another = h("button", { class: "button", type: "button", onclick: () => clear(index) }, "Another image");
    fill(slots[index], picture, h("div", { class: "actions centre" }, another));
  }

  function clear(index) {
    files[index] = images[index] = null;
    fill(verdict);
    empty(index);
    slots[index].querySelector("input")?.focus();
  }

  async function put(index, file) {
    try {
      images[index] = await loaded(file, signal, NAMES[index]);
    } catch (error) {
      fill(verdict, problem(error));
      return;
    }
    files[index] = file;
    show(index, h("div", { class: "marked" }, images[index]));
    if (files[0] && files[1]) await decide();
  }

  async function decide() {
    fill(verdict, h("p", { class: "hint" }, "Comparing …"));
    try {
      const answer = await api.post("v1/compare", form({ image1: files[0], image2: files[1] }), signal);
      answer.faces.forEach((face, index) => show(index, marked(images[index], [face])));
      fill(verdict, ruling(answer));
    } catch (error) {
      if (error.name !== "AbortError") fill(verdict, problem(error));
    }
  }
}

function ruling(answer) {
  const rate = falseMatchRate(answer.score);
  const words = answer.score <= 0.5
    ? "Pairs of different people often look this alike."
    : `Of all pairs of different people, ${oneIn(rate)} look this alike.`;
  return h("div", { class: `card ruling ${answer.is_match ? "strong" : "weak"}` },
    h("p", { class: "score big", "aria-label": `Score ${answer.score.toFixed(3)}` }, answer.score.toFixed(2)),
    h("div", {},
      h("h2", {}, answer.is_match ? "The same person" : "Not the same person, as far as can be told"),
      h("div", { class: "meter", vars: { "--score": answer.score, "--from": answer.min_score }, "aria-hidden": "true" }, h("span", {})),
      h("p", { class: "hint" }, `${words} A match needs a score of ${answer.min_score.toFixed(2)}, `
        + `which ${oneIn(falseMatchRate(answer.min_score))} such pairs reach.`)));
}
