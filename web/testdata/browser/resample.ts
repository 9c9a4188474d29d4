import { Resampler } from "../../src/sound/resample";
import { fail, same, test } from "./harness";

/** What n samples of a tone become, in pieces of 128, as on the audio thread; without what the filter has not filled. */
function resampled(from: number, to: number, hertz: number, piece = 128): Float32Array {
  const resampler = new Resampler(from, to);
  const input = Float32Array.from({ length: Math.ceil(from / 4) }, (_, i) => Math.sin((2 * Math.PI * hertz * i) / from));
  const parts: number[] = [];
  const output = new Float32Array(resampler.most(piece));
  for (let i = 0; i < input.length; i += piece) {
    const given = resampler.process(input.subarray(i, i + piece), output);
    if (given > output.length) fail(`${given} samples of at most ${output.length}`);
    parts.push(...output.subarray(0, given));
  }
  return Float32Array.from(parts.slice(Math.ceil(2 * resampler.delay * to)));
}

const decibels = (power: number) => 10 * Math.log10(power);

/** In dB of a tone of amplitude 1: how loud the tone is in the sound, and the rest of the sound. */
function heard(sound: Float32Array, rate: number, hertz: number): { tone: number; rest: number } {
  // The least squares of sine and cosine, which need not be orthogonal over the sound.
  let [ss, sc, cc, sx, cx] = [0, 0, 0, 0, 0];
  const wave = (i: number) => [Math.sin((2 * Math.PI * hertz * i) / rate), Math.cos((2 * Math.PI * hertz * i) / rate)] as const;
  sound.forEach((x, i) => {
    const [s, c] = wave(i);
    [ss, sc, cc, sx, cx] = [ss + s * s, sc + s * c, cc + c * c, sx + s * x, cx + c * x];
  });
  const det = ss * cc - sc * sc;
  const [a, b] = [(sx * cc - cx * sc) / det, (cx * ss - sx * sc) / det];
  const rest = sound.reduce((sum, x, i) => {
    const [s, c] = wave(i);
    return sum + (x - a * s - b * c) ** 2;
  }, 0);
  return { tone: decibels(a * a + b * b), rest: decibels((2 * rest) / sound.length) };
}

for (const [from, to] of [
  [48_000, 16_000], [44_100, 16_000], [8_000, 16_000], [16_000, 16_000], [22_050, 16_000], [96_000, 16_000], [192_000, 16_000],
  [44_099, 16_000], // more phases than are tabulated
  [24_000, 44_100], [24_000, 48_000], [24_000, 192_000], [24_000, 8_000], [192_000, 8_000],
] as const) {
  const lower = Math.min(from, to);

  test(`from ${from} to ${to} Hz, what can be heard stays as it is`, () => {
    for (const share of [0.01, 0.0625, 0.2, 0.35, 7 / 16]) {
      const { tone, rest } = heard(resampled(from, to, share * lower), to, share * lower);
      if (!(Math.abs(tone) < 0.5)) fail(`${share * lower} Hz comes out ${tone} dB louder`);
      if (!(rest < -60)) fail(`${share * lower} Hz comes with ${rest} dB of other sound`);
    }
  });
  if (from <= to) continue;
  test(`from ${from} to ${to} Hz, what cannot be heard is gone`, () => {
    for (const share of [0, 0.02, 0.1, 0.5, 0.99]) {
      const hertz = lower / 2 + share * (from / 2 - lower / 2);
      const sound = resampled(from, to, hertz);
      const loud = decibels((2 * sound.reduce((sum, x) => sum + x * x, 0)) / sound.length);
      if (!(loud < -60)) fail(`${hertz} Hz comes out at ${loud} dB`);
    }
  });
}

test("a minute of sound is neither stretched nor shrunk by a sample", () => {
  const resampler = new Resampler(44_100, 8_000);
  const [second, output] = [new Float32Array(44_100), new Float32Array(resampler.most(44_100))];
  let given = 0;
  for (let i = 0; i < 60; i++) given += resampler.process(second, output);
  same(given, 60 * 8_000);
});

test("the pieces in which sound comes make no difference", () => {
  same([...resampled(44_100, 16_000, 1_000, 1)], [...resampled(44_100, 16_000, 1_000, 44_100)]);
});

test("a stream that begins anew does not hear the one before", () => {
  const resampler = new Resampler(48_000, 16_000);
  const output = new Float32Array(resampler.most(480));
  resampler.process(new Float32Array(480).fill(1), output);
  resampler.reset();
  const given = resampler.process(new Float32Array(480), output);
  same([...output.subarray(0, given)], Array(160).fill(0));
});
