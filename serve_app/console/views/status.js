// The running graph, live: stages, replicas, what waits, how long it takes, what was turned away.
import { fill, h } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { number } from "../lib/meaning.js";
import { problem } from "../lib/parts.js";

const EVERY_MS = 2000;
const HISTORY = 60;

export async function status(body, { api, signal }) {
  const history = [];
  const tiles = h("div", { class: "tiles" });
  const said = h("div", {});
  const stages = h("div", { class: "table-frame" });
  const facts = h("section", { class: "card" });
  fill(body, said, tiles, stages, facts);
  drawFacts(facts, await api.get("v1/info", {}, signal));
  await tick();

  async function tick() {
    try {
      const answer = await api.get("v1/status", {}, signal);
      history.push(answer);
      if (history.length > HISTORY) history.shift();
      fill(said, answer.warnings.map(({ message }) => h("p", { class: "note", role: "status" }, icon("warn"), h("span", {}, message))));
      drawTiles(tiles, history);
      drawStages(stages, answer);
    } catch (error) {
      if (signal.aborted) return;
      fill(said, problem(error));
    }
    const timer = setTimeout(tick, EVERY_MS);
    signal.addEventListener("abort", () => clearTimeout(timer));
  }
}

function drawTiles(tiles, history) {
  const { requests } = history.at(-1);
  fill(tiles,
    tile("Requests a second", requests.per_second.toFixed(1), history.map((at) => at.requests.per_second)),
    tile("Median latency", milliseconds(requests.median_ms), history.map((at) => at.requests.median_ms ?? 0)),
    tile("99th percentile", milliseconds(requests.p99_ms), history.map((at) => at.requests.p99_ms ?? 0)),
    tile("In flight", number(requests.in_flight), history.map((at) => at.requests.in_flight)),
    tile("Turned away (429)", number(requests.refused), history.map((at) => at.requests.refused), requests.refused > 0),
    tile("Failed (5xx)", number(requests.failed), history.map((at) => at.requests.failed), requests.failed > 0));
}

function tile(name, value, values, alarming = false) {
  return h("div", { class: `card tile-figure${alarming ? " alarming" : ""}` },
    h("p", { class: "hint" }, name), h("p", { class: "figure" }, value), spark(values));
}

/** Bars of the last values; their heights are set through the DOM, which the content-security policy allows. */
function spark(values) {
  const most = Math.max(...values, 1e-9);
  return h("div", { class: "spark", "aria-hidden": "true" },
    values.map((value) => h("span", { vars: { "--height": value / most } })));
}

function drawStages(frame, answer) {
  const head = ["Stage", "State", "Replicas", "Working or waiting", "Median", "99th percentile", "Turned away"];
  fill(frame, h("table", {},
    h("caption", {}, `Stages (topology ${answer.topology}), as this ingress replica saw them in the last ${answer.window_s} s`),
    h("thead", {}, h("tr", {}, head.map((text) => h("th", { scope: "col" }, text)))),
    h("tbody", {}, answer.stages.map((stage) => h("tr", {},
      h("th", { scope: "row" }, stage.name),
      h("td", {}, h("span", { class: `badge ${stage.ready ? "good" : "bad"}` }, stage.ready ? "Ready" : "Not ready"),
        stage.message ? h("span", { class: "hint" }, ` ${stage.message}`) : null),
      h("td", {}, stage.replicas === null ? "in the ingress" : replicas(stage.replicas)),
      h("td", { class: "num" }, number(stage.in_flight)),
      h("td", { class: "num" }, milliseconds(stage.median_ms)),
      h("td", { class: "num" }, milliseconds(stage.p99_ms)),
      h("td", { class: "num" }, number(stage.refused)))))));
}

function replicas(states) {
  return Object.entries(states).map(([state, many]) => `${many} ${state.toLowerCase()}`).join(", ") || "none";
}

function drawFacts(card, info) {
  const models = Object.entries(info.models).map(([name, facts]) => [`Model (${facts.task})`, `${name}, ${facts.licence}`]);
  const versions = Object.entries(info.versions ?? {}).map(([name, version]) => [name, version]);
  fill(card, h("h2", {}, "What runs here"),
    h("dl", { class: "facts" }, [["facegraph", info.version], ...models, ...versions].map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])));
}

function milliseconds(value) {
  if (value === null || value === undefined) return "–";
  return value < 10 ? `${value.toFixed(1)} ms` : `${Math.round(value)} ms`;
}
