// The page's side of the microphone: asks for the device, for another when that
// one goes away, and says what passes. The sound itself does not come by here.

import { endStream, givenUp, mediaDevices, refusal } from "../devices";
import { LiveValetError, misuse, over } from "../errors";
import { ownership } from "../life";
import type { ToHost } from "../messages";
import type * as api from "/livevalet.js";
import type { Sound } from "./context";
import type { FromMicrophone, Passing, ToMicrophone } from "./microphone.worklet";

/** How long a track may be muted, by the system or by another program. */
const mutedLimit = 3_000;
/** Of devices that come and go, browsers tell several times. */
const burst = 250;
/** After so much digital silence a microphone is switched off, or dead. */
const silentLimit = 5_000;

const processor = "livevalet-microphone";

const none: api.MicrophoneLevel = { rms: 0, peak: 0 };

const processing = ["echoCancellation", "noiseSuppression", "autoGainControl"] as const;

/** What was started: the permission comes first, sound later. */
interface Run {
  granted: Promise<void>;
  flows: Promise<void>;
}

interface Device {
  stream: MediaStream;
  track: MediaStreamTrack;
  source?: MediaStreamAudioSourceNode;
  gone: AbortController;
}

export interface Microphone {
  addEventListener<K extends keyof api.MicrophoneEventMap>(
    type: K,
    listener: ((event: api.MicrophoneEventMap[K]) => void) | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
}

export class Microphone extends EventTarget implements api.Microphone {
  #sound: Sound;
  #post: (message: ToHost, transfer?: Transferable[]) => void;
  #tellLost: (error: LiveValetError) => void;
  #closed = false;

  #options: api.MicrophoneOptions = {};
  #state: api.MicrophoneState = "off";
  #mode: api.MicrophoneMode = "gated";
  #muted = false;
  #pressed = false;
  #level = none;
  #silentSince: number | undefined;
  #silent = false;

  /** From start to stop. */
  #run: Run | undefined;
  #flowed!: () => void;
  #stopped!: (error: LiveValetError) => void;
  /** On its way, and made. */
  #made: Promise<AudioWorkletNode> | undefined;
  #node: AudioWorkletNode | undefined;
  /** What the node was told; undefined: nothing. */
  #passing: Passing | undefined;
  #device: Device | undefined;
  /** Counts what was asked of the browser; only the newest answer is taken. */
  #asked = 0;
  #review: ReturnType<typeof setTimeout> | undefined;

