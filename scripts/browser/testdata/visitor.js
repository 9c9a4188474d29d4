// What a page may do with the public API in the wrong order, at the wrong time, or
// twice. Whatever a page leaves behind can be seen in `left`.

const left = { granted: [], released: [], timers: new Set(), streams: [] };

/** How many microphones are open. */
const microphones = () => left.streams.filter(({ active }) => active).length;

{
  const { fetch, setTimeout, clearTimeout } = globalThis;
  globalThis.fetch = async (url, init) => {
    const { pathname } = new URL(url, location.href);
    if (pathname.endsWith("/release")) left.released.push(JSON.parse(init.body).leaseId);
    const answer = await fetch(url, init);
    const text = answer.text.bind(answer);
    answer.text = async () => { // A request that is aborted gives none.
      const body = await text();
      if (pathname === "/v1/token" && answer.ok) left.granted.push(JSON.parse(body).leaseId);
      return body;
    };
    return answer;
  };
  const { mediaDevices } = navigator;
  const getUserMedia = mediaDevices.getUserMedia.bind(mediaDevices);
  mediaDevices.getUserMedia = async (wishes) => {
    const stream = await getUserMedia(wishes);
    left.streams.push(stream);
    return stream;
  };
  globalThis.setTimeout = (act, ms) => {
    const id = setTimeout(() => {
      left.timers.delete(id);
      act();
    }, ms);
    left.timers.add(id);
    return id;
  };
  globalThis.clearTimeout = (id) => {
    left.timers.delete(id);
    clearTimeout(id);
  };
}

const { connect } = await import("/livevalet.js");

/** The end of a promise, in a word. */
const outcome = (promise) => promise.then(() => "done", ({ code, phase, closeCode }) => [code, phase, closeCode].join(" ").trim());

/** What a component does in an effect, and in its cleanup. */
function mount(options) {
  const abort = new AbortController();
  const session = connect({ ...options, signal: abort.signal });
  const unmount = () => {
    abort.abort();
    session.then((s) => s.close(), () => {});
  };
  return { session, unmount };
}

/** Gives up once something is done. */
function abortAfter(done) {
  const abort = new AbortController();
  done.then(() => abort.abort());
  return abort.signal;
}

/** Each ends with what the page holds then: sessions that it closes by close. */
const visits = {
  async "connect, abort and connect in one task"(options) {
    const abort = new AbortController();
    const first = connect({ ...options, signal: abort.signal });
    abort.abort();
    const second = connect(options);
    return { told: await outcome(first), open: [await second] };
  },
  async "mount, unmount and mount, as React does it"(options) {
    const first = mount(options);
    first.unmount();
    const second = mount(options);
    return { told: await outcome(first.session), open: [await second.session] };
  },
  async "mount, unmount and mount, with a microphone"(options) {
    const first = mount({ ...options, microphone: true });
    first.unmount();
    const second = mount({ ...options, microphone: true });
    const [told, session] = [await outcome(first.session), await second.session];
    await session.microphone.start();
    return { told: [told, microphones()].join(), open: [session] };
  },
  async "mount, and mount again before the other is unmounted"(options) {
    const [first, second] = [mount(options), mount(options)];
    await first.session;
    first.unmount();
    return { told: await outcome(first.session), open: [await second.session] };
  },
  async "abort in onopen"(options) {
    const abort = new AbortController();
    const calls = [];
    const callbacks = { onopen: () => (calls.push("open"), abort.abort()), onclose: () => calls.push("close") };
    const told = await outcome(connect({ ...options, callbacks, signal: abort.signal }));
    return { told: [told, ...calls].join(), open: [] };
  },
  async "abort at any time"(options) {
    const told = new Set();
    for (let ms = 0; ms < 300; ms += 20) {
      const { session, unmount } = mount(options);
      setTimeout(unmount, ms);
      told.add((await outcome(session)).split(" ")[0]);
    }
    return { told: told.has("aborted") && told.size <= 2 ? "aborted" : [...told].join(), open: [] };
  },
  async "close twice"(options) {
    const session = await connect(options);
    await Promise.all([session.close(), session.close()]);
    return { told: [await outcome(session.close()), session.state].join(), open: [] };
  },
  async "close in an event"(options) {
    const session = await connect(options);
    const closed = new Promise((resolve) => session.addEventListener("message", () => resolve(session.close()), { once: true }));
    return { told: await outcome(closed), open: [] };
  },
  async "changes of connection, and a new session"(options) {
    const calls = [];
    const callbacks = { onopen: () => calls.push("open"), onclose: ({ code }) => calls.push(code), onerror: () => calls.push("error") };
    const session = await connect({ ...options, callbacks });
    const event = (type) => new Promise((resolve) => session.addEventListener(type, ({ detail }) => resolve(detail), { once: true }));
    const fault = (kind) => fetch("/__emulator/fault", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ kind }) });
    for (const kinds of [["goaway"], ["drop"], ["forget-handle", "drop"]]) {
      await session.sendRealtimeInput({ text: "empty turn" });
      await event("emptyturn");
      const resumed = event("resumed");
      for (const kind of kinds) await fault(kind);
      calls.push((await resumed).rung);
    }
    await session.close();
    await session.close();
    return { told: calls.join(), open: [] };
  },
};

/** Calls from wherever a page may call; the click is a person's. */
async function callFromEverywhere(options) {
  const session = await connect({ ...options, config: { outputAudioTranscription: {} } });
  const sent = {};
  const say = (from) => (sent[from] ??= session.sendRealtimeInput({ text: `remember ${from}` }));
  session.addEventListener("message", () => {
    say("message event");
    sent["tool response"] ??= session.sendToolResponse({ functionResponses: [{ id: "none", name: "f", response: {} }] });
  });
  session.addEventListener("transcript", () => say("transcript event"));
  session.addEventListener("usage", () => say("usage event"));
  const button = Object.assign(document.createElement("button"), { id: "say", textContent: "say", onclick: () => say("click") });
  document.body.append(button);
  const clicked = new Promise((resolve) => button.addEventListener("click", resolve));
  addEventListener("message", ({ data }) => data === "say" && say("posted message"));
  postMessage("say", location.origin);
  Promise.resolve().then(() => say("promise"));
  queueMicrotask(() => say("microtask"));
  await clicked;
  const all = ["message event", "transcript event", "usage event", "click", "posted message", "promise", "microtask", "tool response"];
  while (all.some((from) => !(from in sent))) await new Promise((resolve) => setTimeout(resolve, 10));
  const told = [];
  for (const from of all) told.push(await outcome(sent[from]));
  button.remove();
  await session.close();
  return told.join();
}

Object.assign(globalThis, { left, microphones, connect, outcome, abortAfter, visits, callFromEverywhere });
