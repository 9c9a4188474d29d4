// Runs the functions that the model calls. What becomes of a call over a cut is
// the engine's business: one that is made again is seen here only if the first
// answer was not to serve it, too.

import { toToolResponse } from "./convert";
import { misuse } from "./errors";
import type * as api from "/livevalet.js";

type Within = <T>(work: () => T | PromiseLike<T>) => Promise<T>;
type Handler = api.ToolHandler<never>;

/** Has a session use these tools from its next quiet moment on. */
type Use = (tools: api.Tool[]) => Promise<void>;

/** Hands a toolResponse to the engine; with rerun it does not serve a call that is made again. */
type Send = (message: Record<string, unknown>, rerun: boolean) => Promise<void>;

const defaultTimeout = 60_000;

/** A browser's timer that is longer fires at once. */
const longestTimer = 2 ** 31 - 1;

interface Added {
  tool: Handler;
  /** Absent if the model knows the function otherwise, or may not. */
  declaration?: api.FunctionDeclaration | undefined;
  /** The model knows the declaration. */
  declared?: true;
}

export class Tools implements api.Tools {
  #send: Send;
  #use: Use;
  /** What the application declared without a handler. */
  #configured: api.Tool[];
  #added = new Map<string, Added>();
  #declaring: Promise<void> | undefined;
  /** The calls that want an answer, by id. */
  #running = new Map<string, AbortController>();
  /** Why the model was told an error, by the id of a call that has not ended. */
  #failed = new Map<string, Error>();

  constructor(send: Send, use: Use, configured: api.Tool[]) {
    this.#send = send;
    this.#use = use;
    this.#configured = configured;
  }

