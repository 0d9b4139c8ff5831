// prpgate's dashboard: shows what /api/state, /api/events and the stream /events say, and changes nothing.
// Every text from outside passes `inert` and becomes a text node or an attribute; nothing is ever read as HTML.

const SECOND = 1000,
  MINUTE = 60 * SECOND,
  HOUR = 60 * MINUTE,
  DAY = 24 * HOUR;
const EVENTS_KEPT = 5000; // in this page; the store keeps about 10,000 of each stream
const MOST_TOLD = 100; // landings that the server tells
const IN_LINE = 30; // places that are shown of a queue
const GAP = 50; // ms at least between two drawings
const PAGE = 500; // events asked for at once
const SILENCE = 25 * SECOND; // without a `beat`, which comes every 10 s, or anything else: the connection is gone
const PATIENCE = 30 * SECOND; // with one answer: a question into a dead connection would wait for ever
const RETRY = [250, 500, 1000, 2000, 4000];

const STATUSES = [
  ["new", "New"],
  ["validated", "Validated"],
  ["in_progress", "In progress"],
  ["complete", "Complete"],
  ["deprecated", "Deprecated"],
];
const PHASES = {
  claimed: "about to push",
  intent: "pushing",
  accepting: "pushing",
  candidate: "waiting for CI",
  landed: "waiting for CI",
  smoking: "smoking",
};
const VERDICTS = { green: "green", red: "red", unknown: "unknown", pending: "not judged yet", none: "without a gate" };
const JUDGED = { unknown: "verdict unknown" }; // where the word stands alone

// event: [shape of its mark, words between who did it and what it is about, kind for the filter]
const EVENTS = {
  queue: ["dot", "waits in line for", "lane"],
  acquire: ["lock", "took", "lane"],
  offer: ["dot", "is offered", "lane"],
  handover: ["lock", "is handed", "lane"],
  claim: ["lock", "took up the offer of", "lane"],
  window: ["dot", "A place is kept for the first in line of", "lane"],
  hotfix: ["warn", "goes first, with a hotfix, on", "lane"],
  intent: ["push", "is pushing to", "landing"],
  candidate: ["push", "has CI prove a candidate for", "landing"],
  merged: ["push", "had a pull request merged into", "landing"],
  landed: ["push", "landed on", "landing"],
  late: ["push", "landed, later than its hold, on", "landing"],
  unseen: ["unknown", "pushed, not seen yet, to", "landing"],
  "not-landed": ["red", "did not land on", "landing"],
  "foreign-push": ["warn", "Unannounced commits were pushed to", "landing"],
  "break-glass": ["warn", "pushed in an emergency, without the lock, to", "landing"],
  reconcile: ["unknown", "left a push of unknown outcome to", "lane"],
  "renew-late": ["dot", "renewed late", "lane"],
  release: ["open", "gave back", "lane"],
  leave: ["dot", "left the line of", "lane"],
  expired: ["warn", "ran out of time on", "lane"],
  dead: ["warn", "was gone when its turn came on", "lane"],
  "pick-up": ["dot", "is in CI for", "landing"],
  adopt: ["dot", "is in CI, which holds", "landing"],
  redispatch: ["dot", "CI was started again for", "landing"],
  verdict: ["unknown", "has a verdict on", "verdict"],
  close: ["closed", "closed", "lane"],
  open: ["open", "opened", "lane"],
  break: ["warn", "broke the hold of", "lane"],
  new: ["dot", "wrote down", "prp"],
  validated: ["dot", "validated", "prp"],
  started: ["lock", "started", "prp"],
  released: ["open", "gave up the claim of", "prp"],
  "handed-over": ["dot", "handed over", "prp"],
  "taken-back": ["dot", "took back", "prp"],
  note: ["dot", "left a note on", "prp"],
  completing: ["push", "is completing", "prp"],
  complete: ["green", "completed", "prp"],
  "complete-undone": ["dot", "is not complete yet with", "prp"],
  "completing-lapsed": ["warn", "did not land in time what completes", "prp"],
  orphaned: ["warn", "wrote a line that the lane went on without:", "prp"],
  reopened: ["dot", "reopened", "prp"],
  deprecated: ["dot", "deprecated", "prp"],
  suspect: ["warn", "has not renewed, and is suspect with", "prp"],
  lapsed: ["warn", "lost, unrenewed, the claim of", "prp"],
  "landed-red": ["red", "landed red:", "prp"],
  settled: ["dot", "settled", "prp"],
  undone: ["dot", "took back a milestone of", "prp"],
  blocked: ["warn", "blocked", "prp"],
  "blocked-ended": ["open", "unblocked", "prp"],
  assigned: ["dot", "assigned", "prp"],
  "assigned-ended": ["dot", "ended the assignment of", "prp"],
  phase: ["dot", "moved on", "prp"],
  recorded: ["dot", "The lane records", "prp"],
  "taken-over": ["lock", "took over", "prp"],
  "taken-up": ["lock", "took up", "prp"],
  filled: ["dot", "The store was filled from git", "prp"],
  rebuilt: ["dot", "The store was rebuilt from git", "prp"],
  untold: ["warn", "could not be told: a full mailbox", "prp"],
  message: ["dot", "sent a message", "prp"],
};
const KINDS = [
  ["", "Every event"],
  ["landing", "Landings"],
  ["lane", "Lane"],
  ["verdict", "Verdicts"],
  ["prp", "PRPs"],
];

// --- texts that others wrote -----------------------------------------------------------------------------------------

// Controls, what turns the reading direction, what has no width, half characters: shown as what they are.
const STRANGE =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\u3164\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]|\p{Cs}/gu;

function spelled(c) {
  const code = c.codePointAt(0);
  if (c === "\n") return "\u21b5";
  if (c === "\t") return " ";
  return `\u2039U+${code.toString(16).toUpperCase().padStart(4, "0")}\u203a`;
}

function inert(value, most = 300) {
  const text = String(value ?? "");
  const cut = text.length > most ? `${text.slice(0, most)}\u2026` : text;
  return cut.replace(STRANGE, spelled);
}

/** A text of somebody's in a box of its own direction; the whole of it in the title when it was cut. */
function bdi(value, most = 160, more = {}) {
  const text = String(value ?? "");
  return h("bdi", { title: text.length > most ? inert(text, 10000) : null, ...more }, inert(text, most));
}

/** Lines stay lines; everything else as in `inert`. */
function lines(value) {
  return String(value ?? "")
    .replace(/\r\n/g, "\n")
    .split("\n")
    .map((line) =>
      line
        .split("\t")
        .map((part) => inert(part, 20000))
        .join("\t"),
    )
    .join("\n");
}

/** One word for a shell. */
function quote(word) {
  const text = inert(word, 1000);
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\"'\"'")}'`;
}

// --- nodes -----------------------------------------------------------------------------------------------------------

const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";

function put(node, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat(9)) {
    if (child !== null && child !== undefined && child !== false && child !== "") node.append(child);
  }
  return node;
}

/** h("p.note", {title}, "text", node…): a new element; children that are null or false are left out. */
function h(what, props, ...children) {
  const [tag, ...classes] = what.split(".");
  const node = document.createElement(tag);
  if (classes.length) node.className = classes.join(" ");
  return put(node, props, children);
}

const s = (tag, props, ...children) => put(document.createElementNS(SVG, tag), props, children);

const keyOf = (node) => node.dataset?.key ?? null;

/** Make `old` say what `fresh` says with as few changes as can be: focus, selection and scroll position stay. */
function morph(old, fresh) {
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName || keyOf(old) !== keyOf(fresh)) {
    old.replaceWith(fresh);
    return;
  }
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  fill(old, [...fresh.childNodes]);
}

