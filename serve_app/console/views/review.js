import { fill } from "../lib/dom.js";
import { nothing } from "../lib/parts.js";

export async function review(body) {
  fill(body, nothing("review", "Nothing to review", "Unknown faces and duplicates appear here."));
}
