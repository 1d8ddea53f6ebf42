// View of a collection's persons, with a filter and paging.
import { called, path } from "../lib/collections.js";
import { fill, h } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { count } from "../lib/meaning.js";
import { nothing, problem, thumbnail } from "../lib/parts.js";

const PAGE = 60;
const TYPING_MS = 250;

export async function persons(body, { api, signal, heading }, collection) {
  const enrolling = `#/enrol/${encodeURIComponent(collection)}`;
  heading.textContent = collection;
  const filter = h("input", { type: "search", placeholder: "Name or id", "aria-label": "Filter by name or id" });
  const list = h("ul", { class: "cards people" });
  const foot = h("div", { class: "actions centre" });
  const said = h("p", { class: "hint", role: "status" });
  heading.before(h("a", { class: "back", href: "#/people" }, icon("back"), "Collections"));
  fill(body,
    h("div", { class: "view-head" }, filter, said,
      h("a", { class: "button", href: `#/review/${encodeURIComponent(collection)}` }, icon("review"), "Review"),
      h("a", { class: "button primary", href: enrolling }, icon("enrol"), "Enrol")),
    list, foot);

  let turn = 0;
  let timer;
  filter.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => load(null), TYPING_MS);
  });
  const about = await api.get(path(collection), {}, signal);
  await load(null);

  async function load(cursor) {
    const mine = turn += 1;
    const q = filter.value.trim();
    let page;
    try {
      page = await api.get(`${path(collection)}/persons`, { q, limit: PAGE, cursor }, signal);
    } catch (error) {
      if (mine === turn && error.name !== "AbortError") fill(foot, problem(error));
      return;
    }
    if (mine !== turn) return;
    const cards = page.persons.map((person) => card(person));
    if (cursor) list.append(...cards);
    else fill(list, cards);
    said.textContent = q ? `${list.children.length}${page.cursor ? " or more" : ""} found`
      : `${count(about.person_count, "person", "persons")}, ${count(about.face_count, "face")}`;
    fill(foot, page.cursor ? h("button", { class: "button", type: "button", onclick: () => load(page.cursor) }, "Show more") : null);
    if (!list.children.length) {
      fill(foot, q ? nothing("empty", "Nobody of that name", "Try a part of the name or of the id.")
        : nothing("empty", "Nobody here yet", "Add one or two photographs of each person, so that searches find them.",
          h("a", { class: "button primary", href: enrolling }, icon("enrol"), "Enrol people")));
    }
  }

  function card(person) {
    const address = `#/people/${encodeURIComponent(collection)}/${encodeURIComponent(person.id)}`;
    return h("li", {}, h("a", { class: "card person", href: address },
      thumbnail(api, person.faces[0]?.id, ""),
      h("span", { class: "person-text" },
        h("span", { class: "person-name" }, called(person)),
        h("span", { class: "hint" }, person.name ? `${person.id}, ` : "", count(person.faces.length, "face")))));
  }
}
