// Enrolment of many persons: grouping dropped files by person, and sending a few persons at a time.
import { form } from "./api.js";
import { path } from "./collections.js";

const AT_A_TIME = 3;
const SHARE_OF_BODY = 0.9;

/**
 * Groups dropped pictures by person: a folder is a person whose id is the folder's name; a picture outside any folder
 * is a person whose id is the file's name. In a dropped folder of folders the sub-folder is the person. Returns
 * {persons: [{id, name, files}], leftOut: [{path, reason}]}.
 */
export function planned(items) {
  const persons = new Map();
  const leftOut = [];
  const depths = items.map((item) => item.path.split("/").length - 1);
  const outer = Math.max(...depths) > 1;
  const depth = outer ? Math.min(...depths.filter((each) => each > 1)) : 1; // of the persons' folders
  for (const { file, path: where } of items) {
    const parts = where.split("/");
    const own = parts.length > depth; // else the picture is in none of the persons' folders
    const key = own ? parts[depth - 1].trim().slice(0, 100) : parts.at(-1).replace(/\.[^.]+$/, "").trim().slice(0, 100);
    const folder = own ? parts.slice(0, depth).join("/") : where;
    const person = persons.get(key) ?? { id: key.normalize("NFC"), name: key.normalize("NFC").replaceAll("_", " "), files: [], folder };
    if (parts.length - 1 > depth) leftOut.push({ path: where, reason: "in a folder inside a person's folder" });
    else if (own && person.folder !== folder) leftOut.push({ path: where, reason: `the folder ${person.folder} has the same name` });
    else {
      person.files.push(file);
      persons.set(key, person);
    }
  }
  return { persons: [...persons.values()].sort((a, b) => a.id.localeCompare(b.id, "en", { numeric: true })), leftOut };
}

/** Splits files into batches of at most `most` files and `mostBytes` bytes; a larger file is a batch by itself. */
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
 * Enrols one person's pictures and leaves refused ones out. `person.mode`, if set, takes precedence over `mode`.
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
        // The service accepts all pictures of a request or none, and names the one that it refuses. A single picture can
        // be refused for its size or format before the service numbers the pictures.
        const named = Number.isInteger(error.details?.image) ? error.details.image : null;
        const only = left.length === 1 && [413, 415].includes(error.status) ? 0 : null;
        const position = named ?? only;
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

/** Enrols persons, a few at a time; calls `report(person, outcome)` for each, in the order in which they end. */
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
