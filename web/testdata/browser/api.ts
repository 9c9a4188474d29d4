import { connect, LiveValetError, preload, Session } from "/livevalet.js";
import type { ConnectOptions } from "/livevalet.js";
import { after, fail, rejection, same, strayErrors, test, thrown, until } from "./harness";
import { journal } from "./tokens";

type Module = typeof import("/livevalet.js");

performance.setResourceTimingBufferSize(10_000); // of which a test counts some, after many others

let variants = 0;

/** The bundle as another kind of server gives it, with its own module state. */
function variant(kind: string, origin = location.origin): Promise<Module> {
  return import(`${origin}/variant/${kind}/${++variants}/livevalet.js`);
}

/** Runs with a session and closes it. */
export async function within(options: ConnectOptions, use: (session: Session) => Promise<void>): Promise<void> {
  const session = await connect({ token: "/token/echo", ...options });
  try {
    await use(session);
  } finally {
    await session.close();
  }
}

function events(session: Session): [string, any][] {
  const seen: [string, any][] = [];
  for (const type of ["status", "message", "resumed", "goaway", "token", "dropped", "transcript", "usage", "emptyturn", "stalled", "sessioncap", "crashed", "closed"] as const) {
    session.addEventListener(type, (event) => seen.push([type, event.detail]));
  }
  return seen;
}

/** The newest message that has a field, once there is one. */
async function messageWith(seen: [string, any][], field: string): Promise<any> {
  const newest = () => seen.filter(([type, detail]) => type === "message" && field in detail).at(-1)?.[1];
  await until(newest, `a message with ${field}`);
  return newest();
}

