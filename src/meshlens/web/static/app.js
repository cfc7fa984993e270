// The dashboard: what is chosen, what comes, what is drawn.

import { Chart } from "./chart.js";
import { drawSpark, fill, make, spark, write } from "./page.js";
import { Store, keyOf } from "./store.js";
import { Stream } from "./stream.js";
import { setUpTheme } from "./theme.js";
import { both, bytes, clock, count, percent, rate, rateOf, some } from "./units.js";

const TOP = 20;
const LINES = 8;
const SPARK = 60;
const SLEEP_MS = 60000;
const LISTS = { stations: 12, filters: 8, flows: 12 };
const STATES = { connecting: "Connecting", live: "Live", lost: "Connection lost, trying again", paused: "Paused" };

const $ = (id) => document.getElementById(id);
const choice = fromAddress();
const store = new Store();
const names = new Map(); // a station's host name by its MAC address
const hidden = new Set();
const slots = new Map(); // which colour a line has, as long as it is drawn
const chart = new Chart($("chart"), $("tip"), $("chart-read"));
let latest = null;
let before = null; // the event before the latest
let past = null; // the answer of the store for a range, or {error}
let pastTimer = null;
let sleepTimer = null;
let state = "connecting";
let paused = false;

const stream = new Stream({
  tick(event) {
    before = latest;
    latest = event;
    take(event, TOP);
    draw();
  },
  recent(events) {
    for (const event of events) take(event, LINES + 4);
    draw();
  },
  state(now) {
    state = now;
    showState();
  },
});

function take(event, top) {
  for (const station of event.stations) names.set(station.name, station.host);
  store.add(event, top, choice.watch);
}

// ---- what is chosen --------------------------------------------------------------------------------------

function fromAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  const known = { kind: ["interfaces", "filters", "stations"], by: ["bytes", "packets"] };
  const found = { interface: "", kind: "interfaces", by: "bytes", range: 0 };
  if (given.get("interface")) found.interface = given.get("interface");
  for (const [name, values] of Object.entries(known)) if (values.includes(given.get(name))) found[name] = given.get(name);
  if (/^\d+$/.test(given.get("range") ?? "")) found.range = Number(given.get("range"));
  found.watch = given.getAll("watch").slice(0, LINES);
  return found;
}

function choose(change) {
  if (change.kind !== undefined && change.kind !== choice.kind) change = { watch: [], ...change }; // a filter is no station
  const asked = [String(liveQuery()), String(pastQuery())];
  Object.assign(choice, change);
  history.replaceState(null, "", `#${query(choice)}`);
  if (asked[0] !== String(liveQuery())) follow();
  if (asked[1] !== String(pastQuery())) {
    past = null;
    if (choice.range) loadPast();
  }
  drawChoice();
  draw();
}

/** An address's parameters; those that are empty are left out, lists are repeated. */
function query(values) {
  const pairs = Object.entries(values).flatMap(([name, value]) => [value].flat().map((each) => [name, each]));
  return new URLSearchParams(pairs.filter(([, value]) => value));
}

const liveQuery = () => query({ interface: choice.interface, by: choice.by, top: TOP, watch: choice.watch });

function pastQuery() {
  const points = Math.min(600, Math.max(60, $("chart").clientWidth >> 1));
  return query({ kind: choice.kind, range_s: choice.range, interface: choice.interface, name: choice.watch, points, top: LINES });
}

/** Begin the live view for the interface and unit that are chosen. */
async function follow() {
  store.clear();
  names.clear();
  latest = before = null;
  stream.close();
  const asked = liveQuery();
  try {
    const answer = await fetch(`api/v1/recent?${query({ interface: choice.interface, by: choice.by })}`);
    const events = answer.ok ? await answer.json() : [];
    if (String(asked) !== String(liveQuery())) return; // something else was chosen meanwhile
    for (const event of events) take(event, LINES + 4);
  } catch {
    // the stream says that the connection is lost, and the lines begin with it
  }
  stream.open(asked);
  draw();
}

async function loadPast() {
  clearTimeout(pastTimer);
  const asked = pastQuery();
  let found = null;
  try {
    const answer = await fetch(`api/v1/history?${asked}`);
    const body = await answer.json();
    found = answer.ok ? body : { error: body.error };
  } catch {
    found = past ?? { error: "The connection is lost." };
  }
  if (String(asked) !== String(pastQuery())) return; // something else was chosen meanwhile
  past = found;
  pastTimer = setTimeout(loadPast, past.series?.length ? Math.max(15, past.step_s) * 1000 : 5000);
  draw();
}

