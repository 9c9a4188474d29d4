import { toClientContent, toRealtimeInput, toToolResponse, toUpdate } from "./convert";
import type { EngineEvent, Failure, OpenOptions, SessionState, TokenReply, TokenRequest } from "./engine";
import { LiveValetError, over } from "./errors";
import { WakeLock } from "./life";
import { takeLink, type Link } from "./link";
import type * as api from "/livevalet.js";
import { serverMessage } from "./message";
import type { FromHost, ToHost } from "./messages";
import { Camera } from "./sight/camera";
import { Sound } from "./sound/context";
import { Microphone } from "./sound/microphone";
import { Speaker } from "./sound/speaker";
import { discard, isCloneable, release, tokenSource, type TokenSpec } from "./tokens";
import { Tools } from "./tools";

/** What connect checked and converted. */
export interface Plan {
  options: OpenOptions;
  tokens: TokenSpec;
  /** As the configuration has them. */
  tools: api.Tool[];
  callbacks: api.Callbacks;
  worker: boolean;
  /** Undefined: it is not started. */
  speaker?: api.SpeakerOptions | undefined;
  microphone?: api.MicrophoneOptions | undefined;
  signal?: AbortSignal | undefined;
}

/** What the application is told. */
type News = EngineEvent | { type: "miclost"; error: LiveValetError };

/** How long close waits for the engine, which itself waits 1 s for the socket. */
const closeLimit = 3_000;

interface Pending {
  resolve(): void;
  reject(error: LiveValetError): void;
}

export interface Session {
  addEventListener<K extends keyof api.SessionEventMap>(
    type: K,
    listener: ((event: api.SessionEventMap[K]) => void) | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
}

export class Session extends EventTarget {
  #plan: Plan;
  #link: Link;
  #state: SessionState = "connecting";
  /** Settles connect; gone once it has. */
  #connecting: ((error?: LiveValetError) => void) | undefined;
  /** News that waits until the application can listen. */
  #held: News[] | undefined = [];
  /** The engine was asked for a session. */
  #opened = false;
  /** The application knows of the end; the engine may still be closing. */
  #ended = false;
  #closed: Promise<void>;
  #delivered!: () => void;
  #deadline: ReturnType<typeof setTimeout> | undefined;

