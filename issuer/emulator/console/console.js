// The emulator's page. It knows the control endpoints and nothing else. What it
// shows was sent by somebody: it sets text, never markup.

const second = 1000;

const maxEntries = 4096; // as many as the journal keeps
const maxRows = 500; // of frames, twice as many while somebody reads old ones
const maxCards = 50;
const maxLabels = 40; // clients may invent names
const quick = ["goaway", "drop", "expire-token"]; // a click away, on every session

const $ = (id) => document.getElementById(id);
const ns = new URLSearchParams(location.search).get("ns") ?? "";

/** What is known, as told last. */
const known = { began: "", sessions: [], tokens: [], minted: 0, kinds: [] };
const ours = { at: Date.now(), when: performance.now() }; // the emulator's time, and when it was that

const now = () => ours.at + performance.now() - ours.when;

// ---- elements ----

function make(tag, props, ...children) {
  const e = Object.assign(document.createElement(tag), props);
  e.append(...children);
  return e;
}

function say(e, text) {
  if (e.textContent !== text) e.textContent = text;
}

function show(e, visible) {
  e.hidden = !visible;
}

function option(value, text = value) {
  return make("option", { value, textContent: text });
}

/** span is a length of time as people say it. */
function span(ms) {
  const s = Math.max(0, Math.floor(ms / second));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} m ${s % 60} s`;
  if (s < 48 * 3600) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} m`;
  return `${Math.floor(s / 86400)} days`;
}

