// The engine's host: starts the Go module, opens one session and passes
// everything on. As a Worker's script it serves the page that started the
// Worker; with `worker: false` the page imports it and calls serve itself.

import "wasm_exec.js";
import type { Engine, EngineSession, Failure, Host, TokenReply, TokenRequest } from "./engine";
import type { FromHost, Port, ToHost } from "./messages";
import { toVideo } from "./sight/jpeg";
import { Capture } from "./sound/capture";
import { Playback } from "./sound/playback";
import { leaseOf, marksActivity, tokenSource, type Endpoint } from "./tokens";

/** What matters here of a BidiGenerateContentSetup. */
interface Setup {
  historyConfig?: { initialHistoryInClientContent?: boolean };
  realtimeInputConfig?: { automaticActivityDetection?: { disabled?: boolean } };
}

interface Question {
  resolve(reply: TokenReply): void;
  reject(reason: unknown): void;
}

/** The id of what this host sends by itself: the page's begin at 1. */
const own = 0;

const unsent: Failure = { code: "aborted", phase: "live", message: "the camera was stopped", retryable: false };
const noPicture: Failure = { code: "unsupported", phase: "live", message: "the browser made no JPEG of the picture", retryable: true };

export function serve(port: Port): void {
  const post = (message: FromHost) => port.postMessage(message, []);
  const playback = new Playback(post);
  const capture = new Capture(playback, (ms) => post({ type: "event", event: { type: "dropped", ms } }));
  const questions = new Map<number, Question>();
  let asked = 0;
  let engine: Engine | undefined;
  let session: EngineSession | undefined;
  let setup: Setup = {};
  let manual: boolean | undefined;
  let historyTold = false;
  /** The newest, until the camera is stopped. */
  let picture: number | undefined;
  let lease: ReturnType<typeof leaseOf>;
  let gone = false;

  /** The engine cannot tell its own end, nor give its lease back. */
  function crash(message: string, stack: string): void {
    if (gone) return;
    end();
    if (lease) post({ type: "release", ...lease });
    post({ type: "crashed", message, stack });
    session?.close(); // in vain, unless it was not the engine that threw
  }

  function end(): void {
    gone = true;
    capture.close();
    playback.silence();
  }

  /** Has the session hear the microphone, once it is known who marks activity; not before the history that it announces. */
  function record(): void {
    if (manual !== undefined && historyTold) capture.open((message) => session!.send(own, message), manual);
  }

  function askPage(request: TokenRequest, signal: AbortSignal): Promise<TokenReply> {
    return new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const id = ++asked;
      questions.set(id, { resolve, reject });
      post({ type: "token", id, request });
      signal.addEventListener("abort", () => {
        if (questions.delete(id)) post({ type: "abort-token", id });
        reject(signal.reason);
      });
    });
  }

  /** The page began with the first request before this host existed, so it has the answer to that one. */
  function tokens(endpoint: Endpoint | undefined): Host["token"] {
    const ask = endpoint === undefined ? askPage : tokenSource(endpoint);
    return async (request, signal) => {
      const reply = await (asked === 0 ? askPage : ask)(request, signal);
      const granted = leaseOf(reply);
      if (granted && granted.leaseId !== lease?.leaseId) {
        lease = granted;
        post({ type: "lease", ...lease });
      }
      manual = marksActivity(reply, setup);
      record();
      return reply;
    };
  }

  function take(message: ToHost): void {
    switch (message.type) {
      case "engine":
        start(message.module, crash).then((started) => {
          engine = started;
          post({ type: "ready" });
        }, (error) => crash(...told(error)));
        return;
      case "open":
        setup = message.options.setup as Setup;
        historyTold = !setup.historyConfig?.initialHistoryInClientContent;
        session = engine!.open(message.options, {
          token: tokens(message.endpoint),
          release: (url, leaseId) => post({ type: "release", url, leaseId }),
          emit(event) {
            // After its last event a session must not be called any more.
            if (event.type === "closed") end();
            const seen = playback.hear(event);
            if (seen && (seen.type !== "sent" || seen.id !== own)) post({ type: "event", event: seen });
          },
        });
        return;
      case "send":
        session!.send(message.id, message.message, message.rerun);
        historyTold ||= (message.message.clientContent as { turnComplete?: boolean } | undefined)?.turnComplete === true;
        record();
        return;
      case "picture": {
        const id = (picture = message.id);
        const refuse = (failure: Failure) => post({ type: "event", event: { type: "sent", id, failure } });
        toVideo(message).then(
          (video) => gone || (picture === id ? session!.send(id, video) : refuse(unsent)),
          () => refuse(noPicture),
        );
        return;
      }
      case "no-picture":
        picture = undefined;
        return session!.dropPicture();
      case "rest": {
        const { id } = message;
        setTimeout(() => post({ type: "event", event: { type: "sent", id } }), message.ms);
        return;
      }
      case "microphone":
        return capture.listen(message.port);
      case "gate":
        capture.gated = message.on;
        return;
      case "speaker":
        return playback.speak(message.port, message.copy);
      case "no-speaker":
        return playback.silence();
      case "update":
        return session!.update(message.id, message.setup);
      case "stay":
        return session!.stay();
      case "wake":
        return session!.wake();
      case "doubt":
        return session!.doubt();
      case "close":
        return session!.close();
      case "token":
        return answer(message.id)?.resolve(message.reply);
      case "no-token":
        return answer(message.id)?.reject(new Error(message.message));
    }
  }

  function answer(id: number): Question | undefined {
    const question = questions.get(id);
    questions.delete(id);
    return question;
  }

  port.onmessage = ({ data }) => {
    if (gone) return;
    try {
      take(data as ToHost);
    } catch (error) {
      crash(...told(error));
    }
  };
}