// ---- what is drawn ---------------------------------------------------------------------------------------

function showState() {
  const shown = paused && state === "live" ? "paused" : state;
  $("status").dataset.state = shown;
  write($("status-text"), STATES[shown]);
}

function draw() {
  if (paused || document.hidden) return;
  drawChart();
  if (!latest) return;
  drawInterfaces();
  drawStations();
  drawFilters();
  drawFlows();
  drawProtocols();
  drawMissed();
  drawCosts();
}

function labelOf(row) {
  const name = choice.kind === "stations" ? names.get(row.name) || row.name : row.name;
  return choice.kind === "interfaces" || choice.interface || !row.interface ? name : `${name} · ${row.interface}`;
}

/** The lines of a stored range: both directions of a thing are one line. */
function fromPast() {
  const found = new Map();
  for (const series of past.series) {
    const row = choice.kind === "interfaces" ? { name: series.name } : { name: series.name, interface: series.interface };
    const key = keyOf(row);
    const nothing = past.times.map(() => null);
    if (!found.has(key)) found.set(key, { key, row, in: nothing, out: nothing });
    const pairs = series.packets_per_s.map((packets, at) => (packets === null ? null : [packets, series.bytes_per_s[at]]));
    found.get(key)[series.direction === "out" ? "out" : "in"] = pairs;
  }
  return { times: past.times, lines: [...found.values()].slice(0, LINES) };
}

function drawChart() {
  const stored = choice.range > 0;
  let problem = "";
  let data = { times: [], lines: [] };
  if (!stored) data = store.lines(choice.kind, choice.by, LINES, choice.interface, choice.watch);
  else if (past?.error) problem = past.error;
  else if (past) data = fromPast();
  paintSlots(data.lines);
  const lines = data.lines.map((line) => ({ ...line, label: labelOf(line.row), color: slots.get(line.key) }));
  const to = data.times.at(-1) ?? 0;
  const from = stored ? to - choice.range : Math.min(data.times[0] ?? 0, to - store.window / 6);
  chart.show({ times: data.times, lines: lines.filter((line) => !hidden.has(line.key)), by: choice.by, from, to });
  if (!problem && !lines.length) problem = stored ? (past ? "Nothing is stored for this range." : "Loading…") : "Waiting for the first figures…";
  $("chart-empty").hidden = !problem;
  write($("chart-empty"), problem);
  drawLegend(lines);
}

/** Give each line the lowest colour that is free, and keep it. */
function paintSlots(lines) {
  const keys = new Set(lines.map((line) => line.key));
  for (const key of slots.keys()) if (!keys.has(key)) slots.delete(key);
  for (const key of keys) {
    if (slots.has(key)) continue;
    const taken = new Set(slots.values());
    slots.set(key, [...Array(LINES).keys()].map((each) => each + 1).find((each) => !taken.has(each)));
  }
}

function drawLegend(lines) {
  const list = $("legend");
  while (list.children.length > lines.length) list.lastChild.remove();
  lines.forEach((line, at) => {
    let button = list.children[at]?.firstChild;
    if (!button) {
      const item = make("li");
      button = make("button");
      button.type = "button";
      button.append(make("span", "name"), make("span", "value"));
      button.addEventListener("click", () => {
        const { key } = button.dataset;
        if (!hidden.delete(key)) hidden.add(key);
        drawChart();
      });
      const drop = make("button", "drop", "×");
      drop.type = "button";
      drop.addEventListener("click", () => choose({ watch: choice.watch.filter((name) => name !== drop.dataset.name) }));
      item.append(button, drop);
      list.append(item);
    }
    const drop = button.nextSibling;
    drop.hidden = !choice.watch.includes(line.row.name);
    drop.dataset.name = line.row.name;
    drop.setAttribute("aria-label", `Remove ${line.label}`);
    button.dataset.key = line.key;
    button.className = `key c${line.color}`;
    button.setAttribute("aria-pressed", String(!hidden.has(line.key)));
    write(button.firstChild, line.label);
    const last = (values) => values.findLast((pair) => pair) ?? [0, 0];
    write(button.lastChild, rate(both(last(line.in), last(line.out), choice.by), choice.by));
  });
}

