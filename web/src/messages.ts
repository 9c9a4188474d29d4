// What the page and the engine's host tell each other. Both run the same code
// whether a Worker or a MessageChannel on the page lies between them.

import type { EngineEvent, OpenOptions, TokenReply, TokenRequest } from "./engine";
import type { Taken } from "./sight/jpeg";
import type { SpeakerNews } from "./sound/playback";
import type { Endpoint } from "./tokens";

/** From the page. "engine" comes first, "open" once. */
export type ToHost =
  | { type: "engine"; module: WebAssembly.Module }
  /** Without an endpoint, every token is asked of the page. */
  | { type: "open"; options: OpenOptions; endpoint?: Endpoint }
  | { type: "send"; id: number; message: Record<string, unknown>; rerun: boolean }
  /** Sent as realtime input; answered like "send". */
  | ({ type: "picture"; id: number } & Taken)
  /** The camera was stopped: the picture that waits is not sent. */
  | { type: "no-picture" }
  | { type: "update"; id: number; setup: Record<string, unknown> }
  /** Answered like "send" when that time has passed; the timers of a hidden page may be a minute late. */
  | { type: "rest"; id: number; ms: number }
  /** The microphone's, or the speaker's, worklet is at the other end. They may come before "open". */
  | { type: "microphone"; port: MessagePort }
  /** Whether the microphone is kept from hearing what the speaker plays. */
  | { type: "gate"; on: boolean }
  /** Until "no-speaker" the page gets no sound of the model's, unless it wants a copy. */
  | { type: "speaker"; port: MessagePort; copy: boolean }
  | { type: "no-speaker" }
  | { type: "stay" }
  | { type: "wake" }
  | { type: "doubt" }
  | { type: "close" }
  | { type: "token"; id: number; reply: TokenReply }
  | { type: "no-token"; id: number; message: string };

export type FromHost =
  /** The engine takes a session. */
  | { type: "ready" }
  | { type: "event"; event: EngineEvent }
  | SpeakerNews
  /** Asks the page for a token; answered by "token" or "no-token" unless aborted. */
  | { type: "token"; id: number; request: TokenRequest }
  | { type: "abort-token"; id: number }
  /** The session's, from now on. */
  | { type: "lease"; url: string; leaseId: string }
  | { type: "release"; url: string; leaseId: string }
  /** The engine is gone. Nothing follows. Holds nothing that anybody said, and no secret. */
  | { type: "crashed"; message: string; stack: string };

/** The end of a Worker or of a MessageChannel. */
export interface Port {
  postMessage(message: unknown, transfer: Transferable[]): void;
  onmessage: ((event: MessageEvent) => void) | null;
}
