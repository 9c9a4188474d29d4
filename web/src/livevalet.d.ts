// The public API of /livevalet.js. Durations are milliseconds unless a name or
// a comment says otherwise; a duration that nobody knows is absent.
//
// The types of configuration, input and server messages follow the wire. Their
// enumerations are open strings, so a value that the service adds tomorrow is
// not an error today.

/** A string, with suggestions. */
export type Open<T extends string> = T | (string & {});

// ---- connecting ----------------------------------------------------------

/**
 * Opens a conversation and resolves when the service has accepted its setup.
 * It always settles: with a live {@link Session}, or with a {@link LiveValetError}.
 * Events that arrived meanwhile are delivered right after it resolves, in order.
 */
export function connect(options?: ConnectOptions): Promise<Session>;

/**
 * Loads and compiles the engine and starts a Worker, which the next `connect`
 * takes. Asks for no token. Call it when the visitor is likely to talk soon.
 * Ignoring the promise is safe; a failed preload is tried again by `connect`.
 */
export function preload(): Promise<void>;

export interface ConnectOptions {
  /**
   * Where tokens come from; default `"/v1/token"`. URLs resolve against
   * `document.baseURI`. A function is called on the page for every token.
   */
  token?: string | URL | TokenEndpoint | ((need: TokenNeed) => Promise<Grant>);
  /** The issuer's profile; default `"default"`. */
  profile?: string;
  /** Wanted model, with or without `models/`; default: the profile's. */
  model?: string;
  /** As in `@google/genai`. What the profile locks wins. */
  config?: LiveConnectConfig;
  callbacks?: Callbacks;
  /**
   * Default false. Starts {@link Session.microphone} first, so call `connect` in a click. What is
   * said while the conversation is not live yet is heard when it is. No token is asked for
   * while the browser asks the visitor, however long that takes; if the visitor refuses,
   * `connect` rejects.
   */
  microphone?: boolean | MicrophoneOptions;
  /**
   * Hangs up when nobody has spoken or typed and the model has said nothing for
   * `after`: a microphone that somebody forgot is paid for. Default: what the issuer
   * says, which is 5 minutes of ours; never if the grant says nothing, or if this is
   * false. For the last `warn` of it, default 30,000 and at most half, event `idle`
   * counts down each second; {@link Session.stay} and any activity end that.
   */
  idle?: { after?: number; warn?: number } | false;
  /** Gives up connecting. Has no effect once `connect` has settled. */
  signal?: AbortSignal;
  /**
   * Run the engine in a Worker of its own; default true. Without one, a busy
   * page delays the conversation. Browsers start Workers only from the page's
   * own origin, so serve the bundle there.
   */
  worker?: boolean;
  /**
   * Default false. Has the model's sound played from the first on. Call `connect` in a click then,
   * before any `await` of your own: browsers let sound begin only there. Rejects if
   * the worklets' file does not load.
   */
  speaker?: boolean | SpeakerOptions;
}

export interface SpeakerOptions {
  /** 0 to 1; default 1. */
  volume?: number;
  /** Default false. */
  muted?: boolean;
  /** Leaves the sound in the events `message`, too; default false. */
  copy?: boolean;
}

/** As in `@google/genai`; the conversation outlives its sockets. */
export interface Callbacks {
  /** Once, when the conversation is live, before `connect` resolves. */
  onopen?: (() => void) | null;
  onmessage?(message: LiveServerMessage): void;
  /** Once at most, before `onclose`; `error` is a {@link LiveValetError}. */
  onerror?: ((event: ErrorEvent) => void) | null;
  /** Once, at the conversation's end, also when it never became live. */
  onclose?: ((event: CloseEvent) => void) | null;
}

export interface TokenEndpoint {
  url: string | URL;
  /** Default `"same-origin"`. */
  credentials?: RequestCredentials;
  /** The application's own name for this conversation; the issuer's audit keeps it. */
  clientReference?: string;
  /** A function is called, on the page, for every request. */
  headers?: Record<string, string> | (() => Promise<Record<string, string>>);
}

export interface TokenNeed {
  /** A first token; a fresh one for the same lease; one in place of a refused one. */
  reason: "start" | "renew" | "refused";
  profile: string;
  leaseId?: string;
  /** Only when the grant's lock is `"full"`: mint it into the token. A secret. */
  handle?: string;
  signal: AbortSignal;
}

/**
 * The issuer's answer to a request for a token. Durations are seconds from the
 * moment of the answer. A token function that throws is called again after a while, unless it throws a
 * {@link LiveValetError} that is not retryable: that ends the conversation.
 */