  add<Args extends object>(tool: api.ToolHandler<Args>): api.AddedTool {
    check(tool);
    const { name } = tool;
    if (this.#added.has(name)) throw misuse(`${name} has a handler: call the function that add returned for it first`);
    const added: Added = { tool, declaration: tool.declaration && { ...tool.declaration, name } };
    this.#added.set(name, added);
    const remove = () => {
      if (this.#added.get(name) !== added) return;
      this.#added.delete(name);
      if (added.declaration) void this.#declare();
    };
    return Object.assign(remove, { declared: added.declaration ? this.#declare() : Promise.resolve() });
  }

  /** What a session is to use whose application changes its tools to these. */
  beside(configured: api.Tool[]): api.Tool[] {
    const own = [...this.#added.values()].flatMap(({ declaration }) => declaration ?? []);
    return own.length === 0 ? configured : [...configured, { functionDeclarations: own }];
  }

  set configured(tools: api.Tool[]) {
    this.#configured = tools;
  }

  /** Declares what there is a moment later: all that is added at once costs one change. */
  #declare(): Promise<void> {
    if (this.#declaring) return this.#declaring;
    const declared = Promise.resolve().then(async () => {
      this.#declaring = undefined;
      const all = [...this.#added.values()];
      try {
        await this.#use(this.beside(this.#configured));
        for (const added of all) added.declared = true;
      } catch (error) {
        // Or no other tool could be declared any more.
        for (const added of all) if (!added.declared) added.declaration = undefined;
        throw error;
      }
    });
    declared.catch(() => {});
    return (this.#declaring = declared);
  }

  /** The model calls. What has no handler is left to the application. */
  called(calls: api.FunctionCall[] = []): void {
    for (const { id, name = "", args = {} } of calls) {
      const added = this.#added.get(name);
      if (id && added) void this.#run(added.tool, id, args as never);
    }
  }

  /** A call that ended wants no answer any more. Gives what the application is to know of it. */
  follow(call: api.ToolCallDetail): api.ToolCallDetail {
    const { id, state } = call;
    if (state === "called") return call;
    this.#abort(id, `the call was ${state}`);
    const error = this.#failed.get(id);
    this.#failed.delete(id);
    return error ? { ...call, error } : call;
  }

  close(): void {
    this.#added.clear();
    for (const id of this.#running.keys()) this.#abort(id, "the session has ended");
  }

  #abort(id: string, why: string): void {
    const abort = this.#running.get(id);
    this.#running.delete(id);
    abort?.abort(new DOMException(why, "AbortError"));
  }

  async #run(tool: Handler, id: string, args: never): Promise<void> {
    const { name, rerun = false, timeout = defaultTimeout } = tool;
    const abort = new AbortController();
    this.#running.set(id, abort);
    this.#failed.delete(id);
    const call: api.ToolCall = { id, name, signal: abort.signal, answer: (result, scheduling) => new Answer(result, scheduling) };
    const within: Within = (work) => limit(timeout, name, abort, work);
    const message = (result: unknown, willContinue?: true) =>
      toToolResponse({ functionResponses: { id, name, ...toResponse(result), willContinue } });

    let last: Record<string, unknown>;
    try {
      // What is no clear yes is a no.
      if (tool.approve && (await within(() => tool.approve!(args, call)).catch(() => false)) !== true) {
        throw new Error(`${name} was not allowed to run`);
      }
      let result = await within(() => tool.handler(args, call));
      if (isGenerator(result)) result = await exhaust(result, within, (part) => this.#send(message(part, true), rerun));
      last = message(result);
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown : new Error(String(thrown));
      if (this.#running.has(id)) this.#failed.set(id, error);
      last = message({ error: error.message });
    }
    if (this.#running.delete(id)) void this.#send(last, rerun);
  }
}

/** What a generator returns; what it yields goes to sendPart, no faster than the line takes it. */
async function exhaust(
  generator: AsyncGenerator,
  within: Within,
  sendPart: (part: unknown) => Promise<void>,
): Promise<unknown> {
  try {
    for (;;) {
      const { done, value } = await within(() => generator.next());
      // An empty end would make the model speak, were it not silent (documented).
      if (done) return value === undefined ? new Answer({}, "SILENT") : value;
      await sendPart(value);
    }
  } finally {
    generator.return(undefined).catch(() => {});
  }
}

/** What work gives, unless the signal is aborted first, or the time is up, which aborts it. */
function limit<T>(timeout: number, name: string, abort: AbortController, work: () => T | PromiseLike<T>): Promise<T> {
  const { signal } = abort;
  let quit = () => {};
  const limited = new Promise<T>((resolve, reject) => {
    signal.throwIfAborted();
    quit = () => reject(signal.reason);
    signal.addEventListener("abort", quit);
    (async () => work())().then(resolve, reject);
  });
  const expire = () => abort.abort(new DOMException(`${name} took longer than ${timeout / 1000} s`, "TimeoutError"));
  const timer = timeout > longestTimer ? undefined : setTimeout(expire, timeout);
  // A generator comes here for each of its steps, with one signal.
  return limited.finally(() => {
    clearTimeout(timer);
    signal.removeEventListener("abort", quit);
  });
}

class Answer implements api.ToolAnswer {
  constructor(
    readonly result: unknown,
    readonly scheduling?: api.Scheduling,
  ) {}
}

/** An object as it is, anything else as the output. */
function toResponse(value: unknown): api.FunctionResponse {
  const { result, scheduling } = value instanceof Answer ? value : new Answer(value);
  const object = typeof result === "object" && result !== null && !Array.isArray(result) && !("toJSON" in result);
  return { response: object ? (result as Record<string, unknown>) : { output: result }, scheduling };
}

function isGenerator(value: unknown): value is AsyncGenerator {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value && "return" in value;
}

function check(tool: Handler): void {
  const { name, handler, approve, timeout = defaultTimeout } = tool ?? {};
  if (typeof name !== "string" || name === "") throw misuse("tool.name must be the name of a declared function");
  if (typeof handler !== "function") throw misuse("tool.handler must be a function");
  if (approve !== undefined && typeof approve !== "function") throw misuse("tool.approve must be a function");
  if (!(timeout > 0)) throw misuse("tool.timeout must be a number of milliseconds above zero");
  checkDeclaration(tool);
}

function checkDeclaration({ name, declaration }: Handler): void {
  if (declaration === undefined) return;
  if (typeof declaration !== "object" || declaration === null) throw misuse("tool.declaration must be a FunctionDeclaration");
  if ((declaration.name ?? name) !== name) throw misuse("tool.declaration.name must be the tool's, or left out");
}
