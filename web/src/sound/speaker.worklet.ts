// The speaker's worklet: what the engine's host sends goes through the jitter
// buffer to the output, as loud as the page wants it. The page's own port brings
// the host's, and "end".

import { JitterBuffer } from "./jitterbuffer";
import { reportsKept, type FromSpeaker, type ToSpeaker } from "./playback";

/** −12 dB. */
const ducked = 0.25;
/** Seconds in which a change of the loudness is made, but for a third. */
const smoothing = 0.015;
/** Frames between two reports, about 20 ms: a whole number of pieces of 128. */
const reportEvery = Math.ceil((0.02 * sampleRate) / 128) * 128;

class Speaker extends AudioWorkletProcessor {
  static parameterDescriptors = [{ name: "volume", defaultValue: 1, minValue: 0, maxValue: 1, automationRate: "k-rate" }];

  #buffer = new JitterBuffer(sampleRate);
  #host: MessagePort | undefined;
  #loudness: number | undefined;
  #target = 1;
  #ended = false;

  /** Of the squares, since the last report. */
  #sum = 0;
  #frames = 0;
  #position = 0;
  #silentReports = reportsKept;

  constructor() {
    super();
    this.port.onmessage = ({ data }) => {
      if (data === "end") this.#end();
      else this.#listen(data as MessagePort);
    };
  }

  process(_: Float32Array[][], [outputs]: Float32Array[][], { volume }: Record<string, Float32Array>): boolean {
    const output = outputs![0]!;
    this.#buffer.read(output);
    this.#adjust(output, volume![0]! * this.#target);
    this.#measure(output);
    return !this.#ended || this.#buffer.sounds;
  }

  #listen(port: MessagePort): void {
    this.#host = port;
    port.onmessage = ({ data }) => {
      const message = data as ToSpeaker;
      switch (message.type) {
        case "play":
          return this.#buffer.push(message.pcm, message.rate);
        case "pause":
          return this.#buffer.pause();
        case "flush":
          this.#tell({ flushed: this.#buffer.position });
          return this.#buffer.flush();
        case "duck":
          this.#target = message.on ? ducked : 1;
      }
    };
  }

  /** Nothing more comes; the fade is still to be heard. */
  #end(): void {
    this.#host?.close();
    this.#buffer.flush();
    this.#ended = true;
  }

  #adjust(output: Float32Array, target: number): void {
    const from = (this.#loudness ??= target);
    const to = from + (target - from) * (1 - Math.exp(-output.length / sampleRate / smoothing));
    for (let i = 0; i < output.length; i++) output[i]! *= from + ((to - from) * (i + 1)) / output.length;
    this.#loudness = to;
  }

  #measure(output: Float32Array): void {
    for (const sample of output) this.#sum += sample * sample;
    this.#frames += output.length;
    if (this.#frames < reportEvery) return;
    const level = Math.sqrt(this.#sum / this.#frames);
    const { position, underruns, playing } = this.#buffer;
    this.#sum = this.#frames = 0;
    const news = playing || level > 0 || position !== this.#position;
    this.#position = position;
    this.#silentReports = news ? 0 : this.#silentReports + 1;
    if (this.#silentReports <= reportsKept) this.#tell({ position, underruns, level, playing });
  }

  #tell(message: FromSpeaker): void {
    this.#host?.postMessage(message);
  }
}

registerProcessor("livevalet-speaker", Speaker);