/** Make these the children of `parent`; those with a data-key move with it. */
function fill(parent, children) {
  const wanted = children.flat(9).filter((c) => c !== null && c !== undefined && c !== false && c !== "");
  const keyed = new Map();
  for (const node of parent.childNodes) if (keyOf(node) !== null) keyed.set(keyOf(node), node);
  let at = parent.firstChild;
  for (const fresh of wanted) {
    const node = typeof fresh === "string" ? document.createTextNode(fresh) : fresh;
    const key = keyOf(node);
    const same = key === null ? (at && keyOf(at) === null ? at : null) : (keyed.get(key) ?? null);
    if (!same) {
      parent.insertBefore(node, at);
      continue;
    }
    keyed.delete(key);
    if (same === at) at = at.nextSibling;
    else parent.insertBefore(same, at);
    morph(same, node);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

// A mark is told apart by its shape first; colour only repeats it.
const MARKS = {
  green: ["circle", { cx: 8, cy: 8, r: 7, class: "solid" }, "M4.8 8.3l2.2 2.2 4.2-4.8"],
  red: ["path", { d: "M8 .4 15.6 8 8 15.6.4 8z", class: "solid" }, "M5.8 5.8l4.4 4.4m0-4.4-4.4 4.4"],
  unknown: [
    "rect",
    { x: 1.75, y: 1.75, width: 12.5, height: 12.5, rx: 3, class: "hollow" },
    "M6.2 6.4c0-2.4 3.6-2.4 3.6 0 0 1.4-1.8 1.5-1.8 2.7M8 11.3v.3",
  ],
  pending: ["circle", { cx: 8, cy: 8, r: 6.2, class: "hollow dashed" }, ""],
  none: ["circle", { cx: 8, cy: 8, r: 3, class: "solid" }, ""],
  warn: ["path", { d: "M8 1.2 15.4 14.4H.6z", class: "solid" }, "M8 6v4m0 2v.2"],
  dot: ["circle", { cx: 8, cy: 8, r: 3, class: "solid" }, ""],
  lock: ["rect", { x: 2.5, y: 7, width: 11, height: 7.5, rx: 2, class: "solid" }, "M5 7V5a3 3 0 0 1 6 0v2"],
  push: ["circle", { cx: 8, cy: 8, r: 7, class: "solid" }, "M8 11.5v-7M5 7.4l3-3 3 3"],
  open: ["circle", { cx: 8, cy: 8, r: 6.2, class: "hollow" }, "M5 8.2l2 2 4-4.4"],
  closed: ["path", { d: "M5.1.8h5.8l4.3 4.3v5.8l-4.3 4.3H5.1L.8 10.9V5.1z", class: "solid" }, "M4.6 8h6.8"],
  live: ["circle", { cx: 8, cy: 8, r: 5, class: "solid" }, ""],
  silent: ["circle", { cx: 8, cy: 8, r: 4.4, class: "hollow" }, ""],
};

function mark(kind, label = null) {
  const [tag, shape, line] = MARKS[kind] ?? MARKS.dot;
  return s(
    "svg",
    {
      viewBox: "0 0 16 16",
      class: `mark ${kind}`,
      ...(label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" }),
    },
    s(tag, shape),
    line && s("path", { d: line, class: "line" }),
  );
}

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
const chip = (kind, ...children) => h(`span.chip.${kind}`, null, ...children);
const command = (text) =>
  h(
    "span.type",
    { "data-key": `type ${text}` },
    h("code", null, text),
    h("button.copy", { type: "button", "data-do": "copy", "data-text": text, "aria-label": `Copy ${text}` }, "Copy"),
  );
const prpLink = (id, more = {}) => h("a.id", { href: `#prp/${encodeURIComponent(id)}`, ...more }, bdi(id, 24));

/** A link out, only where it surely is one. */
function away(url, text) {
  return /^https?:\/\/[^\s\u0000-\u001f]+$/i.test(url ?? "")
    ? h("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, text)
    : null;
}

// --- time ------------------------------------------------------------------------------------------------------------

let skew = 0; // how far the server's clock is ahead of this browser's
const now = () => Date.now() + skew;
const ABSOLUTE = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const CLOCK = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const SHORT = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const DATED = new Intl.DateTimeFormat(undefined, {
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
});

function span(ms) {
  const n = Math.max(0, Math.round(ms / SECOND));
  if (n < 60) return `${n} s`;
  if (n < 600) return `${Math.floor(n / 60)} min ${String(n % 60).padStart(2, "0")} s`;
  if (n < 3600) return `${Math.round(n / 60)} min`;
  const minutes = Math.round(n / 60);
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
  return `${Math.round(minutes / 1440)} days`;
}

const RELATIVE = {
  ago: (ms) => (ms < 2 * SECOND ? "just now" : `${span(ms)} ago`),
  for: (ms) => span(ms),
  left: (ms) => (ms > 0 ? `${span(ms)} over` : `${span(-ms)} left`),
  in: (ms) => (ms > 0 ? "any moment" : `in ${span(-ms)}`),
};

const clock = (ms) => (Math.abs(now() - ms) < 12 * HOUR ? CLOCK : DATED).format(ms);

/** A time as people say it, ticking; the exact one on hover and for machines. */
function time(iso, mode = "ago") {
  const at = typeof iso === "number" ? iso : Date.parse(iso ?? "");
  if (Number.isNaN(at)) return null;
  const exact = new Date(at).toISOString();
  const said = mode === "at" ? clock(at) : RELATIVE[mode](now() - at);
  return h(
    "time",
    { datetime: exact, title: `${ABSOLUTE.format(at)} (${exact})`, "data-mode": mode === "at" ? null : mode },
    said,
  );
}

function tick() {
  if (document.hidden) return;
  for (const node of document.querySelectorAll(".view:not([hidden]) time[data-mode]")) {
    const said = RELATIVE[node.dataset.mode](now() - Date.parse(node.dateTime));
    if (node.textContent !== said) node.textContent = said;
  }
  for (const bar of document.querySelectorAll(".view:not([hidden]) .until rect[data-from]")) {
    bar.setAttribute("width", String(share(Number(bar.dataset.from), Number(bar.dataset.to))));
  }
  if (Date.now() - link.heard > SILENCE && link.state === "live") lost();
}

const share = (from, to) => Math.min(100, Math.max(0, (100 * (now() - from)) / Math.max(1, to - from)));

// --- what is known ---------------------------------------------------------------------------------------------------

const known = {
  project: "",
  loaded: false,
  oldest: null,
  lanes: new Map(),
  prps: new Map(),
  agents: new Map(),
  events: [],
  seen: new Set(), // newest first
};

const msOf = (e) => Number.parseInt(e.id, 10) || 0;
const placeOf = (e) => Number.parseInt(String(e.id).split("-")[1], 10) || 0; // within its millisecond
const newestFirst = (a, b) => msOf(b) - msOf(a) || placeOf(b) - placeOf(a);
const keyOfEvent = (e) => `${e.id} ${e.lane ?? ""} ${e.event}`;
const byId = (a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
const count = (n) => n.toLocaleString("en");
const ENDINGS = new Intl.PluralRules("en", { type: "ordinal" });
const nth = (n) => `${n}${{ one: "st", two: "nd", few: "rd", other: "th" }[ENDINGS.select(n)]}`;
const counted = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

function addEvents(list) {
  const fresh = list.filter((e) => !known.seen.has(keyOfEvent(e)));
  if (!fresh.length) return;
  for (const e of fresh) known.seen.add(keyOfEvent(e));
  known.events = [...fresh, ...known.events].sort(newestFirst);
  for (const e of known.events.splice(EVENTS_KEPT)) known.seen.delete(keyOfEvent(e));
}

function apply(change) {
  for (const lane of change.lanes ?? []) known.lanes.set(lane.name, lane);
  for (const prp of change.prps ?? []) known.prps.set(prp.id, prp);
  for (const id of change.gone ?? []) known.prps.delete(id);
  for (const agent of change.agents ?? []) known.agents.set(agent.name, agent);
  addEvents(change.events ?? []);
  if (shownPrp && isAbout(change, [shownPrp.id, shownPrp.told?.prp.id])) readPrp(shownPrp.id);
  soon();
  announce();
}

/** Whether a PRP is another now, or something was said of it: a note changes nothing on the board. */
const isAbout = (change, ids) =>
  (change.prps ?? []).some((p) => ids.includes(p.id)) ||
  (change.gone ?? []).some((id) => ids.includes(id)) ||
  (change.events ?? []).some((e) => e.prp && ids.includes(e.prp));

// --- the connection --------------------------------------------------------------------------------------------------

const link = {
  state: "opening",
  since: null,
  source: null,
  tries: 0,
  timer: 0,
  cursor: "",
  reset: 0, // Date.now(), when everything was last read anew because the server said so
  heard: 0, // Date.now(): it goes on while a laptop sleeps
  store: null,
};

class LoggedOut extends Error {}

async function ask(path) {
  const answer = await fetch(path, { headers: { accept: "application/json" }, cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
  if (answer.status === 401 || answer.status === 403) throw new LoggedOut(path);
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok)
    throw Object.assign(new Error(told.error?.message ?? `HTTP ${answer.status}`), { status: answer.status });
  return told;
}

function show(state) {
  if (link.state !== state) link.since = now();
  link.state = state;
  drawLink();
}

async function load() {
  clearTimeout(link.timer);
  try {
    const told = await ask("/api/state");
    skew = Math.abs(Date.parse(told.now) - Date.now()) > 2 * SECOND ? Date.parse(told.now) - Date.now() : 0;
    known.project = told.project;
    known.oldest = told.retention?.oldest ?? null;
    known.lanes = new Map(told.lanes.map((l) => [l.name, l]));
    known.prps = new Map(told.prps.map((p) => [p.id, p]));
    known.agents = new Map(told.agents.map((a) => [a.name, a]));
    known.loaded = true;
    link.cursor = told.cursor;
    link.store = told.store && !told.store.connected ? { ...told.store, since: now() } : null;
    if (shownPrp) readPrp(shownPrp.id);
    soon();
    announce();
    follow();
    past().then(soon, () => {}); // the feed's past is worth no alarm: what follows comes with the stream
  } catch (error) {
    again(error);
  }
}

/** What happened lately: the last hour, and further back where that is little. */
async function past() {
  for (const back of [HOUR, DAY, 30 * DAY]) {
    const from = new Date(now() - back).toISOString();
    const found = [];
    let cursor = null;
    do {
      const more = cursor ? `&after=${encodeURIComponent(cursor)}` : "";
      const told = await ask(`/api/events?from=${from}&limit=${PAGE}${more}`);
      found.push(...told.events);
      cursor = told.next;
    } while (cursor && found.length < EVENTS_KEPT);
    addEvents(found);
    if (found.length >= 50) return;
  }
}

function follow() {
  link.source?.close();
  const source = new EventSource(`/events?after=${encodeURIComponent(link.cursor)}`);
  link.source = source;
  link.heard = Date.now();
  const heard = (m) => {
    link.heard = Date.now();
    if (m?.lastEventId) link.cursor = m.lastEventId;
  };
  source.addEventListener("open", () => {
    heard();
    link.tries = 0;
    link.why = "";
    show("live");
  });
  source.addEventListener("change", (m) => {
    heard(m);
    apply(JSON.parse(m.data));
  });
  source.addEventListener("store", (m) => {
    heard(m);
    const told = JSON.parse(m.data);
    link.store = told.connected ? null : { ...told, since: link.store?.since ?? now() };
    drawLink();
  });
  source.addEventListener("beat", heard);
  source.addEventListener("reset", () => {
    source.close();
    const rest = Math.max(0, link.reset + SECOND - Date.now()); // whatever is wrong: not without a pause
    link.reset = Date.now() + rest;
    link.timer = setTimeout(load, rest);
  });
  source.addEventListener("error", () => source === link.source && lost());
}

/** The stream ended. What it missed it asks for itself, by its cursor, once there is somebody to ask. */
function lost() {
  link.source?.close();
  link.source = null;
  clearTimeout(link.timer);
  if (link.state !== "lost" && link.state !== "out") show("lost");
  link.timer = setTimeout(reconnect, RETRY[Math.min(link.tries++, RETRY.length - 1)]);
}

async function reconnect() {
  clearTimeout(link.timer);
  try {
    await ask("/api/events?limit=1"); // an EventSource does not say why it could not be opened
  } catch (error) {
    if (!error.status) return again(error); // with a status: the server is there, whatever the store does
  }
  return known.loaded ? follow() : load();
}

function again(error) {
  show(error instanceof LoggedOut ? "out" : "lost");
  link.why = error.status ? error.message : "";
  drawLink();
  clearTimeout(link.timer);
  link.timer = setTimeout(reconnect, RETRY[Math.min(link.tries++, RETRY.length - 1)]);
}

const LINK = { opening: "Connecting", live: "Live", lost: "Not connected", out: "Logged out", store: "Store away" };

function drawLink() {
  const state = link.state === "live" && link.store ? "store" : link.state;
  const pill = $("link");
  pill.dataset.link = state;
  fill(pill, [
    mark({ live: "live", opening: "pending", store: "warn", lost: "warn", out: "closed" }[state]),
    h("span", null, LINK[state]),
  ]);
  const said = {
    lost: () => [
      h("strong", null, "Connection lost"),
      ` since ${clock(link.since)}. What you see is as of then; the page catches up by itself. `,
      link.why ? [bdi(link.why, 300), " "] : null,
      "If the dashboard was stopped: ",
      command("prp dashboard"),
    ],
    out: () => [
      h("strong", null, "Not logged in any more"),
      ` since ${clock(link.since)}. For a new link, type `,
      command("prp dashboard"),
    ],
    store: () => [
      h("strong", null, "The store does not answer"),
      ` since ${clock(link.store.since)}. What you see is as of then. `,
      bdi(capital(link.store.message), 300),
      " ",
      command(link.store.next_action ?? "prp redis-status"),
    ],
  }[state];
  const banner = $("banner");
  banner.hidden = !said;
  fill(banner, said ? said() : []);
  drawTitle();
}

// --- words about a lane ----------------------------------------------------------------------------------------------

function doing(lane) {
  if (lane.state === "reconciling") return "reconciling";
  if (lane.state === "offered") return "whose turn it is";
  return PHASES[lane.holder?.phase] ?? lane.holder?.phase ?? "there";
}

function sentence(lane) {
  const who = lane.holder ? `${inert(lane.holder.agent, 60)}, ${doing(lane)}` : "nobody";
  const line = lane.queue.length ? `; ${lane.queue.length} in line` : "";
  const sign = lane.closed ? `, closed by ${inert(lane.closed.by, 60)}: ${inert(lane.closed.reason, 120)}` : "";
  return `${inert(lane.name, 60)}: ${who}${line}${sign}`;
}

let announced = null,
  saying = 0;

/** Say aloud how the lanes stand when that has changed, at most every two seconds. */
function announce() {
  if (saying) return;
  saying = setTimeout(
    () => {
      saying = 0;
      const said = [...known.lanes.values()].map(sentence).join(". ");
      if (announced !== null && said !== announced) $("say").textContent = said;
      announced = said;
    },
    announced === null ? 0 : 2 * SECOND,
  );
}

function drawTitle() {
  const lane = [...known.lanes.values()].find((l) => l.holder || l.closed) ?? known.lanes.values().next().value;
  const what = lane
    ? `${lane.closed ? "closed \u2013 " : ""}${inert(lane.name, 30)}: ${lane.holder ? `${inert(lane.holder.agent, 30)} ${doing(lane)}` : "free"}`
    : "";
  const warning = link.state === "live" || link.state === "opening" ? "" : "\u26a0 ";
  document.title = `${warning}${[what, inert(known.project, 40) || "prpgate"].filter(Boolean).join(" \u00b7 ")}`;
  $("project").textContent = inert(known.project, 60);
}

// --- lists of which only what can be seen is in the page -------------------------------------------------------------

class Windowed {
  /** `row(item)` gives the content of one row; its first `.go` takes the focus. `key(item)` is unique. */
  constructor(label, key, row) {
    Object.assign(this, { key, row, items: [], active: null, shown: new Map(), label });
    this.rows = h("ul.rows", { role: "list", "aria-label": label });
    this.box = h("div.window", null, this.rows);
    this.box.addEventListener("scroll", () => this.draw(), { passive: true });
    this.box.addEventListener("keydown", (e) => this.walk(e));
    this.box.addEventListener("focusin", (e) => {
      const li = e.target.closest("li[data-key]");
      if (li) this.activate(li.dataset.key);
    });
    new ResizeObserver(() => this.draw()).observe(this.box);
  }

  set(items) {
    // Who has scrolled away from the top keeps what is in sight while new rows come in above it.
    const height = this.height();
    const first = Math.floor(this.box.scrollTop / height);
    const anchor = this.box.scrollTop > height && this.items[first] ? this.key(this.items[first]) : null;
    const moved = anchor === null ? -1 : items.findIndex((i) => this.key(i) === anchor);
    this.items = items;
    this.rows.style.setProperty("height", `${items.length * height}px`);
    if (moved > first) this.box.scrollTop += (moved - first) * height;
    this.draw();
  }

  height() {
    return parseFloat(getComputedStyle(this.box).getPropertyValue("--row")) || 48;
  }

  draw() {
    const height = this.height();
    const { scrollTop, clientHeight } = this.box;
    if (!clientHeight && this.items.length) return; // not shown now
    this.rows.style.setProperty("height", `${this.items.length * height}px`);
    const from = Math.max(0, Math.floor(scrollTop / height) - 4);
    const to = Math.min(this.items.length, Math.ceil((scrollTop + clientHeight) / height) + 4);
    const wanted = new Map();
    for (let n = from; n < to; n++) wanted.set(String(this.key(this.items[n])), n);
    const tabbed = wanted.has(this.active)
      ? this.active
      : String(this.key(this.items[Math.min(this.items.length - 1, Math.ceil(scrollTop / height))] ?? {}));
    for (const [key, li] of this.shown) {
      if (!wanted.has(key)) {
        if (li.contains(document.activeElement)) ((this.box.tabIndex = -1), this.box.focus({ preventScroll: true }));
        li.remove();
        this.shown.delete(key);
      }
    }
    let before = null;
    for (const [key, n] of wanted) {
      let li = this.shown.get(key);
      const fresh = h(
        "li",
        { "data-key": key, "aria-posinset": n + 1, "aria-setsize": this.items.length },
        this.row(this.items[n]),
      );
      for (const go of fresh.querySelectorAll("a, button")) go.tabIndex = key === tabbed ? 0 : -1;
      if (li) {
        for (const name of ["aria-posinset", "aria-setsize"]) li.setAttribute(name, fresh.getAttribute(name));
        fill(li, [...fresh.childNodes]);
      } else {
        li = fresh;
        this.shown.set(key, li);
      }
      li.style.setProperty("transform", `translateY(${n * height}px)`);
      const place = before ? before.nextSibling : this.rows.firstChild;
      if (place !== li) this.rows.insertBefore(li, place);
      before = li;
    }
  }

  activate(key) {
    if (key === this.active) return;
    this.active = key;
    for (const [k, li] of this.shown)
      for (const go of li.querySelectorAll("a, button")) go.tabIndex = k === key ? 0 : -1;
  }

  walk(e) {
    const page = Math.max(1, Math.floor(this.box.clientHeight / this.height()) - 1);
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity }[e.key];
    if (step === undefined || e.altKey || e.ctrlKey || e.metaKey || !this.items.length) return;
    e.preventDefault();
    const at = this.items.findIndex((i) => String(this.key(i)) === this.active);
    const to = Math.min(this.items.length - 1, Math.max(0, Math.max(at, 0) + step));
    const height = this.height();
    if (to * height < this.box.scrollTop) this.box.scrollTop = to * height;
    if ((to + 1) * height > this.box.scrollTop + this.box.clientHeight)
      this.box.scrollTop = (to + 1) * height - this.box.clientHeight;
    this.active = String(this.key(this.items[to]));
    this.draw();
    this.shown.get(this.active)?.querySelector(".go")?.focus({ preventScroll: true });
  }
}

// --- lane ------------------------------------------------------------------------------------------------------------

const picked = new Map(); // lane -> sha of the landing whose line is shown

function drawLanes() {
  const lanes = [...known.lanes.values()].sort((a, b) => Number(idle(a)) - Number(idle(b))); // the order stays otherwise
  fill($("view-lane"), [
    h(
      "div.lanes",
      { "data-key": "lanes" },
      lanes.length
        ? lanes.map(laneCard)
        : empty("No lane yet.", "Lanes are the branches named by lane.branches in prp.toml.", "prp init"),
    ),
    h("aside.side", { "data-key": "side", "aria-label": "Who and what" }, inHand(), justNow()),
    h(
      "footer.foot",
      { "data-key": "foot" },
      h("span", null, "Read-only. Hover over a time for the exact one."),
      h(
        "span.keys",
        null,
        h("kbd", null, "1"),
        "\u2013",
        h("kbd", null, "4"),
        " views, ",
        h("kbd", null, "/"),
        " filter, ",
        h("kbd", null, "t"),
        " theme",
      ),
    ),
  ]);
  for (const box of document.querySelectorAll(".chart")) measure.observe(box);
}

const empty = (title, text, ...commands) =>
  h(
    "div.empty",
    null,
    h("p.what", null, title),
    text ? h("p", null, text) : null,
    commands.map((c) => h("p", null, command(c))),
  );

function laneCard(lane) {
  const id = `lane-${lane.name}`;
  return h(
    "article.card.lane",
    { "data-key": id, "aria-label": `Lane ${inert(lane.name, 100)}` },
    h(
      "header.head",
      null,
      h("h2", null, bdi(lane.name, 80)),
      lane.closed ? chip("bad", mark("closed"), "Closed") : chip("ok", mark("open"), "Open"),
      h("span.grow"),
      utilisation(lane),
    ),
    lane.closed ? closedSign(lane) : null,
    holder(lane),
    known.lanes.size > 1 && idle(lane)
      ? null
      : [line(lane), h("div.pair", { "data-key": "pair" }, landings(lane), gate(lane))],
  );
}

const idle = (lane) => !lane.holder && !lane.closed && !lane.queue.length && !lane.today?.length;

function utilisation(lane) {
  const part = Math.min(1, Math.max(0, lane.utilisation ?? 0));
  const said = part > 0 && part < 0.01 ? "< 1 %" : `${Math.round(part * 100)} %`;
  return h(
    "div.use",
    { title: "How much of the last 24 hours the lane was held" },
    h("span", null, "In use ", h("strong", null, said), " of 24 h"),
    s(
      "svg",
      { viewBox: "0 0 100 6", preserveAspectRatio: "none", class: "bar", "aria-hidden": "true" },
      s("rect", { width: 100, height: 6, class: "track" }),
      s("rect", { width: part * 100, height: 6, class: "fill" }),
    ),
  );
}

function closedSign(lane) {
  const c = lane.closed,
    broke = c.culprit;
  return h(
    "div.sign",
    { role: "group", "aria-label": "Closed" },
    h("p.why", null, bdi(c.reason, 400)),
    h(
      "p.by",
      null,
      "Closed by ",
      h("strong", null, bdi(c.by, 60)),
      " ",
      time(c.since),
      ". Only fixes land until it is open again.",
    ),
    broke
      ? h(
          "p.broke",
          null,
          mark("red"),
          h(
            "span",
            null,
            "Broken by ",
            shaCode(broke.sha),
            broke.agent ? [" of ", h("strong", null, bdi(broke.agent, 60))] : null,
            broke.prp ? [", ", prpLink(broke.prp), " ", prpTitle(broke.prp)] : null,
          ),
        )
      : null,
    h(
      "ul.ways",
      null,
      broke?.agent
        ? h(
            "li",
            null,
            h(
              "span",
              null,
              "Mend it, as ",
              h("strong", null, bdi(broke.agent, 40)),
              broke.prp ? [" on ", prpLink(broke.prp)] : null,
            ),
            command("prp land"),
          )
        : null,
      broke ? h("li", null, h("span", null, "Take back what broke it"), command("prp land --revert")) : null,
      h("li", null, h("span", null, "Land a hotfix, for those whom prp.toml names"), command('prp land --hotfix "why"')),
      h("li", null, h("span", null, "Open it by hand"), command(`prp lane open ${quote(lane.name)} --reason "why"`)),
    ),
  );
}

function holder(lane) {
  const one = lane.holder;
  if (!one) {
    return h(
      "div.holder.free",
      { "data-key": "holder" },
      h("p.who", null, lane.closed ? "Nobody holds it" : "Free"),
      h("p.facts", null, whoMayTake(lane)),
    );
  }
  const from = Date.parse(one.since),
    to = Date.parse(one.deadline);
  const unclear = lane.state === "reconciling";
  const shape = unclear ? "unknown" : PHASES[one.phase] === "pushing" ? "push" : "lock";
  return h(
    "div.holder",
    { "data-key": "holder" },
    h(
      "p.who",
      null,
      bdi(one.agent, 60),
      " ",
      h(`span.chip.${unclear ? "warn" : "busy"}.phase`, null, mark(shape), doing(lane)),
    ),
    h(
      "p.facts",
      null,
      one.prp ? [prpLink(one.prp), prpTitle(one.prp)] : null,
      one.sha ? h("code", { title: inert(one.sha) }, inert(one.sha, 7).slice(0, 7)) : null,
      one.host ? h("span", null, "on ", bdi(one.host, 40)) : null,
      away(one.run_url, "CI run"),
    ),
    one.hotfix ? h("p.note", null, mark("warn"), h("span", null, "Hotfix: ", bdi(one.hotfix, 300))) : null,
    unclear ? unheard(lane) : null,
    h(
      "div.clockwork",
      null,
      h("span", null, "for ", h("strong", null, time(one.since, "for"))),
      s(
        "svg",
        { viewBox: "0 0 100 6", preserveAspectRatio: "none", class: "bar until", "aria-hidden": "true" },
        s("rect", { width: 100, height: 6, class: "track" }),
        s("rect", { width: share(from, to), height: 6, class: "fill", "data-from": from, "data-to": to }),
      ),
      h("span", null, "until ", time(one.deadline, "at"), " (", time(one.deadline, "left"), ")"),
    ),
  );
}

function whoMayTake(lane) {
  if (lane.closed) return "Only a fix can take it now.";
  if (lane.queue.length) return "Kept for a moment for the first in line.";
  return ["The next push takes it: ", command("git push"), " or ", command("prp land")];
}

function unheard(lane) {
  const said =
    "Its push has not been heard of since. The next push that reaches the remote looks and goes on. If none ever will:";
  return h(
    "p.note",
    null,
    mark("unknown"),
    h("span", null, said),
    command(`prp lock break ${quote(lane.name)} --fence ${lane.fence} --reason "why"`),
  );
}

const prpTitle = (id) => (known.prps.get(id)?.title ? bdi(known.prps.get(id).title, 90, { class: "ttl" }) : null);

function line(lane) {
  return h(
    "section.line",
    { "data-key": "line", "aria-label": "Queue" },
    h("h3", null, "Queue ", h("span.n", null, String(lane.queue.length))),
    lane.queue.length
      ? h(
          "ol.queue",
          null,
          lane.queue.slice(0, IN_LINE).map((t) => place(lane, t)),
        )
      : h("p.none", null, "Nobody waits. ", command("prp land"), " waits in line by itself."),
    lane.queue.length > IN_LINE ? h("p.more", null, `and ${count(lane.queue.length - IN_LINE)} more`) : null,
  );
}

const PLACES = {
  hotfix: () => chip("bad", mark("warn"), "hotfix"),
  reserved: () => chip("idle", mark("pending"), "place kept"),
  waiting: () => chip("plain", mark("live"), "waiting"),
};

function place(lane, t) {
  const kind = t.kind === "hotfix" ? "hotfix" : t.reserved ? "reserved" : "waiting";
  return h(
    `li.${kind}`,
    { "data-key": `place ${t.position}` },
    h("span.pos", null, String(t.position)),
    h("span.name", null, bdi(t.agent, 60)),
    PLACES[kind](),
    t.reason ? bdi(t.reason, 120, { class: "reason" }) : null,
    h("span.waits", null, "for ", time(t.since, "for")),
    h("span.eta", null, turn(lane, t, kind)),
  );
}

function turn(lane, t, kind) {
  if (lane.closed && kind !== "hotfix") return "once it is open";
  return typeof t.eta_s === "number" ? ["turn ", time(etaOf(lane, t), "in")] : "turn unknown";
}

/** The moment of a turn, fixed when the lane was told: it must not run away from the clock at every drawing. */
const toldAt = new WeakMap();
function etaOf(lane, t) {
  if (!toldAt.has(lane)) toldAt.set(lane, now());
  return toldAt.get(lane) + t.eta_s * SECOND;
}

function landings(lane) {
  const all = lane.today ?? [];
  const most = 120;
  const shown = all.slice(-most);
  const counts = Object.fromEntries(
    Object.keys(VERDICTS).map((v) => [v, all.filter((l) => verdictOf(l) === v).length]),
  );
  const one = shown.find((l) => l.sha === picked.get(lane.name)) ?? shown.at(-1);
  return h(
    "section.today",
    { "data-key": "today", "aria-label": "Landings" },
    h(
      "h3",
      null,
      "Landings, 24 h ",
      h("span.n", null, all.length < MOST_TOLD ? String(all.length) : `the newest ${all.length}`),
    ),
    all.length
      ? [
          h(
            "p.legend",
            null,
            Object.keys(VERDICTS)
              .filter((v) => counts[v] || (v !== "pending" && v !== "none" && !counts.none))
              .map((v) => h("span", { "data-key": v }, mark(v), `${counts[v]} ${VERDICTS[v]}`)),
          ),
          h(
            "div.strip",
            { "data-lane": lane.name, role: "group", "aria-label": "Landings, oldest first; arrow keys move" },
            all.length > most ? h("span.earlier", null, `+${all.length - most}`) : null,
            shown.map((l) =>
              h(
                "button.tile",
                {
                  type: "button",
                  "data-key": l.sha,
                  "data-do": "pick",
                  "data-sha": l.sha,
                  "data-verdict": verdictOf(l),
                  tabindex: l === one ? 0 : -1,
                  "aria-pressed": String(l === one),
                  "aria-label": landingWords(l),
                  title: landingWords(l),
                },
                mark(verdictOf(l)),
              ),
            ),
          ),
          h(
            "p.picked",
            null,
            mark(verdictOf(one)),
            h(
              "span",
              null,
              h("strong", null, bdi(one.agent ?? "somebody", 60)),
              `, ${JUDGED[verdictOf(one)] ?? VERDICTS[verdictOf(one)]}, `,
              time(one.time),
              ", ",
              h("code", null, inert(one.sha, 7).slice(0, 7)),
              (one.prps ?? []).slice(0, 4).map((p) => [" ", prpLink(p)]),
              typeof one.duration_s === "number" && one.verdict !== "pending" ? `, held ${span(one.duration_s * SECOND)}` : "",
            ),
          ),
        ]
      : h("p.none", null, "Nothing has landed. ", command("prp land")),
  );
}

const verdictOf = (l) => (l.verdict in VERDICTS ? l.verdict : "unknown");
const landingWords = (l) =>
  `${VERDICTS[verdictOf(l)]}: ${inert(l.agent ?? "somebody", 60)}, ${inert(l.sha, 7).slice(0, 7)}, ${clock(Date.parse(l.time))}`;

const measure = new ResizeObserver(() => soon());

function gate(lane) {
  const g = lane.gate ?? { runs: [], budget_s: 180 };
  const figure = (v) => (typeof v === "number" ? (v < 10 ? `${v.toFixed(1)} s` : span(v * SECOND)) : "\u2013");
  return h(
    "section.gate",
    { "data-key": "gate", "aria-label": "Gate durations" },
    h(
      "h3",
      null,
      "Gate ",
      h("span.figures", null, "p50 ", h("strong", null, figure(g.p50_s)), " p95 ", h("strong", null, figure(g.p95_s))),
    ),
    g.runs.length
      ? h("div.chart", { "data-key": "chart" }, chart(g))
      : h("p.none", null, "The gate has not run yet. ", command("prp smoke")),
  );
}

function chart(g) {
  const box = document.querySelector(".chart");
  const width = Math.max(240, Math.round(box?.clientWidth || 480)),
    height = 132,
    left = 34,
    bottom = 16,
    top = 14;
  const budget = g.budget_s || 180;
  const runs = g.runs.slice(-Math.floor((width - left) / 9));
  const most = Math.max(budget * 1.12, ...runs.map((r) => r.seconds * 1.05));
  const y = (v) => top + (height - top - bottom) * (1 - v / most);
  const step = Math.min(18, (width - left) / runs.length),
    bar = Math.max(3, step - 4);
  const over = runs.filter((r) => r.seconds > budget).length;
  const worst = Math.max(...runs.map((r) => r.seconds));
  const said = `${counted(runs.length, "run")} of the gate, the longest ${span(worst * SECOND)}, ${over} over the budget of ${budget} s`;
  const ticks = [0, budget / 3, (2 * budget) / 3].map(Math.round);
  return s(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": said, class: "plot" },
    ticks.map((v) => [
      s("line", { x1: left, x2: width, y1: y(v), y2: y(v), class: "grid" }),
      s("text", { x: left - 6, y: y(v) + 4, "text-anchor": "end" }, `${v}`),
    ]),
    runs.map((r, n) => {
      const x = width - (runs.length - n) * step + (step - bar) / 2,
        tall = Math.max(2, y(0) - y(r.seconds));
      const result = ["green", "red"].includes(r.result) ? r.result : "unknown";
      const cx = x + bar / 2,
        at = y(0) - tall - 5;
      return s(
        "g",
        { class: `run ${result}` },
        s("title", null, `${result}, ${figure1(r.seconds)}, ${clock(Date.parse(r.time))}`),
        s("rect", { x, y: y(0) - tall, width: bar, height: tall, rx: 1.5 }),
        result === "red" ? s("path", { d: `M${cx - 3} ${at - 3}l6 6m0-6-6 6`, class: "flag" }) : null,
        result === "unknown" ? s("text", { x: cx, y: at + 4, "text-anchor": "middle", class: "flag" }, "?") : null,
      );
    }),
    s("line", { x1: left, x2: width, y1: y(budget), y2: y(budget), class: "budget" }),
    s("text", { x: left - 6, y: y(budget) + 4, "text-anchor": "end", class: "budget" }, `${budget}`),
    s("text", { x: left + 4, y: y(budget) - 4, class: "budget" }, `budget ${budget} s`),
    s("text", { x: width, y: height - 2, "text-anchor": "end" }, "newest"),
  );
}

const figure1 = (v) => (v < 10 ? `${v.toFixed(1)} s` : span(v * SECOND));

// --- beside the lane: who has what, what just happened ---------------------------------------------------------------

function inHand() {
  const busy = sortedAgents().filter((a) => a.holds.length);
  const most = 8;
  return h(
    "section.card.hands",
    { "data-key": "hands", "aria-label": "Who has what" },
    h("h2", null, "Who has what ", h("span.n", null, String(busy.length))),
    busy.length
      ? h(
          "ul.people",
          null,
          busy
            .slice(0, most)
            .map((a) =>
              h(
                "li",
                { "data-key": a.name },
                alive(a),
                h(
                  "div.body",
                  null,
                  h("span.name", null, bdi(a.name, 40)),
                  " ",
                  h(
                    "span.holds",
                    null,
                    a.holds.slice(0, 3).map(held),
                    a.holds.length > 3 ? h("span", null, `+${a.holds.length - 3}`) : null,
                  ),
                ),
                h("span.seen", null, a.suspect ? ["silent ", time(a.seen, "for")] : ["seen ", time(a.seen)]),
              ),
            ),
        )
      : empty("Nobody holds anything.", null, "prp next --claim"),
    busy.length > most ? h("p.more", null, h("a", { href: "#agents" }, `All ${count(busy.length)}`)) : null,
  );
}

function justNow() {
  return h(
    "section.card.just",
    { "data-key": "just", "aria-label": "Just happened" },
    h("h2", null, "Just happened"),
    known.events.length
      ? h(
          "ul.happened",
          null,
          known.events
            .slice(0, 8)
            .map((e) =>
              h(
                "li",
                { "data-key": keyOfEvent(e) },
                eventMark(e),
                h(
                  "div.body",
                  null,
                  h("p.words", null, eventWords(e)),
                  !isRev(e.detail) && detailOf(e) ? h("p.detail", null, bdi(detailOf(e), 110)) : null,
                ),
                time(msOf(e)),
              ),
            ),
        )
      : empty("Nothing has happened yet.", "The first claim or push is the first line here.", "prp next --claim"),
    known.events.length ? h("p.more", null, h("a", { href: "#feed" }, "The whole feed")) : null,
  );
}

function held(one) {
  const left =
    one.left_s === null || one.left_s === undefined
      ? ""
      : one.left_s < 0
        ? ", overdue"
        : `, ${span(one.left_s * SECOND)} left when last told`;
  if (one.what === "claim")
    return prpLink(one.name, {
      title: inert(`claim of ${one.name}${one.detail ? ` on ${one.detail}` : ""}${left}`, 300),
    });
  const words = one.what === "lane" ? (PHASES[one.detail] ?? one.detail) : `${nth(Number(one.detail))} in line`;
  return h(
    `span.chip.${one.what === "lane" ? "busy" : "plain"}`,
    { title: inert(`${one.what} ${one.name}${left}`, 300) },
    one.what === "lane" ? mark("lock") : mark("dot"),
    bdi(one.name, 20),
    ` ${inert(words, 30)}`,
  );
}

function alive(a) {
  const state = a.suspect ? "suspect" : a.silent ? "silent" : "live";
  return h(
    `span.alive.${state}`,
    {
      title: { suspect: "silent, with something in hand", silent: "no sign of life for 5 minutes", live: "there" }[
        state
      ],
    },
    mark(state === "suspect" ? "warn" : state, state),
  );
}

// --- board -----------------------------------------------------------------------------------------------------------

const filters = { board: new URLSearchParams(), feed: new URLSearchParams() };
let columns = null,
  boardShown = "in_progress";
const hay = new WeakMap();

function haystack(p) {
  let text = hay.get(p);
  if (text === undefined) {
    text = [p.id, p.title, p.owner, p.claim?.agent, p.phase, p.blocked, p.assigned, p.priority, p.domain]
      .filter(Boolean)
      .join("\n")
      .toLowerCase();
    hay.set(p, text);
  }
  return text;
}

const words = (text) => (text ?? "").toLowerCase().split(/\s+/).filter(Boolean);
const ownerOf = (p) => p.claim?.agent ?? p.owner ?? "";
const stamp = (iso) => Date.parse(iso ?? "") || 0;

const ORDERS = {
  new: byId,
  validated: (a, b) => (a.priority < b.priority ? -1 : a.priority > b.priority ? 1 : byId(a, b)),
  in_progress: (a, b) =>
    Number(b.lease?.suspect ?? false) - Number(a.lease?.suspect ?? false) ||
    stamp(a.since) - stamp(b.since) ||
    byId(a, b),
  complete: (a, b) => stamp(b.since) - stamp(a.since) || byId(a, b),
  deprecated: (a, b) => stamp(b.since) - stamp(a.since) || byId(a, b),
};

function buildBoard() {
  columns = new Map(STATUSES.map(([status, title]) => [status, new Windowed(title, (p) => p.id, prpCard)]));
  const status = h(
    "select.only-phone",
    { id: "board-status", "aria-label": "Status" },
    STATUSES.map(([v, t]) => h("option", { value: v }, t)),
  );
  status.value = boardShown;
  status.addEventListener("change", () => {
    boardShown = status.value;
    drawBoard();
  });
  $("view-board").append(
    h(
      "form.bar",
      { role: "search", "aria-label": "Filter PRPs", "data-filter": "board" },
      h("input.find", {
        type: "search",
        name: "q",
        placeholder: "Filter by text",
        "aria-label": "Filter by text",
        autocomplete: "off",
        spellcheck: "false",
      }),
      h("select", { name: "owner", "aria-label": "Owner" }),
      h("select", { name: "priority", "aria-label": "Priority" }),
      h("select", { name: "domain", "aria-label": "Domain" }),
      status,
      h("button.quiet.clear", { type: "button", "data-do": "clear" }, "Clear"),
      h("output.count"),
    ),
    h(
      "div.columns",
      null,
      STATUSES.map(([s_, title]) =>
        h(
          "section.column",
          { "data-status": s_, "aria-label": title },
          h("h2", null, statusMark(s_), title, " ", h("span.n")),
          columns.get(s_).box,
          h("div.void"),
        ),
      ),
    ),
  );
  const bar = $("view-board").querySelector("form");
  bar.addEventListener("input", () => setFilter("board", bar));
  bar.addEventListener("submit", (e) => e.preventDefault());
}

const statusMark = (status) =>
  mark(
    { new: "pending", validated: "open", in_progress: "lock", complete: "green", deprecated: "silent" }[status] ??
      "dot",
  );

function options(select, title, values, chosen) {
  const list = [...new Set([...values, ...(chosen ? [chosen] : [])])].filter(Boolean).sort();
  const nodes = [
    h("option", { value: "", "data-key": "" }, title),
    ...list.slice(0, 500).map((v) => h("option", { value: v, "data-key": `v ${v}` }, inert(v, 40))),
  ];
  select.hidden = list.length === 0;
  fill(select, nodes);
  if (select.value !== (chosen ?? "")) select.value = chosen ?? "";
}

function drawBoard() {
  if (!columns) buildBoard();
  const f = filters.board,
    bar = $("view-board").querySelector("form");
  const all = [...known.prps.values()];
  const owners = new Set(),
    priorities = new Set(),
    domains = new Set();
  for (const p of all) {
    owners.add(ownerOf(p));
    priorities.add(p.priority);
    domains.add(p.domain ?? "");
  }
  options(bar.elements.owner, "Owner", owners, f.get("owner"));
  options(bar.elements.priority, "Priority", priorities, f.get("priority"));
  options(bar.elements.domain, "Domain", domains, f.get("domain"));
  if (document.activeElement !== bar.elements.q) bar.elements.q.value = f.get("q") ?? "";
  const find = words(f.get("q"));
  const fits = (p) =>
    (!f.get("owner") || ownerOf(p) === f.get("owner")) &&
    (!f.get("priority") || p.priority === f.get("priority")) &&
    (!f.get("domain") || p.domain === f.get("domain")) &&
    find.every((w) => haystack(p).includes(w));
  const filtered = [...f.values()].some(Boolean);
  const shown = filtered ? all.filter(fits) : all;
  bar.querySelector(".clear").hidden = !filtered;
  bar.querySelector(".count").textContent = filtered
    ? `${count(shown.length)} of ${counted(all.length, "PRP")}`
    : counted(all.length, "PRP");
  const by = new Map(STATUSES.map(([s_]) => [s_, []]));
  for (const p of shown) (by.get(p.status) ?? by.get("new")).push(p);
  const board = $("view-board").querySelector(".columns");
  for (const column of board.children) {
    const status = column.dataset.status,
      list = by.get(status).sort(ORDERS[status]);
    column.classList.toggle("chosen", status === boardShown);
    column.hidden = status === "deprecated" && !list.length && boardShown !== status;
    column.querySelector(".n").textContent = count(list.length);
    const nothing = column.querySelector(".void");
    nothing.hidden = list.length > 0;
    columns.get(status).box.hidden = !list.length;
    fill(nothing, list.length ? [] : [boardVoid(status, filtered)]);
    columns.get(status).box.classList.toggle("short", !list.some(hasWhy)); // no row needs its last line
    columns.get(status).set(list);
  }
}

function boardVoid(status, filtered) {
  if (filtered) return h("p.none", null, "None fits the filter.");
  return {
    new: () => empty("No new PRPs.", null, 'prp new "what is to be done"'),
    validated: () => empty("None is ready to start.", null, "prp validate ID"),
    in_progress: () => empty("Nobody works on one.", null, "prp next --claim"),
    complete: () => empty("None is complete yet.", null, "prp complete ID"),
    deprecated: () => h("p.none", null, "None."),
  }[status]();
}

function prpCard(p) {
  const suspect = p.lease?.suspect || p.claim?.suspect;
  return h(
    `div.prp${suspect ? ".suspect" : ""}`,
    null,
    h(
      "p.first",
      null,
      prpLink(p.id, { class: "id go" }),
      p.priority ? chip("plain", bdi(p.priority, 12)) : null,
      h("span.grow"),
      p.since ? h("span.age", null, time(p.since, "for")) : null,
    ),
    h("p.ttl", null, bdi(p.title, 200, { title: inert(p.title, 10000) })),
    h(
      "p.own",
      null,
      ownerOf(p)
        ? h("span.name", null, bdi(ownerOf(p), 40))
        : h("span.faint", null, ["complete", "deprecated"].includes(p.status) ? "" : "nobody's"),
      p.phase ? chip(p.phase === "completing" || p.phase === "landed" ? "busy" : "plain", bdi(p.phase, 24)) : null,
      h("span.grow"),
      lease(p),
    ),
    h("p.why", null, prpWhy(p)),
  );
}

function lease(p) {
  if (p.lease) {
    return p.lease.suspect
      ? chip("warn", mark("warn"), "suspect ", time(p.lease.until, "for"))
      : h(
          "span.lease",
          null,
          "lease ",
          p.claim ? time(p.claim.since, "for") : null,
          p.claim ? ", " : null,
          time(p.lease.until, "left"),
        );
  }
  return p.status === "in_progress" ? h("span.faint", null, "no claim") : null;
}

const hasWhy = (p) => Boolean(p.blocked || p.assigned || p.blocked_by?.length || p.evidence?.length);

function prpWhy(p) {
  const found = [];
  if (p.blocked) found.push(chip("warn", mark("warn"), "blocked: ", bdi(p.blocked, 60)));
  if (p.blocked_by?.length)
    found.push(
      h(
        "span.waits",
        null,
        "waits for ",
        p.blocked_by.slice(0, 3).map((id, n) => [n ? " " : "", prpLink(id)]),
        p.blocked_by.length > 3 ? ` +${p.blocked_by.length - 3}` : "",
      ),
    );
  if (p.assigned) found.push(h("span.waits", null, "for ", bdi(p.assigned, 30)));
  for (const e of (p.evidence ?? []).slice(0, 3)) found.push(h("span.proof", null, evidenceMark(e), bdi(e, 48)));
  return found;
}

const evidenceMark = (e) =>
  mark(/\bgreen\b/.test(e) ? "green" : /\bred\b/.test(e) ? "red" : /\bunknown\b/.test(e) ? "unknown" : "dot");

// --- one PRP ---------------------------------------------------------------------------------------------------------

let shownPrp = null; // {id, told, error}

async function readPrp(id) {
  if (shownPrp?.id !== id) shownPrp = { id, told: null, error: null };
  const mine = shownPrp;
  try {
    mine.told = await ask(`/api/prp/${encodeURIComponent(id)}`);
    mine.error = null;
  } catch (error) {
    if (error instanceof LoggedOut) lost();
    mine.error = error.status === 404 ? "There is no such PRP." : inert(error.message);
  }
  if (mine === shownPrp) soon();
}

function drawPrp() {
  const { id, told: answer, error } = shownPrp;
  const p = { ...(answer?.prp ?? {}), ...(known.prps.get(id) ?? {}) };
  const label = STATUSES.find(([v]) => v === p.status)?.[1] ?? p.status;
  const fact = (name, ...value) =>
    value.flat(9).some((v) => v !== null && v !== undefined && v !== "" && v !== false)
      ? [h("dt", null, name), h("dd", null, ...value)]
      : null;
  fill($("view-prp"), [
    h("p.crumbs", null, h("a", { href: hashOf("board") }, "\u2190 Board")),
    h(
      "header.head",
      null,
      h("h2", null, h("span.id", null, bdi(id, 60)), " ", bdi(p.title ?? "", 400)),
      p.status ? chip(p.status === "complete" ? "ok" : "plain", statusMark(p.status), inert(label, 30)) : null,
      p.phase ? chip("busy", bdi(p.phase, 30)) : null,
    ),
    error ? h("div.sign", null, h("p", null, error), h("p", null, command(link.store?.next_action ?? "prp list"))) : null,
    error && !answer
      ? null
      : h(
          "div.page",
          null,
          h(
            "section.card",
            { "data-key": "facts", "aria-label": "Facts" },
            h("h3", null, "Now"),
            h(
              "dl.facts",
              null,
              fact("Owner", ownerOf(p) ? bdi(ownerOf(p), 80) : "nobody"),
              fact(
                "Claim",
                p.claim
                  ? [
                      p.claim.branch ? ["branch ", h("code", null, bdi(p.claim.branch, 80))] : null,
                      p.claim.host ? [" on ", bdi(p.claim.host, 60)] : null,
                      ", taken ",
                      time(p.claim.since),
                    ]
                  : null,
              ),
              fact("Lease", p.lease && !p.lease.suspect ? time(p.lease.until, "left") : lease(p)),
              fact("In this state", p.since ? ["for ", time(p.since, "for")] : null),
              fact("Priority", p.priority ? bdi(p.priority, 40) : null),
              fact("Domain", p.domain ? bdi(p.domain, 60) : null),
              fact("Assigned to", p.assigned ? bdi(p.assigned, 60) : null),
              fact("Blocked", p.blocked ? bdi(p.blocked, 400) : null),
              fact(
                "Waits for",
                (p.blocked_by ?? []).map((d) => [prpLink(d), " "]),
              ),
              fact(
                "Depends on",
                (p.depends_on ?? []).map((d) => [prpLink(d), " "]),
              ),
              fact(
                "Evidence",
                (p.evidence ?? []).map((e) => h("span.proof", null, evidenceMark(e), bdi(e, 200))),
              ),
              recorded(answer?.prp ?? {}, fact),
            ),
          ),
          h(
            "section.card",
            { "data-key": "history", "aria-label": "History" },
            h("h3", null, "History ", h("span.n", null, answer ? String(answer.history.length) : "")),
            answer?.history.length
              ? h("ol.moments", null, [...answer.history].reverse().map(moment))
              : h("p.none", null, answer ? "Nothing is known of it yet." : "Reading\u2026"),
          ),
          h(
            "section.card.document",
            { "data-key": "document", "aria-label": "Document" },
            h("h3", null, "Document ", answer?.document ? h("code", null, bdi(answer.document.path, 120)) : ""),
            answer?.document
              ? [
                  h(
                    "pre",
                    { tabindex: 0, dir: "auto", role: "region", "aria-label": "Text of the document" },
                    lines(answer.document.text),
                  ),
                  answer.document.truncated ? h("p.none", null, "The rest of it is in the file.") : null,
                ]
              : h("p.none", null, answer ? "It has no document." : "Reading\u2026"),
          ),
        ),
  ]);
}

const TOLD = new Set(
  "id title status owner priority depends_on claim phase blocked blocked_by assigned lease since evidence domain recorded history document".split(
    " ",
  ),
);

function recorded(p, fact) {
  return Object.entries(p)
    .filter(([k, v]) => !TOLD.has(k) && v !== null && v !== "" && typeof v !== "function")
    .map(([k, v]) => {
      const text = typeof v === "object" ? JSON.stringify(v) : String(v);
      return fact(
        inert(k.replaceAll("_", " "), 40),
        away(text, inert(text, 80)) ?? (/^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(text) ? time(text) : bdi(text, 400)),
      );
    });
}

function moment(m) {
  // An event's name is words with hyphens; of a commit it is what it did: "validated -> in_progress 1-dcc753c4; owner ...".
  const named = m.kind === "commit" ? plainly(String(m.what)) : String(m.what).replaceAll("-", " ");
  const what = inert(named, 80);
  return h(
    "li",
    { "data-key": `${m.at_ms} ${m.kind} ${m.what} ${m.sha ?? ""}` },
    mark(
      m.kind === "verdict"
        ? /\bgreen\b/.test(`${m.what} ${m.detail}`)
          ? "green"
          : /\bred\b/.test(`${m.what} ${m.detail}`)
            ? "red"
            : "unknown"
        : m.kind === "commit"
          ? "dot"
          : eventOf(m.what)[0],
    ),
    h(
      "div.body",
      null,
      h(
        "p.words",
        null,
        h("strong", null, what),
        m.agent ? [" by ", bdi(m.agent, 60)] : null,
        m.sha ? [" ", h("code", { title: inert(m.sha) }, inert(m.sha, 10).slice(0, 10))] : null,
        m.status ? [" ", chip("plain", inert(m.status, 30))] : null,
      ),
      m.detail ? h("p.detail", null, bdi(m.detail, 400)) : null,
    ),
    h("span.when", null, h("span.kind", null, inert(m.kind, 20)), time(Number(m.at_ms))),
  );
}

// --- agents ----------------------------------------------------------------------------------------------------------

let crowd = null;

/** Suspect ones first, then those who hold something, then who was heard of last. */
function sortedAgents() {
  return [...known.agents.values()].sort(
    (a, b) =>
      Number(b.suspect) - Number(a.suspect) ||
      Number(b.holds.length > 0) - Number(a.holds.length > 0) ||
      Number(a.silent) - Number(b.silent) ||
      stamp(b.seen) - stamp(a.seen) ||
      (a.name < b.name ? -1 : 1),
  );
}

function drawAgents() {
  if (!crowd) {
    crowd = new Windowed("Agents", (a) => a.name, agentRow);
    $("view-agents").append(
      h("header.bar", null, h("h2", null, "Agents ", h("span.n")), h("output.count")),
      h(
        "div.heads",
        { "aria-hidden": "true" },
        ["Agent", "Role", "Holds", "Host", "Seen"].map((t) => h("span", null, t)),
      ),
      crowd.box,
      h("div.void"),
    );
  }
  const all = sortedAgents(),
    suspect = all.filter((a) => a.suspect).length;
  $("view-agents").querySelector(".n").textContent = count(all.length);
  $("view-agents").querySelector(".count").textContent = [
    suspect ? `${suspect} suspect` : "",
    `${all.filter((a) => !a.silent).length} there`,
  ]
    .filter(Boolean)
    .join(", ");
  fill(
    $("view-agents").querySelector(".void"),
    all.length
      ? []
      : [empty("Nobody has been seen yet.", "Any prp command is a sign of life.", "prp whoami", "prp status")],
  );
  crowd.box.hidden = !all.length;
  crowd.set(all);
}

function agentRow(a) {
  return h(
    `div.agent${a.suspect ? ".suspect" : ""}`,
    null,
    h(
      "span.who",
      null,
      alive(a),
      h("a.go.name", { href: `#feed?q=${encodeURIComponent(a.name)}`, title: "What it did" }, bdi(a.name, 60)),
      a.suspect ? chip("warn", "suspect") : a.silent ? h("span.faint", null, "silent") : null,
    ),
    h(
      "span.role",
      null,
      [...a.roles, ...a.domain].slice(0, 4).map((r) => [chip("plain", bdi(r, 24)), " "]),
      a.kind ? h("span.faint", null, inert(a.kind, 20)) : null,
    ),
    h(
      "span.holds",
      null,
      a.holds.length
        ? [a.holds.slice(0, 4).map(held), a.holds.length > 4 ? h("span", null, `+${a.holds.length - 4}`) : null]
        : h("span.faint", null, "nothing"),
    ),
    h(
      "span.host",
      null,
      bdi(a.host, 40),
      a.unread ? h("span.unread", { title: "messages it has not read" }, `${count(a.unread)} unread`) : null,
    ),
    h("span.seen", null, time(a.seen)),
  );
}

// --- feed ------------------------------------------------------------------------------------------------------------

let stream = null;
const replay = { from: null, events: [], state: "", at: HOUR, playing: 0 };

function eventOf(name) {
  return EVENTS[name] ?? ["dot", inert(String(name).replaceAll("-", " "), 60), "prp"];
}

function eventMark(e) {
  if (e.event === "verdict")
    return mark(/\bgreen\b/.test(e.detail) ? "green" : /\bred\b/.test(e.detail) ? "red" : "unknown");
  return mark(eventOf(e.event)[0]);
}

/** What a script wrote as JSON into the detail of an event, if it did. */
function insideOf(e) {
  if (!String(e.detail).startsWith("{")) return {};
  try {
    const told = JSON.parse(e.detail);
    return told && typeof told === "object" ? told : {};
  } catch {
    return {};
  }
}

const shaOf = (e) => e.sha ?? (typeof insideOf(e).sha === "string" ? insideOf(e).sha : null);
const shaCode = (sha) => h("code", { title: inert(sha) }, inert(sha, 7).slice(0, 7));

/** Who did what to what, as a sentence of nodes. */
function eventWords(e) {
  const judged = e.event === "verdict" && /\b(green|red|unknown)\b/.exec(e.detail)?.[1];
  const verb = judged
    ? `has ${judged === "unknown" ? "an" : "a"} ${judged} verdict on`
    : e.event === "landed" && !e.lane
      ? "has landed"
      : eventOf(e.event)[1];
  const alone = /^[A-Z]/.test(verb); // "The store was filled", whoever did it
  const about = e.lane
    ? h("strong.of", null, bdi(e.lane, 40))
    : e.prp
      ? prpLink(e.prp)
      : shaOf(e)
        ? shaCode(shaOf(e))
        : null;
  return [
    e.agent && !alone ? h("span.name", null, bdi(e.agent, 40)) : alone ? null : h("span.faint", null, "somebody"),
    alone ? verb : ` ${verb}`,
    about ? [" ", about] : null,
    e.to ? [" to ", bdi(e.to, 40)] : null,
    e.lane && e.prp ? [" ", prpLink(e.prp)] : null,
  ];
}

const isRev = (text) => /^\d+-[0-9a-f]{8}$/.test(text ?? "");

function detailOf(e) {
  const { reason, agent, by, class: klass, result, name } = insideOf(e);
  const told = [reason, agent, name, by ? `by ${by}` : null, result, klass].filter(
    (v) => typeof v === "string" || typeof v === "number",
  );
  if (told.length) return told.join(", ");
  if (e.event === "verdict" && /^(green|red|unknown)$/.test(e.detail)) return ""; // the sentence says it
  return e.event === "recorded" ? plainly(e.detail) : e.detail;
}

/** What became of an entry, for people: no seal, which the facts have, and an arrow. */
const plainly = (text) => text.replace(/ \d+-[0-9a-f]{8}(?=;|$)/, "").replaceAll(" -> ", " \u2192 ");

function buildFeed() {
  stream = new Windowed("Events, newest first", keyOfEvent, eventRow);
  $("view-feed").append(
    h(
      "form.bar",
      { role: "search", "aria-label": "Filter events", "data-filter": "feed" },
      h("input.find", {
        type: "search",
        name: "q",
        placeholder: "Filter by text",
        "aria-label": "Filter by text",
        autocomplete: "off",
        spellcheck: "false",
      }),
      h(
        "select",
        { name: "kind", "aria-label": "Kind" },
        KINDS.map(([v, t]) => h("option", { value: v }, t)),
      ),
      h(
        "label.from",
        null,
        h("span", null, "Replay the hour from"),
        h("input", { type: "datetime-local", name: "from", step: 60 }),
      ),
      h("button.quiet.clear", { type: "button", "data-do": "clear" }, "Clear"),
      h("output.count"),
    ),
    h(
      "div.replay",
      { hidden: true },
      h("button.quiet", { type: "button", "data-do": "hour", "data-by": "-1" }, "\u2190 Earlier hour"),
      h("button.play", { type: "button", "data-do": "play" }, "Play"),
      h("input", { type: "range", min: 0, max: 3600, step: 1, "aria-label": "Moment within the hour", id: "moment" }),
      h("output.at"),
      h("button.quiet", { type: "button", "data-do": "hour", "data-by": "1" }, "Later hour \u2192"),
      h("a", { href: "#feed" }, "Back to live"),
    ),
    stream.box,
    h("div.void"),
  );
  const bar = $("view-feed").querySelector("form");
  bar.addEventListener("input", () => setFilter("feed", bar));
  bar.addEventListener("submit", (e) => e.preventDefault());
  $("moment").addEventListener("input", (e) => {
    stopPlaying();
    replay.at = Number(e.target.value) * SECOND;
    drawFeed();
  });
}

function eventRow(e) {
  const at = msOf(e);
  return h(
    "div.event",
    null,
    h("span.at", null, time(at, replay.from ? "at" : "ago")),
    eventMark(e),
    h("p.words", null, eventWords(e)),
    h(
      "p.detail",
      null,
      isRev(e.detail) ? h("code", null, `rev ${e.detail}`) : detailOf(e) ? bdi(detailOf(e), 300) : null,
      e.lane && e.sha ? [" ", shaCode(e.sha)] : null,
    ),
    h(
      "button.go.quiet",
      {
        type: "button",
        "data-do": "event",
        "data-event": keyOfEvent(e),
        "aria-label": `All of it: ${inert(e.agent ?? "", 40)} ${inert(e.event, 40)} ${inert(e.prp ?? e.lane ?? "", 40)}`,
      },
      h("code", null, inert(e.event, 24)),
    ),
  );
}

function drawFeed() {
  if (!stream) buildFeed();
  const f = filters.feed,
    bar = $("view-feed").querySelector("form"),
    find = words(f.get("q")),
    kind = f.get("kind") ?? "";
  if (document.activeElement !== bar.elements.q) bar.elements.q.value = f.get("q") ?? "";
  if (bar.elements.kind.value !== kind) bar.elements.kind.value = kind;
  const until = replay.from === null ? Infinity : replay.from + replay.at;
  const all = replay.from === null ? known.events : replay.events;
  const fits = (e) =>
    (!kind || eventOf(e.event)[2] === kind) &&
    find.every((w) =>
      `${e.event}\n${e.agent ?? ""}\n${e.prp ?? ""}\n${e.lane ?? ""}\n${e.sha ?? ""}\n${e.detail}\n${e.to ?? ""}`
        .toLowerCase()
        .includes(w),
    );
  const shown = all.filter((e) => msOf(e) <= until && fits(e));
  bar.querySelector(".clear").hidden = ![...f.values()].some(Boolean);
  bar.querySelector(".count").textContent =
    shown.length === all.length
      ? counted(all.length, "event")
      : `${count(shown.length)} of ${counted(all.length, "event")}`;
  const strip = $("view-feed").querySelector(".replay");
  strip.hidden = replay.from === null;
  if (replay.from !== null) {
    $("moment").value = String(Math.round(replay.at / SECOND));
    strip.querySelector(".at").textContent =
      replay.state || `up to ${CLOCK.format(until)} of the hour from ${DATED.format(replay.from)}`;
    strip.querySelector(".play").textContent = replay.playing ? "Pause" : "Play";
  }
  if (document.activeElement !== bar.elements.from) bar.elements.from.value = replay.from === null ? "" : local(replay.from);
  stream.box.hidden = !shown.length;
  fill($("view-feed").querySelector(".void"), shown.length ? [] : [feedVoid(all.length)]);
  stream.set(shown);
}

/** A moment as a field of date and time wants it: this clock's, to the minute. */
const local = (ms) => new Date(ms - new Date(ms).getTimezoneOffset() * MINUTE).toISOString().slice(0, 16);

function feedVoid(any) {
  if (replay.state) return h("p.none", null, replay.state);
  if (any) return h("p.none", null, "Nothing fits the filter, or this moment.");
  if (replay.from !== null) {
    const kept = known.oldest ? ` The store's events begin ${ABSOLUTE.format(Date.parse(known.oldest))}.` : "";
    return empty("Nothing happened in this hour.", kept.trim());
  }
  return empty(
    "Nothing has happened yet.",
    "The first claim or push is the first line here.",
    "prp next --claim",
    "git push",
  );
}

async function readHour(from) {
  stopPlaying();
  if (Number.isNaN(from)) from = null;
  if (from === replay.from) return;
  Object.assign(replay, { from, events: [], at: HOUR, state: from === null ? "" : "Reading the hour\u2026" });
  soon();
  if (from === null) return;
  const found = new Map();
  let cursor = null;
  try {
    do {
      const more = cursor ? `&after=${encodeURIComponent(cursor)}` : "";
      const answer = await ask(
        `/api/events?from=${new Date(from).toISOString()}&to=${new Date(from + HOUR).toISOString()}&limit=${PAGE}${more}`,
      );
      for (const e of answer.events) found.set(keyOfEvent(e), e);
      cursor = answer.next;
      if (replay.from !== from) return;
    } while (cursor);
    replay.state = "";
  } catch (error) {
    if (replay.from !== from) return;
    replay.state = `The hour could not be read: ${inert(error.message)}`;
  }
  replay.events = [...found.values()].sort(newestFirst);
  soon();
}

function stopPlaying() {
  clearInterval(replay.playing);
  replay.playing = 0;
}

function play() {
  if (replay.playing) {
    stopPlaying();
  } else {
    if (replay.at >= HOUR) replay.at = 0;
    replay.playing = setInterval(() => {
      // an hour in a minute
      replay.at = Math.min(HOUR, replay.at + 6 * SECOND);
      if (replay.at >= HOUR) stopPlaying();
      soon();
    }, 100);
  }
  soon();
}

function showEvent(key) {
  const e = [...replay.events, ...known.events].find((one) => keyOfEvent(one) === key);
  if (!e) return;
  const box = $("one") ?? document.body.appendChild(h("dialog", { id: "one", "aria-labelledby": "one-title" }));
  const row = (name, value) => (value ? [h("dt", null, name), h("dd", null, value)] : null);
  fill(box, [
    h(
      "form",
      { method: "dialog" },
      h("h2", { id: "one-title" }, eventMark(e), bdi(e.event, 40)),
      h("button.quiet", { type: "submit" }, "Close"),
    ),
    h(
      "dl.facts",
      null,
      row("When", [ABSOLUTE.format(msOf(e)), " (", time(msOf(e)), ")"]),
      row("Who", e.agent && bdi(e.agent, 10000)),
      row("Lane", e.lane && bdi(e.lane, 1000)),
      row("PRP", e.prp && prpLink(e.prp)),
      row("To", e.to && bdi(e.to, 1000)),
      row("Commit", shaOf(e) && h("code", null, inert(shaOf(e)))),
      row("Fence", e.fence),
      row("Reason", e.detail && bdi(e.detail, 10000)),
      row("Event", h("code", null, inert(e.id))),
    ),
  ]);
  box.showModal();
}

// --- routes, keys, theme ---------------------------------------------------------------------------------------------

const VIEWS = { lane: drawLanes, board: drawBoard, prp: drawPrp, agents: drawAgents, feed: drawFeed };
let view = "lane";

function hashOf(name) {
  const query = filters[name]?.toString();
  return `#${name}${query ? `?${query}` : ""}`;
}

function setFilter(name, form) {
  const kept = new URLSearchParams();
  for (const [field, value] of new FormData(form)) {
    if (value && field === "from") kept.set(field, new Date(value).toISOString());
    else if (value) kept.set(field, value);
  }
  filters[name] = kept;
  history.replaceState(null, "", hashOf(name));
  if (name === "feed") readHour(kept.has("from") ? Date.parse(kept.get("from")) : null);
  soon();
}

function route() {
  const [, name, id, query] = /^#(\w+)(?:\/([^?]*))?(?:\?(.*))?$/.exec(location.hash) ?? [];
  const before = view;
  view = name in VIEWS && (name !== "prp" || id) ? name : "lane";
  document.querySelector("#one[open]")?.close();
  if (view === "prp") {
    let wanted = id;
    try {
      wanted = decodeURIComponent(id);
    } catch {
      /* as it was typed */
    }
    if (shownPrp?.id !== wanted) readPrp(wanted);
  } else {
    shownPrp = null;
  }
  if (view in filters) filters[view] = new URLSearchParams(query ?? "");
  if (view === "feed") readHour(filters.feed.has("from") ? Date.parse(filters.feed.get("from")) : null);
  else stopPlaying();
  for (const section of document.querySelectorAll(".view"))
    section.hidden = section.dataset.name !== view || !known.loaded;
  for (const a of document.querySelectorAll("nav.views a")) {
    if (a.dataset.view === view || (view === "prp" && a.dataset.view === "board"))
      a.setAttribute("aria-current", "page");
    else a.removeAttribute("aria-current");
  }
  if (before !== view) window.scrollTo(0, 0);
  drawAll();
}

let waiting = 0,
  restUntil = 0;

/** Draw at once; what comes in quick succession is drawn together. Frames are not waited for: a window that nobody looks
 *  at gets few. */
function soon() {
  if (waiting) return;
  const rest = document.hidden ? SECOND : restUntil - performance.now();
  if (rest <= 0) drawAll();
  else waiting = setTimeout(drawAll, rest);
}

function drawAll() {
  const began = performance.now();
  clearTimeout(waiting);
  waiting = 0;
  if (known.loaded) {
    $("loading").hidden = true;
    $(`view-${view}`).hidden = false;
    VIEWS[view]();
    drawTitle();
  }
  const took = performance.now() - began;
  restUntil = performance.now() + Math.max(GAP, 2 * took); // a slow drawing leaves time for everything else
}

const THEMES = ["auto", "light", "dark"];

function theme(wanted) {
  const chosen = THEMES.includes(wanted) ? wanted : "auto";
  if (chosen === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
  $("theme").textContent = `Theme: ${chosen}`;
  return chosen;
}

function remembered(value) {
  try {
    if (value !== undefined) localStorage.setItem("prpgate.theme", value);
    return localStorage.getItem("prpgate.theme");
  } catch {
    // a browser that keeps nothing
    return value ?? null;
  }
}

const DEEDS = {
  skip: () => $("main").focus(),
  theme: () => {
    const at = document.documentElement.dataset.theme ?? "auto";
    remembered(theme(THEMES[(THEMES.indexOf(at) + 1) % THEMES.length]));
  },
  copy: async (node) => {
    await navigator.clipboard?.writeText(node.dataset.text);
    node.textContent = "Copied";
    setTimeout(() => (node.textContent = "Copy"), 1500);
  },
  clear: (node) => {
    const form = node.closest("form");
    form.reset();
    setFilter(form.dataset.filter, form);
    form.elements.q.focus();
  },
  pick: (node) => {
    picked.set(node.parentNode.dataset.lane, node.dataset.sha);
    soon();
  },
  event: (node) => showEvent(node.dataset.event),
  hour: (node) => {
    filters.feed.set("from", new Date(replay.from + Number(node.dataset.by) * HOUR).toISOString());
    location.hash = hashOf("feed");
  },
  play,
};

document.addEventListener("click", (e) => {
  const node = e.target.closest("[data-do]");
  if (node) DEEDS[node.dataset.do](node);
});

for (const what of ["focusin", "mouseover"]) {
  document.addEventListener(what, (e) => {
    const tile = e.target.closest?.(".tile");
    if (tile) DEEDS.pick(tile);
  });
}

document.addEventListener("keydown", (e) => {
  if (e.altKey || e.ctrlKey || e.metaKey) return;
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName);
  if (e.key === "Escape" && e.target.matches?.("input[type=search]") && !e.target.value) e.target.blur();
  if (typing || document.querySelector("#one[open]")) return;
  const tile = e.target.closest?.(".tile");
  if (tile && (e.key === "ArrowLeft" || e.key === "ArrowRight")) {
    const next = e.key === "ArrowLeft" ? tile.previousElementSibling : tile.nextElementSibling;
    if (next?.classList.contains("tile")) next.focus();
    e.preventDefault();
  } else if (/^[1-4]$/.test(e.key)) {
    location.hash = hashOf(["lane", "board", "agents", "feed"][Number(e.key) - 1]);
  } else if (e.key === "/") {
    e.preventDefault();
    if (view !== "board" && view !== "feed") {
      location.hash = hashOf("board");
      route();
    }
    $(`view-${view}`).querySelector(".find").focus();
  } else if (e.key === "t") {
    DEEDS.theme();
  } else if (e.key === "Escape" && view === "prp") {
    location.hash = hashOf("board");
  }
});

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  drawAll();
  tick();
  if (link.state === "lost") reconnect();
});
window.addEventListener("online", () => link.state === "lost" && reconnect());
window.addEventListener("hashchange", route);

theme(remembered());
drawLink();
route();
load();
setInterval(tick, SECOND);