type Crash = (message: string, stack: string) => void;

/** Runs the Go program and resolves with what it announces. An end at any time is a crash. */
async function start(module: WebAssembly.Module, crash: Crash): Promise<Engine> {
  const program = new Program(crash);
  const instance = await WebAssembly.instantiate(module, program.importObject);
  return new Promise((resolve) => {
    globalThis.livevaletAnnounce = (engine) => {
      delete globalThis.livevaletAnnounce;
      resolve(engine);
    };
    void program.run(instance);
  });
}

/**
 * The Go program. It catches its panics, but not a trap or what Go's runtime takes
 * for fatal (memory, deadlock). Such an end is told once; what the program has
 * left behind is ended too, or calls in vain.
 */
class Program extends Go {
  #crash: Crash;
  #held: unknown[] = [];
  #ended = false;

  constructor(crash: Crash) {
    super();
    this.#crash = crash;
  }

  override async run(instance: WebAssembly.Instance): Promise<void> {
    try {
      const exit = super.run(instance);
      this.#held = this._values ?? [];
      await exit;
      this.#end("the engine stopped", "");
    } catch (error) {
      this.#end(...told(error));
    }
  }

  override _resume(): void {
    if (this.#ended) return;
    try {
      super._resume();
    } catch (error) {
      this.#end(...told(error));
    }
  }

  #end(message: string, stack: string): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const timer of this._scheduledTimeouts.values()) clearTimeout(timer);
    this._scheduledTimeouts.clear(); // wasm_exec.js resumes in a loop while its timer is in there
    for (const held of this.#held) if (held instanceof WebSocket) held.close(1000);
    this.#held = [];
    this.#crash(message, stack);
  }
}

/** What can be told of an exception. Its text may hold anything, unless it is the browser's own about wasm. */
function told(error: unknown): [message: string, stack: string] {
  if (!(error instanceof Error)) return ["an exception", ""];
  const { RuntimeError, LinkError, CompileError } = WebAssembly;
  const harmless = [RuntimeError, LinkError, CompileError, RangeError].some((kind) => error instanceof kind);
  const stack = (error.stack ?? "").replace(String(error), "").trim();
  return [harmless ? String(error) : error.name, error.message && stack.includes(error.message) ? "" : stack];
}

if ("DedicatedWorkerGlobalScope" in globalThis) serve(globalThis as unknown as Port);