  constructor(sound: Sound, post: (message: ToHost, transfer?: Transferable[]) => void, tellLost: (error: LiveValetError) => void) {
    super();
    this.#sound = sound;
    this.#post = post;
    this.#tellLost = tellLost;
    sound.addEventListener("blocked", () => {
      if (!this.#run) return;
      this.#hear(none); // The worklet says nothing then.
      this.dispatchEvent(new Event("blocked"));
    });
    sound.addEventListener("running", () => this.#run && this.#change());
    sound.addEventListener("renewed", () => {
      if (!this.#run) return;
      this.#make();
      // Without a device as yet, that comes once there is one.
      if (this.#device || this.#state === "lost") this.#wire().catch((error) => this.#fail(refusal("microphone", error)));
    });
  }

  get state(): api.MicrophoneState {
    return this.#state;
  }

  get level(): api.MicrophoneLevel {
    return this.#level;
  }

  get silent(): boolean {
    return this.#silent;
  }

  get blocked(): boolean {
    return this.#run !== undefined && this.#sound.blocked;
  }

  get settings(): api.MicrophoneSettings | undefined {
    const track = this.#device?.track;
    if (!track) return undefined;
    const { deviceId, sampleRate, echoCancellation, noiseSuppression, autoGainControl } = track.getSettings();
    return { label: track.label, deviceId, sampleRate, echoCancellation, noiseSuppression, autoGainControl };
  }

  get muted(): boolean {
    return this.#muted;
  }

  set muted(muted: boolean) {
    if (muted === this.#muted) return;
    this.#muted = muted;
    this.#pass();
    this.#change();
  }

  get mode(): api.MicrophoneMode {
    return this.#mode;
  }

  set mode(mode: api.MicrophoneMode) {
    checkMode(mode);
    if (mode === this.#mode) return;
    this.release();
    this.#mode = mode;
    this.#gate();
    this.#pass();
    this.#change();
  }

  start(options?: api.MicrophoneOptions): Promise<void> {
    return this.begin(microphoneOptions(options)).flows;
  }

  begin(options: api.MicrophoneOptions): Run {
    if (this.#state === "lost") this.stop(); // It may be there again, and nobody told.
    if (this.#run) return this.#run;
    if (this.#closed) {
      const ended = Promise.reject(over());
      ended.catch(() => {});
      return { granted: ended, flows: ended };
    }
    this.#options = { ...options, deviceId: options.deviceId ?? this.#options.deviceId };
    this.#mode = options.mode ?? this.#mode;
    // Both now: the click that this may be called in counts only until an await.
    this.#make();
    const granted = Promise.all([this.#acquire(this.#options.deviceId), ownership.take(this.#taken, options.takeOver === true)]).then(() => {});
    const flows = new Promise<void>((resolve, reject) => {
      this.#flowed = resolve;
      this.#stopped = reject;
      granted.then(() => this.#wire()).catch((error) => reject(refusal("microphone", error)));
    });
    const run = (this.#run = { granted, flows });
    flows.then(
      () => run === this.#run && this.#on(),
      () => run === this.#run && this.stop(),
    );
    this.#set("asking");
    if (this.blocked) this.dispatchEvent(new Event("blocked")); // Since before, so nobody else tells.
    return run;
  }

  stop(): void {
    if (!this.#run) return;
    this.#run = undefined;
    this.#asked++;
    ownership.drop(this.#taken);
    this.#stopped(givenUp("microphone"));
    clearTimeout(this.#review);
    this.#review = undefined;
    navigator.mediaDevices?.removeEventListener("devicechange", this.#look);
    this.release();
    this.#pass();
    this.#made?.then(({ port }) => port.postMessage({ type: "quit" } satisfies ToMicrophone), () => {});
    this.#made = this.#node = undefined;
    this.#drop();
    this.#sound.rest(processor);
    this.#set("off");
  }

  /** Stops; gives what starts it again as it was. */
  pause(): (() => void) | undefined {
    const options = { ...this.#options, takeOver: false };
    if (!this.#run) return undefined;
    this.stop();
    return () => this.begin(options).flows.catch((error: LiveValetError) => {
      if (error.code !== "aborted") this.#tellLost(error); // else the page stopped it, or the end did
    });
  }

  #taken = (): void => {
    this.stop();
    this.dispatchEvent(new Event("taken"));
  };

  /** The session has ended. */
  close(): void {
    this.#closed = true;
    this.stop();
  }

  press(): void {
    if (this.#mode !== "push-to-talk") throw misuse('press is for the mode "push-to-talk"');
    this.#pressed = true;
    this.#pass();
  }

  release(): void {
    this.#pressed = false;
    if (this.#mode === "push-to-talk") this.#pass();
  }

  async devices(): Promise<MediaDeviceInfo[]> {
    const all = await mediaDevices("microphone").enumerateDevices();
    return all.filter(({ kind }) => kind === "audioinput");
  }

  async use(deviceId: string): Promise<void> {
    checkDevice(deviceId);
    const run = this.#run;
    if (run && this.#options.source) throw misuse("the microphone was started with a source of yours: stop it first");
    if (run) {
      await run.flows;
      if (run !== this.#run) throw givenUp("microphone");
      try {
        await this.#acquire(deviceId && { exact: deviceId });
      } catch (error) {
        this.#look(); // It may have come between the search for another.
        throw error;
      }
      this.#set("on");
    }
    this.#options = { ...this.#options, deviceId };
  }

  // ---- the device ----------------------------------------------------------

  #make(): void {
    this.#made = this.#sound.node(processor, { numberOfOutputs: 0, channelCountMode: "max" });
    this.#made.catch(() => {}); // #wire tells
  }

  /** Has a node of the newest context record. */
  async #wire(): Promise<void> {
    const made = this.#made;
    const node = await made?.catch((error) => {
      if (made === this.#made) throw error;
    });
    if (!node || made !== this.#made) return; // stopped, or renewed
    node.port.onmessage = ({ data }) => {
      const message = data as FromMicrophone;
      if (message === "flows") this.#flowed();
      else if (this.#passing === "all") this.#hear(message); // else it was under way
    };
    const { port1, port2 } = new MessageChannel();
    this.#node = node;
    this.#passing = undefined;
    this.#tell({ type: "host", port: port1 }, [port1]);
    this.#post({ type: "microphone", port: port2 }, [port2]);
    this.#gate();
    this.#pass();
    this.#connect();
  }

  #on(): void {
    if (!this.#options.source) navigator.mediaDevices.addEventListener("devicechange", this.#look);
    if (this.#state === "asking") this.#set("on");
    if (this.#device?.track.readyState === "ended") this.#look(); // and nobody said so
  }

  /** Asks for a device and takes it in place of the one before. */
  async #acquire(deviceId: ConstrainDOMString | undefined): Promise<void> {
    const asked = ++this.#asked;
    const { source } = this.#options;
    try {
      const stream = source ?? (await mediaDevices("microphone").getUserMedia({ audio: this.#constraints(deviceId) }));
      if (asked === this.#asked) return this.#take(stream);
      if (!source) endStream(stream);
    } catch (error) {
      if (asked === this.#asked) throw refusal("microphone", error);
    }
    throw givenUp("microphone");
  }

  /** Only wishes: what a browser cannot grant is no reason to be without a microphone, its rate least of all. */
  #constraints(deviceId: ConstrainDOMString | undefined): MediaTrackConstraints {
    const wishes: MediaTrackConstraints = Object.fromEntries(processing.map((name) => [name, { ideal: this.#options[name] ?? true }]));
    if (deviceId) wishes.deviceId = typeof deviceId === "string" ? { ideal: deviceId } : deviceId;
    return wishes;
  }

  #take(stream: MediaStream): void {
    this.#drop();
    const track = stream.getAudioTracks()[0]!;
    const gone = new AbortController();
    const { signal } = gone;
    this.#device = { stream, track, gone };
    this.#silentSince = undefined;
    this.#connect();
    track.addEventListener("ended", this.#look, { signal });

    let muted: ReturnType<typeof setTimeout> | undefined;
    const unmute = () => {
      clearTimeout(muted);
      if (this.#state === "lost") this.#set("on");
    };
    track.addEventListener("mute", () => (muted = setTimeout(() => void this.#replace(), mutedLimit)), { signal });
    track.addEventListener("unmute", unmute, { signal });
    signal.addEventListener("abort", () => clearTimeout(muted));
  }

  #connect(): void {
    const device = this.#device;
    if (!device || !this.#node) return;
    device.source?.disconnect();
    device.source = new MediaStreamAudioSourceNode(this.#node.context as AudioContext, { mediaStream: device.stream });
    device.source.connect(this.#node);
  }

  #drop(): void {
    const old = this.#device;
    this.#device = undefined;
    old?.gone.abort();
    old?.source?.disconnect();
    if (old && old.stream !== this.#options.source) endStream(old.stream);
  }

  /** Devices came or went, or this one ended: looks soon whether it is still the one. */
  #look = (): void => {
    if (!this.#run) return;
    this.#review ??= setTimeout(async () => {
      const run = this.#run;
      this.#review = undefined;
      if (!(await this.#good()) && run === this.#run) void this.#replace();
    }, burst);
  };

  async #good(): Promise<boolean> {
    if (this.#state === "lost" || this.#device?.track.readyState !== "live") return false;
    if (this.#options.source) return true;
    const present = (await this.devices()).map(({ deviceId }) => deviceId);
    const [wanted, had] = [this.#options.deviceId, this.settings?.deviceId];
    return (!had || present.includes(had)) && (!wanted || wanted === had || !present.includes(wanted));
  }

  /** Takes the chosen device, else any. */
  async #replace(): Promise<void> {
    const { deviceId, source } = this.#options;
    let failure = refusal("microphone", new DOMException("", "NotFoundError"));
    for (const wanted of source ? [] : new Set([deviceId || undefined, undefined])) {
      try {
        await this.#acquire(wanted);
        // Who mutes one may mute all: that ends with "unmute".
        return this.#device!.track.muted ? this.#lose(refusal("microphone", new DOMException("", "NotReadableError"))) : this.#set("on");
      } catch (error) {
        failure = error as LiveValetError;
        if (failure.code === "aborted") return;
      }
    }
    this.#drop();
    this.#lose(failure);
  }

  /** There is no worklet, which no device that comes can mend. */
  #fail(error: LiveValetError): void {
    if (this.#state === "asking") return this.#stopped(error);
    this.stop();
    this.#tellLost(error);
  }

  #lose(error: LiveValetError): void {
    if (this.#state === "lost") return;
    this.#set("lost");
    this.#hear(none);
    this.#tellLost(error);
  }

  // ---- what passes ---------------------------------------------------------

  #pass(): void {
    const held = this.#mode === "push-to-talk";
    const what = !this.#run || this.#muted ? "nothing" : held && !this.#pressed ? "soon" : "all";
    if (!this.#node || what === this.#passing) return;
    this.#passing = what;
    const mark = held ? (what === "all" ? "begin" : "end") : this.#run ? undefined : "stop";
    this.#tell({ type: "pass", what, mark });
    if (what !== "all") this.#hear(none);
  }

  #gate(): void {
    this.#post({ type: "gate", on: this.#mode === "gated" });
  }

  #hear(level: api.MicrophoneLevel): void {
    this.#level = level;
    this.dispatchEvent(new Event("level"));
    if (level.peak > 0 || this.#passing !== "all" || this.#state !== "on" || this.blocked) this.#silentSince = undefined;
    else this.#silentSince ??= performance.now();
    const silent = this.#silentSince !== undefined && performance.now() - this.#silentSince >= silentLimit;
    if (silent === this.#silent) return;
    this.#silent = silent;
    this.#change();
  }

  #tell(message: ToMicrophone, transfer: Transferable[] = []): void {
    this.#node?.port.postMessage(message, transfer);
  }

  #set(state: api.MicrophoneState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#change();
  }

  #change(): void {
    this.dispatchEvent(new Event("change"));
  }
}

/** Checks the options of start, or the option `microphone` of connect. */
export function microphoneOptions(options: api.MicrophoneOptions = {}): api.MicrophoneOptions {
  if (typeof options !== "object" || options === null) throw misuse("the microphone's options must be an object");
  const { deviceId, mode, source } = options;
  if (deviceId !== undefined) checkDevice(deviceId);
  if (mode !== undefined) checkMode(mode);
  if (source !== undefined && !(source instanceof MediaStream && source.getAudioTracks().length > 0)) {
    throw misuse("source must be a MediaStream with an audio track");
  }
  for (const name of [...processing, "takeOver"] as const) {
    if (!["boolean", "undefined"].includes(typeof options[name])) throw misuse(`${name} must be true or false`);
  }
  return { ...options };
}

function checkDevice(deviceId: unknown): void {
  if (typeof deviceId !== "string") throw misuse('deviceId must be that of one of devices(), or "" for the browser\'s choice');
}

function checkMode(mode: unknown): void {
  if (mode !== "open" && mode !== "gated" && mode !== "push-to-talk") {
    throw misuse('the microphone\'s mode must be "open", "gated" or "push-to-talk"');
  }
}
