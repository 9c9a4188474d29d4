// The page's AudioContext of one session. Everything else about sound is made of
// worklets in it, which talk to the engine's host without the page.

import { LiveValetError } from "../errors";
import { fileURL } from "../link";

/** The processors in the worklets' file. */
export type Processor = "livevalet-microphone" | "livevalet-speaker";

export class Sound {
  #context: AudioContext | undefined;
  #loaded: Promise<void> | undefined;

  /**
   * The context, made or resumed now: browsers let sound begin only inside a
   * click, and not after an await in it. It has the device's own rate, since
   * browsers refuse a microphone of another (Firefox) or resample it badly.
   */
  wake(): AudioContext {
    this.#context ??= new AudioContext({ latencyHint: "interactive" });
    void this.#context.resume().catch(() => {}); // its state tells
    return this.#context;
  }

  /** Makes a worklet's node. */
  async node(processor: Processor, options: AudioWorkletNodeOptions): Promise<AudioWorkletNode> {
    const context = this.wake();
    this.#loaded ??= context.audioWorklet.addModule(fileURL(__WORKLET_FILE__));
    try {
      await this.#loaded;
    } catch {
      this.#loaded = undefined;
      throw new LiveValetError({
        code: "network",
        phase: "setup",
        message: `${__WORKLET_FILE__} did not load: serve it beside livevalet.js, and allow its origin in the page's script-src`,
        retryable: true,
      });
    }
    return new AudioWorkletNode(context, processor, options);
  }

  /** Lets go of the device. */
  close(): void {
    void this.#context?.close().catch(() => {});
    this.#context = undefined;
    this.#loaded = undefined;
  }
}
