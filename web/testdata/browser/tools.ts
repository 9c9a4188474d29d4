import type { FunctionCall, Session, ToolHandler } from "/livevalet.js";
import { within } from "./api";
import { after, same, test, thrown, until } from "./harness";

/** A session whose engine does what the test says, and the responses that reach it. */
async function table(use: (session: Session, responses: any[], emit: (event: object) => Promise<void>) => Promise<void>, worker = true): Promise<void> {
  await within({ worker }, async (session) => {
    const responses: any[] = [];
    session.addEventListener("message", ({ detail }) => {
      const { echo, rerun } = detail as { echo?: any; rerun?: boolean };
      for (const one of echo?.toolResponse?.functionResponses ?? []) responses.push(rerun ? { ...one, rerun } : one);
    });
    await use(session, responses, (event) => session.sendRealtimeInput({ text: `!emit ${JSON.stringify(event)}` }));
  });
}

function calls(...functionCalls: FunctionCall[]): object {
  return { type: "message", message: { toolCall: { functionCalls } } };
}

function ends(id: string, state: string): object {
  return { type: "toolcall", id, name: "f", state, repeated: false };
}

const never = () => new Promise<never>(() => {});

/** What one call of a tool is answered with. */
const answers: [what: string, tool: Partial<ToolHandler<any>>, response: object, args?: Record<string, unknown>][] = [
  ["an object is the response", { handler: ({ zone }) => ({ output: zone, at: 12 }) }, { output: "CET", at: 12 }, { zone: "CET" }],
  ["a text is the output", { handler: async () => "12:05" }, { output: "12:05" }],
  ["so is a list", { handler: () => [1, null] }, { output: [1, null] }],
  ["and a date", { handler: () => new Date(0) }, { output: "1970-01-01T00:00:00.000Z" }],
  ["and null", { handler: () => null }, { output: null }],
  ["nothing is an empty response", { handler: () => undefined }, {}],
  ["arguments may be missing", { handler: (args) => args }, {}],
  ["what is thrown is the error", { handler: () => { throw new Error("no such zone"); } }, { error: "no such zone" }],
  ["what is rejected, too", { handler: () => Promise.reject("no") }, { error: "no" }],
  ["what is no JSON is an error", { handler: () => 1n }, { error: "response.functionResponses.response.output is a bigint that cannot be sent: remove it" }],
  ["a handler that takes too long is an error", { handler: never, timeout: 20 }, { error: "f took longer than 0.02 s" }],
  ["one that may take for ever is none", { handler: () => after(20).then(() => "late"), timeout: Infinity }, { output: "late" }],
  ["a call that is approved runs", { approve: async (args) => args.yes, handler: () => "ran" }, { output: "ran" }, { yes: true }],
  ["one that is not does not", { approve: () => false, handler: () => "ran" }, { error: "f was not allowed to run" }],
  ["a doubtful yes is a no", { approve: (args) => args.yes, handler: () => "ran" }, { error: "f was not allowed to run" }, { yes: "yes" }],
  ["an approval that throws is a no", { approve: () => { throw new Error("oops"); }, handler: () => "ran" }, { error: "f was not allowed to run" }],
  ["one that takes too long is a no", { approve: never, handler: () => "ran", timeout: 20 }, { error: "f was not allowed to run" }],
];

for (const [what, tool, response, args] of answers) {
  test(`tools: ${what}`, () =>
    table(async (session, responses, emit) => {
      session.tools.add({ name: "f", handler: never, ...tool });
      await emit(calls({ id: "c1", name: "f", args }));
      await until(() => responses.length > 0, "a response");
      same(responses, [{ id: "c1", name: "f", response }]);
    }));
}

for (const worker of [true, false]) {
  test(`tools ${worker ? "in a Worker" : "on the page"}: calls run side by side, and what has no handler is left alone`, () =>
    table(async (session, responses, emit) => {
      const seen: string[] = [];
      session.addEventListener("message", ({ detail }) => seen.push(...(detail.toolCall?.functionCalls ?? []).map(({ name }) => name!)));
      let free = (_: string) => {};
      session.tools.add({ name: "slow", rerun: true, handler: () => new Promise((resolve) => (free = resolve)) });
      session.tools.add({ name: "fast", handler: () => free("you are free") });
      await emit(calls({ id: "1", name: "slow" }, { id: "2", name: "yours" }, { id: "3", name: "fast" }));
      await until(() => responses.length === 2, "both responses");
      const told = responses.sort((a, b) => a.id - b.id);
      same(told, [{ id: "1", name: "slow", response: { output: "you are free" }, rerun: true }, { id: "3", name: "fast", response: {} }]);
      same(seen, ["slow", "yours", "fast"]);
    }, worker));
}

