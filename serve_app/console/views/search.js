// Search view: the picture with boxes and landmarks, the matches of each face, and an explanation of each score.
import { form } from "../lib/api.js";
import { allCollections, called, hours, keepChosen } from "../lib/collections.js";
import { checkbox, field, fill, h, select } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { count, matchSentence, strength, thresholdSentence } from "../lib/meaning.js";
import { collectionChips, dropzone, nothing, problem, thumbnail } from "../lib/parts.js";
import { cutOut, highlight, loaded, marked, portrait } from "../lib/pictures.js";

const STRICTNESS = [
  ["", "Balanced: a match for 1 % of strangers"],
  ["0.1", "Wide: a match for 10 % of strangers"],
  ["0.001", "Strict: a match for 0.1 % of strangers"],
];

/** `#/search`, or `#/search/face id/collection` to search with a stored picture. */
export async function search(body, { session, api, may, go, signal, rest: [storedFace, within] }) {
  const collections = await allCollections(api, signal);
  if (!collections.length) {
    fill(body, nothing("people", "No collections yet", "A search looks through collections of people. "
      + (may("admin") ? "Enrol someone first: this also creates the first collection."
        : "Someone with an administrator's key must create the first one."),
    may("admin") ? h("a", { class: "button primary", href: "#/enrol" }, icon("enrol"), "Enrol people") : null));
    return;
  }
  if (collections.some(({ name }) => name === within)) {
    session.chosen.clear();
    session.chosen.add(within);
  }
  keepChosen(session.chosen, collections);

  let current = null;
  const strictness = select(STRICTNESS, "");
  const most = select([["1", "1"], ["3", "3"], ["5", "5"], ["10", "10"]], "5");
  const live = checkbox("Show matches only for faces that are live", false);
  const keeping = collections.filter(({ policy }) => policy.keep_unknown_h);
  const keep = select([["", "No"], ...keeping.map(({ name, policy }) => [name, `In ${name}, for ${hours(policy.keep_unknown_h)}`])], "");
  const result = h("section", { class: "result", "aria-label": "Result", "aria-live": "polite", "aria-busy": "false" });
  const zone = dropzone({
    title: "Drop an image here",
    hint: "or paste one. All faces in it are searched for.",
    take: ([{ file }]) => look(file),
    refuse: (text) => fill(result, problem(new Error(text))),
    signal,
  });
  const again = () => current && look(current.file, current.faceId);
  for (const control of [strictness, most, live.input, keep]) control.addEventListener("change", again);
  fill(body,
    h("div", { class: "controls card" },
      collectionChips(collections, session.chosen, again),
      h("details", {}, h("summary", {}, "Options"),
        h("div", { class: "row" }, field("How strict", strictness), field("Matches for each face", most),
          keeping.length ? field("Keep unknown faces, to name them later", keep) : null), live.label)),
    collections.some((collection) => collection.face_count) ? null : nobody(), zone, result);

  let latest = 0;
  if (storedFace) await lookStored(storedFace);

  function nobody() {
    return h("p", { class: "note" }, icon("people"), h("span", {}, "Nobody is enrolled yet, so a search finds nobody."),
      may("enroll") ? h("a", { class: "link", href: `#/enrol/${encodeURIComponent([...session.chosen][0])}` }, "Enrol people") : null);
  }

  /** Searches with the stored photograph, or with the face if no photograph is stored. */
  async function lookStored(faceId) {
    try {
      const photograph = await api.picture(faceId, "photograph", signal);
      if (photograph) await look(photograph);
      else await look(await api.picture(faceId, "thumbnail", signal), faceId);
    } catch (error) {
      if (!signal.aborted) fill(result, problem(error));
    }
  }

  async function look(file, faceId = null) {
    current = { file, faceId };
    const turn = latest += 1;
    const place = keep.value;
    if (!session.chosen.size) {
      fill(result, problem(new Error("Choose at least one collection to search.")));
      return;
    }
    zone.classList.add("small");
    result.setAttribute("aria-busy", "true");
    try {
      const image = await loaded(file, signal, "The image that was searched");
      if (turn === latest) fill(result, h("div", { class: "searching" }, h("div", { class: "marked" }, image), h("p", { class: "hint" }, "Searching …")));
      const ofPicture = { image: file, faces: "all", liveness: live.input.checked, keep_unknown: place };
      const answer = await api.post("v1/search", form({
        ...(faceId ? { face_id: faceId } : ofPicture),
        collections: [...session.chosen],
        max_results: most.value,
        fpir: strictness.value,
      }), signal);
      if (turn === latest) present(image, answer, place);
    } catch (error) {
      if (turn === latest && error.name !== "AbortError") fill(result, problem(error));
    } finally {
      if (turn === latest) result.setAttribute("aria-busy", "false");
    }
  }

  function present(image, answer, place) {
    const { faces, threshold } = answer;
    if (!faces.length) {
      fill(result, h("div", { class: "columns" }, h("div", { class: "marked" }, image),
        nothing("empty", "No face on this image", "A face needs to be at least about 20 pixels wide and mostly visible.")));
      return;
    }
    const picture = marked(image, faces, pick);
    const cards = faces.map((face, index) => faceCard(image, face, index, faces.length, threshold, place));
    cards.forEach((card, index) => {
      card.addEventListener("pointerenter", () => highlight(picture, index));
      card.addEventListener("focusin", () => highlight(picture, index));
    });
    function pick(index) {
      highlight(picture, index);
      cards[index].scrollIntoView({ block: "nearest", behavior: "smooth" });
      cards[index].focus({ preventScroll: true });
    }
    const known = faces.filter((face) => face.matches.length).length;
    const words = `${count(faces.length, "face")}, ${known ? `${known} found` : "nobody found"}`
      + (answer.faces_left_out ? `; ${answer.faces_left_out} more were left out` : "");
    fill(result,
      h("div", { class: "columns" },
        h("div", { class: "sticky" }, picture,
          h("p", { class: "hint" }, `${Math.round(answer.timings_ms.total)} ms. `, thresholdSentence(threshold))),
        h("div", { class: "stack" }, h("h2", {}, words), cards)));
    if (result.getBoundingClientRect().top > innerHeight / 2) zone.scrollIntoView({ behavior: "smooth" });
  }

  function faceCard(image, face, index, total, threshold, place) {
    const title = total > 1 ? `Face ${index + 1}` : "The face";
    return h("article", { class: "face card", tabindex: "-1", "aria-label": title },
      h("header", {}, face.box ? portrait(image, face.box, `${title} on the image`) : null,
        h("div", {}, h("h3", {}, title),
          face.box ? h("p", { class: "hint" }, qualityText(face)) : null,
          face.liveness ? h("p", { class: `badge ${face.liveness.is_live ? "good" : "bad"}` },
            face.liveness.is_live ? "Live" : "Not live", ` ${Math.round(face.liveness.probability * 100)} %`) : null)),
      face.matches.length ? h("ol", { class: "matches" }, face.matches.map((match) => matchRow(match, threshold)))
        : stranger(image, face, place));
  }

  function matchRow(match, threshold) {
    const [kind, words] = strength(match.score, threshold.gallery_size);
    const name = called(match.person);
    const link = match.person && may("enroll")
      ? h("a", { href: `#/people/${encodeURIComponent(match.collection)}/${encodeURIComponent(match.person.id)}` }, name)
      : name;
    return h("li", { class: `match ${kind}` },
      thumbnail(api, match.face_id, `Enrolled image of ${name}`),
      h("div", { class: "match-text" },
        h("p", { class: "match-name" }, link, " ", h("span", { class: "hint" }, match.collection)),
        h("div", { class: "meter", vars: { "--score": match.score, "--from": threshold.min_score }, "aria-hidden": "true" }, h("span", {})),
        h("p", { class: "hint" }, h("strong", {}, `${words}. `), matchSentence(match.score, threshold.gallery_size))),
      h("p", { class: "score", "aria-label": `Score ${match.score.toFixed(3)}` }, match.score.toFixed(2)));
  }

  function stranger(image, face, place) {
    if (face.liveness && !face.liveness.is_live) {
      return h("p", { class: "unknown" }, "No matches are shown for a face that is not live.");
    }
    return h("div", { class: "unknown" },
      h("p", {}, h("strong", {}, "Unknown. "), "No enrolled face reaches the threshold.", kept(face, place)),
      may("enroll") && face.box ? h("button", {
        class: "button",
        type: "button",
        onclick: async () => go("enrol", { file: await cutOut(image, face.box) }),
      }, icon("enrol"), "Enrol this face") : null);
  }
}

function kept(face, place) {
  if (!place) return null;
  if (!face.unknown) return " It is not good enough to be kept.";
  const address = `#/unknowns/${encodeURIComponent(place)}/${face.unknown.id}`;
  return [face.unknown.is_new ? " It is kept: " : " It was seen before: ", h("a", { href: address }, "say who this is"), "."];
}

function qualityText(face) {
  const codes = face.quality_details.codes.map((code) => code.replaceAll("_", " "));
  const width = Math.round(face.box.width);
  const turned = face.turned ? `turned by ${face.turned}°, ` : "";
  return `${width} pixels wide, ${turned}quality ${face.quality.toFixed(2)}${codes.length ? `: ${codes.join(", ")}` : ""}`;
}