function drawInterfaces() {
  const list = $("interfaces");
  const tiles = [{ name: "", title: "All interfaces" }, ...latest.interfaces.map((each) => ({ ...each, title: each.name }))];
  while (list.children.length > tiles.length) list.lastChild.remove();
  tiles.forEach((tile, at) => {
    let button = list.children[at]?.firstChild;
    if (!button) {
      button = make("button");
      button.type = "button";
      button.append(make("span", "name"), make("span", "in"), make("span", "out"), spark());
      button.addEventListener("click", () => choose({ interface: button.dataset.name }));
      const item = make("li");
      item.append(button);
      list.append(item);
    }
    button.dataset.name = tile.name;
    button.dataset.up = String(tile.up ?? true);
    button.setAttribute("aria-pressed", String(choice.interface === tile.name));
    const [name, incoming, outgoing, line] = button.children;
    write(name, tile.title + (tile.up === false ? " (down)" : ""));
    write(incoming, tile.name ? rate(rateOf(tile.in, choice.by), choice.by) : some(latest.interfaces.length, "interface"));
    write(outgoing, tile.name ? rate(rateOf(tile.out, choice.by), choice.by) : choice.interface ? "" : `${some(latest.stations_known, "station")}, ${some(latest.flows_going_on, "flow")}`);
    drawSpark(line, tile.name ? store.spark(tile.name, choice.by, SPARK) : [], SPARK);
  });
}

const most = (rows, value) => Math.max(1e-9, ...rows.map(value));

function drawStations() {
  const rows = latest.stations.slice(0, LISTS.stations);
  const sum = (row) => both(row.in, row.out, choice.by);
  const largest = most(rows, sum);
  const known = latest.stations_known;
  write($("stations-number"), `${count(known)} known${choice.interface ? ` on ${choice.interface}` : ""}`);
  fill($("stations"), rows.map((row) => [
    { text: row.host || row.name, under: [row.host && row.name, row.vendor, row.interface, row.kind !== "station" && row.kind].filter(Boolean).join(" · "), name: "who", share: sum(row) / largest },
    { text: rate(rateOf(row.in, choice.by), choice.by), name: "num" },
    { text: rate(rateOf(row.out, choice.by), choice.by), name: "num" },
  ]), "No station sends or receives.");
}

function drawFilters() {
  const rows = latest.filters.slice(0, LISTS.filters);
  const sum = (row) => both(row.in, row.out, choice.by);
  const largest = most(rows, sum);
  fill($("filters"), rows.map((row) => [
    { text: row.name, under: choice.interface ? "" : row.interface, name: "who", share: sum(row) / largest },
    { text: rate(rateOf(row.in, choice.by), choice.by), name: "num" },
    { text: rate(rateOf(row.out, choice.by), choice.by), name: "num" },
  ]), "No filter matches.");
}