export interface Grant {
  token: string;
  websocketUrl: string;
  /** `"masked"`, `"full"` or `"none"`: how much of the setup the token fixes. */
  lock?: string;
  /** Fields of the setup that a masked token leaves to the page, such as `"tools"`. */
  allow?: string[];
  [field: string]: unknown;
}

// ---- the conversation ----------------------------------------------------

export type SessionState = "connecting" | "live" | "waiting" | "closed";

/**
 * One conversation. It survives the end of its connections and tokens.
 *
 * The `send…` methods throw a {@link LiveValetError} (`invalid_request`) for an
 * argument that cannot be sent. Their promises resolve when the message was
 * handed to an open socket and reject when that will never be. Ignoring a
 * promise is safe: it raises no `unhandledrejection`.
 */
export class Session extends EventTarget {
  private constructor();

  readonly state: SessionState;
  readonly camera: Camera;
  readonly microphone: Microphone;
  readonly tools: Tools;
  readonly speaker: Speaker;

  /**
   * Ordered turns; interrupts a running answer. `turnComplete` defaults to true:
   * answer now. A model that takes no turns once the session runs gets their text;
   * its promise rejects (`invalid_request`) if there is more than the user's text.
   */
  sendClientContent(content?: ClientContent): Promise<void>;
  /** Streamed input, exactly one kind per call. Sound that waits too long is dropped: event `dropped`. */
  sendRealtimeInput(input: RealtimeInput): Promise<void>;
  /** Answers function calls, by their ids. */
  sendToolResponse(response: ToolResponse): Promise<void>;

  /**
   * Changes the system instruction, the tools or both, as soon as nobody speaks:
   * the conversation then goes on over another connection. Resolves when it does.
   * Rejects with `locked` if the token does not leave the field to the page, and
   * with `config_refused` if the service refuses the change; the conversation then
   * goes on as it was. What is not given stays; `tools: []` takes all tools away.
   */
  update(change: SessionUpdate): Promise<void>;

  /** The visitor is still here: event `idle`. */
  stay(): void;

  /** Ends the conversation; any number of calls. Resolves when it has ended, within 3 s, and never rejects. */
  close(): Promise<void>;

  addEventListener<K extends keyof SessionEventMap>(
    type: K,
    listener: ((event: SessionEventMap[K]) => void) | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
}

/**
 * Functions of the page that the model may call. They are declared in the profile,
 * in the configuration, by {@link Session.update} or with their handlers.
 */
export interface Tools {
  /**
   * Has calls of a function answered. Returns what takes the handler away again;
   * calls that it has begun with go on. Calls of functions without a handler are
   * yours: answer them with {@link Session.sendToolResponse}.
   *
   * Throws a {@link LiveValetError} (`invalid_request`) if there is a handler for
   * the name, or if the argument is none.
   */
  add<Args extends object = Record<string, unknown>>(tool: ToolHandler<Args>): AddedTool;
}

/** Takes a handler away again, and the declaration that came with it. */
export interface AddedTool {
  (): void;
  /**
   * Resolves when the model knows the declaration, at once where there is none, and
   * rejects as {@link Session.update} does; the handler stays. Ignoring it is safe.
   */
  readonly declared: Promise<void>;
}

export interface ToolHandler<Args extends object = Record<string, unknown>> {
  /** Of a declared function. */
  name: string;
  /**
   * Declares the function, as {@link Session.update} changes tools: beside those of the
   * configuration or the last update, in place of any that the profile has. Leave it
   * out where the token fixes the tools.
   */
  declaration?: FunctionDeclaration;
  /**
   * Runs once for each call; calls run side by side. The model is answered with
   * what it returns: an object as it is, by custom with a key `output` or `error`,
   * and anything else as `output`. If it throws, or gives what is no JSON, the
   * message of the error is the `error` that the model is told.
   *
   * An async generator answers with each value that it yields, and at last with
   * what it returns. The service takes that from functions that are NON_BLOCKING;
   * from others it takes the first answer (documented).
   */
  handler(args: Args, call: ToolCall): unknown;
  /**
   * Asked before the handler runs. Only `true` lets it run: if this gives anything
   * else, throws or takes too long, the model is told that the call was not allowed.
   */
  approve?(args: Args, call: ToolCall): boolean | Promise<boolean>;
  /**
   * How long `approve`, then the handler, or each step of a generator, may take; default
   * 60,000, `Infinity` for ever. Beyond that the model is told so, as `error`.
   */
  timeout?: number;
  /**
   * After a cut the model may make a call again that was answered. Default false: it
   * is given the same answer. True: the handler runs again. A call that is not
   * answered yet runs on in either case, and its answer serves both.
   */
  rerun?: boolean;
}

export interface ToolCall {
  readonly id: string;
  readonly name: string;
  /**
   * Aborted when no answer is wanted any more: the service withdrew the call, or
   * forgot it over a cut, time is up, or the session has ended.
   */
  readonly signal: AbortSignal;
  /** To return or to yield in place of `result`, if the model is to hear of it at a certain time. */
  answer(result: unknown, scheduling?: Scheduling): ToolAnswer;
}

/** When the model is to take up the answer of a NON_BLOCKING function; the service's default is WHEN_IDLE. */
export type Scheduling = Open<"INTERRUPT" | "WHEN_IDLE" | "SILENT">;

/** Made by {@link ToolCall.answer}. */
export interface ToolAnswer {
  readonly result: unknown;
  readonly scheduling?: Scheduling | undefined;
}

/**
 * Plays the model's sound, without the page: it goes from the socket to the audio
 * thread, and the events `message` come without it, or not at all if nothing else is in
 * them. What the user interrupts falls silent at once.
 */
export interface Speaker extends EventTarget {
  /**
   * Begins to play; any number of calls. Call it in a click, before any `await`.
   * Resolves when there is what plays; whether the browser lets it, `blocked` tells.
   * Rejects with the code `network` if the worklets' file does not load, and with
   * `unsupported` if the browser lets the page play nothing.
   */
  start(): Promise<void>;
  /** Falls silent. From now on, events `message` have the sound. */
  stop(): void;

