// Helpers about collections and persons that several views share.
import { count } from "./meaning.js";

/** All collections of the tenant, by name. */
export async function allCollections(api, signal) {
  const found = [];
  for (let cursor = null; ;) {
    const page = await api.get("v1/collections", { limit: 200, cursor }, signal);
    found.push(...page.collections);
    cursor = page.cursor;
    if (!cursor) return found;
  }
}

/** The path of a collection, of a person in it, or of something below. */
export function path(collection, personId, ...more) {
  const parts = personId === undefined ? [collection] : [collection, "persons", personId, ...more];
  return `v1/collections/${parts.map(encodeURIComponent).join("/")}`;
}

/** The path of a collection's unknowns, of one of them, or of something below. */
export function unknownPath(collection, ...more) {
  return [`${path(collection)}/unknowns`, ...more.map(encodeURIComponent)].join("/");
}

/** A number of hours as text, in days if it is whole days. */
export function hours(value) {
  return value % 24 ? count(value, "hour") : count(value / 24, "day");
}

/** Display name of a person; null is a face without a person. */
export function called(person) {
  return person ? person.name || person.id : "A face without a person";
}

/** Removes missing collections from the choice; if none is left, chooses all. */
export function keepChosen(chosen, collections) {
  const names = new Set(collections.map((collection) => collection.name));
  for (const name of [...chosen]) if (!names.has(name)) chosen.delete(name);
  if (!chosen.size) for (const name of names) chosen.add(name);
}
