// List to choose a person from, with a filter by name or id.
import { called, path } from "../lib/collections.js";
import { fill, h } from "../lib/dom.js";
import { count } from "../lib/meaning.js";
import { problem, thumbnail } from "../lib/parts.js";

const SHOWN = 12;
const TYPING_MS = 250;

/**
 * The elements: a filter, the persons of a collection, and messages. `pick(person)` is called with the choice. The
 * person with the id `except` is not listed. While the filter is empty, `offer()` can return suggestions in place of the
 * first persons by name: [{person, faceId, note}].
 */
export function personChoices({ api, collection, label, pick, except = null, offer = null }) {
  let timer;
  let turn = 0;
  const filter = h("input", { type: "search", placeholder: "Name or id", "aria-label": label });
  const list = h("ul", { class: "choices" });
  const said = h("div", {});
  filter.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(find, TYPING_MS);
  });
  find();
  return [filter, list, said];

  async function find() {
    const mine = turn += 1;
    const q = filter.value.trim();
    try {
      const offered = !q && offer ? await offer() : [];
      const found = offered.length ? offered : await byName(q);
      if (mine !== turn) return;
      fill(list, found.map(({ person, faceId, note }) => h("li", {},
        h("button", { class: "choice", type: "button", onclick: () => pick(person) },
          thumbnail(api, faceId, ""),
          h("span", {}, called(person), h("span", { class: "hint" }, ` ${person.id}, ${note}`))))));
      fill(said, found.length ? null : h("p", { class: "hint" }, "Nobody of that name."));
    } catch (error) {
      if (mine === turn) fill(said, problem(error));
    }
  }

  async function byName(q) {
    const page = await api.get(`${path(collection)}/persons`, { q, limit: SHOWN + 1 });
    return page.persons.filter((person) => person.id !== except).slice(0, SHOWN)
      .map((person) => ({ person, faceId: person.faces[0]?.id, note: count(person.faces.length, "face") }));
  }
}