  /** 0 to 1. */
  volume: number;
  muted: boolean;

  /** Sound is played now. */
  readonly playing: boolean;
  /** RMS, 0 to 1, of the loudest 20 ms that were played since it was told last, about 50 ms ago. */
  readonly level: number;
  /** How often sound ran out in the midst of a turn. It then waits longer for what follows. */
  readonly underruns: number;
  /** Milliseconds that were heard of the turn that plays, or played last. */
  readonly position: number;
  /**
   * The browser holds sound back: it was not started in a click, or a phone call or
   * another app has taken it. It goes on, with nothing lost, at the next click or key.
   * So it does if the worklets' file did not load again after that.
   */
  readonly blocked: boolean;

  /**
   * Plays on another device, by its `deviceId`; `""` is the system's choice. Rejects
   * with the code `unsupported`, `device_denied` or `device_unavailable`. Before
   * {@link start} it is only kept: if the device is not there then, the system's plays.
   */
  use(deviceId: string): Promise<void>;
  /** The devices that play. Browsers name them once the visitor has allowed one. */
  devices(): Promise<MediaDeviceInfo[]>;

  addEventListener<K extends keyof SpeakerEventMap>(
    type: K,
    listener: ((event: SpeakerEventMap[K]) => void) | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
}

export interface SpeakerEventMap {
  /** Of `playing`, `volume` or `muted`; or `blocked` is false again. */
  change: CustomEvent<null>;
  /** `blocked` is true. */
  blocked: CustomEvent<null>;
  underrun: CustomEvent<UnderrunDetail>;
  heard: CustomEvent<HeardDetail>;
}

export interface UnderrunDetail {
  /** All so far. */
  count: number;
}

/** A turn's sound was played to its end, or will not be. */
export interface HeardDetail {
  /** The id of the turn's `transcript`, if there is one. */
  utterance?: string;
  /** What was heard of it, to about 30 ms. */
  ms: number;
  /** All that came. */
  of: number;
  /** The user interrupted it. */
  interrupted: boolean;
}

// ---- the microphone ------------------------------------------------------

/**
 * What the model hears of the visitor. The sound goes from the audio thread to the
 * engine's Worker, so a busy page does not hold it up.
 *
 * If the device goes away or is muted by the system for 3 s, the chosen one is asked
 * for again, then any; without success the session tells `miclost`, and a device that
 * is plugged in is tried.
 */
export interface Microphone extends EventTarget {
  /** `"lost"`: no device is there; one that is plugged in is used. */
  readonly state: MicrophoneState;
  /** Of what it hears, an echo too, every 50 ms: event `level`. Zero while nothing passes. */
  readonly level: MicrophoneLevel;
  /** Nothing but digital silence for 5 s: it is switched off, or dead. */
  readonly silent: boolean;
  /**
   * The browser holds sound back: it was not started in a click, or a phone call or
   * another app has taken it. It goes on at the next click or key; until then
   * nothing is heard, and a {@link start} is pending.
   */
  readonly blocked: boolean;
  /** What the browser granted; absent without a device. */
  readonly settings: MicrophoneSettings | undefined;
  /** Nothing is heard while true. The device stays open. After a second the service is told that the sound has ended. */
  muted: boolean;
  /** Default `"gated"`. */
  mode: MicrophoneMode;

