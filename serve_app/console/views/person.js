// View of one person: fields, faces, merging and deleting.
import { form } from "../lib/api.js";
import { called, path } from "../lib/collections.js";
import { field, fill, h, toast } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { count } from "../lib/meaning.js";
import { confirmed, dropzone, problem, showReceipt, thumbnail } from "../lib/parts.js";
import { mergeDialog } from "./merge.js";

const FIELDS = [
  ["name", "Name", 200], ["gender", "Gender", 50], ["nationality", "Nationality", 100],
  ["id_number", "Identity document", 100], ["address", "Address", 1000],
];

export async function person(body, page, collection, personId) {
  const { api, signal, heading, go } = page;
  const where = path(collection, personId);
  const home = `people/${encodeURIComponent(collection)}`;
  let shown = await api.get(where, {}, signal);
  const said = h("div", {});
  const faces = h("section", { "aria-label": "Enrolled faces" });
  heading.textContent = called(shown);
  heading.before(h("a", { class: "back", href: `#/${home}` }, icon("back"), collection));
  fill(body,
    h("div", { class: "columns person-page" },
      h("div", { class: "stack" }, faces, dropzone({
        title: "Add images",
        hint: "One face on each.",
        multiple: true,
        signal,
        take: add,
        refuse: (text) => fill(said, problem(new Error(text))),
      }), said),
      h("div", { class: "stack" }, fields(), h("section", { class: "card" },
        h("h2", {}, "Elsewhere"),
        h("p", { class: "hint" }, `In ${shown.collections.join(", ")}. Enrolled ${date(shown.created)}, changed ${date(shown.modified)}.`),
        h("div", { class: "actions" },
          h("button", { class: "button", type: "button", onclick: merge }, "Merge with …"),
          h("button", { class: "button danger", type: "button", onclick: remove }, "Delete"))))));
  drawFaces();

  function drawFaces() {
    fill(faces, h("h2", {}, count(shown.faces.length, "face")),
      h("ul", { class: "faces" }, shown.faces.map((face, index) => h("li", {},
        thumbnail(api, face.id, `Face ${index + 1}`),
        h("span", { class: "hint" }, `Quality ${face.quality.toFixed(2)}. `,
          h("a", { href: `#/search/${face.id}`, "aria-label": `Search with face ${index + 1}` }, "Search")),
        h("button", { class: "quiet", type: "button", "aria-label": `Delete face ${index + 1}`, onclick: () => removeFace(face) }, icon("close"))))));
  }

  function fields() {
    const inputs = Object.fromEntries(FIELDS.map(([name, , most]) =>
      [name, h("input", { type: "text", value: shown[name] ?? "", maxlength: most, autocomplete: "off" })]));
    const born = h("input", { type: "date", value: shown.date_of_birth ?? "" });
    const notes = h("textarea", { rows: 3, maxlength: 10_000, value: shown.notes });
    const lists = h("textarea", { rows: 2, spellcheck: "false", value: shown.watch_list.join("\n") });
    const data = h("textarea", { rows: 3, spellcheck: "false", value: pairs(shown.metadata) });
    return h("form", { class: "card", onsubmit: save },
      h("h2", {}, "About"),
      h("p", { class: "hint" }, `Id ${shown.id}`),
      h("div", { class: "row" }, FIELDS.map(([name, label]) => field(label, inputs[name])), field("Date of birth", born)),
      field("Watch lists", lists, "One on each line."), field("Notes", notes),
      field("Metadata", data, "A line for each: name: value"),
      h("div", { class: "actions" }, h("button", { class: "button primary", type: "submit" }, "Save")));

    async function save(event) {
      event.preventDefault();
      const changes = Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, input.value.trim()]));
      try {
        // Metadata are sent only if they were edited: the lines do not show the line breaks in them.
        const metadata = data.value === pairs(shown.metadata) ? undefined : fromPairs(data.value);
        const body = { ...changes, notes: notes.value, watch_list: linesOf(lists.value), metadata };
        shown = await api.put(where, { ...body, date_of_birth: born.value || null }, signal);
        heading.textContent = called(shown);
        toast("Saved.", "good");
        fill(said);
      } catch (error) {
        toast(error.message, "error");
      }
    }
  }

  async function add(items, leftOut) {
    fill(said, h("p", { class: "hint" }, "Enrolling …"));
    try {
      await api.post(`${where}/faces`, form({ image: items.map((item) => item.file) }), signal);
      shown = await api.get(where, {}, signal);
      drawFaces();
      fill(said, leftOut.length ? h("p", { class: "note warn" }, h("span", {}, `Left out: ${leftOut.map(({ path, reason }) => `${path} (${reason})`).join(", ")}.`)) : null);
      toast(`${count(items.length, "face")} added.`, "good");
    } catch (error) {
      const file = items[error.details?.image]?.file;
      fill(said, problem(error), file && items.length > 1 ? h("p", { class: "hint" }, `The problem is in ${file.name}; none of the images was enrolled.`) : null);
    }
  }

  async function removeFace(face) {
    if (!await confirmed("Delete this face?", "The template and the stored image are erased. This cannot be undone.", "Delete the face")) return;
    try {
      await api.delete(path(collection, personId, "faces", face.id));
      shown = { ...shown, faces: shown.faces.filter((other) => other.id !== face.id) };
      drawFaces();
      heading.focus({ preventScroll: true }); // the button that had the focus was removed with the face
      toast("The face is erased.", "good");
    } catch (error) {
      toast(error.message, "error");
    }
  }

  async function remove() {
    const others = shown.collections.filter((name) => name !== collection);
    const text = others.length
      ? `They are removed from ${collection} and stay in ${others.join(", ")}.`
      : "Their record, templates and images are erased. This cannot be undone.";
    if (!await confirmed(`Delete ${called(shown)}?`, text, "Delete the person")) return;
    try {
      const answer = await api.delete(where);
      go(home);
      showReceipt(`${called(shown)} is deleted`, answer);
    } catch (error) {
      toast(error.message, "error");
    }
  }

  async function merge() {
    const merged = await mergeDialog(api, collection, shown);
    if (merged) {
      toast(`${called(merged.from)} is merged into ${called(shown)}.`, "good");
      go(`${home}/${encodeURIComponent(personId)}`);
    }
  }
}

function date(text) {
  return new Date(text).toLocaleDateString("en-GB", { day: "numeric", month: "long", year: "numeric" });
}

function pairs(metadata) {
  return Object.entries(metadata).map(([name, value]) => `${name}: ${value.replaceAll("\n", " ")}`).join("\n");
}

function linesOf(text) {
  return text.split("\n").map((line) => line.trim()).filter(Boolean);
}

function fromPairs(text) {
  return Object.fromEntries(linesOf(text).map((line) => {
    const at = line.indexOf(":");
    if (at < 1) throw new Error(`Metadata: expected "name: value", got "${line}".`);
    return [line.slice(0, at).trim(), line.slice(at + 1).trim()];
  }));
}
