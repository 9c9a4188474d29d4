// The engine's host's side of the speaker: the model's sound goes to the worklet
// without the page, and is taken out of the messages that the page gets. Here is
// known which turn sounds, and what of it was heard.

import type { EngineEvent } from "../engine";
import type { HeardDetail } from "/livevalet.js";

/** What the speaker's worklet is told. */
export type ToSpeaker =
  /** Little endian PCM16, mono. */
  | { type: "play"; pcm: Int16Array<ArrayBuffer>; rate: number }
  /** Silence may follow what was sent, without a fault of the line. */
  | { type: "pause" }
  /** Silence now: the user interrupted. */
  | { type: "flush" }
  /** Quieter, or as loud again. */
  | { type: "duck"; on: boolean };

/** What it tells. flushed: the position when it was told to flush. */
export type FromSpeaker = Report | { flushed: number };

/** What it reports each 20 ms while there is sound, and for a while after. */
export interface Report {
  /** Samples of what it was told to play that were played, or flushed. */
  position: number;
  /** So far. */
  underruns: number;
  /** RMS since the last report. */
  level: number;
  playing: boolean;
}

/** What the page is told of the speaker. */
export type SpeakerNews =
  | { type: "speaker"; level: number; playing: boolean; underruns: number; position: number }
  | { type: "heard"; heard: HeardDetail };

/** So many reports are the sound of late: 400 ms. */
export const reportsKept = 20;

/** A worklet says when it falls silent; one that says nothing for so long (ms) is gone, and no thread is that late. */
const longestReport = 2_000;

/** How often (ms) the page is told how loud it is, as of the microphone: each time costs it a task. */
const newsEvery = 50;

/** Sound that waits to be heard is kept that far. Seconds: 29 MB at 24 kHz. */
const mostWaiting = 600;

/** Seconds in which sound that goes on in another worklet becomes as loud as it was. */
const swelling = 0.005;

/** Messages are under way for less (ms): after that, sound is of another turn, though nobody said that the old one is over. */
const lateness = 3_000;

type Message = Record<string, unknown>;

interface Content {
  interrupted?: boolean;
  generationComplete?: boolean;
  turnComplete?: boolean;
  modelTurn?: { parts?: Part[] };
}

interface Part {
  inlineData?: { data?: string; mimeType?: string };
}

/** A turn of the model's. Its sound lies between two positions. */
interface Turn {
  utterance: string | undefined;
  begins: number;
  ends: number;
  /** Of that sound, and of what came when too much waited. */
  ms: number;
  lostMs: number;
  over: boolean;
  /** When it was. */
  interrupted?: number;
}

export class Playback {
  #news: (news: SpeakerNews) => void;
  #port: MessagePort | undefined;
  #copy = false;
  #ducked = false;

  /** Samples that were sent to a worklet, and those that were played or flushed. */
  #sent = 0;
  #position = 0;
  /** What may not have been played yet, oldest first: another worklet gets it again. */
  #waiting: { pcm: Int16Array<ArrayBuffer>; rate: number; ends: number }[] = [];
  #paused = true;
  /** Where this worklet began. */
  #base = 0;
  #underruns = 0;

  /** The turn that goes on, and those with sound to come. */
  #turn: Turn | undefined;
  #turns: Turn[] = [];
  /** The model's words that grow: of the turn that goes on, or of the next, if they come before its sound. */
  #utterance: string | undefined;
  #heardMs = 0;
  /** For each flush that the worklet has not told of: what it cut short, and what was known of it. */
  #cuts: { turns: Turn[]; position: number }[] = [];

  #levels: number[] = [];
  #reported = 0;
  /** When the page was told last, and of what; and the loudest since. */
  #told = { at: -Infinity, playing: false, underruns: 0 };
  #loudest = 0;

  constructor(news: (news: SpeakerNews) => void) {
    this.#news = news;
  }

