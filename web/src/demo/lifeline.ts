// What befalls a conversation over time: tokens, connections and turns, as spans
// and moments in lanes. It is told what the session tells, and when; how it looks
// is for draw.ts. Times are milliseconds of one clock, any clock.

import type { SessionEventMap, ToolCallDetail, TranscriptDetail } from "/livevalet.js";
import { clock, rungs, short } from "./words";

export const lanes = ["token", "connection", "you", "model", "tool"] as const;
export type Lane = (typeof lanes)[number];

export type Kind =
  | "token" | "minted" | "opened" | "renewed" | "expired"
  | "connecting" | "live" | "waiting" | "gap" | "goaway" | "handle" | "replay" | "fault" | "end"
  | "speech" | "typed" | "dropped"
  | "answer" | "latency" | "barge-in" | "silence"
  | "call";

export interface Item {
  readonly lane: Lane;
  readonly kind: Kind;
  readonly begin: number;
  /** As `begin` for a moment; absent while it goes on. */
  end?: number | undefined;
  /** When it will end, if that is known. */
  due?: number | undefined;
  words: string;
  /** Drawn beside it. */
  label?: string;
  /** Tokens overlap: every other one is a row further down. */
  row?: number;
}

type SessionNews = { [K in keyof SessionEventMap]: { type: K; detail: SessionEventMap[K]["detail"] } }[keyof SessionEventMap];

export type News =
  | SessionNews
  /** The visitor speaks, or has stopped, as the microphone's level says. */
  | { type: "voice"; on: boolean }
  /** The model's sound is played, or no more. */
  | { type: "sound"; on: boolean }
  /** The emulator makes trouble on request. */
  | { type: "fault"; words: string };

/** So many items are kept; older ones give way. */
const most = 1_500;

export class Lifeline {
  readonly begin: number;
  /** When the conversation was over. */
  end: number | undefined;
  /** In the order in which they became known. */
  readonly items: Item[] = [];

  #tell: (item: Item) => void;
  #connection: Item;
  #connections = 0;
  #token: Item | undefined;
  /** Received, but not used yet. */
  #next: Item | undefined;
  #tokens = 0;

  #speech: Item | undefined;
  /** The one before. */
  #spoken: Item | undefined;
  #answer: Item | undefined;
  #sounds = false;
  #told = true;
  /** When the visitor had said what the model has not answered yet. */
  #asked: number | undefined;
  #calls = new Map<string, Item>();

  /** `tell` hears of moments, gaps and latencies, whose words do not change any more. */
  constructor(begin: number, tell: (item: Item) => void = () => {}) {
    this.begin = begin;
    this.#tell = tell;
    this.#connection = this.#span("connection", "connecting", begin, "connecting");
  }

  take(news: News, at: number): void {
    if (this.end !== undefined) return;
    this.advance(at);
    switch (news.type) {
      case "status":
        return this.#status(news.detail, at);
      case "token":
        return news.detail.action === "received" ? this.#received(news.detail, at) : this.#opened(at);
      case "goaway":
        this.#connection.due = at + news.detail.timeLeft;
        return this.#moment("connection", "goaway", at, `goAway: the service ends this connection in ${short(news.detail.timeLeft)}`);
      case "resumed":
        return this.#resumed(news.detail);
      case "message":
        return this.#message(news.detail, at);
      case "voice":
        return news.on ? this.#speaks(at) : this.#spoke(at);
      case "sound":
        this.#sounds = news.on;
        return news.on ? this.#answers(at) : this.#answered(at);
      case "fault":
        return this.#moment("connection", "fault", at, news.words);
      case "transcript":
        return news.detail.who === "user" ? this.#heard(news.detail, at) : this.#said(news.detail, at);
      case "toolcall":
        return this.#call(news.detail, at);
      case "stalled":
        if (!news.detail.ended) this.#moment("model", "silence", at, `no answer for ${short(news.detail.waitedMs)}`);
        return;
      case "emptyturn":
        return this.#moment("model", "silence", at, `the model's turn was empty${news.detail.reason ? `: ${news.detail.reason}` : ""}`);
      case "dropped":
        return this.#moment("you", "dropped", at, `${Math.round(news.detail.ms)} ms of your sound were dropped`);
      case "closed":
        return this.#closed(news.detail.error ? `ended: ${news.detail.error.code}` : "ended", at);
    }
  }

  /** Lets time pass: tokens expire in it. */
  advance(at: number): void {
    for (const token of [this.#token, this.#next]) {
      if (token?.due !== undefined && token.end === undefined && token.due <= at) this.#expire(token, token.due, "the token expired");
    }
  }

  // ---- connections ---------------------------------------------------------

  #status({ state, cause, retryIn }: SessionEventMap["status"]["detail"], at: number): void {
    if (state === "closed") return; // The event closed says more.
    const first = this.#connections === 0;
    if (state === "connecting" && first && this.#connection.kind === "connecting") return; // since the constructor
    this.#connection.end = at;
    if (state === "connecting") {
      if (cause === "token" && this.#token && this.#token.end === undefined) this.#expire(this.#token, at, "the service refused the token: it expired");
      this.#connection = this.#span("connection", "connecting", at, `connecting (${cause})`);
    } else if (state === "waiting") {
      this.#connection = this.#span("connection", "waiting", at, `waiting for the next try (${cause})`);
      this.#connection.due = retryIn === undefined ? undefined : at + retryIn;
    } else {
      this.#connections++;
      this.#connection = this.#span("connection", "live", at, first ? "connection 1" : `connection ${this.#connections} (${cause})`);
    }
  }

  #resumed({ rung, restored, gapMs, cause, replayed, uncertain, lostAudioMs }: SessionEventMap["resumed"]["detail"]): void {
    const live = this.#connection;
    const memory = { full: "", transcript: "; the model was told again what was said", none: "; the model's memory is lost" }[restored];
    const lost = lostAudioMs > 0 ? `; ${Math.round(lostAudioMs)} ms of your sound were lost` : "";
    this.#measured("connection", "gap", live.begin - gapMs, live.begin, `gap of ${short(gapMs)} after ${cause}, resumed with ${rungs[rung]}${memory}${lost}`);
    if (replayed === 0) return;
    const doubt = uncertain > 0 ? `, of which ${uncertain} may have arrived before` : "";
    this.#moment("connection", "replay", live.begin, `${count(replayed, "message")} sent again${doubt}`);
  }

  #closed(words: string, at: number): void {
    for (const item of this.items) item.end ??= at;
    this.#moment("connection", "end", at, words);
    this.end = at;
  }

