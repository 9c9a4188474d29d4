// The seam between the Go engine (wasm/main_js.go) and TypeScript. Both sides
// of it run on the same thread: in the Worker, or on the page with
// `worker: false`. Durations are milliseconds; a duration the engine does not
// know is absent. Nothing here carries a token or a lease id, except
// TokenRequest, which needs them to ask the issuer.

/** Called by the Go module, once, when it can take sessions. */
export type Announce = (engine: Engine) => void;

/** What the Go module exports. Every call returns at once. */
export interface Engine {
  /** Starts a session. It reports through host.emit and ends with one "closed" event. */
  open(options: OpenOptions, host: Host): EngineSession;
}

export interface OpenOptions {
  profile: string;
  /** Wanted model; absent: the grant's. */
  model?: string;
  /** BidiGenerateContentSetup in wire form, without model and sessionResumption.handle. */
  setup: Record<string, unknown>;
  /** When to hang up because nothing happens; after -1: never. What is absent, the grant and the engine decide. */
  idle?: { after?: number; warn?: number };
}

export interface EngineSession {
  /**
   * Queues one client message: an object with exactly one of clientContent,
   * realtimeInput, toolResponse. Answered by one "sent" event with the same id.
   * With rerun a toolResponse does not serve calls that are made again after a cut.
   */
  send(id: number, message: Record<string, unknown>, rerun?: boolean): void;
  /**
   * Queues a change of the setup, systemInstruction and tools in wire form.
   * Answered like send, once the session is live with it or never will be.
   */
  update(id: number, setup: Record<string, unknown>): void;
  /** Drops the picture that no socket took yet. */
  dropPicture(): void;
  /** The wait before it hangs up because nothing happens begins again. */
  stay(): void;
  /** The page is visible again: ends any wait for a retry. */
  wake(): void;
  /** The line may be dead (online, back from the page cache): changes the connection soon. */
  doubt(): void;
  /** Ends the session. Safe to call at any time, any number of times. */
  close(): void;
}

/** What a session needs from its surroundings. */
export interface Host {
  /**
   * Fetches a grant. Resolves with a Reply for every HTTP status and every
   * grant a page's own function returned; rejects only if nothing came back.
   */
  token(request: TokenRequest, signal: AbortSignal): Promise<TokenReply>;
  /** Tells the issuer that a lease ended. Nobody waits for it. */
  release(url: string, leaseId: string): void;
  /** Delivers events in order. Never called from inside open, send, wake or close. */
  emit(event: EngineEvent): void;
}

export interface TokenRequest {
  reason: "start" | "renew" | "refused";
  profile: string;
  /** Absolute URL to renew at; absent: the page's token endpoint. */
  url?: string;
  leaseId?: string;
  /** Only when the grant's lock is "full". */
  handle?: string;
}

export type TokenReply = (
  /**
   * What the page's own token function returned. Relative URLs in it mean
   * nothing here: they are the issuer's, whose address only that function knows.
   */
  | { grant: unknown }
  /** An HTTP answer; body is its text, base its final URL, for relative URLs in it. */
  | { status: number; body: string; base: string; retryAfter: string | null }
) & {
  /** Milliseconds by which the page asked before the engine did. */
  age?: number;
};

export type SessionState = "connecting" | "live" | "waiting" | "closed";

/** The wire form of a LiveValetError. */
export interface Failure {
  code: string;
  phase: "token" | "dial" | "setup" | "live" | "close";
  message: string;
  retryable: boolean;
  closeCode?: number;
  reason?: string;
}

export interface UsageCounts {
  promptTokenCount: number;
  cachedContentTokenCount: number;
  responseTokenCount: number;
  toolUsePromptTokenCount: number;
  thoughtsTokenCount: number;
  totalTokenCount: number;
}

export type EngineEvent =
  /** cause says why: "start", "goaway", "cut", "token", "renew", "update", "retry", … */
  | { type: "status"; state: SessionState; cause: string; retryIn?: number }
  /** A server message as it came, except that sessionResumptionUpdate.newHandle is gone. */
  | { type: "message"; message: Record<string, unknown> }
  | { type: "sent"; id: number; failure?: Failure }
  | { type: "goaway"; timeLeft: number }
  /** A token was received (action "received") or opened a connection ("opened"). */
  | {
      type: "token"; action: "received" | "opened"; profile: string; model: string; lock: string;
      expiresIn: number; renewIn?: number;
      /** Upper bound of a connection's life as the issuer told it. */
      connectionFor?: number;
      /** Until the issuer renews no more. */
      leaseFor?: number;
    }
  | {
      type: "resumed"; rung: "handle" | "token" | "restart"; restored: "full" | "transcript" | "none";
      replayed: number; uncertain: number; lostAudioMs: number; gapMs: number; cause: string;
    }
  /** A function call began or ended. Each ends once, over all connections. */
  | { type: "toolcall"; id: string; name: string; state: "called" | "answered" | "cancelled" | "orphaned"; repeated: boolean }
  /** One utterance, all of its text so far; final once for each id. */
  | {
      type: "transcript"; id: string; who: "user" | "model"; text: string; final: boolean;
      typed?: true; cut?: true; interrupted?: true; regenerates?: string;
    }
  /** Counts of tokens: of one message, and the sums of all messages. */
  | { type: "usage"; reported: UsageCounts; connection: UsageCounts; conversation: UsageCounts }
  /** A turn of the model's without content and calls that nobody interrupted. */
  | { type: "emptyturn"; reason?: string }
  /** The model owes an answer and is silent for too long; or (ended) is not any more. */
  | { type: "stalled"; ended: boolean; waitedMs: number }
  /** A session without compression is near its end. */
  | { type: "sessioncap"; msLeft: number; video: boolean }
  /** It is about to hang up because nothing happens; or (ended) is not any more. */
  | { type: "idle"; msLeft: number; ended: boolean }
  /** Audio evicted from the ring before it could be sent. */
  | { type: "dropped"; ms: number }
  /** Something panicked: "closed" follows. Holds nothing that anybody said, and no secret. */
  | { type: "crashed"; message: string; stack: string }
  /** The last event. failure is absent after close(). */
  | { type: "closed"; failure?: Failure };
