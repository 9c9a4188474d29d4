// What the speaker's worklet plays from: sound as it came from the line, given out
// at the output's rate as one stream, behind a cushion that covers the jitter of the
// line. Its clock is what was read, so it is the same on every machine.

import { Resampler } from "./resample";

/** Seconds. The cushion is how long the first sound waits for what is to follow it. */
const smallest = 0.12;
const largest = 0.5;
const margin = 0.02;
/** Seconds of sound over which the jitter that was seen is half forgotten. */
const halfLife = 30;

/** Seconds of fade: where sound runs out, and where it is cut short. */
const ebb = 0.005;
const cut = 0.008;

/** Seconds of sound that are resampled at a time. */
const piece = 0.01;

interface Sound {
  samples: Int16Array;
  rate: number;
}

export class JitterBuffer {
  /** How often sound ran out although there was more to come. */
  underruns = 0;

  #rate: number;
  #read = 0;

  #queue: Sound[] = [];
  /** Samples of the first in the queue that are resampled already. */
  #taken = 0;
  /** Samples that were pushed, and those still in the queue. */
  #pushed = 0;
  #queued = 0;
  /** More is to come without a pause. */
  #open = false;
  #state: "empty" | "filling" | "playing" = "empty";
  #fillingSince = 0;
  /** Sound ran out while it was open. */
  #starved = false;

  #resampler: Resampler | undefined;
  #from = 0;
  /** The resampler holds sound back. */
  #streams = false;
  #input = new Float32Array(0);
  /** Resampled sound that was not read yet. */
  #ready = new Float32Array(0);
  #at = 0;
  #end = 0;
  #gain = 1;
  /** The fade of what was cut short. */
  #tail = new Float32Array(0);

  /** By how much sound came later than it could have, at worst and of late. */
  #jitter = 0;
  /** How much sound came since it is to follow without a pause, and when it came at the earliest, less what came before. */
  #sound = 0;
  #earliest = 0;

  constructor(rate: number) {
    this.#rate = rate;
  }

