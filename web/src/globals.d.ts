// What the build injects, and what the Go toolchain's glue defines.

/** File names of this build, beside livevalet.js. */
declare const __WASM_FILE__: string;
declare const __WORKER_FILE__: string;
declare const __WORKLET_FILE__: string;

/** wasm_exec.js of the toolchain that built the wasm: defines globalThis.Go. */
declare module "wasm_exec.js" {}

declare class Go {
  importObject: WebAssembly.Imports;
  /** Resolves when the program has ended. */
  run(instance: WebAssembly.Instance): Promise<void>;
  /** The one way from JavaScript back into a running program. */
  _resume(): void;
  /** Go's timers, which call _resume. */
  _scheduledTimeouts: Map<number, number>;
  /** What Go has references to, from run until the program exits. */
  _values?: unknown[];
}

declare var livevaletAnnounce: import("./engine").Announce | undefined;

// What not all browsers have.

interface AudioContext {
  setSinkId?(sinkId: string): Promise<void>;
}

interface Uint8ArrayConstructor {
  fromBase64?(data: string): Uint8Array<ArrayBuffer>;
}

// What there is on the audio thread.

declare const sampleRate: number;
declare const currentTime: number;
declare const currentFrame: number;

declare abstract class AudioWorkletProcessor {
  readonly port: MessagePort;
  /** False: the node may end when nothing is connected to it. */
  abstract process(inputs: Float32Array[][], outputs: Float32Array[][], parameters: Record<string, Float32Array>): boolean;
}

declare function registerProcessor(name: string, processor: new (options: AudioWorkletNodeOptions) => AudioWorkletProcessor): void;
