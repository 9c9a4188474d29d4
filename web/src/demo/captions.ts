// The captions: one line per utterance. A line grows while somebody speaks; screen
// readers hear it when it is final.

import type { TranscriptDetail } from "/livevalet.js";
import { names, type Utterance } from "./record";

interface Line extends Utterance {
  element: HTMLElement;
}

export class Captions {
  #log: HTMLElement;
  /** By the ids of an utterance and of those that it took the place of. */
  #lines = new Map<string, Line>();
  #begin = 0;

  constructor(log: HTMLElement) {
    this.#log = log;
  }

  /** Another conversation begins. */
  clear(begin: number): void {
    this.#log.replaceChildren();
    this.#lines.clear();
    this.#begin = begin;
  }

  show({ id, who, text, final, cut, interrupted, regenerates = "" }: TranscriptDetail, at: number): void {
    this.keep(() => {
      const line = this.#lines.get(id) ?? this.#lines.get(regenerates) ?? this.#add(who, at - this.#begin);
      this.#lines.set(id, line);
      line.text = text;
      line.end = at - this.#begin;
      line.element.lastElementChild!.textContent = text;
      line.element.ariaBusy = final ? null : "true";
      line.element.toggleAttribute("data-cut", cut ?? interrupted ?? false);
    });
  }

  /** What was said so far. */
  get said(): Set<Utterance> {
    return new Set(this.#lines.values());
  }

  /** Changes the log, and shows its end if it was shown before. */
  keep(change: () => void): void {
    const stick = this.#log.scrollHeight - this.#log.scrollTop - this.#log.clientHeight < 40;
    change();
    if (stick) this.#log.scrollTop = this.#log.scrollHeight;
  }

  #add(who: TranscriptDetail["who"], begin: number): Line {
    const element = document.createElement("p");
    const name = document.createElement("b");
    element.dataset.who = who;
    name.textContent = names[who];
    element.append(name, document.createElement("span"));
    this.#log.append(element);
    return { element, who, text: "", begin, end: begin };
  }
}
