// The page's side of the speaker: the context and the node that plays. The sound
// itself does not come this way.

import { misuse, over } from "../errors";
import type * as api from "/livevalet.js";
import type { ToHost } from "../messages";
import type { Sound } from "./context";
import type { SpeakerNews } from "./playback";

const processor = "livevalet-speaker";

type Post = (message: ToHost, transfer?: Transferable[]) => void;

export interface Speaker {
  addEventListener<K extends keyof api.SpeakerEventMap>(
    type: K,
    listener: ((event: api.SpeakerEventMap[K]) => void) | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
}

export class Speaker extends EventTarget {
  level = 0;
  playing = false;
  underruns = 0;
  position = 0;

  #sound: Sound;
  #post: Post;
  #copy: boolean;
  #volume: number;
  #muted: boolean;
  #started: Promise<void> | undefined;
  /** The worklet's end of the line to the host. */
  #line: MessagePort | undefined;
  #node: AudioWorkletNode | undefined;
  #over = false;

  constructor(sound: Sound, post: Post, { copy = false, volume = 1, muted = false }: api.SpeakerOptions) {
    super();
    this.#sound = sound;
    this.#post = post;
    this.#copy = copy;
    this.#volume = volume;
    this.#muted = muted;
    sound.addEventListener("blocked", () => this.#started && this.#dispatch("blocked"));
    sound.addEventListener("running", () => this.#started && this.#dispatch("change"));
    sound.addEventListener("renewed", () => this.#started && this.#attach().catch(() => sound.fail()));
  }

  get blocked(): boolean {
    return this.#started !== undefined && this.#sound.blocked;
  }

  get volume(): number {
    return this.#volume;
  }

  set volume(volume: number) {
    this.#volume = checkVolume(volume);
    this.#adjust();
  }

  get muted(): boolean {
    return this.#muted;
  }

  set muted(muted: boolean) {
    this.#muted = Boolean(muted);
    this.#adjust();
  }

  start(): Promise<void> {
    if (this.#over) return Promise.reject(over());
    if (this.#started) {
      this.#sound.resume();
      return this.#started;
    }
    const started = (this.#started = this.#attach());
    started.catch(() => this.#started === started && this.stop());
    if (this.blocked) this.#dispatch("blocked"); // Since before, so nobody else tells.
    return started;
  }

  stop(): void {
    if (!this.#started) return;
    this.#started = undefined;
    this.#post({ type: "no-speaker" });
    this.#detach();
    this.#line = undefined;
    this.#sound.rest(processor);
    if (this.playing) {
      this.playing = false;
      this.level = 0;
      this.#dispatch("change");
    }
  }

  /** The session has ended. */
  close(): void {
    this.stop();
    this.#over = true;
  }

  use(deviceId: string): Promise<void> {
    return this.#sound.use(deviceId);
  }

  async devices(): Promise<MediaDeviceInfo[]> {
    const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
    return devices.filter(({ kind }) => kind === "audiooutput");
  }

  /** Takes what the host tells of what is played. */
  follow(news: SpeakerNews): void {
    if (news.type === "heard") {
      this.#dispatch("heard", news.heard);
      return;
    }
    if (!this.#started) return; // it was said before
    const { playing, underruns } = this;
    Object.assign(this, { level: news.level, playing: news.playing, underruns: news.underruns, position: news.position });
    if (this.underruns > underruns) this.#dispatch("underrun", { count: this.underruns });
    if (this.playing !== playing) this.#dispatch("change");
  }

  /** The host has the other end at once, and what it says meanwhile waits in the line. */
  async #attach(): Promise<void> {
    this.#detach();
    const { port1, port2 } = new MessageChannel();
    this.#line = port2;
    this.#post({ type: "speaker", port: port1, copy: this.#copy }, [port1]);
    // It may be stopped, or attached to another context, meanwhile.
    const node = await this.#sound.node(processor, { numberOfInputs: 0, outputChannelCount: [1] }).catch((error) => {
      if (this.#line === port2) throw error;
    });
    if (!node || this.#line !== port2) return;
    this.#node = node;
    node.parameters.get("volume")!.value = this.#loudness;
    node.port.postMessage(port2, [port2]);
    node.connect(node.context.destination);
  }

  /** What sounds fades within 10 ms. */
  #detach(): void {
    const node = this.#node;
    if (!node) return;
    this.#node = undefined;
    node.port.postMessage("end");
    setTimeout(() => node.disconnect(), 50);
  }

  get #loudness(): number {
    return this.#muted ? 0 : this.#volume;
  }

  #adjust(): void {
    const volume = this.#node?.parameters.get("volume");
    if (volume) volume.value = this.#loudness;
    this.#dispatch("change");
  }

  #dispatch(type: string, detail?: unknown): void {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** What connect is given: undefined if there is to be no speaker. */
export function speakerOptions(given: boolean | api.SpeakerOptions | undefined): api.SpeakerOptions | undefined {
  if (given === undefined || given === false) return undefined;
  if (given === true) return {};
  if (typeof given !== "object" || given === null) throw misuse("speaker must be true, false or an object of options");
  if (given.volume !== undefined) checkVolume(given.volume);
  return given;
}

function checkVolume(volume: number): number {
  if (typeof volume !== "number" || !(volume >= 0 && volume <= 1)) throw misuse("volume must be a number from 0 to 1");
  return volume;
}
