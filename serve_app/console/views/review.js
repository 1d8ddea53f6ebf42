// View for reviewing duplicates: pairs of persons that the service found to be similar, decided one by one.
import { allCollections, called, path } from "../lib/collections.js";
import { field, fill, h, select, toast } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { count, matchSentence } from "../lib/meaning.js";
import { nothing, problem, thumbnail } from "../lib/parts.js";
import { mergePersons } from "./merge.js";

const ASK_MS = 800;
const PAGE = 30;
const FINAL = new Set(["done", "failed", "cancelled"]);

export async function review(body, { api, signal, rest, session }) {
  const collections = await allCollections(api, signal);
  if (!collections.length) {
    fill(body, nothing("review", "Nothing to review", "Persons who were enrolled twice are found here, once people are enrolled.",
      h("a", { class: "button", href: "#/enrol" }, icon("enrol"), "Enrol people")));
    return;
  }
  const wanted = rest[0] ?? [...session.chosen][0];
  const names = collections.map(({ name, person_count: persons }) => [name, `${name} (${count(persons, "person", "persons")})`]);
  const chosen = select(names, collections.some(({ name }) => name === wanted) ? wanted : names[0][0]);
  const begin = h("button", { class: "button primary", type: "button", onclick: start }, icon("review"), "Look for duplicates");
  const said = h("div", { role: "status" });
  const list = h("section", { class: "stack", "aria-label": "Duplicates" });
  fill(body, h("div", { class: "card controls" },
    h("div", { class: "row end" }, field("Collection", chosen), h("div", { class: "actions" }, begin)),
    h("p", { class: "hint" }, "All faces are compared with each other. The service continues the work when you leave this page.")),
  said, list);

  let turn = 0;
  chosen.addEventListener("change", resume);
  await resume();

  /** Shows the result of the collection's latest search for duplicates, if there was one. */
  async function resume() {
    const mine = turn += 1;
    fill(list);
    fill(said);
    const { tasks } = await api.get("v1/tasks", { limit: 100 }, signal);
    const known = tasks.find((task) => task.kind === "duplicates" && task.arguments.collection === chosen.value);
    if (known && mine === turn) await follow(known, mine);
  }

  async function start() {
    const mine = turn += 1;
    fill(list);
    try {
      await follow(await api.post(`v1/collections/${encodeURIComponent(chosen.value)}/duplicates`, {}, signal), mine);
    } catch (error) {
      if (!signal.aborted) fill(said, problem(error));
    }
  }

  async function follow(task, mine) {
    const collection = task.arguments.collection;
    const progress = h("progress", { "aria-label": "Progress" });
    let latest = task;
    begin.disabled = true;
    while (!FINAL.has(latest.state) && mine === turn) {
      progress.max = latest.total || 1;
      progress.value = latest.done;
      fill(said, h("div", { class: "plan-head" }, h("p", { class: "hint" }, "Comparing …"), progress,
        h("button", { class: "button small", type: "button", onclick: () => api.delete(`v1/tasks/${task.id}`) }, "Stop")));
      await new Promise((resolve) => setTimeout(resolve, ASK_MS));
      if (signal.aborted) return;
      latest = await api.get(`v1/tasks/${task.id}`, {}, signal);
    }
    begin.disabled = false;
    if (mine !== turn) return;
    if (latest.state === "failed") {
      fill(said, problem(new Error(latest.error)));
      return;
    }
    const when = new Date(latest.finished).toLocaleString("en-GB");
    fill(said, h("p", { class: "hint" }, latest.state === "done" ? `Completed on ${when}.` : `Stopped on ${when}.`));
    await more(latest, collection, null);
  }

  async function more(task, collection, cursor) {
    const page = await api.get(`v1/tasks/${task.id}/duplicates`, { limit: PAGE, cursor }, signal);
    const pairs = page.pairs.filter(({ first, second }) => first.person && second.person);
    list.append(...pairs.map((pair) => row(pair, collection, task.arguments.faces ?? 2)));
    if (page.cursor) {
      const next = h("button", { class: "button", type: "button", onclick: () => { next.remove(); more(task, collection, page.cursor); } }, "Show more");
      list.append(next);
    } else if (!list.children.length) {
      fill(list, nothing("check", "No duplicates", "No two persons here look alike."));
    }
  }

  function row({ first, second, score }, collection, faces) {
    const sides = [first, second];
    const card = h("article", { class: "card duplicate", tabindex: "-1", "aria-label": `${called(first.person)} and ${called(second.person)}` },
      h("div", { class: "duplicate-sides" }, sides.map((side) => h("div", { class: "duplicate-side" },
        thumbnail(api, side.face_id, `Enrolled image of ${called(side.person)}`),
        h("div", { class: "person-text" },
          h("a", { href: `#/people/${encodeURIComponent(collection)}/${encodeURIComponent(side.person.id)}` }, called(side.person)),
          h("span", { class: "hint" }, side.person.id)))),
      h("p", { class: "score", "aria-label": `Score ${score.toFixed(3)}` }, score.toFixed(2))),
      h("p", { class: "hint" }, matchSentence(score, Math.max(1, faces - 1))),
      h("div", { class: "actions" },
        sides.map((side, index) => h("button", { class: "button small", type: "button", onclick: () => settle(side, sides[1 - index]) },
          `Same person, keep “${called(side.person)}”`)),
        h("button", { class: "button small", type: "button", onclick: apart }, "Different people")));

    function settle(kept, other) {
      return settled(mergePersons(api, collection, kept.person.id, other.person.id),
        `${called(other.person)} is merged into ${called(kept.person)}.`);
    }

    function apart() {
      return settled(api.post(path(collection, first.person.id, "distinct"), { person_id: second.person.id }),
        `${called(first.person)} and ${called(second.person)} are no longer shown as a pair.`);
    }

    async function settled(request, words) {
      try {
        await request;
        toast(words, "good");
        away(card);
      } catch (error) {
        toast(error.message, "error");
      }
    }
    return card;
  }

  function away(card) {
    const next = card.nextElementSibling ?? card.previousElementSibling;
    card.remove();
    if (next) next.focus();
    else fill(list, nothing("check", "All settled", "Look again after the next enrolments."));
  }
}
