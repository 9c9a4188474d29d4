// The engine's host: starts the Go module, opens one session and passes
// everything on. As a Worker's script it serves the page that started the
// Worker; with `worker: false` the page imports it and calls serve itself.

import "wasm_exec.js";
import type { Engine, EngineSession, Host, TokenReply, TokenRequest } from "./engine";
import type { FromHost, Port, ToHost } from "./messages";
import { tokenSource, type Endpoint } from "./tokens";

interface Question {
  resolve(reply: TokenReply): void;
  reject(reason: unknown): void;
}

export function serve(port: Port): void {
  const post = (message: FromHost) => port.postMessage(message);
  const questions = new Map<number, Question>();
  let asked = 0;
  let engine: Engine | undefined;
  let session: EngineSession | undefined;
  let gone = false;

  function crash(reason: unknown): void {
    if (gone) return;
    gone = true;
    post({ type: "crashed", message: reason instanceof Error ? reason.message : String(reason) });
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
    return (request, signal) => (asked === 0 ? askPage : ask)(request, signal);
  }

  function take(message: ToHost): void {
    switch (message.type) {
      case "engine":
        start(message.module, crash).then((started) => {
          engine = started;
          post({ type: "ready" });
        }, crash);
        return;
      case "open":
        session = engine!.open(message.options, {
          token: tokens(message.endpoint),
          release: (url, leaseId) => post({ type: "release", url, leaseId }),
          emit(event) {
            // After its last event a session must not be called any more.
            if (event.type === "closed") gone = true;
            post({ type: "event", event });
          },
        });
        return;
      case "send":
        return session!.send(message.id, message.message, message.rerun);
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
      crash(error);
    }
  };
}

/** Runs the Go program and resolves with what it announces. An end at any time is a crash. */
async function start(module: WebAssembly.Module, crash: (reason: unknown) => void): Promise<Engine> {
  // A trap, or a timer that fires after the program's end, throws out of here.
  class Program extends Go {
    override _resume(): void {
      try {
        super._resume();
      } catch (error) {
        crash(error);
      }
    }
  }
  const program = new Program();
  const instance = await WebAssembly.instantiate(module, program.importObject);
  return new Promise((resolve) => {
    globalThis.livevaletAnnounce = (engine) => {
      delete globalThis.livevaletAnnounce;
      resolve(engine);
    };
    program.run(instance).then(() => crash("the engine stopped"), crash);
  });
}

if ("DedicatedWorkerGlobalScope" in globalThis) serve(globalThis as unknown as Port);