const end = (address, port) => (!port ? address : address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`);

function drawFlows() {
  const rows = latest.flows.slice(0, LISTS.flows);
  const sum = (row) => both(row.sent, row.received, choice.by);
  const largest = most(rows, sum);
  write($("flows-number"), `${count(latest.flows_going_on)} going on`);
  fill($("flows"), rows.map((row) => [
    { text: end(row.src, row.src_port), name: "who", share: sum(row) / largest },
    { text: end(row.dst, row.dst_port), name: "to" },
    row.protocol,
    row.inside ? `${row.interface} (${row.inside})` : row.interface,
    { text: rate(rateOf(row.sent, choice.by), choice.by), name: "num" },
    { text: rate(rateOf(row.received, choice.by), choice.by), name: "num" },
  ]), "No packet of a flow came.");
}

function drawProtocols() {
  const sums = new Map();
  for (const row of latest.ethertypes) sums.set(row.name, (sums.get(row.name) ?? 0) + both(row.in, row.out, choice.by));
  const rows = [...sums].sort((one, other) => other[1] - one[1]).slice(0, 8);
  const all = [...sums.values()].reduce((sum, value) => sum + value, 0);
  fill($("protocols"), rows.map(([name, value]) => [
    { text: name, name: "who", share: value / all },
    { text: percent(value / all), name: "num" },
    { text: rate(value, choice.by), name: "num" },
  ]), "No frame came.");
}

function drawMissed() {
  const now = Object.entries(latest.missed).flatMap(([probe, reasons]) => Object.entries(reasons).map(([reason, packets]) => ({ probe, reason, packets })));
  const was = (before ?? latest).missed;
  const rows = now.filter((each) => each.packets);
  const sum = rows.reduce((total, each) => total + each.packets, 0);
  $("missed-sum").dataset.state = sum ? "some" : "none";
  write($("missed-sum"), sum ? `${some(sum, "packet")} since the start` : "nothing");
  fill($("missed"), rows.map((each) => {
    const more = Math.max(0, each.packets - (was[each.probe]?.[each.reason] ?? 0));
    return [{ text: `${each.probe}: ${each.reason.replaceAll("_", " ")}`, name: "who" }, { text: count(each.packets), name: "num" }, { text: more ? `+${count(more)}` : "", name: "num" }];
  }), "Every frame that came is in the figures.");
}

function drawCosts() {
  const rows = latest.costs;
  const cores = rows.reduce((sum, row) => sum + (row.cores ?? 0), 0);
  const measured = rows.some((row) => row.cores !== null);
  write($("costs-sum"), measured ? `${percent(cores)} of a core` : rows.length ? "times are not measured" : "");
  fill($("costs"), rows.map((row) => [
    { text: row.probe, under: some(row.programs, "program"), name: "who" },
    { text: row.ns_per_run === null ? "–" : `${row.ns_per_run.toFixed(0)} ns`, name: "num" },
    { text: row.cores === null ? "–" : percent(row.cores), name: "num" },
    { text: bytes(row.memory_bytes), name: "num" },
  ]), "No program is loaded.");
}

// ---- lines of one's own choice ---------------------------------------------------------------------------

const find = $("find");
let known = new Map(); // what can be chosen by what is shown
let asked = 0;

function drawChoice() {
  for (const name of ["kind", "by"]) for (const input of document.getElementsByName(name)) input.checked = input.value === choice[name];
  $("range").value = String(choice.range);
  find.hidden = choice.kind === "interfaces";
  find.placeholder = choice.kind === "filters" ? "Find a filter" : "Find a station";
  find.setAttribute("aria-label", find.placeholder);
}

/** Offer the filters or stations that fit what is typed. */
async function suggest() {
  const number = ++asked;
  const table = choice.kind === "filters" ? "counts" : "stations";
  try {
    const answer = await fetch(`api/v1/${table}?${query({ q: find.value, interface: choice.interface, limit: 200, sort: "-bytes" })}`);
    if (!answer.ok) return;
    const { rows } = await answer.json();
    if (number !== asked) return; // a later question has been answered already
    known = new Map(rows.map((row) => (table === "counts" ? [row.filter, row.filter] : [row.name ? `${row.name} (${row.mac})` : row.mac, row.mac])));
  } catch {
    return; // the status says that the connection is lost
  }
  $("found").replaceChildren(...[...known.keys()].slice(0, 20).map((text) => {
    const option = make("option");
    option.value = text;
    return option;
  }));
}

function watchFound() {
  const name = known.get(find.value.trim());
  if (!name) return;
  find.value = "";
  choose({ watch: [...new Set([...choice.watch, name])].slice(-LINES) });
}

/** A page that nobody has seen for a minute lets go of its connection: browsers have few, and phones a battery. */
function sleepOrWake() {
  clearTimeout(sleepTimer);
  if (document.hidden) sleepTimer = setTimeout(() => stream.close(), SLEEP_MS);
  else if (stream.closed) follow();
  else draw();
}

// ---- beginning -------------------------------------------------------------------------------------------

async function begin() {
  for (const name of ["kind", "by"]) {
    for (const input of document.getElementsByName(name)) {
      input.addEventListener("change", () => input.checked && choose({ [name]: input.value }));
    }
  }
  find.addEventListener("focus", suggest);
  find.addEventListener("input", async () => {
    watchFound(); // one of those offered was taken
    if (find.value) await suggest();
  });
  find.addEventListener("keydown", async (event) => {
    if (event.key !== "Enter") return;
    await suggest();
    watchFound();
  });
  addEventListener("hashchange", () => choose(fromAddress()));
  drawChoice();
  $("range").addEventListener("change", () => choose({ range: Number($("range").value) }));
  $("pause").addEventListener("click", () => {
    paused = !paused;
    $("pause").setAttribute("aria-pressed", String(paused));
    showState();
    draw();
  });
  document.addEventListener("visibilitychange", sleepOrWake);
  setUpTheme($("theme"), () => chart.repaint());
  showState();
  try {
    const about = await (await fetch("api/v1/about")).json();
    write($("host"), about.host);
    document.title = `${about.host} · meshlens`;
    write($("interval"), `A reading every ${about.interval_s} s`);
    $("range-label").hidden = !about.keeps_history;
    store.interval = stream.interval = about.interval_s;
  } catch {
    // asked for again with the next load; the stream reports what is wrong
  }
  follow();
  if (choice.range) loadPast();
}

begin();
