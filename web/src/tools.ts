// Runs the functions that the model calls. What becomes of a call over a cut is
// the engine's business: one that is made again is seen here only if the first
// answer was not to serve it, too.

import { toToolResponse } from "./convert";
import { misuse } from "./errors";
import type * as api from "/livevalet.js";

type Within = <T>(work: () => T | PromiseLike<T>) => Promise<T>;
type Handler = api.ToolHandler<never>;

/** Hands a toolResponse to the engine; with rerun it does not serve a call that is made again. */
type Send = (message: Record<string, unknown>, rerun: boolean) => Promise<void>;

const defaultTimeout = 60_000;

/** A browser's timer that is longer fires at once. */
const longestTimer = 2 ** 31 - 1;

export class Tools implements api.Tools {
  #send: Send;
  #added = new Map<string, { tool: Handler }>();
  /** The calls that want an answer, by id. */
  #running = new Map<string, AbortController>();

  constructor(send: Send) {
    this.#send = send;
  }

  add<Args extends object>(tool: api.ToolHandler<Args>): () => void {
    check(tool);
    const { name } = tool;
    if (this.#added.has(name)) throw misuse(`${name} has a handler: call the function that add returned for it first`);
    const added = { tool };
    this.#added.set(name, added);
    return () => {
      if (this.#added.get(name) === added) this.#added.delete(name);
    };
  }

  /** The model calls. What has no handler is left to the application. */
  called(calls: api.FunctionCall[] = []): void {
    for (const { id, name = "", args = {} } of calls) {
      const added = this.#added.get(name);
      if (id && added) void this.#run(added.tool, id, args as never);
    }
  }

  /** A call that ended wants no answer any more. */
  follow({ id, state }: api.ToolCallDetail): void {
    if (state !== "called") this.#abort(id, `the call was ${state}`);
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
    } catch (error) {
      last = message({ error: error instanceof Error ? error.message : String(error) });
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
  return new Promise((resolve, reject) => {
    const { signal } = abort;
    signal.throwIfAborted();
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    const expire = () => abort.abort(new DOMException(`${name} took longer than ${timeout / 1000} s`, "TimeoutError"));
    const timer = timeout > longestTimer ? undefined : setTimeout(expire, timeout);
    (async () => work())().then(resolve, reject).finally(() => clearTimeout(timer));
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
  if ("declaration" in tool) throw misuse("tool.declaration has no place here: declare functions in the profile, in config.tools, or with session.update");
}