  // ---- tokens --------------------------------------------------------------

  #received({ expiresIn, renewIn }: SessionEventMap["token"]["detail"], at: number): void {
    const renews = this.#token && this.#token.end === undefined;
    const fresh = renewIn === undefined ? "" : `, a fresh one is fetched in ${clock(renewIn)}`;
    this.#moment("token", renews ? "renewed" : "minted", at, `token ${renews ? "renewed" : "minted"}, good for ${clock(expiresIn)}${fresh}`, this.#tokens % 2);
    this.#next = this.#span("token", "token", at, `token ${this.#tokens + 1}`);
    this.#next.due = at + expiresIn;
    this.#next.row = this.#tokens++ % 2;
  }

  #opened(at: number): void {
    if (this.#next) {
      if (this.#token) this.#token.end ??= at;
      this.#token = this.#next;
      this.#next = undefined;
    }
    this.#moment("token", "opened", at, "the token opened a connection", this.#token?.row);
  }

  #expire(token: Item, at: number, words: string): void {
    token.end = at;
    this.#moment("token", "expired", at, words, token.row);
  }

  // ---- turns ---------------------------------------------------------------

  #message({ sessionResumptionUpdate, serverContent }: SessionEventMap["message"]["detail"], at: number): void {
    if (sessionResumptionUpdate?.resumable) this.#moment("connection", "handle", at, "handle: the session can be resumed from here");
    if (serverContent?.modelTurn?.parts?.length || serverContent?.outputTranscription?.text) this.#answers(at);
    if (!serverContent?.interrupted) return;
    const answer = this.#answer;
    this.#moment("model", "barge-in", at, answer ? `interrupted after ${short(at - answer.begin)}` : "interrupted, while the model said nothing");
    if (answer) answer.end = at;
    this.#answer = undefined;
  }

  #speaks(at: number): void {
    this.#speech ??= this.#span("you", "speech", at, "you spoke");
  }

  #spoke(at: number): void {
    if (!this.#speech) return;
    this.#speech.end = at;
    this.#spoken = this.#speech;
    this.#speech = undefined;
    if (!this.#answer) this.#asked = at;
  }

  #heard({ text, typed, final, regenerates }: TranscriptDetail, at: number): void {
    if (typed) {
      if (!final || regenerates) return;
      this.#moment("you", "typed", at, `you typed “${text}”`);
      this.#asked = at;
      return;
    }
    const speech = this.#speech ?? this.#spoken;
    if (speech && (speech.end === undefined || at - speech.end < 5_000)) speech.words = `you said “${text}”`;
  }

  #said({ text, final, interrupted }: TranscriptDetail, at: number): void {
    this.#told = final;
    if (!final) this.#answers(at);
    if (this.#answer && text) this.#answer.words = `the model said “${text}”`;
    if (final && !interrupted) this.#answered(at);
  }

  #answers(at: number): void {
    if (this.#answer) return;
    this.#answer = this.#span("model", "answer", at, "the model speaks");
    if (this.#asked === undefined) return;
    this.#measured("model", "latency", this.#asked, at, `answered after ${short(at - this.#asked)}`);
    this.#asked = undefined;
  }

  #answered(at: number): void {
    if (!this.#answer || this.#sounds || !this.#told) return;
    this.#answer.end = at;
    this.#answer = undefined;
  }

  #call({ id, name, state, repeated }: ToolCallDetail, at: number): void {
    const call = this.#calls.get(id);
    if (state === "called") {
      if (!call) this.#calls.set(id, this.#span("tool", "call", at, `${name} called${repeated ? " again after a cut" : ""}`));
    } else if (call) {
      call.end = at;
      call.words = `${name} ${state}`;
      this.#calls.delete(id);
    }
  }

  // ---- items ---------------------------------------------------------------

  #span(lane: Lane, kind: Kind, begin: number, words: string): Item {
    const item: Item = { lane, kind, begin, words };
    this.items.push(item);
    if (this.items.length > most) this.items.splice(this.items.findIndex(({ end }) => end !== undefined), 1);
    return item;
  }

  #moment(lane: Lane, kind: Kind, at: number, words: string, row?: number): void {
    const item = this.#span(lane, kind, at, words);
    item.end = at;
    if (row !== undefined) item.row = row;
    this.#tell(item);
  }

  #measured(lane: Lane, kind: Kind, begin: number, end: number, words: string): void {
    const item = this.#span(lane, kind, begin, words);
    item.end = end;
    item.label = short(end - begin);
    this.#tell(item);
  }
}

function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? "" : "s"}`;
}
