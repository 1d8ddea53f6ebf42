// View of a collection's unknowns: kept faces that no search recognised, to be named, merged or discarded.
import { allCollections, called, hours, unknownPath } from "../lib/collections.js";
import { field, fill, h, select, toast } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { count } from "../lib/meaning.js";
import { confirmed, nothing, problem, thumbnail } from "../lib/parts.js";
import { namingDialog } from "./naming.js";

const PAGE = 30;
const SHOWN = 6;

export async function unknowns(body, { api, may, signal, rest, session, heading }) {
  const collections = await allCollections(api, signal);
  if (!collections.length) {
    fill(body, nothing("unknown", "No collections yet", "A collection can keep faces that a search did not recognise, to be named here.",
      h("a", { class: "button", href: "#/people" }, icon("people"), "Collections")));
    return;
  }
  const keeping = collections.filter(({ policy }) => policy.keep_unknown_h);
  const wanted = [rest[0], ...session.chosen, keeping[0]?.name, collections[0].name]
    .find((name) => collections.some((collection) => collection.name === name));
  const names = collections.map(({ name, policy }) => [name, policy.keep_unknown_h ? `${name} (keeps for ${hours(policy.keep_unknown_h)})` : name]);
  const chosen = select(names, wanted);
  const marked = new Map();
  const merging = h("button", { class: "button", type: "button", onclick: merge }, "Merge chosen");
  const discarding = h("button", { class: "button danger", type: "button", onclick: () => discard([...marked.values()]) }, "Discard chosen");
  const list = h("ul", { class: "cards" });
  const foot = h("div", { class: "actions centre" });
  fill(body,
    h("div", { class: "card controls" },
      h("div", { class: "row end" }, field("Collection", chosen), h("div", { class: "actions" }, merging, discarding)),
      h("p", { class: "hint" }, "Faces that a search did not recognise. Each is erased when it expires, unless it is named before. Choose unknowns that are the same person to merge them.")),
    list, foot);

  let turn = 0;
  chosen.addEventListener("change", () => load(null));
  await load(null);
  if (rest[1]) document.getElementById(`unknown-${rest[1]}`)?.focus();

  async function load(cursor) {
    const mine = turn += 1;
    if (!cursor) marked.clear();
    try {
      const page = await api.get(unknownPath(chosen.value), { limit: PAGE, cursor }, signal);
      if (mine !== turn) return;
      const cards = page.unknowns.map((unknown) => card(unknown));
      if (cursor) list.append(...cards);
      else fill(list, cards);
      fill(foot, page.cursor ? h("button", { class: "button", type: "button", onclick: () => load(page.cursor) }, "Show more") : null);
    } catch (error) {
      if (mine === turn && !signal.aborted) fill(foot, problem(error));
    }
    drawActions();
  }

  /** Reloads the list after a change. */
  async function again() {
    await load(null);
    heading.focus({ preventScroll: true });
  }

  function drawActions() {
    merging.disabled = marked.size < 2;
    discarding.disabled = marked.size < 1;
    if (!list.children.length && !foot.children.length) fill(foot, empty());
  }

  function empty() {
    const { policy } = collections.find(({ name }) => name === chosen.value);
    if (policy.keep_unknown_h) {
      return nothing("unknown", "Nobody to name", "A search keeps faces without a match if its options say so.",
        h("a", { class: "button", href: "#/search" }, icon("search"), "Search"));
    }
    return nothing("unknown", "This collection keeps no unknown faces",
      may("admin") ? "Its settings can allow it, for some hours." : "An administrator can allow it in its settings.",
      may("admin") ? h("a", { class: "button", href: "#/people" }, icon("people"), "Collections") : null);
  }

  function card(unknown) {
    const seen = `Seen ${unknown.sightings === 1 ? "once" : `${unknown.sightings} times`}`;
    const mark = h("input", {
      type: "checkbox",
      "aria-label": `Choose the unknown seen ${moment(unknown.last_seen)}`,
      onchange: () => {
        if (mark.checked) marked.set(unknown.id, unknown);
        else marked.delete(unknown.id);
        drawActions();
      },
    });
    const more = unknown.faces.length - SHOWN;
    return h("li", { class: "card stranger", tabindex: "-1", id: `unknown-${unknown.id}` },
      h("label", { class: "check" }, mark, h("span", {}, seen)),
      h("div", { class: "kept" },
        unknown.faces.slice(0, SHOWN).map((face, index) => thumbnail(api, face.id, `Face ${index + 1} of somebody unknown`)),
        more > 0 ? h("span", { class: "hint" }, `and ${more} more`) : null),
      h("dl", { class: "facts" },
        h("dt", {}, "First"), h("dd", {}, moment(unknown.first_seen)),
        h("dt", {}, "Last"), h("dd", {}, moment(unknown.last_seen)),
        h("dt", {}, "Erased"), h("dd", {}, moment(unknown.expires))),
      h("div", { class: "actions" },
        h("button", { class: "button small", type: "button", onclick: () => discard([unknown]) }, "Discard"),
        h("button", { class: "button small primary", type: "button", onclick: () => name(unknown) }, "Name …")));
  }

  async function name(unknown) {
    const person = await namingDialog(api, chosen.value, unknown);
    if (!person) return;
    toast(`${count(person.added_faces.length, "face")} enrolled as ${called(person)}.`, "good");
    await again();
  }

  async function merge() {
    // The others are merged into the unknown with the most faces.
    const [into, ...others] = [...marked.values()].sort((a, b) => b.faces.length - a.faces.length);
    try {
      await api.post(unknownPath(chosen.value, into.id, "merge"), { others: others.map(({ id }) => id) });
      toast(`${count(others.length + 1, "unknown")} are one now.`, "good");
    } catch (error) {
      toast(error.message, "error");
    }
    await again();
  }

  async function discard(those) {
    const faces = those.reduce((sum, unknown) => sum + unknown.faces.length, 0);
    const text = `${count(faces, "face")} and their stored images are erased. This cannot be undone.`;
    if (!await confirmed(those.length === 1 ? "Discard this unknown?" : `Discard ${those.length} unknowns?`, text, "Discard for good")) return;
    try {
      let erased = 0;
      for (const { id } of those) erased += (await api.delete(unknownPath(chosen.value, id))).faces;
      toast(`${count(erased, "face")} erased.`, "good");
    } catch (error) {
      toast(error.message, "error");
    }
    await again();
  }
}

function moment(text) {
  return new Date(text).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
}
