// Dialog that merges two records of one person.
import { called, path } from "../lib/collections.js";
import { fill, h } from "../lib/dom.js";
import { confirmed, problem } from "../lib/parts.js";
import { personChoices } from "./choose.js";

/** Shows the dialog to choose whom to merge into `person`; promise of {person, from}, null if it was cancelled. */
export function mergeDialog(api, collection, person) {
  return new Promise((resolve) => {
    let done = null;
    const said = h("div", {});
    const title = `Merge into ${called(person)}`;
    const dialog = h("dialog", { class: "dialog", "aria-label": title, onclose: () => { dialog.remove(); resolve(done); } },
      h("h2", {}, title),
      h("p", { class: "hint" }, "The other record's faces and collections are moved here, then it is deleted. The details of this record stay; empty ones are filled from the other record."),
      personChoices({ api, collection, label: "Find the other record", pick: merge, except: person.id }), said,
      h("div", { class: "actions" }, h("button", { class: "button", type: "button", onclick: () => dialog.close() }, "Cancel")));
    document.body.append(dialog);
    dialog.showModal();

    async function merge(other) {
      const text = `${called(other)} (${other.id}) is deleted once its faces are moved to ${called(person)} (${person.id}). This cannot be undone.`;
      if (!await confirmed(`Merge ${called(other)} into ${called(person)}?`, text, "Merge")) return;
      try {
        done = { person: await mergePersons(api, collection, person.id, other.id), from: other };
        dialog.close();
      } catch (error) {
        fill(said, problem(error));
      }
    }
  });
}

/** Merges the person `from` into the person `into`. */
export function mergePersons(api, collection, into, from) {
  return api.post(path(collection, into, "merge"), { person_id: from });
}
