// Changes the rate of sound, as a stream and without making garbage, so that it
// can run on the audio thread.

/** How far what cannot be heard at the new rate is damped, in dB. */
const damping = 70;
/** What is kept reaches to 7/16 of the lower rate; what is damped begins at its half. */
const kept = 7 / 16;
/** More phases than this are interpolated, which is exact to 100 dB. */
const mostPhases = 512;

/**
 * A band-limited change of rate: a sinc under Kaiser's window, tabulated for each
 * place that an output sample can have between two input samples. What comes out
 * is late by `delay`.
 */
export class Resampler {
  /** Seconds. */
  readonly delay: number;

  #step: number;
  /** Input samples from the newest one to the next output sample, before the delay. */
  #next = 0;
  #taps: number;
  #phases: number;
  /** One filter after the other, for 0 to 1 sample, both included. */
  #filters: Float32Array;
  /** The newest input, twice, so that any `taps` of it lie in a row. */
  #line: Float32Array;
  #at = 0;

  constructor(from: number, to: number) {
    const lower = Math.min(from, to);
    const width = (damping - 8) / (2.285 * 2 * Math.PI * (1 / 2 - kept)); // by Kaiser's formula
    const half = Math.ceil((width / 2) * (from / lower));
    this.#step = from / to;
    this.#taps = 2 * half;
    this.#phases = Math.min(to / gcd(from, to), mostPhases);
    this.#filters = filters(this.#phases, half, ((1 / 2 + kept) * lower) / from);
    this.#line = new Float32Array(2 * this.#taps);
    this.delay = half / from;
  }

  /** The most samples that so many of input can give. */
  most(length: number): number {
    return Math.ceil(length / this.#step) + 1;
  }

  /** Takes the next piece of input, puts what it gives into output and says how many samples that is. */
  process(input: Float32Array, output: Float32Array): number {
    const line = this.#line;
    const filters = this.#filters;
    const taps = this.#taps;
    const phases = this.#phases;
    let at = this.#at;
    let next = this.#next;
    let given = 0;
    for (let i = 0; i < input.length; i++) {
      line[at] = line[at + taps] = input[i]!;
      if (++at === taps) at = 0;
      for (; next < 1; next += this.#step) {
        const phase = Math.floor(next * phases);
        const between = next * phases - phase;
        const filter = phase * taps;
        let sum = 0;
        for (let k = 0; k < taps; k++) {
          const weight = filters[filter + k]!;
          sum += line[at + k]! * (weight + between * (filters[filter + taps + k]! - weight));
        }
        output[given++] = sum;
      }
      next--;
    }
    this.#at = at;
    this.#next = next;
    return given;
  }

  /** Forgets the input, as if a stream began. */
  reset(): void {
    this.#line.fill(0);
    this.#at = this.#next = 0;
  }
}

/** `cutoff` is where the sinc falls off, in units of half the input's rate. */
function filters(phases: number, half: number, cutoff: number): Float32Array {
  const taps = 2 * half;
  const beta = 0.1102 * (damping - 8.7);
  const table = new Float32Array((phases + 1) * taps);
  for (let phase = 0; phase <= phases; phase++) {
    const filter = table.subarray(phase * taps, (phase + 1) * taps);
    let sum = 0;
    for (let k = 0; k < taps; k++) {
      const x = k + 1 - half - phase / phases;
      const window = bessel(beta * Math.sqrt(Math.max(0, 1 - (x / half) ** 2)));
      sum += filter[k] = sinc(cutoff * x) * window;
    }
    for (let k = 0; k < taps; k++) filter[k]! /= sum; // all phases are equally loud
  }
  return table;
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/** The modified Bessel function of the first kind and order 0. */
function bessel(x: number): number {
  let sum = 1;
  let term = 1;
  for (let k = 1; term > 1e-9 * sum; k++) sum += term *= (x / (2 * k)) ** 2;
  return sum;
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}
