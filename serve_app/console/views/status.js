// Status view, updated live: stages, replicas, queues, latencies and refused requests.
import { fill, h } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { number } from "../lib/meaning.js";
import { problem } from "../lib/parts.js";

const EVERY_MS = 2000;
const HISTORY = 60;

export async function status(body, { api, signal }) {
  const history = [];
  const tiles = h("div", { class: "tiles" });
  const said = h("div", { class: "stack" });
  let warned = null;
  const stages = h("div", { class: "table-frame" });
  const facts = h("section", { class: "card" });
  fill(body, said, tiles, stages, facts);
  drawFacts(facts, await api.get("v1/info", {}, signal));
  await tick();

  /** Draws the warnings only when they have changed; otherwise screen readers would read them every two seconds. */
  function warn(messages) {
    const now = messages.join("\n");
    if (now === warned) return;
    warned = now;
    fill(said, messages.map((message) => h("p", { class: "note warn", role: "status" }, icon("warn"), h("span", {}, message))));
  }

  async function tick() {
    try {
      const answer = await api.get("v1/status", {}, signal);
      history.push(answer);
      if (history.length > HISTORY) history.shift();
      warn(answer.warnings.map(({ message }) => message));
      drawTiles(tiles, history);
      drawStages(stages, answer);
    } catch (error) {
      if (signal.aborted) return;
      fill(said, problem(error));
      warned = null;
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

/** Bar chart of the last values. The heights are set through the DOM, which the content-security policy allows. */
function spark(values) {
  const most = Math.max(...values, 1e-9);
  return h("div", { class: "spark", "aria-hidden": "true" },
    values.map((value) => h("span", { vars: { "--height": value / most } })));
}

const COLUMNS = ["State", "Replicas", "Under way", "Queue", "Median", "99th percentile", "Turned away", "Failed"];

function drawStages(frame, answer) {
  fill(frame, h("table", { class: "stages" },
    h("caption", {}, `Topology: ${answer.topology} (${answer.topology_reason}). Figures of the last ${answer.window_s} s, from the ingress replica that answered.`),
    h("thead", {}, h("tr", {}, ["Stage", ...COLUMNS].map((text) => h("th", { scope: "col" }, text)))),
    h("tbody", {}, answer.stages.map((stage) => stageRow(stage, stage.replicas === null ? "in the ingress" : replicas(stage.replicas))),
      stageRow({ ...answer.requests, name: "ingress", ready: true }, answer.ingress_replicas === null ? "this process" : replicas(answer.ingress_replicas)))));
}

function stageRow(stage, replicated) {
  const state = [
    h("span", { class: `badge ${stage.ready ? "good" : "bad"}` }, stage.ready ? "Ready" : "Not ready"),
    stage.message ? h("span", { class: "hint" }, ` ${stage.message}`) : null,
  ];
  const values = [
    state, replicated, number(stage.in_flight), typeof stage.waiting === "number" ? number(stage.waiting) : "–",
    milliseconds(stage.median_ms), milliseconds(stage.p99_ms), alarm(stage.refused), alarm(stage.failed),
  ];
  // At phone width a row is shown as a list, with the column's name beside each value.
  return h("tr", {}, h("th", { scope: "row" }, stage.name),
    values.map((value, index) => h("td", { class: index > 1 ? "num" : null, "data-column": COLUMNS[index] }, h("span", {}, value))));
}

function alarm(many) {
  return many ? h("strong", { class: "alarm" }, number(many)) : "0";
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