  /**
   * Asks for the microphone; resolves when it records. Call it in a click:
   * without one browsers hold sound back until the next, and it is {@link blocked}.
   * Ignoring the promise is safe.
   * Rejects with `microphone_denied`, `microphone_missing`, `microphone_busy`,
   * `microphone_elsewhere` or `insecure_context`, or with `aborted` after {@link stop}.
   * Called again before `stop`, it does nothing more and gives the same promise, unless
   * the microphone is `"lost"`: then it starts anew.
   */
  start(options?: MicrophoneOptions): Promise<void>;
  /** Lets go of the device and tells the service that the sound has ended. */
  stop(): void;
  /** The visitor begins to speak, in the mode `"push-to-talk"`; throws in others. */
  press(): void;
  /** The visitor has spoken. */
  release(): void;

  /** The microphones there are. They have names once one was granted. */
  devices(): Promise<MediaDeviceInfo[]>;
  /**
   * Changes to another, also while it is on; while it is off, that of the next `start`.
   * `""` is the browser's choice.
   * If that fails, the promise rejects as that of `start` and the one before stays.
   */
  use(deviceId: string): Promise<void>;

  addEventListener<K extends keyof MicrophoneEventMap>(
    type: K,
    listener: ((event: MicrophoneEventMap[K]) => void) | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
}

export type MicrophoneState = "off" | "asking" | "on" | "lost";

/**
 * - `"open"`: everything is heard, the model's own voice too unless the browser cancels it.
 * - `"gated"`: while the model's voice is played, only what is louder than its echo is
 *   heard, and the voice is lowered meanwhile.
 * - `"push-to-talk"`: what is said between {@link Microphone.press} and
 *   {@link Microphone.release} is heard, with the 200 ms before. Where the
 *   configuration disables `automaticActivityDetection`, they mark the activity.
 */
export type MicrophoneMode = "open" | "gated" | "push-to-talk";

export interface MicrophoneOptions {
  /** Preferred device; `""` is the browser's choice. Default: as it was, at first `""`. */
  deviceId?: string;
  /** Default: as it was. */
  mode?: MicrophoneMode;
  /** Asked of the browser, which may not grant it; default true. */
  echoCancellation?: boolean;
  /** Likewise. */
  noiseSuppression?: boolean;
  /** Likewise. */
  autoGainControl?: boolean;
  /** Ends the microphone of another tab of this origin; default false. Otherwise `start` rejects with `microphone_elsewhere`. */
  takeOver?: boolean;
  /** In place of a device. It stays yours: `stop` does not end it. */
  source?: MediaStream;
}

/** 1 is full scale. */
export interface MicrophoneLevel {
  rms: number;
  peak: number;
}

/** As of a `MediaTrackSettings`; what the browser does not tell is absent. */
export interface MicrophoneSettings {
  label: string;
  deviceId?: string | undefined;
  sampleRate?: number | undefined;
  /** A string says of what, if not of all sound. */
  echoCancellation?: boolean | string | undefined;
  noiseSuppression?: boolean | undefined;
  autoGainControl?: boolean | undefined;
}

export interface MicrophoneEventMap {
  /** Of state, mode, settings, `muted` or `silent`; or `blocked` is false again. */
  change: Event;
  /** `blocked` is true. */
  blocked: Event;
  level: Event;
  /** Another tab took over: it stopped. */
  taken: Event;
}

// ---- the camera ----------------------------------------------------------

/**
 * What the model sees: the visitor's camera or screen, as pictures. They are made
 * small on the page and become JPEGs where the engine runs. While there is no connection one of
 * them waits, and no other is taken.
 */
export interface Camera extends EventTarget {
  readonly state: CameraState;
  /** To show the visitor, as the `srcObject` of a video element; absent without a picture. */
  readonly preview: MediaStream | undefined;
  /** What the browser granted; absent without a picture. */
  readonly settings: CameraSettings | undefined;

  /**
   * Asks for the camera or the screen; resolves when it is there. Call it in a click:
   * browsers share screens only there. Ignoring the promise is safe. Rejects with
   * `camera_denied`, `camera_missing`, `camera_busy`, `screen_denied`,
   * `insecure_context` or `unsupported`, or with `aborted` after {@link stop}. Called
   * again before `stop`, it does nothing more and gives the same promise.
   */
  start(options?: CameraOptions): Promise<void>;
  /** Lets go of it. The picture that waits is not sent any more. */
  stop(): void;

