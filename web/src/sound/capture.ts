// The engine's host's side of the microphone: what the worklet records becomes
// input of the session. The page is not on that way, so it cannot hold it up.

import { Gate } from "./gate";

/**
 * What the microphone's worklet posts: 20 ms of PCM16, mono, 16 kHz; or that the
 * user holds a button to speak (begin) and lets it go (end); or that no sound follows
 * (stop), as after the end.
 */
export type Recorded = ArrayBuffer | Mark;
export type Mark = "begin" | "end" | "stop";

/** What is played meanwhile. */
export interface Played {
  /** RMS, 0 to 1, of the loudest 20 ms that were played in the last 400. */
  readonly level: number;
  /** More quietly, so that whoever speaks is heard. */
  duck(on: boolean): void;
}

type Send = (message: Record<string, unknown>) => void;

const mimeType = "audio/pcm;rate=16000";

/** Of a piece. */
const pieceMs = 20;

/** Pieces that are kept until there is a session: as much as its own ring holds. */
const mostWaiting = 500;

/** How long sound may stay away until the service is told so, which it wants after about a second (documented); and how often that is looked at. */
const [pause, lookEvery] = [1_000, 250];

export class Capture {
  /** Whether the echo of what is played is kept from the session. */
  gated = false;

  #played: Played;
  #gate = new Gate();
  #send: Send | undefined;
  #manual = false;
  #port: MessagePort | undefined;
  #waiting: Recorded[] = [];
  /** What gave way to newer sound meanwhile. */
  #droppedMs = 0;
  #dropped: (ms: number) => void;
  /** The button is held: each begin has an end, whatever the worklets said that came and went. */
  #held = false;
  /** How often there was nothing since sound came last. By the clock, sound that waits for a busy host would have stayed away. */
  #nothing = 0;
  /** Runs while sound is expected to follow. */
  #watch: ReturnType<typeof setInterval> | undefined;

  constructor(played: Played, dropped: (ms: number) => void) {
    this.#played = played;
    this.#dropped = dropped;
  }

  /** Takes the worklet's end of the line, in place of one before. */
  listen(port: MessagePort): void {
    this.#port?.close();
    this.#port = port;
    port.onmessage = ({ data }) => this.#hear(data as Recorded);
  }

  /**
   * The session takes input from now on, what was recorded before first. manual:
   * the service is told when an activity begins and ends, else when sound does.
   */
  open(send: Send, manual: boolean): void {
    this.#send = send;
    this.#manual = manual;
    if (this.#droppedMs > 0) this.#dropped(this.#droppedMs);
    this.#droppedMs = 0;
    for (const recorded of this.#waiting.splice(0)) this.#input(recorded);
  }

  close(): void {
    this.#stream(false);
    this.#port?.close();
    this.#port = undefined;
    this.#send = undefined;
    this.#waiting = [];
  }

  #hear(recorded: Recorded): void {
    if (typeof recorded === "string") return this.#mark(recorded);
    this.#stream(true);
    this.#nothing = 0;
    this.#give(this.#gate.pass(recorded, this.gated ? this.#played.level : 0));
  }

  #mark(mark: Mark): void {
    const marks: Mark[] = [];
    if (mark !== "begin") {
      if (this.#watch !== undefined) marks.push("stop"); // else the service knows
      this.#stream(false);
    }
    if (mark !== "stop" && this.#held !== (mark === "begin")) {
      this.#held = !this.#held;
      marks.push(mark);
    }
    this.#give([...this.#gate.flush(), ...marks]);
  }

  /** Sound that stays away, for whatever reason, has stopped. */
  #stream(on: boolean): void {
    if (on) this.#watch ??= setInterval(() => ++this.#nothing * lookEvery >= pause && this.#mark("stop"), lookEvery);
    else this.#watch = void clearInterval(this.#watch);
  }

  /** What the gate gave. */
  #give(all: Recorded[]): void {
    this.#played.duck(this.#gate.open);
    for (const recorded of all) {
      if (this.#send) this.#input(recorded);
      else this.#keep(recorded);
    }
  }

  #keep(recorded: Recorded): void {
    this.#waiting.push(recorded);
    if (this.#waiting.length <= mostWaiting) return;
    const oldest = this.#waiting.findIndex((old) => typeof old !== "string"); // What is marked stays marked.
    this.#waiting.splice(Math.max(0, oldest), 1);
    this.#droppedMs += pieceMs;
  }

  #input(recorded: Recorded): void {
    const realtimeInput = this.#toInput(recorded);
    if (realtimeInput) this.#send!({ realtimeInput });
  }

  #toInput(recorded: Recorded): Record<string, unknown> | undefined {
    if (typeof recorded !== "string") return { audio: { data: toBase64(new Uint8Array(recorded)), mimeType } };
    switch (recorded) {
      case "begin":
        return this.#manual ? { activityStart: {} } : undefined;
      case "end":
        return this.#manual ? { activityEnd: {} } : undefined;
      case "stop":
        return this.#manual ? undefined : { audioStreamEnd: true };
    }
  }
}

function toBase64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}