test("tools: a call that ended is aborted, and nothing is sent for it", () =>
  table(async (session, responses, emit) => {
    const ended: string[] = [];
    session.tools.add({
      name: "f",
      handler: (_, { id, signal }) =>
        new Promise((resolve) =>
          signal.addEventListener("abort", () => {
            ended.push(`${id}: ${signal.reason.name}, ${signal.reason.message}`);
            resolve("too late");
          }),
        ),
    });
    await emit(calls(...["1", "2", "3", "4"].map((id) => ({ id, name: "f" }))));
    await emit(ends("1", "cancelled"));
    await emit(ends("2", "orphaned"));
    await emit(ends("3", "answered")); // by the application itself
    await until(() => ended.length === 3, "the aborts");
    same(ended, ["1: AbortError, the call was cancelled", "2: AbortError, the call was orphaned", "3: AbortError, the call was answered"]);
    await session.close();
    same(ended[3], "4: AbortError, the session has ended");
    same(responses, []);
  }));

test("tools: who follows the calls is told what was thrown", () =>
  table(async (session, responses, emit) => {
    const ended: unknown[] = [];
    session.addEventListener("toolcall", ({ detail: { id, error } }) => ended.push(id, error));
    const thrown = [new Error("no such zone"), "no"];
    session.tools.add({ name: "f", handler: () => { if (thrown.length > 0) throw thrown.shift(); } });
    const [error] = thrown;
    await emit(calls(...["1", "2", "3"].map((id) => ({ id, name: "f" }))));
    await until(() => responses.length === 3, "the responses");
    for (const id of ["1", "2", "3", "1"]) await emit(ends(id, "answered"));
    same(ended.map(String), ["1", "Error: no such zone", "2", "Error: no", "3", "undefined", "1", "undefined"]);
    same(ended[1] === error, true, "the error itself");
  }));

test("tools: time that is up aborts, an end after the answer does not", () =>
  table(async (session, responses, emit) => {
    const signals: AbortSignal[] = [];
    session.tools.add({ name: "f", timeout: 50, handler: ({ wait }, { signal }) => (signals.push(signal), wait ? never() : "done") });
    await emit(calls({ id: "1", name: "f", args: { wait: true } }, { id: "2", name: "f" }));
    await until(() => responses.length === 2, "both responses");
    await emit(ends("2", "orphaned"));
    same([signals[0]!.reason.name, signals[1]!.aborted], ["TimeoutError", false]);
  }));

test("tools: a call that is withdrawn before it was allowed does not run", () =>
  table(async (session, responses, emit) => {
    let allow = (_: boolean) => {};
    let ran = false;
    session.tools.add({ name: "f", approve: () => new Promise((resolve) => (allow = resolve)), handler: () => (ran = true) });
    await emit(calls({ id: "1", name: "f" }));
    await emit(ends("1", "cancelled"));
    allow(true);
    await after(0);
    await emit(ends("another", "orphaned")); // comes back after all that was sent before
    same([ran, responses.length], [false, 0]);
  }));

test("tools: what is called when the application has hung up does not run", () =>
  table(async (session, responses, emit) => {
    let ran = false;
    let signal: AbortSignal | undefined;
    session.tools.add({ name: "f", handler: () => (ran = true) });
    session.tools.add({ name: "slow", handler: (_, call) => (({ signal } = call), never()) });
    await emit(calls({ id: "1", name: "slow" }));
    void emit(calls({ id: "2", name: "f" }));
    const closed = session.close();
    same(signal!.reason.message, "the session has ended");
    await closed;
    same([ran, responses.length], [false, 0]);
  }));

test("tools: a generator answers several times, and may say when", () =>
  table(async (session, responses, emit) => {
    session.tools.add({
      name: "f",
      async *handler(_, { answer }) {
        yield answer("half", "SILENT");
        yield { progress: 0.9 };
        return answer({ output: "whole" }, "INTERRUPT");
      },
    });
    await emit(calls({ id: "1", name: "f" }));
    await until(() => responses.length === 3, "three responses");
    const more = { id: "1", name: "f", willContinue: true };
    same(responses, [
      { ...more, response: { output: "half" }, scheduling: "SILENT" },
      { ...more, response: { progress: 0.9 } },
      { id: "1", name: "f", response: { output: "whole" }, scheduling: "INTERRUPT" },
    ]);
  }));

test("tools: a generator that just ends makes the model say nothing", () =>
  table(async (session, responses, emit) => {
    session.tools.add({ name: "f", async *handler() { yield "all"; } });
    await emit(calls({ id: "1", name: "f" }));
    await until(() => responses.length === 2, "two responses");
    same(responses[1], { id: "1", name: "f", response: {}, scheduling: "SILENT" });
  }));