/** Both ways of running the engine. */
for (const worker of [true, false]) {
  const how = worker ? "in a Worker" : "on the page";

  test(`${how}: connect resolves when live, and what came before is delivered then`, async () => {
    const calls: string[] = [];
    const callbacks = { onopen: () => calls.push("open"), onmessage: () => calls.push("message"), onclose: () => calls.push("close") };
    await within({ worker, callbacks }, async (session) => {
      calls.push("connected");
      same(session.state, "live");
      same(session instanceof Session && session instanceof EventTarget, true);
      const seen = events(session);
      const { opened } = await messageWith(seen, "opened");
      same(opened.profile, "default");
      same(seen.map(([type]) => type), ["status", "token", "token", "status", "message"]);
      same(seen[0]![1], { state: "connecting", cause: "start" });
      same(seen[1]![1].action, "received");
    });
    same(calls, ["open", "connected", "message", "close"]);
  });

  test(`${how}: model, config and profile reach the engine in wire form`, async () => {
    const config = { responseModalities: ["AUDIO"], systemInstruction: "Be brief." };
    await within({ worker, model: "gemini-x", profile: "other", config }, async (session) => {
      const { opened } = await messageWith(events(session), "opened");
      same(opened, {
        profile: "other",
        model: "models/gemini-x",
        setup: {
          systemInstruction: { role: "user", parts: [{ text: "Be brief." }] },
          generationConfig: { responseModalities: ["AUDIO"] },
        },
      });
    });
  });

  test(`${how}: the first token is asked once, and the engine gets that answer`, async () => {
    await within({ worker, profile: `first-${worker}` }, async (session) => {
      const { reply } = await messageWith(events(session), "reply");
      same(JSON.parse(reply.body).body, { profile: `first-${worker}` });
      same((await journal()).filter(({ body }) => body?.profile === `first-${worker}`).length, 1);
    });
  });

  test(`${how}: a renewal asks with lease and headers`, async () => {
    await within({ worker, token: { url: "/token/echo", headers: { authorization: "Bearer w" } } }, async (session) => {
      const seen = events(session);
      await messageWith(seen, "opened");
      await session.sendRealtimeInput({ text: "!renew" });
      await until(() => seen.filter(([, detail]) => detail.reply).length === 2, "the renewal");
      const { body, authorization } = JSON.parse((await messageWith(seen, "reply")).reply.body);
      same([body, authorization], [{ leaseId: "lease-1", reason: "renew" }, "Bearer w"]);
    });
  });

  test(`${how}: functions run on the page, for every token`, async () => {
    const needs: string[] = [];
    const token = async (need: any) => {
      needs.push(`${need.reason} ${need.profile} ${need.leaseId}`);
      return { token: "t", websocketUrl: "wss://x", n: needs.length };
    };
    await within({ worker, token }, async (session) => {
      const seen = events(session);
      const { age, ...reply } = (await messageWith(seen, "reply")).reply;
      same(reply, { grant: { token: "t", websocketUrl: "wss://x", n: 1 } });
      same(age >= 0 && age < 60_000, true); // and no time of day
      await session.sendRealtimeInput({ text: "!renew" });
      await until(() => needs.length === 2, "the renewal");
      same(needs, ["start default undefined", "renew default lease-1"]);
    });
  });

  test(`${how}: a withdrawn request is aborted on the page`, async () => {
    let aborted = false;
    let calls = 0;
    const token = ({ signal }: any) =>
      ++calls === 1
        ? Promise.resolve({ token: "t", websocketUrl: "wss://x" })
        : new Promise<never>((_, reject) =>
            signal.addEventListener("abort", () => {
              aborted = true;
              reject(signal.reason);
            }),
          );
    await within({ worker, token }, async (session) => {
      await session.sendRealtimeInput({ text: "!renew" });
      await until(() => calls === 2, "the renewal");
      await session.sendRealtimeInput({ text: "!stop asking" });
      await until(() => aborted, "the abort");
    });
  });

  test(`${how}: a grant that cannot be cloned is no answer`, async () => {
    const token = async () => ({ token: "t", websocketUrl: "wss://x", handler() {} });
    const error = await rejection(connect({ worker, token }));
    same([error.code, error.phase], ["network", "token"]);
  });

  test(`${how}: messages of all kinds are sent in wire form`, async () => {
    await within({ worker }, async (session) => {
      const seen = events(session);
      await session.sendClientContent({ turns: "Hello" });
      await session.sendToolResponse({ functionResponses: { id: "1", name: "f", response: {} } });
      await session.sendRealtimeInput({ text: "Hi" });
      await until(() => seen.filter(([, detail]) => detail.echo).length === 3, "three echoes");
      same(seen.filter(([, detail]) => detail.echo).map(([, detail]) => Object.keys(detail.echo)[0]), [
        "clientContent", "toolResponse", "realtimeInput",
      ]);
    });
  });

  test(`${how}: server messages have the SDK's getters`, async () => {
    const messages: any[] = [];
    await within({ worker, callbacks: { onmessage: (message) => messages.push(message) } }, async (session) => {
      void session.sendRealtimeInput({ text: "Hi" });
      await until(() => messages.some(({ serverContent }) => serverContent?.turnComplete), "the turn");
      const spoken = messages.find(({ data }) => data !== undefined);
      same([spoken.text, spoken.data], [undefined, spoken.serverContent.modelTurn.parts[0].inlineData.data]);
    });
  });

  test(`${how}: news reach the application as events`, async () => {
    await within({ worker }, async (session) => {
      const seen = events(session);
      await messageWith(seen, "opened");
      seen.length = 0;
      for (const command of ["!goaway", "!resume", "!drop"]) await session.sendRealtimeInput({ text: command });
      await until(() => seen.some(([type]) => type === "dropped"), "the last event");
      same(seen.filter(([type]) => type !== "message"), [
        ["goaway", { timeLeft: 10_000 }],
        ["status", { state: "connecting", cause: "cut" }],
        ["status", { state: "live", cause: "cut" }],
        ["resumed", { rung: "handle", restored: "full", replayed: 0, uncertain: 0, lostAudioMs: 0, gapMs: 84, cause: "cut" }],
        ["dropped", { ms: 340 }],
      ]);
    });
  });

  test(`${how}: what the engine makes out of messages reaches the application`, async () => {
    await within({ worker }, async (session) => {
      const seen = events(session);
      await session.sendRealtimeInput({ text: "!truths" });
      await until(() => seen.some(([type]) => type === "sessioncap"), "the last event");
      const told = seen.filter(([type]) => !["message", "status", "token"].includes(type));
      const counts = told[1]![1].reported;
      same([counts.promptTokenCount, counts.responseTokenCount, counts.totalTokenCount], [1, 2, 3]);
      same(told, [
        ["transcript", { id: "1", who: "user", text: "Wh", final: false }],
        ["usage", { reported: counts, connection: counts, conversation: counts }],
        ["emptyturn", {}],
        ["stalled", { ended: false, waitedMs: 8_000 }],
        ["sessioncap", { msLeft: 60_000, video: false }],
      ]);
    });
  });

  test(`${how}: a send that is refused rejects, ignored or not`, async () => {
    await within({ worker }, async (session) => {
      void session.sendRealtimeInput({ text: "!refuse" });
      const error = await rejection(session.sendRealtimeInput({ text: "!refuse" }));
      same([error instanceof LiveValetError, error.code, error.closeCode], [true, "quota", 1011]);
    });
  });

  test(`${how}: what waits to be sent rejects when the session ends, ignored or not`, async () => {
    const session = await connect({ worker, token: "/token/echo" });
    void session.sendRealtimeInput({ text: "!hold" });
    const held = session.sendRealtimeInput({ text: "!hold" });
    await session.close();
    same((await rejection(held)).code, "aborted");
    void session.sendRealtimeInput({ text: "too late" });
    same((await rejection(session.sendRealtimeInput({ text: "too late" }))).code, "aborted");
  });

  test(`${how}: close may be called any number of times, and onclose comes once`, async () => {
    const closes: CloseEvent[] = [];
    const session = await connect({ worker, token: "/token/echo", callbacks: { onclose: (event) => closes.push(event) } });
    const seen = events(session);
    await Promise.all([session.close(), session.close()]);
    await session.close();
    same(session.state, "closed");
    same(seen.slice(-2), [["status", { state: "closed", cause: "closed" }], ["closed", {}]]);
    same(closes.map(({ code, wasClean }) => [code, wasClean]), [[1000, true]]);
  });

  test(`${how}: a session that fails tells why, once`, async () => {
    const calls: any[] = [];
    const session = await connect({
      worker,
      token: "/token/echo",
      callbacks: { onerror: (event) => calls.push(event.error.code), onclose: (event) => calls.push(event.code, event.reason) },
    });
    const seen = events(session);
    void session.sendRealtimeInput({ text: "!fail" });
    await until(() => session.state === "closed" && calls.length > 0, "the end");
    await session.close();
    same(calls, ["quota", 1011, "RESOURCE_EXHAUSTED"]);
    same(seen.at(-1)![1].error instanceof LiveValetError, true);
  });

  test(`${how}: connect rejects with what the engine says`, async () => {
    const calls: string[] = [];
    const callbacks = { onopen: () => calls.push("open"), onerror: () => calls.push("error"), onclose: () => calls.push("close") };
    const error = await rejection(connect({ worker, token: "/token/echo", profile: "refused", callbacks }));
    same([error.code, error.phase, error.closeCode, error.retryable], ["quota", "setup", 1011, true]);
    same(calls, ["error", "close"]);
  });

  for (const [what, text, message] of [
    ["throws", "!throw", "Error"],
    ["exits", "!exit", "the engine stopped"],
    ["panics", "!panic", "panic of type string"],
  ] as const) {
    test(`${how}: an engine that ${what} has crashed: told once, and its lease given back`, async () => {
      const calls: any[] = [];
      const lease = `lease-${text}-${worker}`;
      const session = await connect({
        worker,
        token: `/token/grant?lease=${lease}`,
        callbacks: { onerror: (event) => calls.push(event.error.code), onclose: () => calls.push("close") },
      });
      const seen = events(session);
      const waiting = session.sendRealtimeInput({ text: "!hold" });
      const error = await rejection(session.sendRealtimeInput({ text }).then(() => waiting));
      same([error.code, error.phase, error.retryable], ["crashed", "live", true]);
      same((await rejection(waiting)).code, "crashed");
      same(session.state, "closed");
      await session.close();
      same(calls, ["crashed", "close"]);
      const end = seen.filter(([type, { state }]) => type === "crashed" || type === "closed" || state === "closed");
      same(end.map(([type]) => type), ["crashed", "status", "closed"]);
      same([end[0]![1].message, end[0]![1].stack.includes("threw")], [message, false]);
      await until(async () => (await journal()).some(({ path, body }) => path === "/token/release" && body.leaseId === lease), "the release");
      await (await connect({ worker, token: "/token/echo" })).close();
    });
  }

  test(`${how}: an update reaches the engine in wire form, and settles as it says`, async () => {
    const session = await connect({ worker, token: "/token/echo" });
    const seen = events(session);
    await session.update({ systemInstruction: "Be brief.", tools: undefined });
    same((await messageWith(seen, "updated")).updated, { systemInstruction: { role: "user", parts: [{ text: "Be brief." }] } });
    const error = await rejection(session.update({ tools: [{ functionDeclarations: [{ name: "f", parameters: { type: "object" } }] }] }));
    same([error.name, error.code, error.phase, error.retryable], ["LiveValetError", "locked", "live", false]);
    await until(() => seen.some(([, { updated }]) => updated?.tools), "the tools");
    same(seen.at(-1)![1].updated, { tools: [{ functionDeclarations: [{ name: "f", parameters: { type: "OBJECT" } }] }] });
    for (const wrong of [{}, { tools: undefined }, { temperature: 1 }, { tools: [], model: "m" }, { tools: {} }, null] as any[]) {
      same(thrown(() => session.update(wrong)).code, "invalid_request");
    }
    await session.close();
    same((await rejection(session.update({ tools: [] }))).code, "aborted");
  });

  test(`${how}: an engine that crashes while connecting fails connect`, async () => {
    same((await rejection(connect({ worker, token: "/token/echo", profile: "throw" }))).code, "crashed");
  });

  test(`${how}: an exception of a callback disturbs nobody else`, async () => {
    const callbacks = {
      onmessage() {
        throw new Error("a bug of the page");
      },
    };
    await within({ worker, callbacks }, async (session) => {
      const seen = events(session);
      await messageWith(seen, "opened");
    });
    same(strayErrors(), ["uncaught: Uncaught Error: a bug of the page"]);
  });

  test(`${how}: a page that wakes up wakes the engine`, async () => {
    await within({ worker }, async (session) => {
      const seen = events(session);
      document.dispatchEvent(new Event("visibilitychange"));
      await messageWith(seen, "woken");
    });
  });

  test(`${how}: another network, or a return from the page cache, makes the engine doubt its line`, async () => {
    for (const event of [new Event("online"), new PageTransitionEvent("pageshow", { persisted: true })]) {
      await within({ worker }, async (session) => {
        const seen = events(session);
        dispatchEvent(event);
        await messageWith(seen, "doubted");
      });
    }
  });

  test(`${how}: a lease is released by the page`, async () => {
    await within({ worker, token: { url: "/token/echo", headers: { authorization: `Bearer ${how}` } } }, async (session) => {
      await session.sendRealtimeInput({ text: "!release" });
      await until(
        async () => (await journal()).some(({ path, authorization }) => path === "/token/release" && authorization === `Bearer ${how}`),
        "the release",
      );
    });
  });

  for (const [kind, code, retryable] of [
    ["no-worker", "network", true],
    ["html-worker", "network", true],
    ["no-wasm", "network", true],
    ["garbage-wasm", "crashed", false],
    ["foreign-wasm", "crashed", true],
  ] as const) {
    test(`${how}: a bundle with ${kind} fails connect with ${code}`, async () => {
      const { connect } = await variant(kind);
      const error = await rejection(connect({ worker, token: "/token/echo" }));
      same([error.name, error.code, error.phase, error.retryable], ["LiveValetError", code, "setup", retryable]);
    });
  }

  test(`${how}: a server without the wasm type is good enough`, async () => {
    const { connect } = await variant("untyped-wasm");
    await (await connect({ worker, token: "/token/echo" })).close();
  });

  test(`${how}: abort ends connect while the engine loads, and gives the lease back`, async () => {
    const { connect } = await variant("stuck-wasm");
    const abort = new AbortController();
    const lease = `lease-abort-${worker}`;
    const token = async () => ({ token: "t", websocketUrl: "wss://x", leaseId: lease, releaseUrl: new URL("/token/release", location.origin).href });
    const connecting = connect({ worker, token, signal: abort.signal });
    await after(0); // Then it was granted.
    abort.abort();
    const error = await rejection(connecting);
    same([error.code, error.phase], ["aborted", "setup"]);
    await until(async () => (await journal()).some(({ path, body }) => path === "/token/release" && body.leaseId === lease), "the release");
  });

  test(`${how}: abort ends connect while the token is fetched, and the request with it`, async () => {
    const abort = new AbortController();
    const connecting = connect({ worker, token: `/token/slow?abort=${worker}`, signal: abort.signal });
    await until(async () => (await journal()).some(({ query }) => query === `abort=${worker}`), "the request");
    abort.abort();
    same((await rejection(connecting)).code, "aborted");
    await until(async () => (await journal()).some(({ query, gone }) => query === `abort=${worker}` && gone), "its end");
  });

  test(`${how}: abort ends connect while the engine connects`, async () => {
    const calls: string[] = [];
    const callbacks = { onerror: () => calls.push("error"), onclose: () => calls.push("close") };
    const abort = new AbortController();
    const needs: string[] = [];
    const token = async ({ reason }: any) => {
      needs.push(reason);
      return { token: "t", websocketUrl: "wss://x" };
    };
    const connecting = connect({ worker, token, profile: "silent", signal: abort.signal, callbacks });
    await until(() => needs.includes("refused"), "the engine");
    abort.abort();
    const error = await rejection(connecting);
    same([error.code, error.phase], ["aborted", "dial"]);
    await after(50); // The engine says that it has ended, too.
    same([calls, needs], [["error", "close"], ["start", "refused"]]);
  });

  test(`${how}: a signal has no say once connect has settled`, async () => {
    const abort = new AbortController();
    await within({ worker, signal: abort.signal }, async (session) => {
      abort.abort();
      await session.sendRealtimeInput({ text: "still here" });
      same(session.state, "live");
    });
  });
}

