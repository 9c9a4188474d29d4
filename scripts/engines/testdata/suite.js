// What the tests ask of a page, in every engine alike.

/** What went wrong in the page, as it sees it: not every engine tells of its console. */
const complaints = [];
addEventListener("securitypolicyviolation", (e) => complaints.push(`${e.violatedDirective} forbids ${e.blockedURI}`), true);
addEventListener("error", (e) => complaints.push(e.message ?? `${e.target.src ?? e.target.href} did not load`), true);
addEventListener("unhandledrejection", (e) => complaints.push(String(e.reason)));
for (const level of ["error", "warn"]) {
  const say = console[level];
  console[level] = (...words) => (complaints.push(words.join(" ")), say.apply(console, words));
}

/** How many tokens the conversation had. */
let tokens = 0;

/** Starts the conversation that what follows is about. */
async function begin(worker) {
  tokens = 1; // It is received before a listener can be added.
  globalThis.conversation = await Conversation.start({ worker });
  conversation.session.addEventListener("token", ({ detail }) => (tokens += detail.action === "received"));
}

/** Has the emulator make trouble while the model answers; gives why the connection was dialled that comes then. */
async function suffer(kind) {
  const dialled = conversation.causes.length;
  await conversation.tell();
  await conversation.emulator("fault", { kind });
  await conversation.until(() => conversation.causes.length > dialled && conversation.session.state === "live");
  await conversation.hear();
  return conversation.causes[dialled];
}

/** Sessions that are open at the emulator. */
async function open() {
  const { sessions } = await (await fetch("/__emulator/sessions")).json();
  return sessions.filter(({ state }) => state === "open").length;
}

/** Does what must not be: resolves when the page heard of it. */
async function complain() {
  console.error("on purpose");
  setTimeout(() => {
    throw new Error("on purpose");
  });
  document.body.append(Object.assign(new Image(), { src: "data:image/gif," }));
  await until(() => complaints.length === 4); // The last one is that the picture did not load.
}

/** Resolves when it holds; not all that is waited for comes with an event. */
async function until(holds) {
  for (const patience = performance.now() + 20_000; !holds(); ) {
    if (performance.now() > patience) throw new Error(`waited in vain for ${holds}; heard was ${complaints}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