const unbroken = (text) => text.replaceAll(" ", "\u00a0");
const count = (n, one, many = one + "s") => `${n} ${n === 1 ? one : many}`;
const size = (bytes) => (bytes < 1000 ? `${bytes} B` : bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);
const short = (model) => model.replace(/^models\//, "");

// ---- asking the emulator ----

/** call gives an endpoint's answer. With a body it changes something. */
async function call(name, body, query = {}) {
  const url = new URL(name, document.baseURI);
  for (const [key, value] of Object.entries({ ...query, ...(ns && { ns }) })) url.searchParams.set(key, value);
  let answer;
  try {
    answer = await fetch(url, body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  } catch {
    throw new Error("the emulator does not answer");
  }
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(said.detail ?? `the emulator answers ${answer.status}`);
  return said;
}

let quietly;
/** tell says how something went, also to those who do not see it. */
function tell(text, bad = false) {
  $("outcome").dataset.bad = bad;
  say($("outcome"), text);
  clearTimeout(quietly);
  quietly = setTimeout(() => say($("outcome"), ""), bad ? 20 * second : 6 * second);
}

/** act does what a button says, once at a time. */
async function act(button, does) {
  if (button.ariaBusy === "true") return;
  button.ariaBusy = "true";
  say($("outcome"), ""); // the same outcome is news again
  try {
    tell(await does());
  } catch (e) {
    tell(e.message, true);
  }
  button.ariaBusy = "false";
  stale = true;
  refresh();
}

// ---- the loop ----

let timer;
let asking = false;
let again = false; // somebody wants to know before the answer came
let stale = true; // sessions and tokens, although no frame tells so
let rounds = 0;

/** refresh asks for what is new, and again in a second: rarely if nobody looks. */
async function refresh() {
  clearTimeout(timer);
  again = asking;
  if (asking) return;
  asking = true;
  let pause = document.hidden ? 15 * second : second;
  try {
    const { entries: news } = await call("journal", undefined, { after: seen });
    const all = stale || news.length > 0 || rounds++ % 5 === 0;
    stale = false;
    if (all && (await look())) {
      forget();
      pause = 0;
    } else take(news);
    link("live", "Live");
  } catch (e) {
    pause = Math.max(pause, 3 * second);
    link("gone", `No news: ${e.message}`);
  }
  asking = false;
  paint();
  timer = setTimeout(refresh, again ? 0 : pause);
}

function link(state, text) {
  $("link").dataset.state = state;
  say($("link"), text);
}

/** look asks what there is, and tells whether somebody has reset it all. */
async function look() {
  const [{ now, began, sessions }, { tokens, count: minted }] =
    await Promise.all([call("sessions"), call("tokens", undefined, { limit: maxCards })]);
  Object.assign(ours, { at: Date.parse(now), when: performance.now() });
  const anew = known.began !== "" && began !== known.began;
  Object.assign(known, { began, sessions, tokens, minted });
  return anew;
}

document.addEventListener("visibilitychange", () => document.hidden || refresh());

// ---- painting ----

/** paint brings everything that shows time or counts up to date. */
function paint() {
  if (document.hidden) return;
  const time = new Date(now()).toISOString();
  $("now").dateTime = time;
  say($("now"), time.slice(11, 19));
  const ahead = now() - Date.now();
  say($("ahead"), `UTC, ${time.slice(0, 10)}${ahead > 2 * second ? `, ${span(ahead + second / 2).replace(/ 0 [ms]$/, "")} ahead` : ""}`);

  const open = known.sessions.filter((s) => s.state === "open");
  const others = known.sessions.filter((s) => s.state !== "open");
  say($("sessions-count"), known.sessions.length ? `${open.length} open, ${others.length} not` : "");
  cards($("sessions"), [...open.reverse(), ...others.reverse()], (s) => s.session, sessionCard);
  say($("tokens-count"), known.minted ? String(known.minted) : "");
  cards($("tokens"), known.tokens.toReversed(), (t) => t.token, tokenCard, known.minted);

  choices($("only-session"));
  choices($("target"));
}

const drawn = new WeakMap(); // by card: what brings it up to date

/** cards shows one card for each item and keeps those that are there, with the focus in them. */
function cards(list, items, idOf, card, all = items.length) {
  const old = new Map([...list.children].map((e) => [e.dataset.id, e]));
  const shown = items.slice(0, maxCards).map((item) => {
    const id = idOf(item);
    let e = old.get(id);
    old.delete(id);
    if (!e) {
      e = make("li");
      e.dataset.id = id;
      drawn.set(e, card(e, item));
    }
    drawn.get(e)(item);
    return e;
  });
  for (const e of old.values()) e.remove();
  shown.forEach((e, i) => list.children[i] !== e && list.insertBefore(e, list.children[i] ?? null));
  if (all > maxCards) list.append(make("li", { className: "more", textContent: `and ${all - maxCards} older` }));
}

/** choices offers the sessions, after the first option, which means all. What is chosen stays. */
function choices(select) {
  const want = new Set(known.sessions.slice(-maxCards).map((s) => s.session));
  for (const o of [...select.options].slice(1)) if (!want.delete(o.value) && !o.selected) o.remove();
  for (const id of want) select.append(option(id));
}

/** life is a bar from one time to another, with marks. */
function life() {
  const fill = make("span", { className: "fill" });
  const root = make("div", { className: "life", ariaHidden: "true" }, fill);
  const marks = [];
  const part = (at, from, to) => Math.min(1, Math.max(0, (at - from) / Math.max(1, to - from)));
  return [
    root,
    (from, to, at, ...where) => {
      fill.style.setProperty("--part", part(at, from, to));
      where.forEach((mark, i) => {
        if (!marks[i]) root.append((marks[i] = make("span", { className: "mark" })));
        marks[i].style.setProperty("--part", part(mark, from, to));
      });
      marks.splice(where.length).forEach((e) => e.remove());
    },
  ];
}

function sessionCard(card, { session }) {
  const pick = make("button", { type: "button", className: "pick", textContent: session, title: "Show only its frames, and aim at it" });
  const state = make("span", { className: "state" });
  const model = make("span", { className: "rest" });
  const [bar, draw] = life();
  const coming = make("p");
  const facts = make("p", { className: "faint" });
  const buttons = make("div", { className: "quick" });
  pick.onclick = () => choose($("only-session").value === session ? "" : session);
  card.append(make("div", { className: "head" }, pick, state, model), bar, coming, facts, buttons);
  for (const { kind, befalls } of quick.flatMap((name) => known.kinds.filter((k) => k.kind === name))) {
    const b = make("button", { type: "button", textContent: kind, ariaLabel: `${kind}, to ${session}` });
    b.dataset.befalls = befalls;
    b.onclick = () => act(b, () => inflict({ kind, session }));
    buttons.append(b);
  }
  return (s) => {
    card.dataset.state = s.state;
    pick.ariaPressed = String($("only-session").value === session);
    say(state, s.state);
    say(model, short(s.model));
    model.title = s.model;
    const since = Date.parse(s.since);
    const all = (s.connection?.due ?? []).map(({ at, what }) => ({ at: Date.parse(at), what }));
    const end = all.find(({ what }) => what === "end" || what === "tokenExpiry");
    const due = all.filter(({ at, what }) => !end || at <= end.at || what === "tokenExpiry");
    show(bar, Boolean(end || s.until));
    if (end) draw(since, end.at, now(), ...due.filter(({ at }) => at < end.at).map(({ at }) => at));
    else if (s.until) draw(since, Date.parse(s.until), now());
    const says = { goAway: "goAway", end: "ends", tokenExpiry: "token expires" };
    say(coming, {
      open: s.connection
        ? [`open for ${span(now() - since)}`, ...due.map(({ at, what }) => `${says[what] ?? what} in ${span(at - now())}`)].map(unbroken).join(", ")
        : "busy: its client does not read",
      resumable: `ended ${span(now() - since)} ago, can be resumed for ${span(Date.parse(s.until) - now())}`,
      forgotten: `ended ${span(now() - since)} ago, its handles are forgotten`,
    }[s.state] ?? "");
    const c = s.connection;
    say(facts, [
      s.token ? `token ${s.token}` : "API key",
      count(s.handles, "handle"),
      ...(c && c.turn !== "none" ? [c.turn] : []),
      ...(c?.calls ? [count(c.calls, "call") + " waiting"] : []),
      ...(c?.faults ?? []),
    ].map(unbroken).join(", "));
    show(buttons, s.state === "open");
    for (const b of buttons.children) show(b, b.dataset.befalls !== "token" || Boolean(s.token));
  };
}

function tokenCard(card, { token }) {
  const lock = make("span", { className: "state" });
  const uses = make("span", { className: "rest" });
  const [bar, draw] = life();
  const coming = make("p");
  const mask = make("p", { className: "faint" });
  const refusals = make("ul", { className: "refusals" });
  card.append(make("div", { className: "head" }, make("code", { textContent: token }), lock, uses), bar, coming, mask, refusals);
  return (t) => {
    const [minted, start, expire] = [t.minted, t.newSessionExpireTime, t.expireTime].map((time) => Date.parse(time));
    card.dataset.state = now() >= expire ? "expired" : now() >= start || t.usesLeft === 0 ? "resumes" : "starts";
    say(lock, t.lock === "none" ? "unlocked" : t.lock === "full" ? "full lock" : "masked lock");
    say(uses, t.usesLeft === undefined ? `used ${t.used}×` : t.usesLeft === 0 ? "no uses left" : `${t.usesLeft} of ${count(t.uses, "use")} left`);
    draw(minted, expire, now(), start);
    say(coming, now() >= expire
      ? `expired ${span(now() - expire)} ago`
      : [now() < start ? `new sessions for ${span(start - now())}` : "no new sessions", `expires in ${span(expire - now())}`].map(unbroken).join(", "));
    const paths = t.fieldMask ?? [];
    show(mask, paths.length > 0);
    say(mask, `locks ${paths.slice(0, 3).join(", ")}${paths.length > 3 ? ` and ${paths.length - 3} more` : ""}`);
    mask.title = paths.join("\n");
    if (refusals.childElementCount !== t.refusals.length || refusals.dataset.last !== t.refusals.at(-1)?.time) {
      refusals.dataset.last = t.refusals.at(-1)?.time ?? "";
      refusals.replaceChildren(...t.refusals.toReversed().map(({ time, rule, reason }) =>
        make("li", {}, make("b", { textContent: rule }), ` ${reason} `, make("time", { dateTime: time, textContent: time.slice(11, 19) }))));
    }
  };
}

// ---- frames ----

let seen = 0; // seq of the newest entry
let entries = [];
let paused = false;
let missed = 0; // while paused or reading
let following = true;
const roll = $("frames");
const only = { session: $("only-session"), kind: $("only-kind"), audio: $("no-audio") };

/** take adds what the journal tells. */
function take(news) {
  if (news.length === 0) return;
  const lost = news[0].seq - seen - 1;
  if (lost > 0 && seen > 0) news = [{ seq: news[0].seq - 1, time: news[0].time, dir: "", kind: "gap", lost }, ...news];
  seen = news.at(-1).seq;
  entries = [...entries, ...news].slice(-maxEntries);
  for (const e of news) for (const label of labels(e)) offer(label);
  if (paused) missed += news.filter(wanted).length;
  else add(news);
  tally();
}

function forget() {
  seen = 0;
  entries = [];
  redo();
}

/** labels are what an entry can be filtered by. */
const labels = ({ kind, message }) => (kind === "recv" || kind === "send" ? Object.keys(message ?? {}) : [kind]);

function offer(label) {
  const { options } = only.kind;
  if (options.length <= maxLabels && ![...options].some((o) => o.value === label)) only.kind.append(option(label));
}

/** sound reports whether an entry is audio and nothing else. */
function sound({ kind, message }) {
  const blobs = kind === "recv"
    ? Object.entries(message?.realtimeInput ?? {}).map(([name, v]) => (name === "audio" ? [v] : name === "mediaChunks" ? v : [null])).flat()
    : Object.entries(message?.serverContent ?? {}).map(([name, v]) => (name === "modelTurn" ? (v?.parts ?? []).map((p) => p?.inlineData) : [null])).flat();
  return blobs.length > 0 && blobs.every((b) => String(b?.mimeType ?? "").startsWith("audio/"));
}

const picked = (e) => (!only.session.value || e.session === only.session.value) && (!only.kind.value || labels(e).includes(only.kind.value));
const wanted = (e) => picked(e) && !(only.audio.checked && sound(e));

/** add appends rows. For whoever has scrolled away or opened a message, nothing moves. */
function add(news) {
  const rows = news.filter(wanted).slice(-maxRows).map(row);
  roll.append(...rows);
  const over = roll.childElementCount - (following ? maxRows : 2 * maxRows);
  if (over > 0) {
    const before = roll.scrollHeight;
    for (const old of [...roll.children].slice(0, over)) old.remove();
    roll.scrollTop -= before - roll.scrollHeight;
  }
  if (following) roll.scrollTop = roll.scrollHeight;
  else missed += rows.length;
}

function redo() {
  missed = 0;
  following = true;
  roll.replaceChildren();
  add(entries);
  tally();
}

function tally() {
  const rest = entries.filter(picked);
  const hidden = only.audio.checked ? rest.filter(sound).length : 0;
  show($("welcome"), entries.length === 0);
  say($("frames-count"), entries.length ? String(rest.length - hidden) : "");
  say($("audio"), `Hide audio${hidden ? ` (${hidden})` : ""}`);
  show($("follow"), !paused && !following);
  say($("follow"), missed ? `${missed} newer` : "Newest");
  say($("pause"), paused ? `Go on${missed ? ` (${missed})` : ""}` : "Pause");
}

/** gist is an entry in a line: the names down to where they branch, then the words. */
function gist({ kind, message, lost }) {
  if (kind === "gap") return ["", `${count(lost, "entry", "entries")} not kept`];
  const event = kind === "recv" || kind === "send" ? "" : kind;
  if (message === undefined) return [event || kind, event ? "" : "too large to keep"];
  if (event && message.code) return [event, `${message.code} ${message.reason ?? ""}`];
  const branches = Object.entries(message).map(([name, v]) => descend(name, v));
  const names = event || branches.map(([name]) => name).join(" + ") || "{}";
  const words = texts(message).join("");
  const rest = event ? message : branches.length === 1 ? branches[0][1] : {};
  return [names, words ? `“${words}”` : JSON.stringify(rest).replace(/^({}|true)$/, "")];
}

/** descend follows names that have no sisters. */
function descend(name, v) {
  for (let depth = 0; depth < 3 && v && typeof v === "object" && !Array.isArray(v); depth++) {
    const [only, ...others] = Object.keys(v);
    if (only === undefined || others.length > 0) break;
    name += `.${only}`;
    v = v[only];
  }
  return [name, v];
}

/** texts are the texts in a message, wherever they stand. */
function texts(v, found = []) {
  if (typeof v !== "object" || v === null) return found;
  for (const [name, sub] of Object.entries(v)) {
    if (name === "text" && typeof sub === "string") found.push(sub);
    else texts(sub, found);
  }
  return found;
}

const ways = { in: ["→", "from the client"], out: ["←", "to the client"] };

function row(e) {
  const [arrow, way] = ways[e.dir] ?? ["", ""];
  const [name, rest] = gist(e);
  const line = [
    make("time", { dateTime: e.time }, e.time.slice(11, 19), make("span", { className: "ms", textContent: e.time.slice(19, 23).padEnd(4, "0").replace("Z", "0") })),
    make("span", { className: "who", textContent: e.session ?? "" }),
    make("span", { className: "way", title: way }, make("span", { ariaHidden: "true", textContent: arrow }), make("span", { className: "unseen", textContent: way })),
    make("span", { className: "what" }, make("b", { textContent: name }), ` ${rest.slice(0, 200)}`),
    make("span", { className: "size", textContent: e.bytes ? size(e.bytes) : "" }),
  ];
  const item = make("li");
  item.dataset.kind = e.kind;
  item.dataset.dir = e.dir;
  if (e.message === undefined) {
    item.append(make("div", { className: "line" }, ...line));
    return item;
  }
  const details = make("details", {}, make("summary", { className: "line" }, ...line));
  details.ontoggle = () => {
    if (!details.open) return;
    following = false;
    tally();
    if (details.children.length === 1) {
      const { session, token, kind, bytes, seq, contains } = e;
      const about = [`#${seq}`, kind, way, session && `session ${session}`, token && `token ${token}`, bytes && `${bytes} bytes`,
        contains && `the handle contains the client’s messages up to #${contains}`].filter(Boolean).map(unbroken).join(", ");
      details.append(make("p", { className: "faint", textContent: about }), make("pre", { tabIndex: 0, role: "group", ariaLabel: "Message", textContent: JSON.stringify(e.message, null, 2) }));
    }
  };
  item.append(details);
  return item;
}

/** choose shows one session's frames and aims at it. */
function choose(session) {
  only.session.value = session;
  $("target").value = session || "*";
  redo();
  paint();
}

only.session.onchange = () => choose(only.session.value);
only.kind.onchange = redo;
only.audio.onchange = redo;
$("pause").onclick = () => {
  paused = !paused;
  $("pause").ariaPressed = String(paused);
  if (paused) tally();
  else redo();
};
$("follow").onclick = () => {
  following = true;
  missed = 0;
  roll.scrollTop = roll.scrollHeight;
  roll.focus({ preventScroll: true });
  tally();
};
roll.onscroll = () => {
  const end = roll.scrollHeight - roll.scrollTop - roll.clientHeight < 8;
  if (end === following) return;
  following = end;
  missed = 0;
  tally();
};

// ---- faults ----

const groups = { connection: "Connection", token: "Token", session: "Resuming", mint: "Minting" };
const form = $("fault");

async function inflict(fault) {
  const { applied } = await call("fault", fault);
  return `${fault.kind}: applied to ${applied}`;
}

/** offerFaults makes the form from what the emulator says that it takes. */
function offerFaults(kinds) {
  known.kinds = kinds;
  $("kinds").replaceChildren(...Object.entries(Object.groupBy(kinds, (k) => k.befalls)).map(([befalls, group]) =>
    make("fieldset", {}, make("legend", { textContent: groups[befalls] ?? befalls }), ...group.map(({ kind, does }) =>
      make("label", { title: does }, make("input", { type: "radio", name: "kind", value: kind, required: true }), make("span", { textContent: kind }))))));
  form.elements.kind.value = kinds.find((k) => k.kind === "goaway") ? "goaway" : kinds[0].kind;
  describe();
}

function describe() {
  const kind = known.kinds.find((k) => k.kind === form.elements.kind.value);
  $("does").replaceChildren(make("b", { textContent: kind.kind }), `: ${kind.does}.`);
  $("options").replaceChildren(...kind.options.map((o) => {
    const id = `option-${o.name}`;
    const usual = o.default ?? (o.type === "duration" ? "none" : "");
    const field = o.choices
      ? make("select", {}, ...o.choices.map((c) => option(String(c))))
      : make("input", { placeholder: String(usual), spellcheck: false, inputMode: o.type === "integer" ? "numeric" : "text" });
    if (o.choices) field.value = String(o.default);
    Object.assign(field, { id, name: o.name });
    field.dataset.type = o.type;
    return make("p", { className: o.type }, make("label", { htmlFor: id, textContent: o.name }), field);
  }));
  aim();
}

/** aim says at whom. */
function aim() {
  const kind = known.kinds.find((k) => k.kind === form.elements.kind?.value);
  if (!kind) return;
  for (const e of [$("to"), $("target")]) show(e, kind.befalls !== "mint");
  say($("inflict"), `Do ${kind.kind}`);
}

$("kinds").onchange = describe;
form.onsubmit = (event) => {
  event.preventDefault();
  const fault = { kind: form.elements.kind.value, session: $("target").value };
  for (const field of $("options").querySelectorAll("input, select")) {
    if (field.value.trim() === "") continue;
    fault[field.name] = field.dataset.type === "integer" ? Number(field.value) : field.value.trim();
  }
  act($("inflict"), () => inflict(fault));
};

// ---- the bar ----

async function advance(by) {
  const { now } = await call("clock", { advance: by });
  return `It is now ${now.slice(11, 19)} UTC.`;
}

for (const b of $("clock").querySelectorAll("[data-advance]")) b.onclick = () => act(b, () => advance(b.dataset.advance));
$("clock").onsubmit = (event) => {
  event.preventDefault();
  act($("by"), async () => {
    const outcome = await advance($("advance").value.trim());
    $("advance").value = "";
    return outcome;
  });
};

$("reset").onclick = () => {
  const open = known.sessions.filter((s) => s.state === "open").length;
  say($("sure-what"), `In ${ns ? `the namespace ${ns}` : "the shared namespace"}, ${count(open, "open connection")} will be cut, and ` +
    `${count(known.minted, "token")}, ${count(known.sessions.length, "session")}, handles, faults and all frames forgotten. The time stays.`);
  $("sure").showModal();
};
$("sure-no").onclick = () => $("sure").close();
$("sure-yes").onclick = () => {
  $("sure").close();
  act($("reset"), async () => {
    await call("reset", {});
    return "All is forgotten.";
  });
};

$("space").onsubmit = (event) => {
  event.preventDefault();
  const name = $("ns").value.trim();
  location.search = name && `?ns=${encodeURIComponent(name)}`;
};

for (const b of document.querySelectorAll("[data-copy]")) {
  const from = $(b.dataset.copy);
  b.ariaLabel = `Copy ${from.closest("div").firstChild.textContent}`;
  b.onclick = () => act(b, async () => {
    getSelection().selectAllChildren(from); // and so it can be copied by hand
    await navigator.clipboard?.writeText(from.textContent);
    return navigator.clipboard ? `Copied ${from.textContent}` : "Selected: copy it by hand.";
  });
}

// ---- begin ----

$("ns").value = ns;
say($("base"), location.origin);
say($("key"), ns ? `emulator-${ns}` : "emulator");
say($("snippet"), `new GoogleGenAI({
  apiKey: "${$("key").textContent}",
  httpOptions: { baseUrl: "${location.origin}" },
});

curl -X POST ${location.origin}/v1alpha/auth_tokens \\
  -H "x-goog-api-key: ${$("key").textContent}"`);

async function begin() {
  try {
    const [{ kinds }, { help }] = await Promise.all([call("faults"), call("help")]);
    offerFaults(kinds);
    $("help").replaceChildren(...help.map(({ say, does }) => make("li", {}, make("q", { textContent: say }), `: ${does}`)));
    await refresh();
    tally();
  } catch (e) {
    link("gone", e.message);
    setTimeout(begin, 3 * second);
  }
}

begin();
