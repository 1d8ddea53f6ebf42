// Enrolling many persons: what a drop means, and sending it a few persons at a time.
import { form } from "./api.js";
import { path } from "./collections.js";

const AT_A_TIME = 3;
const SHARE_OF_BODY = 0.9;

/**
 * Persons of dropped pictures, by id: a folder is a person with its name for id, a picture outside any folder is a
 * person with its file's name. Returns [{id, name, files}].
 */
export function planned(items) {
  const persons = new Map();
  const depth = Math.max(...items.map((item) => item.path.split("/").length));
  for (const { file, path: where } of items) {
    const parts = where.split("/");
    // A dropped folder of folders: its own name says nothing, the sub-folder is the person.
    const id = (parts.length > 1 ? parts[parts.length - 2] : parts[0].replace(/\.[^.]+$/, "")).trim().slice(0, 100);
    const loose = parts.length === 2 && depth > 2;
    const key = loose ? parts[1].replace(/\.[^.]+$/, "") : id;
    if (!persons.has(key)) persons.set(key, { id: key, name: key.replaceAll("_", " "), files: [] });
    persons.get(key).files.push(file);
  }
  return [...persons.values()].sort((a, b) => a.id.localeCompare(b.id, "en", { numeric: true }));
}

/** Consecutive files, at most so many and so many bytes together. */
export function batches(files, most, mostBytes) {
  const made = [];
  let used = 0;
  for (const file of files) {
    if (!made.length || made.at(-1).length >= most || used + file.size > mostBytes) {
      made.push([]);
      used = 0;
    }
    made.at(-1).push(file);
    used += file.size;
  }
  return made;
}

/**
 * One person's pictures; those that the service refuses are left out. A person's own `mode` goes before that of all.
 * Returns {faces, errors: [{file, code, message}]}.
 */
export async function enrolPerson(api, collection, person, { limits, faces, mode }, signal) {
  const errors = [];
  let added = 0;
  for (const batch of batches(person.files, limits.max_images_per_request, limits.max_body_bytes * SHARE_OF_BODY)) {
    const left = [...batch];
    while (left.length) {
      const body = form({ image: left, name: person.name, faces, mode: added ? "add" : person.mode ?? mode });
      try {
        const answer = await api.put(path(collection, person.id), body, signal);
        added += answer.added_faces.length;
        break;
      } catch (error) {
        // The service takes all pictures of a request or none, and says which one it refuses.
        const told = Number.isInteger(error.details?.image) ? error.details.image : null;
        const alone = left.length === 1 && [413, 415].includes(error.status) ? 0 : null;
        const position = told ?? alone;
        if (position === null || position >= left.length) {
          errors.push({ file: "", code: error.code ?? error.name, message: error.message });
          return { faces: added, errors };
        }
        const [file] = left.splice(position, 1);
        errors.push({ file: file.name, code: error.code, message: inWords(error) });
      }
    }
  }
  return { faces: added, errors };
}

/** Persons of a list, a few at a time; `report(person, outcome)` is told of each, in the order in which they end. */
export async function enrolAll(api, collection, persons, options, signal, report) {
  const waiting = [...persons];
  async function work() {
    while (waiting.length && !signal.aborted) {
      const person = waiting.shift();
      const outcome = await enrolPerson(api, collection, person, options, signal);
      if (!signal.aborted) report(person, outcome);
    }
  }
  await Promise.all(Array.from({ length: Math.min(AT_A_TIME, persons.length) }, work));
}

function inWords(error) {
  return error.message.replace(/^(?:Picture|Image) \d+: /, "").replace(/ (?:on picture|in image) \d+/, "");
}