  #sends = new Map<number, Pending>();
  #sent = 0;
  #tools: Tools;
  #sound = new Sound();
  #microphone = new Microphone(
    this.#sound,
    (message, transfer) => this.#link.post(message, transfer),
    (error) => this.#emit({ type: "miclost", error }),
  );
  #speaker: Speaker;
  /** There is a speaker, or none is wanted. */
  #audible: boolean;
  #camera = new Camera(
    (picture) => this.#post((id) => ({ type: "picture", id, ...picture }), [picture.image]),
    (ms) => this.#post((id) => ({ type: "rest", id, ms })),
    () => this.#link.post({ type: "no-picture" }),
  );

  #screen = new WakeLock();
  /** What starts again with the page. */
  #paused: ((() => void) | undefined)[] = [];
  #lease: { url: string; leaseId: string } | undefined;

  /** The first request for a token, which runs while the engine loads. */
  #first: TokenInFlight | undefined;
  #requests = new Map<number, AbortController>();

  /** `settle` is called once: without an error when the session is live. */
  constructor(plan: Plan, settle: (session: Session, error?: LiveValetError) => void) {
    super();
    this.#plan = plan;
    this.#tools = new Tools(
      (message, rerun) => this.#send(message, rerun),
      (tools) => this.#change(toUpdate({ tools })),
      plan.tools,
    );
    this.#connecting = (error) => settle(this, error);
    this.#closed = new Promise((resolve) => (this.#delivered = resolve));

    this.#link = takeLink(plan.worker);
    this.#link.receive = (message) => this.#take(message);
    if (plan.microphone) this.#listen(plan.microphone);
    else this.#begin();

    this.#speaker = new Speaker(this.#sound, (message, transfer) => this.#link.post(message, transfer), plan.speaker ?? {});
    this.#audible = !plan.speaker;
    if (plan.speaker) {
      this.#speaker.start().then(
        () => {
          this.#audible = true;
          this.#settleIfLive();
        },
        (error) => this.#giveUp(error),
      );
    }

    plan.signal?.addEventListener("abort", this.#abort);
    addEventListener("online", this.#doubt);
    addEventListener("pageshow", this.#doubt);
    addEventListener("pagehide", this.#leave);
    for (const part of [this.#microphone, this.#speaker, this.#camera]) part.addEventListener("change", this.#keepAwake);
    document.addEventListener("visibilitychange", this.#wake);
  }

  get state(): SessionState {
    return this.#state;
  }

  get microphone(): api.Microphone {
    return this.#microphone;
  }

  get tools(): api.Tools {
    return this.#tools;
  }

  get speaker(): api.Speaker {
    return this.#speaker;
  }

  get camera(): api.Camera {
    return this.#camera;
  }

  sendClientContent(content?: api.ClientContent): Promise<void> {
    return this.#send(toClientContent(content));
  }

  sendRealtimeInput(input: api.RealtimeInput): Promise<void> {
    return this.#send(toRealtimeInput(input));
  }

  sendToolResponse(response: api.ToolResponse): Promise<void> {
    return this.#send(toToolResponse(response));
  }

  update(change: api.SessionUpdate): Promise<void> {
    const setup = toUpdate(change);
    const { tools } = change;
    if (!tools) return this.#change(setup);
    const changed = this.#change(toUpdate({ ...change, tools: this.#tools.beside(tools) }));
    changed.then(() => (this.#tools.configured = tools), () => {});
    return changed;
  }

  #change(setup: Record<string, unknown>): Promise<void> {
    return this.#post((id) => ({ type: "update", id, setup }));
  }

  stay(): void {
    if (this.#opened && !this.#ended) this.#link.post({ type: "stay" });
  }

  close(): Promise<void> {
    this.#hangUp();
    return this.#closed;
  }

  #send(message: Record<string, unknown>, rerun = false): Promise<void> {
    return this.#post((id) => ({ type: "send", id, message, rerun }));
  }

  /** Resolves or rejects with the "sent" event of the message's id. */
  #post(message: (id: number) => ToHost, transfer?: Transferable[]): Promise<void> {
    const sent = new Promise<void>((resolve, reject) => {
      if (this.#ended) return reject(over());
      const id = ++this.#sent;
      this.#sends.set(id, { resolve, reject });
      this.#link.post(message(id), transfer);
    });
    sent.catch(() => {});
    return sent;
  }

  /** A token would go stale while the browser asks for the microphone. */
  #listen(options: api.MicrophoneOptions): void {
    const { granted, flows } = this.#microphone.begin(options);
    granted.then(
      () => this.#begin(),
      (error) => this.#giveUp(error),
    );
    flows.catch((error: LiveValetError) => {
      if (error.code === "aborted") return; // by the page, or by the end
      if (this.#connecting) this.#giveUp(error);
      else this.#emit({ type: "miclost", error });
    });
  }

  #begin(): void {
    if (this.#ended) return;
    this.#first = this.#ask({ reason: "start", profile: this.#plan.options.profile });
    this.#link.ready.then(
      () => this.#open(),
      (error) => this.#over(error),
    );
  }

  #open(): void {
    const { options, tokens } = this.#plan;
    this.#opened = true;
    this.#link.post({ type: "open", options, endpoint: isCloneable(tokens) ? tokens : undefined });
  }

  #wake = (): void => {
    if (this.#opened && document.visibilityState === "visible") this.#link.post({ type: "wake" });
  };

  /** What a socket was opened over may be gone: another network, or the page cache between. */
  #doubt = (event: Event): void => {
    const firstShow = event.type === "pageshow" && !(event as PageTransitionEvent).persisted;
    if (this.#opened && !firstShow) this.#link.post({ type: "doubt" });
    if (event.type === "pageshow") for (const again of this.#paused.splice(0)) again?.();
  };

  /** Nobody listens or watches behind the visitor's back. A page that is not kept cannot wait for the engine's end. */
  #leave = ({ persisted }: PageTransitionEvent): void => {
    this.#paused = [this.#microphone.pause(), this.#camera.pause()];
    if (persisted) return;
    this.#hangUp();
    if (this.#lease) void release(this.#plan.tokens, this.#lease.url, this.#lease.leaseId);
  };

  #keepAwake = (): void => {
    this.#screen.wanted = this.#microphone.state === "on" || this.#speaker.playing || this.#camera.state === "on";
  };

  // ---- from the host -------------------------------------------------------

  #take(message: FromHost): void {
    switch (message.type) {
      case "event":
        return this.#news(message.event);
      case "token":
        return void this.#fetchToken(message.id, message.request);
      case "abort-token":
        return this.#requests.get(message.id)?.abort();
      case "lease":
        this.#lease = message;
        return;
      case "release":
        return void release(this.#plan.tokens, message.url, message.leaseId);
      case "speaker":
      case "heard":
        return this.#speaker.follow(message);
      case "crashed":
        this.#news(message);
        return this.#over({
          code: "crashed",
          phase: this.#connecting ? "setup" : "live",
          message: `the engine crashed (${message.message}): connect again`,
          retryable: true,
        });
    }
  }

  #news(event: EngineEvent): void {
    if (event.type === "closed") return this.#over(event.failure);
    if (event.type === "sent") return this.#settleSend(event.id, event.failure);
    if (this.#ended) return;
    if (event.type === "status") this.#state = event.state;
    this.#emit(event);
    this.#settleIfLive();
  }

  #settleIfLive(): void {
    if (this.#state === "live" && this.#connecting && this.#audible) this.#live();
  }

  #settleSend(id: number, failure?: Failure): void {
    const pending = this.#sends.get(id);
    this.#sends.delete(id);
    if (failure) pending?.reject(new LiveValetError(failure));
    else pending?.resolve();
  }

  async #fetchToken(id: number, request: TokenRequest): Promise<void> {
    const adopted = request.reason === "start" ? this.#first : undefined;
    if (adopted) this.#first = undefined;
    const age = adopted && performance.now() - adopted.asked;
    const { reply, abort } = adopted ?? this.#ask(request);
    this.#requests.set(id, abort);
    try {
      const answer = await reply;
      // An engine that was told to close takes no more, and a grant keeps its lease.
      if (abort.signal.aborted || this.#deadline !== undefined) discard(this.#plan.tokens, answer);
      else this.#link.post({ type: "token", id, reply: { ...answer, age } });
    } catch (error) {
      this.#link.post({ type: "no-token", id, message: error instanceof Error ? error.message : String(error) });
    } finally {
      this.#requests.delete(id);
    }
  }

  #ask(request: TokenRequest): TokenInFlight {
    const abort = new AbortController();
    const reply = tokenSource(this.#plan.tokens)(request, abort.signal);
    reply.catch(() => {});
    return { reply, abort, asked: performance.now() };
  }

  // ---- beginning and end ---------------------------------------------------

  #live(): void {
    guard(() => this.#plan.callbacks.onopen?.());
    this.#settle();
    // A task later, whoever awaited connect has attached listeners.
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      const held = this.#held ?? [];
      this.#held = undefined;
      for (const event of held) this.#deliver(event);
    };
    port2.postMessage(null);
  }

  #settle(error?: LiveValetError): void {
    this.#plan.signal?.removeEventListener("abort", this.#abort);
    this.#connecting?.(error);
    this.#connecting = undefined;
  }

  #abort = (): void => this.#giveUp(aborted(this.#opened ? "dial" : "setup"));

  #giveUp(error: LiveValetError): void {
    this.#hangUp();
    this.#end(error);
  }

  /** Asks the engine to end, so that socket and lease end with it. */
  #hangUp(): void {
    if (this.#deadline !== undefined || this.#ended) return;
    this.#tools.close();
    this.#speaker.stop();
    this.#microphone.stop();
    this.#camera.stop();
    if (!this.#opened) return this.#dispose();
    this.#link.post({ type: "close" });
    this.#deadline = setTimeout(() => this.#over(), closeLimit);
  }

  /** The engine is done, or beyond hope. */
  #over(failure?: Failure): void {
    this.#end(failure);
    this.#dispose();
  }

  /** Tells the application, once. */
  #end(failure?: Failure): void {
    if (this.#ended) return;
    this.#ended = true;
    const error = failure && (failure instanceof LiveValetError ? failure : new LiveValetError(failure));
    for (const pending of this.#sends.values()) pending.reject(error ?? over());
    this.#sends.clear();
    this.#tools.close();
    this.#microphone.close();
    this.#camera.close();
    this.#speaker.close();
    if (this.#connecting) {
      // Nobody can listen any more, but the callbacks hear of the end.
      this.#held = undefined;
      this.#settle(error ?? over());
    }
    if (this.#state !== "closed") {
      this.#state = "closed";
      this.#emit({ type: "status", state: "closed", cause: error ? "failed" : "closed" });
    }
    this.#emit({ type: "closed", failure: error });
  }

  #dispose(): void {
    clearTimeout(this.#deadline);
    this.#link.end();
    this.#sound.close();
    for (const abort of this.#requests.values()) abort.abort();
    this.#first?.abort.abort();
    this.#first?.reply.then((reply) => discard(this.#plan.tokens, reply), () => {});
    this.#first = undefined;
    removeEventListener("online", this.#doubt);
    removeEventListener("pageshow", this.#doubt);
    removeEventListener("pagehide", this.#leave);
    document.removeEventListener("visibilitychange", this.#wake);
  }

  // ---- to the application --------------------------------------------------

  #emit(event: News): void {
    if (this.#held) this.#held.push(event);
    else this.#deliver(event);
  }

  #deliver({ type, ...detail }: News): void {
    const { callbacks } = this.#plan;
    if (type === "message") {
      const message = serverMessage((detail as { message: Record<string, unknown> }).message);
      guard(() => callbacks.onmessage?.(message));
      this.dispatchEvent(new CustomEvent(type, { detail: message }));
      this.#tools.called(message.toolCall?.functionCalls);
    } else if (type === "closed") {
      const error = (detail as { failure?: LiveValetError }).failure;
      if (error) guard(() => callbacks.onerror?.(new ErrorEvent("error", { message: error.message, error })));
      guard(() => callbacks.onclose?.(closeEvent(error)));
      this.dispatchEvent(new CustomEvent(type, { detail: error ? { error } : {} }));
      this.#delivered();
    } else {
      const told = type === "toolcall" ? this.#tools.follow(detail as api.ToolCallDetail) : detail;
      this.dispatchEvent(new CustomEvent(type, { detail: told }));
    }
  }
}

interface TokenInFlight {
  asked: number;
  reply: Promise<TokenReply>;
  abort: AbortController;
}

export function aborted(phase: api.Phase): LiveValetError {
  return new LiveValetError({ code: "aborted", phase, message: "connect was given up by its signal", retryable: true });
}

function closeEvent(error: LiveValetError | undefined): CloseEvent {
  if (!error) return new CloseEvent("close", { code: 1000, wasClean: true });
  return new CloseEvent("close", { code: error.closeCode ?? 1006, reason: error.reason ?? error.message, wasClean: false });
}

/** An exception of the application is reported like one of an event listener. */
function guard(callback: () => void): void {
  try {
    callback();
  } catch (error) {
    reportError(error);
  }
}