test("connect asks for the token before the engine has loaded", async () => {
  const { connect } = await variant("stuck-wasm");
  const abort = new AbortController();
  const connecting = connect({ token: "/token/echo?early", signal: abort.signal });
  await until(async () => (await journal()).some(({ query }) => query === "early"), "the request");
  abort.abort();
  await rejection(connecting);
});

test("an aborted signal opens nothing", async () => {
  same((await rejection(connect({ token: "/token/echo?never", signal: AbortSignal.abort() }))).code, "aborted");
  await after(50);
  same((await journal()).some(({ query }) => query === "never"), false);
});

for (const [what, options] of [
  ["a function in the config", { config: { tools: [{ functionDeclarations: [{ name: "f", handler() {} }] }] } }],
  ["an empty profile", { profile: "" }],
  ["a model that is no string", { model: 5 }],
  ["a token option that is none", { token: 5 }],
  ["a signal that is none", { signal: {} }],
] as [string, any][]) {
  test(`misuse opens nothing: ${what}`, async () => {
    let opened = false;
    const RealWorker = Worker;
    (globalThis as any).Worker = class {
      constructor() {
        opened = true;
      }
    };
    try {
      const error = await rejection(connect({ token: "/token/echo?misuse", ...options }));
      same([error.code, error.phase, error.retryable, opened], ["invalid_request", "setup", false, false]);
    } finally {
      globalThis.Worker = RealWorker;
    }
    same((await journal()).some(({ query }) => query === "misuse"), false);
  });
}

