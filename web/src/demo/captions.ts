// The captions: one line per utterance. A line grows while somebody speaks; screen
// readers hear it when it is final.

import type { TranscriptDetail } from "/livevalet.js";

const names = { user: "You", model: "Model" };

export class Captions {
  #log: HTMLElement;
  #lines = new Map<string, HTMLElement>();

  constructor(log: HTMLElement) {
    this.#log = log;
  }

  clear(): void {
    this.#log.replaceChildren();
    this.#lines.clear();
  }

  show({ id, who, text, final, cut, interrupted, regenerates = "" }: TranscriptDetail): void {
    const stick = this.#log.scrollHeight - this.#log.scrollTop - this.#log.clientHeight < 40;
    const line = this.#lines.get(id) ?? this.#lines.get(regenerates) ?? this.#begin(who);
    this.#lines.set(id, line);
    line.lastElementChild!.textContent = text;
    line.ariaBusy = final ? null : "true";
    line.toggleAttribute("data-cut", cut ?? interrupted ?? false);
    if (stick) this.follow();
  }

  /** Shows the newest line. */
  follow(): void {
    this.#log.scrollTop = this.#log.scrollHeight;
  }

  #begin(who: TranscriptDetail["who"]): HTMLElement {
    const line = document.createElement("p");
    const name = document.createElement("b");
    line.dataset.who = who;
    name.textContent = names[who];
    line.append(name, document.createElement("span"));
    this.#log.append(line);
    return line;
  }
}
