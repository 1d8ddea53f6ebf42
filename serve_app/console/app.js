// Entry point of the console: signing in, routing between views, and the navigation bar. The API key is stored in this
// tab's session only.
import { Api, ApiError } from "./lib/api.js";
import { fill, h, toast } from "./lib/dom.js";
import { icon } from "./lib/icons.js";
import { problem } from "./lib/parts.js";
import { compare } from "./views/compare.js";
import { enrol } from "./views/enrol.js";
import { people } from "./views/people.js";
import { review } from "./views/review.js";
import { search } from "./views/search.js";
import { signIn } from "./views/signin.js";
import { status } from "./views/status.js";
import { unknowns } from "./views/unknowns.js";

const KEY = "facegraph.key";
const THEME = "facegraph.theme";
const RANK = { search: 0, enroll: 1, admin: 2 };

const VIEWS = {
  search: { title: "Search", icon: "search", role: "search", show: search },
  enrol: { title: "Enrol", icon: "enrol", role: "enroll", show: enrol },
  people: { title: "People", icon: "people", role: "search", show: people },
  review: { title: "Review", icon: "review", role: "enroll", show: review },
  unknowns: { title: "Unknowns", icon: "unknown", role: "enroll", show: unknowns },
  compare: { title: "Compare", icon: "compare", role: "search", show: compare },
  status: { title: "Status", icon: "status", role: "admin", show: status },
};

const bar = document.getElementById("bar");
const main = document.getElementById("main");

/** State shared by the views: API, key and role, chosen collections, and what one view hands to the next. */
const session = { api: null, info: null, role: "search", chosen: new Set(), carried: null };
let shown = new AbortController();

function may(role) {
  return RANK[session.role] >= RANK[role];
}

async function enter(key) {
  const api = new Api(key, (error) => session.api === api && leave(error.message));
  const info = await api.get("v1/info");
  Object.assign(session, { api, info, role: info.key.role, chosen: new Set(), carried: null });
  sessionStorage.setItem(KEY, key);
  route();
}

function leave(reason) {
  session.api?.close();
  session.api = null;
  sessionStorage.removeItem(KEY);
  if (typeof reason === "string") toast(reason, "error");
  route();
}

/** Goes to another view; `carried` is handed to it. */
function go(path, carried = null) {
  session.carried = carried;
  if (location.hash === `#/${path}`) route();
  else location.hash = `#/${path}`;
}

function route() {
  shown.abort();
  shown = new AbortController();
  if (!session.api) {
    document.title = "Sign in · facegraph";
    bar.hidden = true;
    fill(main, signIn({ enter, ApiError }));
    return;
  }
  const [wanted, ...rest] = location.hash.replace(/^#\/?/, "").split("/").map(decoded);
  const name = VIEWS[wanted] && may(VIEWS[wanted].role) ? wanted : "search";
  const view = VIEWS[name];
  document.title = `${view.title} · facegraph`;
  drawBar(name);
  const heading = h("h1", { tabindex: "-1" }, view.title);
  const body = h("div", { class: "view" });
  fill(main, heading, body);
  heading.focus({ preventScroll: true });
  scrollTo(0, 0);
  show(view, body, rest);
}

async function show(view, body, rest) {
  const { signal } = shown;
  try {
    await view.show(body, { session, api: session.api, may, go, signal, rest, heading: main.querySelector("h1") });
  } catch (error) {
    if (signal.aborted) return;
    fill(body, problem(error));
    if (!(error instanceof ApiError)) throw error;
  }
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function drawBar(current) {
  const links = Object.entries(VIEWS).filter(([, view]) => may(view.role)).map(([name, view]) =>
    h("a", { href: `#/${name}`, "aria-current": name === current ? "page" : null }, icon(view.icon), h("span", {}, view.title)));
  bar.hidden = false;
  fill(bar,
    h("a", { class: "brand", href: "#/search", "aria-label": "facegraph, to the search" },
      h("span", { class: "logo" }), h("span", {}, "facegraph")),
    h("nav", { "aria-label": "Views" }, links),
    h("div", { class: "bar-end" },
      h("span", { class: "who", title: `Role: ${session.role}` }, session.info.key.name),
      h("button", { class: "quiet", type: "button", "aria-label": "Change between light and dark", onclick: turnTheme }, icon("theme")),
      h("button", { class: "quiet", type: "button", "aria-label": "Sign out", onclick: () => leave() }, icon("leave"))));
}

function turnTheme() {
  const dark = getComputedStyle(document.documentElement).colorScheme === "dark"
    || (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem(THEME, document.documentElement.dataset.theme);
}

async function start() {
  const theme = localStorage.getItem(THEME);
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  document.getElementById("skip").addEventListener("click", (event) => {
    event.preventDefault();
    main.focus();
  });
  // A file dropped outside a drop zone must not replace the page.
  for (const name of ["dragover", "drop"]) addEventListener(name, (event) => event.preventDefault());
  addEventListener("hashchange", route);
  const key = sessionStorage.getItem(KEY);
  try {
    if (key) await enter(key);
    else route();
  } catch (error) {
    leave(error.message);
  }
}

start();