test("a misused send throws at once", async () => {
  await within({}, async (session) => {
    same(thrown(() => session.sendRealtimeInput({})).code, "invalid_request");
    same(thrown(() => session.sendToolResponse({ functionResponses: [] })).code, "invalid_request");
    same(session.state, "live");
  });
});

const otherOrigin = location.origin.replace("127.0.0.1", "localhost");

test("a bundle from another origin is one typed error that names the fix", async () => {
  const foreign = await variant("plain", otherOrigin);
  for (const start of [() => foreign.connect({ token: "/token/echo?foreign" }), () => foreign.preload()]) {
    const error = await rejection(start());
    same([error.name, error.code, error.phase], ["LiveValetError", "invalid_request", "setup"]);
    if (!error.message.includes(`serve the bundle's files from ${location.origin}`)) fail(error.message);
  }
  same((await journal()).some(({ query }) => query === "foreign"), false);
});

test("a bundle from another origin works without a Worker", async () => {
  const foreign = await variant("plain", otherOrigin);
  await (await foreign.connect({ worker: false, token: "/token/echo" })).close();
});

test("preload readies a Worker that the next connect takes, and the module is compiled once", async () => {
  const RealWorker = Worker;
  let workers = 0;
  (globalThis as any).Worker = class extends RealWorker {
    constructor(...given: ConstructorParameters<typeof Worker>) {
      super(...given);
      workers++;
    }
  };
  try {
    const { connect, preload } = await variant("plain");
    await Promise.all([preload(), preload()]);
    same(workers, 1, "workers after preload");
    await (await connect({ token: "/token/echo" })).close();
    same(workers, 1, "workers after connect");
    await (await connect({ token: "/token/echo" })).close();
    same(workers, 2, "workers after another connect");
    const loads = performance.getEntriesByType("resource").filter(({ name }) => name.includes(`/plain/${variants}/engine.wasm`));
    same(loads.length, 1, "loads of the module");
  } finally {
    globalThis.Worker = RealWorker;
  }
});

