// Keeps the model from hearing itself. While its voice is played, what the
// microphone hears may be that voice: as loud as the room couples the speaker to
// the microphone, which is learned. What is no louder becomes silence, so that the
// stream keeps its time. What is louder is somebody who speaks.

/** Pieces are 20 ms: PCM16, mono, 16 kHz. */
const perSecond = 50;

/** Pieces that must be louder than the echo for it to be speech, and no click. */
const believed = 2;
/** Pieces that are held back, for the begin of speech is quieter than what follows. */
const before = 5;
/** Pieces for which speech goes on after the last loud one: a pause within a word. */
const after = 15;

const decibels = (db: number) => 10 ** (db / 20);

const margin = decibels(6);
/** What is played more quietly has no echo that matters. */
const inaudible = decibels(-60);
/** What is heard more quietly is nobody who means us. */
const hush = decibels(-50);

/** The coupling that is assumed of a room, and the least and the most that is believed of it. */
const [usual, least, most] = [decibels(-14), decibels(-40), decibels(0)];
/** By how much what is learned may change within one piece. */
const fall = decibels(-6 / perSecond);
const rise = decibels(10 / perSecond);
/** While somebody seems to speak, for it may be that it is the echo that became louder. */
const doubt = decibels(1 / perSecond);
/** By how much the room's noise may seem to grow within one piece, of which the quietest tell. */
const swell = decibels(1 / perSecond);
/** Pieces of which the loudest tells the coupling: the others are pauses. */
const learned = 1.5 * perSecond;

export class Gate {
  #coupling = usual;
  /** How loud the room is while nothing is played. */
  #room = hush;
  /** How loud late pieces were, in terms of what was played. */
  #ratios: number[] = [];
  #held: ArrayBuffer[] = [];
  /** The loud pieces just now, and how many are let through yet. */
  #loud = 0;
  #through = 0;

  /** Somebody speaks while the model does. */
  get open(): boolean {
    return this.#through > 0;
  }

  /**
   * Takes a piece and gives those that are to be sent now, in order; each comes out
   * once. `played` is the level (RMS, 1 is full scale) of the loudest 20 ms of what
   * may be echoing: what was played in the last 400 ms.
   */
  pass(piece: ArrayBuffer, played: number): ArrayBuffer[] {
    const level = rms(piece);
    if (played < inaudible) {
      this.#room = clamp(level, inaudible, this.#room * swell);
      this.#ratios = []; // What was loud to the end was a reply.
      return [...this.flush(), piece];
    }
    this.#loud = level > Math.max(played * this.#coupling * margin, hush) ? this.#loud + 1 : 0;
    this.#through = this.#loud >= believed ? after : Math.max(0, this.#through - 1);
    const ratio = level / played;
    this.#learn(level > this.#room * margin ? ratio : Math.min(ratio, this.#coupling)); // Noise is no louder echo.

    this.#held.push(piece);
    if (this.open) return this.#held.splice(0);
    return this.#held.length > before ? [silenced(this.#held.shift()!)] : [];
  }

  /** Gives what is held back: nobody spoke, or speaks any more. */
  flush(): ArrayBuffer[] {
    this.#loud = this.#through = 0;
    return this.#held.splice(0).map(silenced);
  }

  #learn(ratio: number): void {
    if (this.open) {
      this.#coupling = clamp(ratio, this.#coupling, Math.min(this.#coupling * doubt, most));
      return;
    }
    this.#ratios = [...this.#ratios.slice(1 - learned), ratio];
    const coupling = clamp(Math.max(...this.#ratios), this.#coupling * fall, this.#coupling * rise);
    this.#coupling = clamp(coupling, least, most);
  }
}

function silenced(piece: ArrayBuffer): ArrayBuffer {
  new Int16Array(piece).fill(0);
  return piece;
}

function rms(piece: ArrayBuffer): number {
  const samples = new Int16Array(piece);
  return Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / samples.length) / 32_768;
}

function clamp(x: number, low: number, high: number): number {
  return Math.min(Math.max(x, low), high);
}
