// Enrolment view: one person or a folder of people, with progress and the reason for each refused picture.
import { allCollections } from "../lib/collections.js";
import { field, fill, h, save, select } from "../lib/dom.js";
import { enrolAll, planned } from "../lib/enrolling.js";
import { icon } from "../lib/icons.js";
import { count, number } from "../lib/meaning.js";
import { dropzone, nothing, problem } from "../lib/parts.js";

const SHOWN = 60;
const NEW = "\u0000new";

/** `#/enrol` or `#/enrol/collection`. */
export async function enrol(body, { session, api, may, signal, rest: [wanted] }) {
  const collections = await allCollections(api, signal);
  if (!collections.length && !may("admin")) {
    fill(body, nothing("people", "No collections yet", "Someone with an administrator's key must create the first one, under People."));
    return;
  }
  let persons = [];
  let run = null;

  const names = collections.map((collection) => [collection.name, `${collection.name} (${count(collection.person_count, "person", "persons")})`]);
  const target = select(may("admin") ? [...names, [NEW, "A new collection …"]] : names, first());
  const fresh = h("input", { type: "text", value: collections.length ? "" : "people", maxlength: 64, pattern: "[A-Za-z0-9_.\\-]+", autocomplete: "off" });
  const freshField = field("Name of the new collection", fresh, "Letters, digits, underscore, dot and hyphen.");
  const several = select([["one", "Refuse the image"], ["largest", "Take the largest face"]], "one");
  const mode = select([["add", "Add the images to those enrolled"], ["replace", "Replace the enrolled images"]], "add");
  const said = h("div", {});
  const plan = h("section", { class: "plan", "aria-label": "People to enrol" });
  const zone = dropzone({
    title: "Drop photographs or a folder",
    hint: "A folder for each person, or one image for each person. File and folder names become the persons' ids.",
    multiple: true,
    folder: true,
    take: add,
    refuse: (text) => fill(said, problem(new Error(text))),
    signal,
  });
  target.addEventListener("change", showFresh);
  fill(body,
    h("div", { class: "controls card" },
      h("div", { class: "row" }, field("Into collection", target), freshField),
      h("details", {}, h("summary", {}, "Options"),
        h("div", { class: "row" }, field("A person who is there already", mode), field("Several faces on an image", several)))),
    zone, said, plan);
  showFresh();
  if (session.carried) {
    const { file } = session.carried;
    session.carried = null;
    persons = [{ id: "", name: "", files: [file] }];
    draw();
    plan.querySelector("input")?.focus();
  }

  /** The preselected collection: the one in the address, else the first one chosen for searches, else the first one. */
  function first() {
    return [wanted, ...session.chosen, names[0]?.[0]].find((name) => collections.some((collection) => collection.name === name)) ?? NEW;
  }

  function showFresh() {
    freshField.hidden = target.value !== NEW;
  }

  function add(items, noPictures = [], junk = 0) {
    const found = planned(items);
    const leftOut = [...noPictures, ...found.leftOut];
    fill(said, leftOut.length || junk ? h("div", { class: "note" }, h("div", {},
      leftOut.length ? [`${count(leftOut.length, "file")} left out:`, h("ul", { class: "reasons" },
        leftOut.slice(0, SHOWN).map(({ path, reason }) => h("li", {}, h("strong", {}, path), `: ${reason}`)),
        leftOut.length > SHOWN ? h("li", {}, `… and ${number(leftOut.length - SHOWN)} more`) : null)] : null,
      junk ? `${count(junk, "hidden file or file of a system is", "hidden files or files of systems are")} ignored.` : null)) : null);
    const byId = new Map(persons.filter((person) => !person.outcome).map((person) => [person.id, person]));
    for (const person of found.persons) {
      const known = byId.get(person.id);
      if (known) known.files.push(...person.files);
      else byId.set(person.id, person);
    }
    persons = [...byId.values()];
    draw();
  }

  function draw() {
    const pictures = persons.reduce((sum, person) => sum + person.files.length, 0);
    const progress = h("progress", { max: persons.length || 1, value: 0, "aria-label": "Progress", hidden: true });
    const told = h("p", { class: "hint", role: "status" }, `${count(persons.length, "person", "persons")}, ${count(pictures, "image")}`);
    const clear = h("button", {
      class: "button",
      type: "button",
      onclick: () => {
        run?.abort();
        persons = [];
        fill(plan);
        fill(said);
        zone.classList.remove("small");
        zone.querySelector("input").focus();
      },
    }, "Clear");
    const hint = persons.length > 1 && pictures === persons.length && persons.length <= 40
      ? h("p", { class: "hint" }, "Each image is enrolled as a separate person. ",
        h("button", { class: "link", type: "button", onclick: together }, "They are all of one person")) : null;
    const begin = h("button", { class: "button primary", type: "button", onclick: () => start(progress, told, begin, hint) }, icon("check"), "Enrol");
    zone.classList.add("small");
    fill(plan, hint,
      h("div", { class: "plan-head" }, told, progress, h("div", { class: "actions" }, clear, begin)),
      h("ul", { class: "persons" }, persons.slice(0, SHOWN).map(row)),
      persons.length > SHOWN ? h("p", { class: "hint" }, `… and ${number(persons.length - SHOWN)} more`) : null);
  }

  function together() {
    persons = [{ ...persons[0], files: persons.flatMap((person) => person.files) }];
    draw();
    plan.querySelector("input")?.focus();
  }

  function row(person) {
    const id = h("input", { type: "text", value: person.id, maxlength: 100, "aria-label": "Id", placeholder: "Id, as in your records", autocomplete: "off",
      oninput: () => { person.id = id.value.trim(); } });
    const name = h("input", { type: "text", value: person.name, maxlength: 200, "aria-label": "Name", placeholder: "Name", autocomplete: "off",
      oninput: () => { person.name = name.value.trim(); } });
    const url = URL.createObjectURL(person.files[0]);
    signal.addEventListener("abort", () => URL.revokeObjectURL(url));
    person.note = h("p", { class: "hint" }, count(person.files.length, "picture"));
    person.row = h("li", { class: "plan-row" },
      h("span", { class: "thumb" }, h("img", { src: url, alt: "", loading: "lazy" })),
      h("div", { class: "plan-fields" }, id, name), person.note);
    return person.row;
  }

  async function start(progress, told, begin, hint) {
    fill(said);
    const waiting = persons.filter((person) => !person.outcome);
    try {
      check(waiting);
      await ensureCollection();
    } catch (error) {
      fill(said, problem(error));
      return;
    }
    run = new AbortController();
    signal.addEventListener("abort", () => run.abort());
    begin.disabled = true;
    hint?.remove(); // persons can no longer be joined once sending begins
    progress.hidden = false;
    plan.querySelectorAll("input").forEach((input) => { input.disabled = true; });
    const collection = target.value;
    const options = { limits: session.info.limits, faces: several.value, mode: mode.value };
    const started = performance.now();
    let done = 0;
    await enrolAll(api, collection, waiting, options, run.signal, (person, outcome) => {
      person.outcome = outcome;
      done += 1;
      progress.value = done;
      told.textContent = pace(done, waiting.length, (performance.now() - started) / 1000);
      mark(person);
    });
    if (!run.signal.aborted) summary(waiting, collection);
  }

  function check(waiting) {
    const nameless = waiting.find((person) => !person.id);
    if (nameless) {
      nameless.row?.querySelector("input").focus();
      throw new Error("Every person needs an id: the one from your own records, or any other.");
    }
    const ids = waiting.map((person) => person.id);
    const twice = ids.find((id, index) => ids.indexOf(id) !== index);
    if (twice) throw new Error(`Two rows have the id ${twice}: give one of them another id.`);
  }

  async function ensureCollection() {
    if (target.value !== NEW) return;
    const name = fresh.value.trim();
    if (!name) {
      fresh.focus();
      throw new Error("The new collection needs a name.");
    }
    await api.post("v1/collections", { name }, signal);
    target.prepend(h("option", { value: name }, name));
    target.value = name;
    showFresh();
    session.chosen.add(name);
  }

  function mark(person) {
    if (!person.row) return;
    const { faces, errors } = person.outcome;
    person.row.classList.add(errors.length ? (faces ? "partly" : "failed") : "done");
    fill(person.note, errors.length ? (faces ? `${count(faces, "face")} enrolled` : "Refused") : [icon("check"), "Enrolled"]);
    if (errors.length) {
      person.row.append(h("ul", { class: "reasons" }, errors.map((error) =>
        h("li", {}, error.file ? h("strong", {}, `${error.file}: `) : null, error.message))));
    }
  }

  function summary(done, collection) {
    const faces = done.reduce((sum, person) => sum + person.outcome.faces, 0);
    const failed = done.filter((person) => person.outcome.errors.length);
    const errors = failed.flatMap((person) => person.outcome.errors.map((error) => ({ person: person.id, ...error })));
    fill(said, h("div", { class: `note ${errors.length ? "warn" : "good"}`, role: "status" },
      icon(errors.length ? "warn" : "check"),
      h("span", {}, `${count(faces, "face")} enrolled in ${collection}`, errors.length ? `, ${count(errors.length, "image or person", "images or persons")} refused.` : ". "),
      errors.length ? h("button", {
        class: "link",
        type: "button",
        onclick: () => save("refused.jsonl", errors.map((error) => `${JSON.stringify(error)}\n`).join(""), "application/jsonl"),
      }, "Save the list") : null,
      errors.length ? h("button", { class: "link", type: "button", onclick: () => retry(failed) }, "Try these again") : null,
      h("a", { class: "link", href: `#/people/${encodeURIComponent(collection)}` }, "See the collection"),
      faces ? h("a", { class: "link", href: "#/search" }, "Search an image") : null));
    said.scrollIntoView({ block: "nearest" }); // a long list can be scrolled far down
  }

  /** Repeats the enrolment with the files that failed. */
  function retry(failed) {
    persons = failed.map((person) => {
      const wrong = new Set(person.outcome.errors.map((error) => error.file));
      // Faces that were enrolled in this run stay, even with the option "replace".
      const mode = person.outcome.faces ? "add" : person.mode;
      return { id: person.id, name: person.name, mode, files: wrong.has("") ? person.files : person.files.filter((file) => wrong.has(file.name)) };
    });
    draw();
  }
}

function pace(done, total, seconds) {
  const rate = done / seconds;
  const left = Math.ceil((total - done) / rate);
  return `${number(done)} of ${number(total)}, ${rate.toFixed(1)} a second${done < total ? `, ${left} s left` : ""}`;
}