test("a Worker that crashes while it waits is not taken", async () => {
  const RealWorker = Worker;
  const workers: Worker[] = [];
  (globalThis as any).Worker = class extends RealWorker {
    constructor(...given: ConstructorParameters<typeof Worker>) {
      super(...given);
      workers.push(this);
    }
  };
  try {
    const { connect, preload } = await variant("plain");
    await preload();
    workers[0]!.dispatchEvent(new ErrorEvent("error", { message: "out of memory" }));
    await (await connect({ token: "/token/echo" })).close();
    same(workers.length, 2);
  } finally {
    globalThis.Worker = RealWorker;
  }
});

test("a failed preload may be ignored, and connect tries again", async () => {
  const { connect, preload } = await variant("late-wasm");
  void preload();
  same((await rejection(preload())).code, "network");
  await (await connect({ token: "/token/echo" })).close();
});

test("preload of the default bundle works", () => preload());

test("a Worker ends with its session", async () => {
  const RealWorker = Worker;
  let ended = 0;
  (globalThis as any).Worker = class extends RealWorker {
    override terminate(): void {
      ended++;
      super.terminate();
    }
  };
  try {
    const { connect } = await variant("plain");
    await (await connect({ token: "/token/echo" })).close();
    same(ended, 1);
  } finally {
    globalThis.Worker = RealWorker;
  }
});

test("close settles although the engine does not answer", async () => {
  const session = await connect({ token: "/token/echo", profile: "deaf" });
  const seen = events(session);
  await session.close();
  same(seen.at(-1), ["closed", {}]);
});

test("connect settles although the engine never loads", async () => {
  const { connect } = await variant("stuck-wasm");
  const real = setTimeout;
  (globalThis as any).setTimeout = (act: () => void, ms: number) => real(act, ms / 1_000);
  try {
    const error = await rejection(connect({ token: "/token/echo" }));
    same([error.code, error.phase, error.retryable], ["timeout", "setup", true]);
  } finally {
    globalThis.setTimeout = real;
  }
});
