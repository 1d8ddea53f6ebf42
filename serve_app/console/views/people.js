// View of the collections; leads to the persons of a collection and to the page of a person.
import { allCollections, hours, path } from "../lib/collections.js";
import { checkbox, field, fill, h, select, toast } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { count } from "../lib/meaning.js";
import { confirmed, nothing, problem, showReceipt } from "../lib/parts.js";
import { person } from "./person.js";
import { persons } from "./persons.js";

export async function people(body, page) {
  const [collection, personId] = page.rest;
  if (collection && personId && page.may("enroll")) return person(body, page, collection, personId);
  if (collection && page.may("enroll")) return persons(body, page, collection);
  return collections(body, page);
}

async function collections(body, { api, may, signal, heading }) {
  heading.textContent = "Collections";
  /** Redraws the view after a change. The button that had the focus is gone, so the heading gets it. */
  async function again() {
    await collections(body, { api, may, signal, heading });
    heading.focus({ preventScroll: true });
  }
  const found = await allCollections(api, signal);
  const add = may("admin")
    ? h("button", { class: "button primary", type: "button", onclick: () => edit(null) }, icon("plus"), "New collection") : null;
  if (!found.length) {
    fill(body, nothing("people", "No collections yet", may("admin")
      ? "A collection holds the people that a search looks for. Create one, then enrol people into it."
      : "A collection holds the people that a search looks for. Someone with an administrator's key must create the first one.", add));
    return;
  }
  fill(body,
    h("div", { class: "view-head" }, h("p", { class: "hint" }, count(found.length, "collection")), add),
    h("ul", { class: "cards" }, found.map((collection) => h("li", { class: "card tile" },
      h("h2", {}, may("enroll") ? h("a", { href: `#/people/${encodeURIComponent(collection.name)}` }, collection.name) : collection.name),
      h("p", { class: "hint" }, collection.title || collection.description || "No title"),
      h("p", { class: "figures" },
        h("span", {}, count(collection.person_count, "person", "persons")), h("span", {}, count(collection.face_count, "face"))),
      h("p", { class: "hint" }, policyText(collection.policy)),
      may("enroll") && !collection.person_count
        ? h("p", {}, "Nobody here yet: ", h("a", { href: `#/enrol/${encodeURIComponent(collection.name)}` }, "enrol people")) : null,
      may("admin") ? h("div", { class: "actions" },
        h("button", { class: "button small", type: "button", "aria-label": `Settings of ${collection.name}`, onclick: () => edit(collection) }, "Settings"),
        h("button", { class: "button small", type: "button", "aria-label": `Delete ${collection.name}`, onclick: () => remove(collection) }, "Delete")) : null))));

  async function remove(collection) {
    const text = `${count(collection.person_count, "person", "persons")} and ${count(collection.face_count, "face")} are erased with it, `
      + "unless they are also in another collection. This cannot be undone.";
    if (!await confirmed(`Delete ${collection.name}?`, text, "Delete the collection")) return;
    try {
      const answer = await api.delete(path(collection.name));
      await again();
      showReceipt(`${collection.name} is deleted`, answer);
    } catch (error) {
      toast(error.message, "error");
    }
  }

  function edit(collection) {
    const policy = collection?.policy ?? {};
    const name = h("input", { type: "text", value: collection?.name ?? "", required: true, maxlength: 64, pattern: "[A-Za-z0-9_.\\-]+", autocomplete: "off" });
    const title = h("input", { type: "text", value: collection?.title ?? "", maxlength: 200 });
    const live = checkbox("Refuse faces that are not live, at enrolment and search", policy.liveness ?? false);
    const from = h("input", { type: "number", min: 0, max: 1, step: 0.001, value: policy.min_score ?? "", placeholder: "by the gallery's size" });
    const keep = select([["none", "Nothing"], ["thumbnail", "The aligned face (112 × 112)"], ["full", "The photograph"]], policy.image_storage ?? "thumbnail");
    const unknown = h("input", { type: "number", min: 0, max: 8784, step: 1, value: policy.keep_unknown_h ?? 0 });
    const said = h("div", {});
    const heading = collection ? `Settings of ${collection.name}` : "New collection";
    const dialog = h("dialog", { class: "dialog", "aria-label": heading, onclose: () => dialog.remove() },
      h("form", { onsubmit: save },
        h("h2", {}, heading),
        field("Name", name, "Letters, digits, underscore, dot and hyphen."), field("Title", title), field("What is kept of images", keep),
        field("Matches from score", from, "Empty: the score at which 1 % of searches for strangers show a match."),
        field("Hours to keep unknown faces", unknown, "0: never. This keeps faces of people who were not asked; make sure that you are allowed to."), live.label, said,
        h("div", { class: "actions" },
          h("button", { class: "button", type: "button", onclick: () => dialog.close() }, "Cancel"),
          h("button", { class: "button primary", type: "submit" }, collection ? "Save" : "Create"))));
    document.body.append(dialog);
    dialog.showModal();

    async function save(event) {
      event.preventDefault();
      const fields = {
        name: name.value.trim(),
        title: title.value.trim(),
        policy: { liveness: live.input.checked, image_storage: keep.value, min_score: from.value === "" ? null : Number(from.value), keep_unknown_h: Number(unknown.value) },
      };
      try {
        if (collection) await api.patch(path(collection.name), fields);
        else await api.post("v1/collections", fields);
        dialog.close();
        await again();
      } catch (error) {
        fill(said, problem(error));
      }
    }
  }
}

function policyText(policy) {
  return [
    policy.liveness ? "Live faces only" : null,
    policy.min_score === null ? null : `matches from ${policy.min_score}`,
    { none: "no images kept", thumbnail: "thumbnails kept", full: "photographs kept" }[policy.image_storage],
    policy.keep_unknown_h ? `unknown faces kept for ${hours(policy.keep_unknown_h)}` : null,
  ].filter(Boolean).join(", ");
}
