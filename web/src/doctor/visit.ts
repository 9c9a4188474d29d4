import type { Grant, HeardDetail, LiveValetError, Session } from "/livevalet.js";
import type { Server } from "./report";

/** What is used of a token's answer besides the token. */
export interface MintedGrant extends Grant {
  leaseId: string;
  releaseUrl: string;
}

/** What the checks of one run hand on to each other. Make it in a click: browsers let sound begin only there. */
export class Visit {
  readonly context = new AudioContext();
  readonly profile = new URLSearchParams(location.search).get("profile") || "default";
  server?: Server | undefined;
  /** The worklets' file loads. */
  sounds = false;
  /** Of the microphone, in Hz, if the browser tells. */
  rate?: number | undefined;
  /** The issuer's answer. */
  grant?: MintedGrant;
  session?: Session;
  /** Of the setup, by the service. */
  refusal?: LiveValetError;
  /** From connect to live, in ms. */
  live = 0;
  ear?: Ear;

  constructor() {
    void this.context.resume().catch(() => {});
  }

  /** Of the service's WebSocket. */
  get service(): URL {
    return new URL(this.grant!.websocketUrl);
  }

  async end(): Promise<void> {
    this.ear?.end();
    await Promise.all([this.session?.close(), this.context.close()]);
  }
}

/** Listens to what a session plays. */
export class Ear {
  /** The loudest so far, 0 to 1. */
  peak = 0;
  /** The first turn that was played to its end. */
  readonly heard: Promise<HeardDetail>;
  #look: ReturnType<typeof setInterval>;

  constructor({ speaker }: Session) {
    this.heard = new Promise((resolve) => speaker.addEventListener("heard", ({ detail }) => resolve(detail)));
    this.#look = setInterval(() => (this.peak = Math.max(this.peak, speaker.level)), 20);
  }

  end(): void {
    clearInterval(this.#look);
  }
}
