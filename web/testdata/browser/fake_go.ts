// Stands in for wasm_exec.js: a "Go program" that announces an engine made of
// TypeScript. What it does is asked for by the profile and by texts that begin
// with "!", so that nothing but the public API drives it.

import type { Engine, EngineEvent, EngineSession, Failure, Host, OpenOptions, TokenReply, TokenRequest } from "../../src/engine";

const failure: Failure = {
  code: "quota", phase: "setup", message: "the project's quota is used up: try again later", retryable: true,
  closeCode: 1011, reason: "RESOURCE_EXHAUSTED",
};

class FakeGo {
  importObject = {};
  _scheduledTimeouts = new Map();
  _values = [];
  #end!: () => void;
  #ended = new Promise<void>((resolve) => (this.#end = resolve));

  run(): Promise<void> {
    const engine: Engine = { open: (options, host) => open(options, host, () => this.#exit()) };
    setTimeout(() => globalThis.livevaletAnnounce!(engine));
    return this.#ended;
  }

  /** Leaves a timer behind, as real programs do. */
  #exit(): void {
    const late = setTimeout(() => {
      this._resume();
      if (this._scheduledTimeouts.has(1)) throw new Error("a timer is called again and again");
    }, 20);
    this._scheduledTimeouts.set(1, late);
    this.#end();
  }

  _resume(): void {}
}

function open(options: OpenOptions, host: Host, exit: () => void): EngineSession {
  if (options.profile === "throw") throw new Error("open threw");
  const abort = new AbortController();
  let closed = false;
  let granted: any;

  const ask = (request: TokenRequest) => host.token(request, abort.signal);
  const say = (message: Record<string, unknown>) => host.emit({ type: "message", message });
  const content = (serverContent: object) => say({ serverContent });

  function end(failure?: Failure): void {
    if (closed) return;
    closed = true;
    abort.abort();
    host.emit({ type: "status", state: "closed", cause: failure ? "failed" : "closed" });
    host.emit({ type: "closed", failure });
  }

  async function begin(): Promise<void> {
    host.emit({ type: "status", state: "connecting", cause: "start" });
    if (options.profile === "silent") return void ask({ reason: "refused", profile: options.profile }).catch(() => {});
    let reply: TokenReply;
    try {
      granted = reply = await ask({ reason: "start", profile: options.profile });
    } catch (error) {
      return end({ code: "network", phase: "token", message: String(error), retryable: true });
    }
    if (options.profile === "refused") return end(failure);
    host.emit({
      type: "token", action: "received", profile: options.profile, model: options.model ?? "models/fake-live", lock: "masked",
      expiresIn: 720_000, renewIn: 540_000, connectionFor: 600_000,
    });
    host.emit({
      type: "token", action: "opened", profile: options.profile, model: options.model ?? "models/fake-live", lock: "masked",
      expiresIn: 720_000, renewIn: 540_000, connectionFor: 600_000,
    });
    host.emit({ type: "status", state: "live", cause: "start" });
    say({ setupComplete: {}, opened: { ...options }, reply });
  }

  const commands: Record<string, () => void> = {
    "!throw": () => {
      throw new Error("send threw");
    },
    "!exit": () => exit(),
    "!panic": () => {
      host.release(new URL("/token/release", self.location.origin).href, JSON.parse(granted.body).leaseId);
      host.emit({ type: "crashed", message: "panic of type string", stack: "main.main (main_js.go:1)" });
      end({ code: "crashed", phase: "live", message: "session ended", retryable: true });
    },
    "!fail": () => end(failure),
    "!renew": () =>
      void ask({ reason: "renew", profile: options.profile, url: new URL("/token/renew", self.location.origin).href, leaseId: "lease-1" }).then(
        (reply) => say({ reply }),
        (error) => say({ failed: String(error) }),
      ),
    "!refused": () =>
      void ask({ reason: "refused", profile: options.profile }).then(
        (reply) => say({ reply }),
        (error) => say({ failed: String(error) }),
      ),
    "!stop asking": () => abort.abort(),
    "!release": () => host.release(new URL("/token/release", self.location.origin).href, "lease-1"),
    "!goaway": () => host.emit({ type: "goaway", timeLeft: 10_000 }),
    "!interrupt": () => content({ interrupted: true }),
    "!drop": () => host.emit({ type: "dropped", ms: 340 }),
    "!resume": () => {
      host.emit({ type: "status", state: "connecting", cause: "cut" });
      host.emit({ type: "status", state: "live", cause: "cut" });
      host.emit({
        type: "resumed", rung: "handle", restored: "full", replayed: 0, uncertain: 0, lostAudioMs: 0, gapMs: 84, cause: "cut",
      });
    },
    "!cut": () => {
      tell("model", "Once");
      tell("model", "Once", { final: true, cut: true });
      const regenerates = `${utterances}`;
      tell("model", "Once more, ", { regenerates });
      tell("model", "Once more, whole.", { final: true, regenerates });
    },
    "!truths": () => {
      const counts = {
        promptTokenCount: 1, cachedContentTokenCount: 0, responseTokenCount: 2, toolUsePromptTokenCount: 0, thoughtsTokenCount: 0, totalTokenCount: 3,
      };
      tell("user", "Wh");
      host.emit({ type: "usage", reported: counts, connection: counts, conversation: counts });
      host.emit({ type: "emptyturn" });
      host.emit({ type: "stalled", ended: false, waitedMs: 8_000 });
      host.emit({ type: "sessioncap", msLeft: 60_000, video: false });
    },
    "!wait": () => host.emit({ type: "status", state: "waiting", cause: "retry", retryIn: 2_000 }),
  };

  /** Nothing is sent any more, nor refused. */
  let deaf = false;
  let utterances = 0;
  type Told = Partial<Extract<EngineEvent, { type: "transcript" }>>;
  const tell = (who: "user" | "model", text: string, more: Told = {}) =>
    host.emit({ type: "transcript", id: `${more.final && !more.typed ? utterances : ++utterances}`, who, text, final: false, ...more });

  /** A turn of the model: two fragments of caption and 300 ms of sound. */
  function answer(text: string): void {
    tell("user", text, { final: true, typed: true });
    content({ outputTranscription: { text: `You said: ` } });
    tell("model", "You said: ");
    content({ modelTurn: { parts: [{ inlineData: { mimeType: "audio/pcm;rate=24000", data: tone(300) } }] } });
    content({ outputTranscription: { text } });
    content({ generationComplete: true });
    content({ turnComplete: true });
    tell("model", `You said: ${text}`, { final: true });
  }

  setTimeout(() => void begin());
  return {
    send(id, message, rerun) {
      const text = (message.realtimeInput as { text?: string } | undefined)?.text;
      if (text === "!throw") commands[text]!();
      setTimeout(() => {
        deaf ||= text === "!deaf";
        if (text === "!hold" || deaf || closed) return;
        if (text === "!refuse") return host.emit({ type: "sent", id, failure });
        const event = text?.startsWith("!emit ") && JSON.parse(text.slice(6));
        if (event) host.emit(event); // the page has it once that is sent
        host.emit({ type: "sent", id });
        if (event) return;
        say({ echo: message, rerun });
        if (text !== undefined && Object.hasOwn(commands, text)) commands[text]!();
        else if (text !== undefined) answer(text);
      });
    },
    update: (id, setup) =>
      setTimeout(() => {
        if (closed) return;
        host.emit({ type: "sent", id, ...("tools" in setup && options.profile !== "open" && { failure: { code: "locked", phase: "live", message: "the token fixes it", retryable: false } }) });
        say({ updated: setup });
      }),
    dropPicture: () => setTimeout(() => say({ pictureDropped: true })),
    stay: () => setTimeout(() => say({ stayed: true })),
    wake: () => setTimeout(() => say({ woken: true })),
    doubt: () => setTimeout(() => say({ doubted: true })),
    close: () => {
      if (options.profile !== "deaf") setTimeout(() => end());
    },
  };
}

function tone(ms: number): string {
  const samples = new Int16Array(24 * ms).map((_, i) => 9_000 * Math.sin((2 * Math.PI * 440 * i) / 24_000));
  return btoa(String.fromCharCode(...new Uint8Array(samples.buffer)));
}

Object.assign(globalThis, { Go: FakeGo });
