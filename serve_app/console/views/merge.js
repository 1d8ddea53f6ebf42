// Two records of one person become one.
import { called, path } from "../lib/collections.js";
import { fill, h } from "../lib/dom.js";
import { count } from "../lib/meaning.js";
import { problem, thumbnail } from "../lib/parts.js";

const SHOWN = 12;
const TYPING_MS = 250;

/** Lets people choose whom to merge into `person`; {person, from} once it is done, else null. */
export function mergeDialog(api, collection, person) {
  return new Promise((resolve) => {
    let done = null;
    let timer;
    const filter = h("input", { type: "search", placeholder: "Name or id", "aria-label": "Find the other record" });
    const list = h("ul", { class: "choices" });
    const said = h("div", {});
    const title = `Merge into ${called(person)}`;
    const dialog = h("dialog", { class: "dialog", "aria-label": title, onclose: () => { dialog.remove(); resolve(done); } },
      h("h2", {}, title),
      h("p", { class: "hint" }, "The other record's faces and collections come here, then it is deleted. What is written about the person stays as it is here; gaps are filled from the other."),
      filter, list, said,
      h("div", { class: "actions" }, h("button", { class: "button", type: "button", onclick: () => dialog.close() }, "Cancel")));
    filter.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(find, TYPING_MS);
    });
    document.body.append(dialog);
    dialog.showModal();
    find();

    async function find() {
      try {
        const page = await api.get(`${path(collection)}/persons`, { q: filter.value.trim(), limit: SHOWN + 1 });
        const others = page.persons.filter((other) => other.id !== person.id).slice(0, SHOWN);
        fill(list, others.map((other) => h("li", {},
          h("button", { class: "choice", type: "button", onclick: () => merge(other) },
            thumbnail(api, other.faces[0]?.id, ""),
            h("span", {}, called(other), h("span", { class: "hint" }, ` ${other.id}, ${count(other.faces.length, "face")}`))))));
        fill(said, others.length ? null : h("p", { class: "hint" }, "Nobody else of that name."));
      } catch (error) {
        fill(said, problem(error));
      }
    }

    async function merge(other) {
      try {
        done = { person: await mergePersons(api, collection, person.id, other.id), from: other };
        dialog.close();
      } catch (error) {
        fill(said, problem(error));
      }
    }
  });
}

/** Makes one record of two; the second one's faces go to the first. */
export function mergePersons(api, collection, into, from) {
  return api.post(path(collection, into, "merge"), { person_id: from });
}
