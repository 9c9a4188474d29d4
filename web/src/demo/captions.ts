// The captions: one line per turn of each side. The model's line grows while it
// speaks; screen readers hear it when the turn is over.

type Who = "you" | "model";

const names = { you: "You", model: "Model" };

export class Captions {
  #log: HTMLElement;
  #open: Partial<Record<Who, HTMLElement>> = {};

  constructor(log: HTMLElement) {
    this.#log = log;
  }

  clear(): void {
    this.#log.replaceChildren();
    this.#open = {};
  }

  /** Adds a whole turn. */
  line(who: Who, text: string): HTMLElement {
    const line = this.append(who, text);
    this.end(who);
    return line;
  }

  /** Adds a fragment to the turn that is going on. */
  append(who: Who, text: string): HTMLElement {
    const stick = this.#log.scrollHeight - this.#log.scrollTop - this.#log.clientHeight < 40;
    const line = (this.#open[who] ??= this.#begin(who));
    line.lastElementChild!.textContent += text;
    if (stick) this.follow();
    return line;
  }

  /** Shows the newest line. */
  follow(): void {
    this.#log.scrollTop = this.#log.scrollHeight;
  }

  /** Ends the turn, at its natural end or because it was cut off. */
  end(who: Who, cut = false): void {
    const line = this.#open[who];
    line?.removeAttribute("aria-busy");
    line?.toggleAttribute("data-cut", cut);
    delete this.#open[who];
  }

  #begin(who: Who): HTMLElement {
    const line = document.createElement("p");
    const name = document.createElement("b");
    line.dataset.who = who;
    line.ariaBusy = "true";
    name.textContent = names[who];
    line.append(name, document.createElement("span"));
    this.#log.append(line);
    return line;
  }
}