  /** The cameras there are. They have names once one was granted. */
  devices(): Promise<MediaDeviceInfo[]>;
  /**
   * Changes to another while the camera is on. If that fails the promise rejects as
   * that of `start`, and the camera is off: phones open one at a time.
   */
  use(deviceId: string): Promise<void>;

  addEventListener<K extends keyof CameraEventMap>(
    type: K,
    listener: ((event: CameraEventMap[K]) => void) | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
}

export type CameraState = "off" | "asking" | "on";

export interface CameraOptions {
  /** Default `"camera"`. A stream stays yours: `stop` does not end it. */
  source?: "camera" | "screen" | MediaStream;
  /** Preferred device; default: the browser's. */
  deviceId?: string;
  /** Where the preferred camera looks, without a `deviceId`; default `"user"`. */
  facingMode?: "user" | "environment";
  /** Above 0, at most and by default 1, which is all that the service takes (documented). */
  framesPerSecond?: number;
  /** Longest edge of a picture in pixels; default 768, which the service recommends (documented). */
  maxSize?: number;
}

/** As of a `MediaTrackSettings`; what the browser does not tell is absent. */
export interface CameraSettings {
  label: string;
  deviceId?: string | undefined;
  facingMode?: string | undefined;
  /** Of the camera, in pixels; pictures may be smaller. */
  width?: number | undefined;
  height?: number | undefined;
}

export interface CameraEventMap {
  /** Of state, preview or settings. */
  change: Event;
  /** It went away: it was unplugged, or the visitor stopped sharing. The state is `"off"`. */
  ended: Event;
}

// ---- events --------------------------------------------------------------

export interface SessionEventMap {
  status: CustomEvent<StatusDetail>;
  message: CustomEvent<LiveServerMessage>;
  resumed: CustomEvent<ResumedDetail>;
  goaway: CustomEvent<GoAwayDetail>;
  token: CustomEvent<TokenDetail>;
  toolcall: CustomEvent<ToolCallDetail>;
  transcript: CustomEvent<TranscriptDetail>;
  usage: CustomEvent<UsageDetail>;
  emptyturn: CustomEvent<EmptyTurnDetail>;
  stalled: CustomEvent<StalledDetail>;
  sessioncap: CustomEvent<SessionCapDetail>;
  idle: CustomEvent<IdleDetail>;
  dropped: CustomEvent<DroppedDetail>;
  miclost: CustomEvent<MicLostDetail>;
  crashed: CustomEvent<CrashedDetail>;
  closed: CustomEvent<ClosedDetail>;
}

export interface StatusDetail {
  state: SessionState;
  /** Why: `"start"`, `"goaway"`, `"cut"`, `"token"`, `"renew"`, `"update"`, `"retry"`, … */
  cause: string;
  /** In state `"waiting"`: time until the next attempt. */
  retryIn?: number;
}

/** The service will end this connection soon. The conversation moves to another one by itself. */
export interface GoAwayDetail {
  timeLeft: number;
}

/** A token was received, or opened a connection. */
export interface TokenDetail {
  action: "received" | "opened";
  profile: string;
  model: string;
  lock: string;
  /** Time until the service refuses the token. */
  expiresIn: number;
  /** Time until a fresh token is fetched. */
  renewIn?: number;
  /** Longest life of a connection, as the issuer told it. */
  connectionFor?: number;
  /**
   * Time until the lease ends, by the profile's `maxSession`. The conversation then
   * goes on with another lease, unless the issuer gives none.
   */
  leaseFor?: number;
}

/** The conversation goes on over a new connection. */
export interface ResumedDetail {
  /** What it took: the same token, a new token, or a new session of the service. */
  rung: "handle" | "token" | "restart";
  /** What the model remembers of the conversation. */
  restored: "full" | "transcript" | "none";
  /** Messages sent again. */
  replayed: number;
  /** Messages of which nobody knows whether they arrived. */
  uncertain: number;
  lostAudioMs: number;
  /** From the end of the old connection until the new one was live. */
  gapMs: number;
  cause: string;
}

/** A function call began or ended. Each ends once, over all connections. */
export interface ToolCallDetail {
  /** As in the message that made the call. */
  id: string;
  name: string;
  /**
   * `"answered"`: a socket took the last response. `"orphaned"`: the service forgot
   * the call over a cut and did not make it again.
   */
  state: "called" | "answered" | "cancelled" | "orphaned";
  /**
   * The model made the call again after a cut, with equal arguments. You are not
   * asked again: your response to the first is sent, as soon as there is one. What a
   * handler with `rerun` had answered is not sent again: that is a new call.
   */
  repeated: boolean;
  /**
   * At the end of a call of which the model was told an error: what the handler threw, or
   * else the reason, such as a result that is no JSON or time that was up.
   */
  error?: Error;
}

/**
 * What one speaker says in one turn. Each event has all of it so far; the last for
 * an id is final, whatever becomes of the connections meanwhile. Speech is here
 * only where the configuration asks for its transcription.
 */
export interface TranscriptDetail {
  id: string;
  who: "user" | "model";
  /** May begin anew: after a cut, speech is heard again. */
  text: string;
  final: boolean;
  /** You sent it as text. */
  typed?: true;
  /** The connection, or the conversation, ended within it. */
  cut?: true;
  /** The user interrupted it. */
  interrupted?: true;
  /** The id of an utterance from before a cut, which is said or heard again: show this one in its place. */
  regenerates?: string;
}

/** The service's counts of tokens. */
export interface UsageDetail {
  /** Of the message that brought this event. */
  reported: UsageCounts;
  /** The sum of what was reported on this connection. */
  connection: UsageCounts;
  /** The sum of what was reported on all connections. */
  conversation: UsageCounts;
}

/** As in {@link UsageMetadata}; 0 where the service says nothing. */
export interface UsageCounts {
  promptTokenCount: number;
  cachedContentTokenCount: number;
  responseTokenCount: number;
  toolUsePromptTokenCount: number;
  thoughtsTokenCount: number;
  totalTokenCount: number;
}

/** A turn of the model's without sound, text and function calls, that nobody interrupted. */
export interface EmptyTurnDetail {
  /** The service's `turnCompleteReason`, if it gave one. */
  reason?: string;
}

/**
 * You asked, or the user spoke, and nothing came from the model for 8 s. Told once
 * for each wait, and again with `ended` when something comes.
 */
export interface StalledDetail {
  ended: boolean;
  /** Since the question, or since the user was heard last. */
  waitedMs: number;
}

/** The context is not compressed, so the service will soon end the session for good. */
export interface SessionCapDetail {
  msLeft: number;
  /** Pictures were sent, which make it end sooner. */
  video: boolean;
}

/**
 * Nothing has happened for long, and in `msLeft` the conversation ends with the code
 * `"idle"`; told each second. Or, with `ended`, something happened.
 */
export interface IdleDetail {
  msLeft: number;
  ended: boolean;
}

/** Sound that gave way to newer sound before it could be sent. */
export interface DroppedDetail {
  ms: number;
}

/**
 * The microphone went away, and no other is there. The conversation goes on; the
 * next device that is plugged in is used. If the microphone's state is `"off"`, it is
 * the browser's sound that failed: start it again.
 */
export interface MicLostDetail {
  error: LiveValetError;
}

/**
 * Something in the engine broke, a mistake of ours. The conversation is over, its
 * socket closed and its lease released, and `closed` follows with the code
 * `"crashed"`. You can `connect` again at once. Please report it: neither field
 * holds a secret or anything that was said.
 */
export interface CrashedDetail {
  message: string;
  /** Functions and lines, the innermost first. */
  stack: string;
}

/** `error` is absent after {@link Session.close}. */
export interface ClosedDetail {
  error?: LiveValetError;
}

// ---- errors --------------------------------------------------------------

/** How far the conversation, or its newest connection, had come. */
export type Phase = "token" | "dial" | "setup" | "live" | "close";

export interface LiveValetErrorInit {
  code: ErrorCode;
  phase: Phase;
  message: string;
  retryable: boolean;
  closeCode?: number;
  reason?: string;
}

/** The issuer's codes pass through; the suggested ones arise on the page or at the service. */
export type ErrorCode = Open<
  | "aborted"
  | "camera_busy"
  | "camera_denied"
  | "camera_missing"
  | "config_refused"
  | "crashed"
  | "device_denied"
  | "device_unavailable"
  | "idle"
  | "insecure_context"
  | "invalid_request"
  | "locked"
  | "microphone_busy"
  | "microphone_denied"
  | "microphone_elsewhere"
  | "microphone_missing"
  | "model_unavailable"
  | "network"
  | "protocol"
  | "quota"
  | "region_unsupported"
  | "screen_denied"
  | "timeout"
  | "unsupported"
>;

/** Why something did not happen. `message` says what to do; no field holds a secret. */
export class LiveValetError extends Error {
  constructor(init: LiveValetErrorInit);
  /** For programs. */
  readonly code: ErrorCode;
  readonly phase: Phase;
  /** Whether the same call may succeed later. */
  readonly retryable: boolean;
  /** The socket's close code, if a socket was involved. */
  readonly closeCode?: number;
  /** The socket's close reason, or the issuer's detail. */
  readonly reason?: string;
}

// ---- configuration -------------------------------------------------------

/** The configuration of a Live session, as in `@google/genai`. */
export interface LiveConnectConfig {
  /** Exactly one. */
  responseModalities?: Open<"AUDIO" | "TEXT">[];
  temperature?: number;
  topP?: number;
  topK?: number;
  maxOutputTokens?: number;
  seed?: number;
  mediaResolution?: Open<"MEDIA_RESOLUTION_LOW" | "MEDIA_RESOLUTION_MEDIUM" | "MEDIA_RESOLUTION_HIGH">;
  speechConfig?: SpeechConfig;
  thinkingConfig?: ThinkingConfig;
  enableAffectiveDialog?: boolean;
  translationConfig?: TranslationConfig;
  /** A string becomes a content of the user. Text only. */
  systemInstruction?: ContentUnion;
  tools?: Tool[];
  /** Resumption is always on and the newest handle is kept for you, so a handle here is refused. */
  sessionResumption?: object;
  /** `{}` switches the transcription of the user's speech on. */
  inputAudioTranscription?: AudioTranscriptionConfig;
  /** `{}` switches the transcription of the model's speech on. */
  outputAudioTranscription?: AudioTranscriptionConfig;
  realtimeInputConfig?: RealtimeInputConfig;
  contextWindowCompression?: ContextWindowCompressionConfig;
  proactivity?: { proactiveAudio?: boolean };
  avatarConfig?: object;
  safetySettings?: { category?: string; threshold?: string }[];
  labels?: Record<string, string>;
  /** After the setup the service first reads `sendClientContent` up to `turnComplete`, without answering. */
  historyConfig?: { initialHistoryInClientContent?: boolean };
  /** @deprecated Set its fields here. A field set in both places is refused. */
  generationConfig?: object;
}

export interface SpeechConfig {
  /** BCP 47. */
  languageCode?: string;
  voiceConfig?: { prebuiltVoiceConfig?: { voiceName?: string }; replicatedVoiceConfig?: object };
}

export interface ThinkingConfig {
  includeThoughts?: boolean;
  /** Tokens. */
  thinkingBudget?: number;
  thinkingLevel?: Open<"MINIMAL" | "LOW" | "MEDIUM" | "HIGH">;
}

export interface TranslationConfig {
  targetLanguageCode?: string;
  echoTargetLanguage?: boolean;
}

export interface AudioTranscriptionConfig {
  languageCodes?: string[];
  customVocabulary?: string[];
  mode?: Open<"VERBATIM" | "SMART">;
  diarization?: boolean;
  wordTimestamp?: boolean;
}

export interface RealtimeInputConfig {
  automaticActivityDetection?: {
    /** True: send `activityStart` and `activityEnd` yourself. */
    disabled?: boolean;
    startOfSpeechSensitivity?: Open<"START_SENSITIVITY_HIGH" | "START_SENSITIVITY_LOW">;
    endOfSpeechSensitivity?: Open<"END_SENSITIVITY_HIGH" | "END_SENSITIVITY_LOW">;
    prefixPaddingMs?: number;
    silenceDurationMs?: number;
  };
  activityHandling?: Open<"START_OF_ACTIVITY_INTERRUPTS" | "NO_INTERRUPTION">;
  turnCoverage?: Open<
    | "TURN_INCLUDES_ONLY_ACTIVITY"
    | "TURN_INCLUDES_ALL_INPUT"
    | "TURN_INCLUDES_AUDIO_ACTIVITY_AND_ALL_VIDEO"
  >;
}

export interface ContextWindowCompressionConfig {
  /** Tokens, as a decimal string. */
  triggerTokens?: string;
  slidingWindow?: { targetTokens?: string };
}

export interface Tool {
  functionDeclarations?: FunctionDeclaration[];
  googleSearch?: object;
  codeExecution?: object;
  urlContext?: object;
  googleMaps?: object;
  fileSearch?: object;
  computerUse?: object;
  googleSearchRetrieval?: object;
  mcpServers?: object[];
}

export interface FunctionDeclaration {
  name?: string;
  description?: string;
  /** A schema of the service, or a JSON schema that it can express. */
  parameters?: object;
  /** Any JSON schema, passed as it is. */
  parametersJsonSchema?: unknown;
  response?: object;
  responseJsonSchema?: unknown;
  behavior?: Open<"BLOCKING" | "NON_BLOCKING">;
}

/** What {@link Session.update} can change, as in {@link LiveConnectConfig}. */
export interface SessionUpdate {
  systemInstruction?: ContentUnion;
  tools?: Tool[];
}

// ---- input ---------------------------------------------------------------

/** `data` is base64. */
export interface Blob {
  mimeType?: string;
  data?: string;
}

export interface Part {
  text?: string;
  thought?: boolean;
  thoughtSignature?: string;
  inlineData?: Blob;
  fileData?: object;
  videoMetadata?: object;
  functionCall?: FunctionCall;
  functionResponse?: FunctionResponse;
  executableCode?: object;
  codeExecutionResult?: object;
}

export interface Content {
  role?: Open<"user" | "model">;
  parts?: Part[];
}

export type PartUnion = Part | string;
/** Parts make one content of the user. */
export type ContentUnion = Content | PartUnion | PartUnion[];

export interface ClientContent {
  turns?: ContentUnion | Content[];
  /** Default true. */
  turnComplete?: boolean;
}

export interface RealtimeInput {
  /** 16-bit little endian mono PCM, `audio/pcm;rate=16000`, 20 to 40 ms. */
  audio?: Blob;
  /** A JPEG frame, `image/jpeg`, at most one a second. */
  video?: Blob;
  text?: string;
  /** Only without automatic activity detection. */
  activityStart?: object;
  activityEnd?: object;
  /** True, and only with automatic activity detection: the microphone is off for a while. */
  audioStreamEnd?: boolean;
  /** @deprecated Sent as `audio` or `video`, by its type. */
  media?: Blob;
}

export interface ToolResponse {
  functionResponses: FunctionResponse | FunctionResponse[];
}

export interface FunctionResponse {
  /** The id of the call. */
  id?: string;
  name?: string;
  /** Usually with a key `output` or `error`. */
  response?: Record<string, unknown>;
  scheduling?: Scheduling;
  /** More answers to the same call follow. */
  willContinue?: boolean;
  parts?: object[];
}

// ---- server messages -----------------------------------------------------

/**
 * A message of the service as it came, fields not listed here included, except
 * that `sessionResumptionUpdate.newHandle` is taken out: it is a secret.
 */
export interface LiveServerMessage {
  /** The model's text parts without thoughts, joined; absent if there is none. */
  readonly text: string | undefined;
  /** The model's inline data, joined, as base64; absent if there is none. */
  readonly data: string | undefined;
  setupComplete?: object;
  serverContent?: LiveServerContent;
  toolCall?: { functionCalls?: FunctionCall[] };
  /** The user interrupted: do not answer these calls. */
  toolCallCancellation?: { ids?: string[] };
  /** `timeLeft` as the wire has it, such as `"50s"`. */
  goAway?: { timeLeft?: string };
  sessionResumptionUpdate?: { resumable?: boolean };
  voiceActivity?: object;
  voiceActivityDetectionSignal?: object;
  usageMetadata?: UsageMetadata;
}

/** Counts of tokens. */
export interface UsageMetadata {
  promptTokenCount?: number;
  cachedContentTokenCount?: number;
  responseTokenCount?: number;
  toolUsePromptTokenCount?: number;
  thoughtsTokenCount?: number;
  totalTokenCount?: number;
  promptTokensDetails?: ModalityTokenCount[];
  cacheTokensDetails?: ModalityTokenCount[];
  responseTokensDetails?: ModalityTokenCount[];
  toolUsePromptTokensDetails?: ModalityTokenCount[];
}

export interface ModalityTokenCount {
  modality?: Open<"TEXT" | "IMAGE" | "VIDEO" | "AUDIO" | "DOCUMENT">;
  tokenCount?: number;
}

export interface LiveServerContent {
  modelTurn?: Content;
  generationComplete?: boolean;
  /** The turn is over; sent when its sound should have been played. */
  turnComplete?: boolean;
  /** The user interrupted: drop all sound that was not played yet. */
  interrupted?: boolean;
  inputTranscription?: Transcription;
  /** Fragments; join them until `turnComplete`. */
  outputTranscription?: Transcription;
  /** Set when the turn ended in an unusual way. */
  turnCompleteReason?: string;
  /** The model stays silent and expects more. */
  waitingForInput?: boolean;
  groundingMetadata?: object;
  urlContextMetadata?: object;
}

export interface Transcription {
  text?: string;
  finished?: boolean;
  languageCode?: string;
}

export interface FunctionCall {
  id?: string;
  name?: string;
  args?: Record<string, unknown>;
}
