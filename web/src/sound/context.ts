// The page's AudioContext of one session. Everything else about sound is made of
// worklets in it, which talk to the engine's host without the page.

import { LiveValetError } from "../errors";
import { fileURL } from "../link";

/** The processors in the worklets' file. */
export type Processor = "livevalet-microphone" | "livevalet-speaker";

/** How often it is looked at (ms), and for how long its clock may stand still. */
const lookEvery = 250;
const longestStill = 1_000;

/** What is cut short has faded by then (ms). */
const fading = 50;

/** What browsers take for a person's will, by the HTML standard; a touch that begins may still become a scroll. */
const gestures = ["pointerdown", "pointerup", "touchend", "keydown"];

/**
 * Dispatches "blocked" when the browser holds sound back, and "running" when it goes
 * on. A context that a phone call, a sleep or another app has stopped may never run
 * again, or says that it does while its clock stands still: so at the next gesture
 * there is a new one, and "renewed" is dispatched, in which all nodes are to be made again.
 */
export class Sound extends EventTarget {
  /** The browser holds sound back. */
  blocked = false;

  #context: AudioContext | undefined;
  #loaded: Promise<void> | undefined;
  #device = "";
  /** Whose nodes it is there for. */
  #users = new Set<Processor>();
  #look: ReturnType<typeof setInterval> | undefined;
  /** When its clock was seen to move, or need not. */
  #moved = 0;
  /** What was there could not be made again in it. */
  #failed = false;

  /**
   * The context, made or resumed now: browsers let sound begin only inside a
   * click, and not after an await in it. It has the device's own rate, since
   * browsers refuse a microphone of another (Firefox) or resample it badly.
   */
  wake(): AudioContext {
    this.#context ??= this.#begin();
    this.resume();
    return this.#context;
  }

  /** Has the context run, if there is one. */
  resume(): void {
    void this.#context?.resume().catch(() => {}); // its state tells
  }

  /** Makes a worklet's node. */
  async node(processor: Processor, options: AudioWorkletNodeOptions): Promise<AudioWorkletNode> {
    if (this.#users.size === 0) this.#moved = performance.now();
    this.#users.add(processor);
    const context = this.wake();
    const loaded = (this.#loaded ??= context.audioWorklet.addModule(fileURL(__WORKLET_FILE__)));
    try {
      await loaded;
    } catch {
      if (this.#loaded === loaded) this.#loaded = undefined;
      throw new LiveValetError({
        code: "network",
        phase: "setup",
        message: `${__WORKLET_FILE__} did not load: serve it beside livevalet.js, and allow its origin in the page's script-src`,
        retryable: true,
      });
    }
    return new AudioWorkletNode(context, processor, options);
  }

  /** What was there cannot be made again in the new context: it is, in another, at the next gesture. */
  fail(): void {
    this.#failed = true;
    this.#judge(true);
  }

  /**
   * The processor is not needed for now. A context that nobody needs rests, once what
   * is cut short has faded: it costs power, and on phones it holds other sound back.
   */
  rest(processor: Processor): void {
    this.#users.delete(processor);
    if (this.#users.size === 0) this.#failed = false;
    setTimeout(() => this.#users.size === 0 && void this.#context?.suspend().catch(() => {}), fading);
  }

  /** Has all that is played go to another device; "" is the system's choice. */
  async use(device: string): Promise<void> {
    if (!AudioContext.prototype.setSinkId) {
      throw unusable("unsupported", "this browser cannot choose the device that plays: choose it in the system's settings");
    }
    try {
      await this.#context?.setSinkId!(device);
      this.#device = device;
    } catch (error) {
      const denied = (error as DOMException).name === "NotAllowedError";
      throw denied
        ? unusable("device_denied", "the visitor has not allowed this device: ask with navigator.mediaDevices.selectAudioOutput, or for the microphone")
        : unusable("device_unavailable", "there is no such device, or it does not play: choose another of devices()");
    }
  }

  /** Lets go of the device, once what is cut short has faded. */
  close(): void {
    const context = this.#end();
    if (context) setTimeout(() => void context.close().catch(() => {}), fading);
  }

  #begin(): AudioContext {
    let context: AudioContext;
    try {
      context = new AudioContext({ latencyHint: "interactive" });
    } catch {
      throw unusable("unsupported", "the browser lets this page play nothing: close other pages that do, and try again");
    }
    if (this.#device) void context.setSinkId!(this.#device).catch(() => {}); // the system's own, then
    let clock = 0;
    this.#moved = performance.now();
    const look = () => {
      const { state, currentTime } = context;
      const now = performance.now();
      const rests = this.#users.size === 0;
      if (rests || currentTime !== clock) [clock, this.#moved] = [currentTime, now];
      // TypeScript does not know what Safari says of phone calls.
      const held = (state as string) === "interrupted" || now - this.#moved >= longestStill;
      this.#judge(!rests && (held || this.#failed));
    };
    this.#look = setInterval(look, lookEvery);
    context.onstatechange = look;
    return context;
  }

  #end(): AudioContext | undefined {
    const context = this.#context;
    clearInterval(this.#look);
    if (context) context.onstatechange = null;
    this.#context = this.#loaded = undefined;
    this.#failed = false;
    this.#judge(false);
    return context;
  }

  #judge(blocked: boolean): void {
    if (blocked === this.blocked) return;
    this.blocked = blocked;
    for (const type of gestures) {
      if (blocked) addEventListener(type, this.#renew, true);
      else removeEventListener(type, this.#renew, true);
    }
    this.dispatchEvent(new Event(blocked ? "blocked" : "running"));
  }

  #renew = (): void => {
    if (navigator.userActivation?.isActive === false) return;
    void this.#end()?.close().catch(() => {});
    this.dispatchEvent(new Event("renewed"));
  };
}

function unusable(code: string, message: string): LiveValetError {
  return new LiveValetError({ code, phase: "live", message, retryable: false });
}
