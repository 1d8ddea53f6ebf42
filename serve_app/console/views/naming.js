// Dialog that names an unknown: as a new person or as an enrolled one.
import { unknownPath } from "../lib/collections.js";
import { field, fill, h } from "../lib/dom.js";
import { problem, thumbnail } from "../lib/parts.js";
import { personChoices } from "./choose.js";

const ALIKE = 5;
const ALIKE_FROM = 0.6; // false-match rate 1e-2: enough for a suggestion, far too little for a match
const SHOWN = 6;

/** Shows the dialog; promise of the enrolled person, null if it was cancelled. */
export function namingDialog(api, collection, unknown) {
  return new Promise((resolve) => {
    let done = null;
    const id = h("input", { type: "text", required: true, maxlength: 100, autocomplete: "off" });
    const name = h("input", { type: "text", maxlength: 200, autocomplete: "off" });
    const said = h("div", {});
    const dialog = h("dialog", { class: "dialog naming", "aria-label": "Who is this?", onclose: () => { dialog.remove(); resolve(done); } },
      h("h2", {}, "Who is this?"),
      h("div", { class: "kept" }, unknown.faces.slice(0, SHOWN).map((face, index) => thumbnail(api, face.id, `Kept face ${index + 1}`))),
      h("form", {
        onsubmit: (event) => {
          event.preventDefault();
          send({ person_id: id.value.trim(), name: name.value.trim() || undefined, must_be_new: true });
        },
      },
      h("h3", {}, "Somebody new"),
      h("div", { class: "row" }, field("Id", id), field("Name", name)),
      h("div", { class: "actions" }, h("button", { class: "button primary", type: "submit" }, "Enrol as a new person"))),
      said,
      h("h3", {}, "Somebody who is enrolled"),
      personChoices({ api, collection, label: "Find the person", pick: (person) => send({ person_id: person.id }), offer: alike }),
      h("div", { class: "actions" }, h("button", { class: "button", type: "button", onclick: () => dialog.close() }, "Cancel")));
    document.body.append(dialog);
    dialog.showModal();
    id.focus();

    /** Enrolled people who look similar to the unknown, also below the threshold of a search. */
    async function alike() {
      const body = { face_id: unknown.faces[0].id, collections: [collection], max_results: ALIKE, min_score: ALIKE_FROM };
      const { faces } = await api.post("v1/search", body);
      return faces[0].matches.filter((match) => match.person)
        .map((match) => ({ person: match.person, faceId: match.face_id, note: `alike: ${match.score.toFixed(2)}` }));
    }

    async function send(body) {
      try {
        done = await api.post(unknownPath(collection, unknown.id, "name"), body);
        dialog.close();
      } catch (error) {
        fill(said, problem(error.code === "person_exists" ? new Error(`${body.person_id} is enrolled already: choose the person below.`) : error));
      }
    }
  });
}