  /** RMS, 0 to 1, of the loudest 20 ms that were played in the last 400: no echo of them is louder. */
  get level(): number {
    if (performance.now() - this.#reported > longestReport) return 0;
    return Math.max(0, ...this.#levels);
  }

  /** Makes what is played quieter by 12 dB, or not. */
  duck(on: boolean): void {
    if (on === this.#ducked) return;
    this.#ducked = on;
    this.#tell({ type: "duck", on });
  }

  /** Takes a worklet's end of the line. It gets what one before it has not played. */
  speak(port: MessagePort, copy: boolean): void {
    this.#port?.close();
    this.#endCuts();
    this.#port = port;
    this.#copy = copy;
    this.#base = this.#position;
    let underruns = 0;
    port.onmessage = ({ data }) => {
      const news = data as FromSpeaker;
      if ("flushed" in news) return this.#endCut(this.#base + news.flushed);
      this.#underruns += news.underruns - underruns;
      underruns = news.underruns;
      this.#follow(news);
    };
    if (this.#ducked) this.#tell({ type: "duck", on: true });
    for (const [i, { pcm, rate, ends }] of this.#waiting.entries()) {
      const rest = pcm.slice(Math.max(0, this.#position - ends + pcm.length));
      if (i === 0) swell(rest, swelling * rate);
      this.#tell({ type: "play", pcm: rest, rate });
    }
    if (this.#paused) this.#tell({ type: "pause" });
  }

  /** From now on the page gets the sound. */
  silence(): void {
    if (!this.#port) return;
    this.#endCuts();
    for (const turn of this.#turns.splice(0)) this.#end(turn, this.#position, false);
    this.#forget();
    this.#turn = undefined;
    this.#port.close();
    this.#port = undefined;
  }

  /** Follows what is told to the page; gives what it is to see of it, if anything. */
  hear(event: EngineEvent): EngineEvent | undefined {
    if (event.type === "message") {
      const message = this.#hear(event.message);
      return message && { ...event, message };
    }
    if (event.type === "status" && event.state !== "live") this.#turnOver(); // whatever comes is another
    if (event.type === "transcript" && event.who === "model") {
      if (!event.final) this.#utterance = event.id;
      else if (event.id === this.#utterance) this.#utterance = undefined;
      if (this.#turn && !event.cut) this.#turn.utterance = this.#utterance;
    }
    return event;
  }

  // ---- from the service ----------------------------------------------------

  #hear(message: Message): Message | undefined {
    if (!this.#port) return message;
    if (message.toolCall) this.#pause();
    const content = message.serverContent as Content | undefined;
    if (!content) return message;

    if (this.#turn?.interrupted && performance.now() - this.#turn.interrupted > lateness) this.#turnOver();
    if (content.modelTurn) this.#turn ??= { utterance: this.#utterance, begins: this.#sent, ends: this.#sent, ms: 0, lostMs: 0, over: false };
    if (content.interrupted) this.#interrupt();
    const parts = content.modelTurn?.parts ?? [];
    const silent = parts.filter((part) => !this.#play(part));
    if (content.generationComplete) this.#pause();
    if (content.turnComplete) this.#turnOver();
    if (this.#copy || silent.length === parts.length) return message;
    const { modelTurn, ...others } = content;
    const serverContent = silent.length > 0 ? { ...content, modelTurn: { ...modelTurn, parts: silent } } : others;
    // Most messages are sound and nothing else: each would cost the page a task.
    if (Object.keys(serverContent).length === 0 && Object.keys(message).length === 1) return undefined;
    return { ...message, serverContent };
  }

  /** Says whether it was sound. That of a turn which was interrupted comes too late. */
  #play({ inlineData }: Part): boolean {
    const sound = inlineData && decode(inlineData);
    if (!sound) return false;
    const { pcm, rate } = sound;
    const turn = this.#turn!;
    const ms = (pcm.length / rate) * 1_000;
    if (turn.interrupted || ms === 0) return true;
    if (turn.ms + turn.lostMs === 0) {
      turn.begins = turn.ends = this.#sent;
      this.#turns.push(turn);
    }
    if (this.#sent - this.#position > mostWaiting * rate) {
      turn.lostMs += ms;
      return true;
    }
    turn.ms += ms;
    turn.ends = this.#sent += pcm.length;
    this.#waiting.push({ pcm, rate, ends: this.#sent });
    this.#paused = false;
    this.#tell({ type: "play", pcm, rate });
    return true;
  }

  #pause(): void {
    this.#paused = true;
    this.#tell({ type: "pause" });
  }

  #interrupt(): void {
    // Without a turn that goes on there is nothing that could come too late.
    if (this.#turn) this.#turn.interrupted = performance.now();
    if (this.#turns.length === 0) return;
    this.#cuts.push({ turns: this.#turns.splice(0), position: this.#position });
    this.#forget();
    this.#tell({ type: "flush" });
  }

  #turnOver(): void {
    if (!this.#turn) return;
    this.#turn.over = true;
    this.#turn = undefined;
    this.#pause();
    this.#settle();
  }

  // ---- from the worklet ----------------------------------------------------

  #follow({ position, level, playing }: Report): void {
    this.#levels = [...this.#levels.slice(1 - reportsKept), level];
    this.#reported = performance.now();
    // What it said before it was flushed is older than what is known.
    this.#position = Math.max(this.#position, this.#base + position);
    while (this.#waiting[0] && this.#waiting[0].ends <= this.#position) this.#waiting.shift();
    this.#settle();
    this.#loudest = Math.max(this.#loudest, level);
    const { at, ...told } = this.#told;
    const underruns = this.#underruns;
    if (playing === told.playing && underruns === told.underruns && this.#reported - at < newsEvery) return;
    this.#told = { at: this.#reported, playing, underruns };
    this.#news({ type: "speaker", level: this.#loudest, playing, underruns, position: this.#heardMs });
    this.#loudest = 0;
  }

  /** Tells of the turns that were heard to their end. */
  #settle(): void {
    for (let turn; (turn = this.#turns[0]); ) {
      this.#heardMs = heardOf(turn, this.#position);
      if (!turn.over || this.#position < turn.ends) return;
      this.#end(this.#turns.shift()!, this.#position, false);
    }
  }

  /** Tells of the turns that the oldest flush cut short. */
  #endCut(position: number): void {
    for (const turn of this.#cuts.shift()!.turns) this.#end(turn, position, true);
  }

  /** The worklet tells of no flush any more. */
  #endCuts(): void {
    while (this.#cuts[0]) this.#endCut(this.#cuts[0].position);
  }

  /** Nothing of what waits will be heard. */
  #forget(): void {
    this.#waiting = [];
    this.#position = this.#sent;
    this.#paused = true;
  }

  #end(turn: Turn, position: number, interrupted: boolean): void {
    const ms = (this.#heardMs = heardOf(turn, position));
    const { utterance } = turn;
    this.#news({ type: "heard", heard: { ...(utterance && { utterance }), ms, of: turn.ms + turn.lostMs, interrupted } });
  }

  #tell(message: ToSpeaker): void {
    this.#port?.postMessage(message);
  }
}

function heardOf({ begins, ends, ms }: Turn, position: number): number {
  return ends === begins ? 0 : ms * Math.min(Math.max(0, (position - begins) / (ends - begins)), 1);
}

/** What begins in the midst of a wave would click. */
function swell(pcm: Int16Array, length: number): void {
  for (let i = 0; i < Math.min(length, pcm.length); i++) pcm[i]! *= i / length;
}

/** Undefined if it is not sound that can be played. */
function decode({ data, mimeType }: NonNullable<Part["inlineData"]>): { pcm: Int16Array<ArrayBuffer>; rate: number } | undefined {
  if (!data || !/^audio\/pcm *(;|$)/i.test(mimeType ?? "")) return undefined;
  const rate = Number(/; *rate=(\d+)/i.exec(mimeType!)?.[1] ?? 24_000);
  if (rate < 8_000 || rate > 96_000) return undefined;
  try {
    const bytes = fromBase64(data);
    return { pcm: new Int16Array(bytes.buffer, 0, bytes.length >> 1), rate };
  } catch {
    return undefined; // no base64: the page sees it as it came
  }
}

function fromBase64(data: string): Uint8Array<ArrayBuffer> {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(data);
  const chars = atob(data);
  const bytes = new Uint8Array(chars.length);
  for (let i = 0; i < chars.length; i++) bytes[i] = chars.charCodeAt(i);
  return bytes;
}
