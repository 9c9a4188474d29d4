// The page's line to an engine: loads the module once per page, starts a host
// for each session and says in one way how that failed.

import { LiveValetError, misuse } from "./errors";
import type { FromHost, Port, ToHost } from "./messages";

/** Longest wait for the worker and the wasm; a slow phone needs about 20 s. */
const loadLimit = 60_000;

/** One host of the engine. It serves one session, then it is ended: wasm memory never shrinks. */
export class Link {
  /** Resolves when the engine takes a session; rejects with a LiveValetError. */
  readonly ready: Promise<void>;
  /** What the host says after it is ready, a crash included. */
  receive: (message: FromHost) => void = () => {};

  #post: (message: ToHost, transfer: Transferable[]) => void = () => {};
  #stop: () => void = () => {};
  #isReady = false;
  #resolve!: () => void;
  #reject!: (error: LiveValetError) => void;

  constructor(inWorker: boolean) {
    this.ready = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    const limit = setTimeout(() => this.#fail("timeout", "the engine did not load within 60 s: check the network"), loadLimit);
    this.ready.finally(() => clearTimeout(limit)).catch(() => {});

    try {
      if (inWorker) this.#startWorker();
      else this.#startHere();
    } catch {
      this.#fail("network", notLoaded(__WORKER_FILE__)); // The page's policy forbids Workers.
    }
    compiled().then((module) => this.post({ type: "engine", module }), (error) => this.#reject(error));
  }

  post(message: ToHost, transfer: Transferable[] = []): void {
    this.#post(message, transfer);
  }

  /** Ends the host at once. */
  end(): void {
    this.receive = () => {};
    this.#reject(new LiveValetError({ code: "aborted", phase: "setup", message: "loading was given up", retryable: true }));
    this.#stop();
    this.#post = () => {};
  }

  #startWorker(): void {
    const worker = new Worker(fileURL(__WORKER_FILE__), { type: "module", name: "livevalet" });
    worker.onerror = (event) => {
      event.preventDefault();
      // A script that did not load gives an event without a message.
      if (event.message) this.#take({ type: "crashed", message: "an exception in the Worker", stack: `${event.filename}:${event.lineno}` });
      else this.#fail("network", notLoaded(__WORKER_FILE__));
    };
    this.#attach(worker, () => worker.terminate());
  }

  #startHere(): void {
    const { port1, port2 } = new MessageChannel();
    this.#attach(port1, () => port1.close());
    import(fileURL(__WORKER_FILE__).href).then(
      (host: typeof import("./worker")) => host.serve(port2),
      () => this.#fail("network", notLoaded(__WORKER_FILE__)),
    );
  }

  #attach(port: Port, stop: () => void): void {
    port.onmessage = ({ data }) => this.#take(data as FromHost);
    this.#post = (message, transfer) => port.postMessage(message, transfer);
    this.#stop = stop;
  }

  #take(message: FromHost): void {
    if (message.type === "ready") {
      this.#isReady = true;
      this.#resolve();
    } else if (message.type === "crashed" && !this.#isReady) {
      this.#fail("crashed", `the engine did not start (${message.message}): deploy all files of the bundle together`);
    } else {
      this.receive(message);
    }
  }

  /** Matters only until the engine is ready. */
  #fail(code: string, message: string): void {
    this.#reject(new LiveValetError({ code, phase: "setup", message, retryable: true }));
  }
}

let spare: Link | undefined;

/** Readies a host for the next takeLink. */
export function keepSpare(): Promise<void> {
  if (spare === undefined) {
    const link = new Link(true);
    const discard = () => {
      link.end();
      if (spare === link) spare = undefined;
    };
    link.ready.catch(discard);
    link.receive = discard; // Nothing but a crash comes before a session.
    spare = link;
  }
  return spare.ready;
}

export function takeLink(inWorker: boolean): Link {
  if (!inWorker || spare === undefined) return new Link(inWorker);
  const link = spare;
  spare = undefined;
  return link;
}

/** Throws if a browser would refuse to start our Worker. */
export function checkOrigin(): void {
  const { origin } = fileURL(__WORKER_FILE__);
  if (origin !== location.origin) {
    throw misuse(
      `livevalet.js was loaded from ${origin}, but browsers start Workers only from the page's own origin: ` +
        `serve the bundle's files from ${location.origin}, or pass worker: false`,
    );
  }
}

let module: Promise<WebAssembly.Module> | undefined;

/** The module, fetched and compiled once per page; a failure is tried again by the next caller. */
function compiled(): Promise<WebAssembly.Module> {
  if (module === undefined) {
    module = compile();
    module.catch(() => (module = undefined));
  }
  return module;
}

async function compile(): Promise<WebAssembly.Module> {
  try {
    const answer = await fetch(fileURL(__WASM_FILE__));
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    // Streaming wants this very type; servers that do not know it are common.
    if (answer.headers.get("content-type") === "application/wasm") return await WebAssembly.compileStreaming(answer);
    return await WebAssembly.compile(await answer.arrayBuffer());
  } catch (error) {
    const { message } = error as Error;
    throw error instanceof WebAssembly.CompileError
      ? new LiveValetError({
          code: "crashed",
          phase: "setup",
          message: `${__WASM_FILE__} does not compile (${message}): deploy it anew, and allow 'wasm-unsafe-eval' in script-src`,
          retryable: false,
        })
      : new LiveValetError({
          code: "network",
          phase: "setup",
          message: `${notLoaded(__WASM_FILE__)} (${message})`,
          retryable: true,
        });
  }
}

function notLoaded(file: string): string {
  return `${file} did not load: check the network, serve it beside livevalet.js, and allow its origin in the page's policy`;
}

/** The address of a file of the bundle. */
export function fileURL(name: string): URL {
  return new URL(name, import.meta.url);
}
