// The microphone's worklet: sound at the context's rate in, PCM of 16 kHz in
// pieces of 20 ms out, straight to the engine's host.

import type { Mark, Recorded } from "./capture";
import { Resampler } from "./resample";

/** What the page tells it. The port leads to the engine's host. */
export type ToMicrophone =
  | { type: "host"; port: MessagePort }
  /** What passes; the mark goes before the first of it, or after the last. */
  | { type: "pass"; what: Passing; mark?: Mark | undefined }
  | { type: "quit" };

/** "soon": nothing yet, but the last 200 ms are kept for when all does. */
export type Passing = "nothing" | "soon" | "all";

/** What it tells the page: that the audio thread runs, once; then how loud what passes is. */
export type FromMicrophone = "flows" | { rms: number; peak: number };

const rate = 16_000;
const pieceLength = rate / 50;
/** Pieces of before the button, which people press as they begin to speak; one more is being filled. */
const mostKept = 9;
/** Of the context's: 50 ms, the most often that the page is told. */
const levelLength = sampleRate / 20;
/** Samples for which the audio thread calls. */
const block = 128;
const silence = new Float32Array(block);

class MicrophoneProcessor extends AudioWorkletProcessor {
  #host: MessagePort | undefined;
  #passing: Passing = "nothing";
  #quit = false;
  #flows = false;

  #resampler = new Resampler(sampleRate, rate);
  #mono = new Float32Array(block);
  #resampled = new Float32Array(this.#resampler.most(block));
  #piece = new Int16Array(pieceLength);
  #filled = 0;
  #kept: ArrayBuffer[] = [];

  #squares = 0;
  #peak = 0;
  #measured = 0;

  constructor() {
    super();
    this.port.onmessage = ({ data }) => this.#take(data as ToMicrophone);
  }

  process([channels]: Float32Array[][]): boolean {
    if (this.#quit) return false;
    if (!this.#flows && this.#host) {
      this.#flows = true;
      this.#tell("flows");
    }
    if (this.#passing === "nothing") return true;
    // Nothing is connected, or it is Firefox, where silence has no channels.
    const mono = channels?.length ? this.#mix(channels) : undefined;
    if (this.#passing === "all") this.#measure(mono ?? silence);
    if (mono) this.#record(mono);
    else if (this.#passing === "soon") this.#forget();
    return true;
  }

  #take(message: ToMicrophone): void {
    switch (message.type) {
      case "host":
        this.#host = message.port;
        return;
      case "pass":
        if (this.#passing === "all" && this.#filled > 0) this.#post(); // What there is of a piece is not the next speech's.
        // What was before is kept for a button alone.
        if (this.#passing === "nothing" || (message.what !== "soon" && message.mark !== "begin")) this.#forget();
        this.#passing = message.what;
        this.#squares = this.#peak = this.#measured = 0;
        if (message.mark) this.#host?.postMessage(message.mark);
        if (message.what === "all") for (const pcm of this.#kept.splice(0)) this.#give(pcm);
        return;
      case "quit":
        this.#quit = true;
    }
  }

  /** The mean of all channels, some of which may be silent. */
  #mix(channels: Float32Array[]): Float32Array {
    if (channels.length === 1) return channels[0]!;
    const mono = this.#mono;
    for (let i = 0; i < mono.length; i++) {
      let sum = 0;
      for (let c = 0; c < channels.length; c++) sum += channels[c]![i]!;
      mono[i] = sum / channels.length;
    }
    return mono;
  }

  #measure(mono: Float32Array): void {
    for (let i = 0; i < mono.length; i++) {
      this.#squares += mono[i]! * mono[i]!;
      this.#peak = Math.max(this.#peak, Math.abs(mono[i]!));
    }
    this.#measured += mono.length;
    if (this.#measured < levelLength) return;
    this.#tell({ rms: Math.sqrt(this.#squares / this.#measured), peak: this.#peak });
    this.#squares = this.#peak = this.#measured = 0;
  }

  #record(mono: Float32Array): void {
    const given = this.#resampler.process(mono, this.#resampled);
    for (let i = 0; i < given; i++) {
      this.#piece[this.#filled++] = Math.round(32_767 * Math.max(-1, Math.min(1, this.#resampled[i]!)));
      if (this.#filled === pieceLength) this.#post();
    }
  }

  #post(): void {
    const pcm = this.#piece.slice().fill(0, this.#filled).buffer;
    this.#filled = 0;
    if (this.#passing === "all") return this.#give(pcm);
    this.#kept.push(pcm);
    if (this.#kept.length > mostKept) this.#kept.shift();
  }

  #give(pcm: ArrayBuffer): void {
    this.#host?.postMessage(pcm satisfies Recorded, [pcm]);
  }

  #forget(): void {
    this.#kept = [];
    this.#filled = 0;
    this.#resampler.reset();
  }

  #tell(message: FromMicrophone): void {
    this.port.postMessage(message);
  }
}

registerProcessor("livevalet-microphone", MicrophoneProcessor);
