// What the eye sees grow and change, for screen readers: whole sentences, once each.

export class Aloud {
  #region: HTMLElement;
  #settles: ReturnType<typeof setTimeout> | undefined;
  #state = "";

  constructor(region: HTMLElement) {
    this.#region = region;
  }

  say(text: string): void {
    const line = document.createElement("p");
    line.textContent = text;
    this.#region.append(line);
    if (this.#region.childElementCount > 3) this.#region.firstElementChild!.remove();
  }

  /** A state, if it stays for a moment. That only its figures change is no news. */
  state(text: string): void {
    const words = text.replace(/\d+/g, "");
    if (words === this.#state) return;
    this.#state = words;
    clearTimeout(this.#settles);
    this.#settles = setTimeout(() => this.say(text), 800);
  }
}