  /** Seconds. */
  get cushion(): number {
    return Math.min(Math.max(smallest, this.#jitter + margin), largest);
  }

  get playing(): boolean {
    return this.#state === "playing";
  }

  /** Plays, or fades what was cut short. */
  get sounds(): boolean {
    return this.playing || this.#tail.length > 0;
  }

  /** How many of the samples that were pushed have been read, or dropped. */
  get position(): number {
    const held = this.#streams ? this.#resampler!.delay : 0;
    return Math.max(0, this.#pushed - this.#queued - Math.round(((this.#end - this.#at) / this.#rate + held) * this.#from));
  }

  push(samples: Int16Array, rate: number): void {
    if (samples.length === 0) return;
    const now = this.#read / this.#rate;
    const length = samples.length / rate;
    this.#learn(now, length);
    if (this.#starved) this.underruns++;
    this.#starved = false;
    if (this.#state === "empty") [this.#state, this.#fillingSince] = ["filling", now];
    this.#open = true;
    this.#queue.push({ samples, rate });
    this.#pushed += samples.length;
    this.#queued += samples.length;
  }

  /** What is here is all for now: a pause after it is none of the line's. */
  pause(): void {
    this.#open = false;
    if (this.#starved) this.#stop();
  }

  /** Silence, after a short fade. */
  flush(): void {
    if (this.#state === "playing") {
      const tail = new Float32Array(Math.round(cut * this.#rate));
      this.#prepare(tail.length);
      for (let i = 0; i < tail.length && this.#at < this.#end; i++) {
        tail[i] = this.#ready[this.#at++]! * this.#gain * (1 - (i + 1) / tail.length);
      }
      this.#tail = tail;
    }
    this.#queue = [];
    this.#queued = this.#taken = this.#at = this.#end = 0;
    this.#stop();
  }

  /** Fills the next piece of output. */
  read(output: Float32Array): void {
    output.fill(0);
    if (this.#state === "filling" && this.#filled()) this.#state = "playing";
    if (this.#state === "playing") this.#play(output);
    if (this.#tail.length > 0) {
      const now = this.#tail.subarray(0, output.length);
      now.forEach((sample, i) => (output[i]! += sample));
      this.#tail = this.#tail.subarray(now.length);
    }
    this.#read += output.length;
  }

  /** Sound of which much waits may come when it will. */
  #learn(now: number, length: number): void {
    if (!this.#open) this.#sound = 0;
    const came = now - this.#sound;
    const plenty = this.#queued > largest * (this.#queue[0]?.rate ?? 0);
    if (!this.#open || plenty || came < this.#earliest) this.#earliest = came;
    const late = Math.min(came - this.#earliest, largest);
    this.#jitter = Math.max(late, this.#jitter * 2 ** (-length / halfLife));
    this.#sound += length;
  }

  /**
   * Models send faster than they speak, so there is soon as much as there would be
   * after a wait, or all: the cushion, and the newest sound, after which more is due.
   * Who sends it in large pieces is ahead anyway.
   */
  #filled(): boolean {
    const { cushion } = this;
    const waited = this.#read / this.#rate - this.#fillingSince;
    const { samples, rate } = this.#queue.at(-1)!;
    const enough = cushion + Math.min(samples.length / rate, cushion);
    return !this.#open || waited >= cushion || this.#queued >= enough * rate;
  }

  #play(output: Float32Array): void {
    const ebbing = Math.round(ebb * this.#rate);
    this.#prepare(output.length + ebbing);
    for (let i = 0; i < output.length; i++) {
      const left = this.#end - this.#at;
      if (left === 0) return this.#ranOut();
      // What runs out fades, and what comes in the midst of it swells again.
      const step = (this.#open && left <= ebbing ? -1 : 1) / ebbing;
      this.#gain = Math.min(Math.max(0, this.#gain + step), 1);
      output[i] = this.#ready[this.#at++]! * this.#gain;
    }
  }

  #ranOut(): void {
    if (!this.#open) return this.#stop();
    this.#state = "empty";
    this.#starved = true;
    this.#gain = 0;
  }

  /** The next sound begins a stream. */
  #stop(): void {
    this.#state = "empty";
    this.#open = this.#starved = false;
    this.#gain = 1;
    this.#streams = false;
  }

  /** Has so many samples ready, if there are as many. */
  #prepare(wanted: number): void {
    while (this.#end - this.#at < wanted) {
      const [first] = this.#queue;
      const ends = first ? first.rate !== this.#from : !this.#open;
      if (ends && this.#streams) this.#drain();
      else if (first) this.#take(first);
      else return;
    }
  }

  #take(first: Sound): void {
    if (first.rate !== this.#from) {
      this.#from = first.rate;
      this.#resampler = new Resampler(this.#from, this.#rate);
      this.#input = new Float32Array(Math.ceil(Math.max(piece, this.#resampler.delay) * this.#from));
    }
    if (!this.#streams) this.#resampler!.reset();
    this.#streams = true;
    const samples = first.samples.subarray(this.#taken, this.#taken + this.#input.length);
    const input = this.#input.subarray(0, samples.length);
    for (let i = 0; i < samples.length; i++) input[i] = samples[i]! / 0x8000;
    this.#resample(input);
    this.#taken += samples.length;
    this.#queued -= samples.length;
    if (this.#taken === first.samples.length) {
      this.#queue.shift();
      this.#taken = 0;
    }
  }

  /** Gets out what the resampler holds back at the end of a stream. */
  #drain(): void {
    const held = Math.ceil(this.#resampler!.delay * this.#from);
    this.#resample(this.#input.subarray(0, held).fill(0));
    this.#streams = false;
  }

  #resample(input: Float32Array): void {
    const most = this.#resampler!.most(input.length);
    if (this.#end + most > this.#ready.length) {
      const left = this.#ready.subarray(this.#at, this.#end);
      if (left.length + most > this.#ready.length) {
        const larger = new Float32Array(2 * (left.length + most));
        larger.set(left);
        this.#ready = larger;
      } else {
        this.#ready.copyWithin(0, this.#at, this.#end);
      }
      [this.#at, this.#end] = [0, left.length];
    }
    this.#end += this.#resampler!.process(input, this.#ready.subarray(this.#end));
  }
}
