// When the visitor speaks, by the microphone's level. It is for the picture alone:
// what the service takes for speech, it does not tell.

/** RMS; a quiet room is below. */
const loud = 0.02;
/** Between two words it is silent, too. Milliseconds. */
const pause = 350;

export class Voice {
  #tell: (on: boolean, at: number) => void;
  /** When it was loud last, while the visitor speaks. */
  #last: number | undefined;

  constructor(tell: (on: boolean, at: number) => void) {
    this.#tell = tell;
  }

  hear(rms: number, at: number): void {
    if (rms >= loud) {
      if (this.#last === undefined) this.#tell(true, at);
      this.#last = at;
    } else if (this.#last !== undefined && at - this.#last >= pause) {
      this.#tell(false, this.#last);
      this.#last = undefined;
    }
  }
}