test("tools: a generator that fails ends with the error", () =>
  table(async (session, responses, emit) => {
    session.tools.add({ name: "f", async *handler() { yield 1; throw new Error("lost"); } });
    await emit(calls({ id: "1", name: "f" }));
    await until(() => responses.length === 2, "two responses");
    same(responses[1], { id: "1", name: "f", response: { error: "lost" } });
  }));

test("tools: a generator that goes on for long leaves nothing with its signal", () =>
  table(async (session, responses, emit) => {
    const listening = new Set();
    session.tools.add({
      name: "f",
      async *handler(_, { signal }) {
        const { addEventListener, removeEventListener } = signal;
        Object.assign(signal, {
          addEventListener: (...args: any) => (listening.add(args[1]), addEventListener.apply(signal, args)),
          removeEventListener: (...args: any) => (listening.delete(args[1]), removeEventListener.apply(signal, args)),
        });
        for (let i = 0; i < 50; i++) yield i;
      },
    });
    await emit(calls({ id: "1", name: "f" }));
    await until(() => responses.length === 51, "its end");
    same(listening.size, 0);
  }));

test("tools: a generator whose call ended is finished", () =>
  table(async (session, responses, emit) => {
    let step = () => {};
    let finished = false;
    session.tools.add({
      name: "f",
      async *handler() {
        try {
          for (;;) {
            yield "tick";
            await new Promise<void>((resolve) => (step = resolve));
          }
        } finally {
          finished = true;
        }
      },
    });
    await emit(calls({ id: "1", name: "f" }));
    await until(() => responses.length === 1, "a response");
    await emit(ends("1", "cancelled"));
    await until(() => (step(), finished), "its end");
    same(responses.length, 1);
  }));

test("tools: a handler is added once, and can be removed", () =>
  table(async (session, responses, emit) => {
    const tool = { name: "f", handler: () => "first" };
    const remove = session.tools.add(tool);
    same(thrown(() => session.tools.add(tool)).code, "invalid_request");
    remove();
    session.tools.add({ ...tool, handler: () => "second" });
    remove(); // is over already
    await emit(calls({ id: "1", name: "f" }));
    await until(() => responses.length === 1, "a response");
    same(responses[0].response, { output: "second" });
  }));

test("tools: declarations that come with handlers are told beside those of the configuration", () =>
  within({ profile: "open", config: { tools: [{ googleSearch: {} }, { functionDeclarations: [{ name: "e" }] }] } }, async (session) => {
    const updates: any[] = [];
    session.addEventListener("message", ({ detail }) => {
      const { updated } = detail as { updated?: any };
      if (updated) updates.push(updated.tools.map((tool: any) => tool.functionDeclarations?.map(({ name }: any) => name) ?? Object.keys(tool)[0]));
    });
    const f = session.tools.add({ name: "f", handler: never, declaration: { description: "does f" } });
    session.tools.add({ name: "g", handler: never, declaration: { name: "g" } });
    await session.tools.add({ name: "known", handler: never }).declared;
    await f.declared;
    await session.update({ tools: [{ functionDeclarations: [{ name: "d" }] }] });
    f();
    await until(() => updates.length === 3, "three updates");
    same(updates, [["googleSearch", ["e"], ["f", "g"]], [["d"], ["f", "g"]], [["d"], ["g"]]]);
  }));

test("tools: a declaration that is refused is not told again, and its handler stays", () =>
  table(async (session, responses, emit) => {
    const { declared } = session.tools.add({ name: "f", handler: () => "ran", declaration: {} });
    same(await declared.catch(({ code }) => code), "locked");
    await emit(calls({ id: "1", name: "f" }));
    await until(() => responses.length === 1, "a response");
    same(responses[0].response, { output: "ran" });
  }));

for (const [what, tool] of Object.entries<any>({
  "nothing": undefined,
  "no name": { handler: never },
  "no handler": { name: "f" },
  "an approval that is no function": { name: "f", handler: never, approve: true },
  "a time-out of zero": { name: "f", handler: never, timeout: 0 },
  "a time-out that is no number": { name: "f", handler: never, timeout: NaN },
  "a declaration that is none": { name: "f", handler: never, declaration: "f" },
  "a declaration of another": { name: "f", handler: never, declaration: { name: "g" } },
})) {
  test(`tools: ${what} is refused`, () =>
    table(async (session) => {
      const { code, message } = thrown(() => session.tools.add(tool));
      same(code, "invalid_request");
      same(/^tool\.[\w.]+ must be/.test(message), true, message);
    }));
}
