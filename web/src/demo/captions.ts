// The captions: one line per utterance, that grows while somebody speaks.

import type { HeardDetail, TranscriptDetail } from "/livevalet.js";
import { follow } from "./follow";
import { names, type Utterance } from "./record";
import { seconds } from "./words";

interface Line extends Utterance {
  element: HTMLElement;
  words: Text;
  remark: HTMLElement;
  /** How much of it, if the sound was interrupted. */
  heard?: string;
}

export class Captions {
  #log: HTMLElement;
  /** By the ids of an utterance and of those that it took the place of. */
  #lines = new Map<string, Line>();
  #said: Utterance[] = [];
  #begin = 0;

  constructor(log: HTMLElement) {
    this.#log = log;
    follow(log);
  }

  /** Another conversation begins. */
  clear(begin: number): void {
    this.#log.replaceChildren();
    this.#lines.clear();
    this.#said = [];
    this.#begin = begin;
  }

  show({ id, who, text, final, cut, interrupted, regenerates = "" }: TranscriptDetail, at: number): void {
    const line = this.#lines.get(id) ?? this.#lines.get(regenerates) ?? this.#open(who, at);
    this.#lines.set(id, line);
    line.text = text;
    line.end = at - this.#begin;
    // Who has selected some of it keeps that.
    if (text.startsWith(line.words.data)) line.words.appendData(text.slice(line.words.data.length));
    else line.words.data = text;
    line.element.ariaBusy = final ? null : "true";
    remark(line, cut ? "cut short" : interrupted ? (line.heard ?? "interrupted") : undefined);
  }

  /** The sound of an utterance is over. */
  heard({ utterance = "", ms, of, interrupted }: HeardDetail, at: number): void {
    const line = this.#lines.get(utterance);
    if (!line) return;
    line.end = at - this.#begin;
    if (interrupted) remark(line, (line.heard = `interrupted, ${seconds(ms)} of ${seconds(of)} heard`));
  }

  /** Shows something that happened in the midst of it. */
  add(element: HTMLElement, one: Utterance, at: number): void {
    one.begin = one.end = at - this.#begin;
    this.#said.push(one);
    this.#log.append(element);
  }

  /** What was said so far. */
  get said(): readonly Utterance[] {
    return this.#said;
  }

  #open(who: TranscriptDetail["who"], at: number): Line {
    const element = document.createElement("p");
    const name = document.createElement("b");
    const text = document.createElement("span");
    const line: Line = { element, who, text: "", begin: 0, end: 0, words: new Text(), remark: document.createElement("small") };
    element.dataset.who = who;
    name.textContent = names[who];
    text.dir = "auto";
    text.append(line.words, line.remark);
    element.append(name, text);
    this.add(element, line, at);
    return line;
  }
}

function remark(line: Line, note: string | undefined): void {
  if (note) line.note = note;
  else delete line.note;
  line.remark.textContent = note ? ` … ${note}` : "";
}
