import { JitterBuffer } from "../../src/sound/jitterbuffer";
import { Resampler } from "../../src/sound/resample";
import { fail, same, test } from "./harness";

const rate = 24_000;

/** The same numbers from 0 to 1 each time. */
export function dice(seed: number): () => number {
  return () => (seed = (seed * 48_271) % 0x7fffffff) / 0x7fffffff;
}

/** Sound with something of all frequencies, which is nowhere like itself. */
export function noise(seconds: number, seed = 1): Int16Array<ArrayBuffer> {
  const random = dice(seed);
  return Int16Array.from({ length: Math.round(seconds * rate) }, () => 20_000 * (random() - 0.5));
}

/** What all of it becomes in one piece, with what the resampler holds back. */
export function whole(samples: Int16Array, to: number): Float32Array {
  const resampler = new Resampler(rate, to);
  const held = Math.ceil(resampler.delay * rate);
  const input = new Float32Array(samples.length + held);
  samples.forEach((sample, i) => (input[i] = sample / 0x8000));
  const output = new Float32Array(resampler.most(input.length));
  return output.subarray(0, resampler.process(input, output));
}

interface Arrival {
  /** Seconds. */
  at: number;
  act(buffer: JitterBuffer): void;
}

/** What comes out, in the pieces of the audio thread. */
function listen(buffer: JitterBuffer, to: number, seconds: number, arrivals: Arrival[]): Float32Array {
  const output = new Float32Array(Math.ceil((seconds * to) / 128) * 128);
  let next = 0;
  for (let i = 0; i < output.length; i += 128) {
    for (; arrivals[next] && arrivals[next]!.at * to <= i; next++) arrivals[next]!.act(buffer);
    buffer.read(output.subarray(i, i + 128));
  }
  return output;
}

/** Chunks of 40 ms, sent so much faster than they are spoken, each late by up to so much; then the end. */
function arrivals(samples: Int16Array, { speed = 1, jitter = 0, seed = 1, from = 0 }): Arrival[] {
  const random = dice(seed);
  const size = 0.04 * rate;
  const list: Arrival[] = [];
  let last = from;
  for (let i = 0; i < samples.length; i += size) {
    last = Math.max(last, from + i / rate / speed + jitter * random()); // none overtakes another
    list.push({ at: last, act: (buffer) => buffer.push(samples.subarray(i, i + size), rate) });
  }
  return [...list, { at: last, act: (buffer) => buffer.pause() }];
}

/** Where the sound begins. */
function start(output: Float32Array): number {
  return Math.max(0, output.findIndex((sample) => sample !== 0));
}

/** Sample for sample. */
function contains(output: Float32Array, wanted: Float32Array): void {
  const lag = start(output) - start(wanted);
  const wrong = wanted.findIndex((sample, i) => output[lag + i] !== sample);
  if (wrong >= 0) fail(`sample ${wrong} of ${wanted.length} is ${output[lag + wrong]}, want ${wanted[wrong]}`);
  same(output.subarray(lag + wanted.length).findIndex((sample) => sample !== 0), -1, "sound after the end");
}

/** In units of full scale. */
function steepest(output: Float32Array): number {
  return output.reduce((most, sample, i) => Math.max(most, Math.abs(sample - (output[i - 1] ?? 0))), 0);
}

const hum = (seconds: number) => Int16Array.from({ length: seconds * rate }, (_, i) => 16_000 * Math.sin((2 * Math.PI * 100 * i) / rate));
/** Of the hum. */
const smooth = 0.01;

for (const to of [96_000, 48_000, 44_100, 24_000, 8_000]) {
  for (const size of [1, 100, 960, 24_000]) {
    test(`the jitter buffer gives at ${to} Hz one stream without seams, from chunks of ${size}`, () => {
      const samples = noise(0.5);
      const buffer = new JitterBuffer(to);
      for (let i = 0; i < samples.length; i += size) buffer.push(samples.subarray(i, i + size), rate);
      buffer.pause();
      contains(listen(buffer, to, 1, []), whole(samples, to));
      same([buffer.position, buffer.underruns, buffer.playing], [samples.length, 0, false]);
    });
  }
}

test("the first sound waits for the cushion, 120 ms, or until as much sound is there", () => {
  for (const [speed, from, until] of [[1, 0.12, 0.124], [3, 0.04, 0.044], [1_000, 0, 0.003]] as const) {
    const output = listen(new JitterBuffer(48_000), 48_000, 1, arrivals(noise(0.5), { speed }));
    const began = start(output) / 48_000;
    if (began < from || began > until) fail(`at ${speed} times the speed it begins after ${began} s`);
  }
});

test("what is shorter than the cushion is played when its end is known", () => {
  const samples = noise(0.02);
  contains(listen(new JitterBuffer(48_000), 48_000, 0.1, arrivals(samples, {})), whole(samples, 48_000));
});

for (const seed of [1, 2, 3, 4, 5]) {
  test(`a model that is faster than its speech has no underrun with jitter of 120 ms (${seed})`, () => {
    const samples = noise(5);
    const buffer = new JitterBuffer(48_000);
    contains(listen(buffer, 48_000, 6, arrivals(samples, { speed: 3, jitter: 0.12, seed })), whole(samples, 48_000));
    same(buffer.underruns, 0);
  });

  test(`once the cushion is as large as the jitter, there is none at the speed of speech either (${seed})`, () => {
    const buffer = new JitterBuffer(48_000);
    listen(buffer, 48_000, 12, arrivals(noise(10), { jitter: 0.12, seed }));
    const learned = buffer.underruns;
    if (learned > 2) fail(`${learned} underruns until it had learned`);
    if (buffer.cushion < 0.11 || buffer.cushion > 0.15) fail(`the cushion is ${buffer.cushion} s`);
    const samples = noise(10, seed + 1);
    contains(listen(buffer, 48_000, 11, arrivals(samples, { jitter: 0.12, seed: seed + 10 })), whole(samples, 48_000));
    same(buffer.underruns, learned);
  });
}

test("sound that runs out fades and swells, is counted, and the cushion grows by what was missing", () => {
  const buffer = new JitterBuffer(48_000);
  const samples = hum(2);
  const late = arrivals(samples, {}).map((arrival) => ({ ...arrival, at: arrival.at + (arrival.at >= 1 ? 0.25 : 0) }));
  const output = listen(buffer, 48_000, 3, late);
  same(buffer.underruns, 1);
  if (steepest(output) > smooth) fail(`it clicks: a step of ${steepest(output)}`);
  if (Math.abs(buffer.cushion - 0.27) > 0.01) fail(`the cushion is ${buffer.cushion} s`);
  // All samples are there: only a pause lies between.
  const sounding = output.filter((sample) => sample !== 0).length;
  if (Math.abs(sounding - 2 * 48_000) > 200) fail(`${sounding} samples sound`);
  same(buffer.position, samples.length);
});

test("what comes at once after a stall is played at once, if it is more than the cushion", () => {
  const stalled = arrivals(hum(3), {}).map((arrival) => ({ ...arrival, at: arrival.at >= 1 && arrival.at < 1.3 ? 1.3 : arrival.at }));
  const output = listen(new JitterBuffer(48_000), 48_000, 4, stalled);
  const silent = output.findIndex((_, i) => i > 48_000 && output.subarray(i, i + 480).every((sample) => sample === 0));
  const again = output.findIndex((sample, i) => i > silent && sample !== 0);
  if (!(again - silent < 0.25 * 48_000)) fail(`it is silent for ${(again - silent) / 48_000} s`);
});

test("silence after the end of a turn is no underrun, nor is a pause in it that was told", () => {
  const buffer = new JitterBuffer(48_000);
  listen(buffer, 48_000, 4, [...arrivals(noise(0.5), {}), ...arrivals(noise(0.5), { from: 2 })]);
  same(buffer.underruns, 0);
  same(buffer.cushion, 0.12);
});

test("sound that ran out is none either if that was all", () => {
  const buffer = new JitterBuffer(48_000);
  const chunks = arrivals(noise(0.5), {});
  listen(buffer, 48_000, 4, [...chunks.slice(0, -1), { at: 2, act: (b) => b.pause() }, ...arrivals(noise(0.5), { from: 3 })]);
  same(buffer.underruns, 0);
});

test("the cushion is bounded, and forgets", () => {
  const buffer = new JitterBuffer(48_000);
  const chunks = arrivals(noise(1), {}).map((arrival) => ({ ...arrival, at: arrival.at < 0.5 ? arrival.at : arrival.at + 9 }));
  listen(buffer, 48_000, 12, chunks);
  same(buffer.cushion, 0.5);
  for (let minutes = 0; minutes < 3; minutes++) listen(buffer, 48_000, 61, arrivals(noise(60), { speed: 3 }));
  same(buffer.cushion, 0.12);
});

for (const to of [48_000, 44_100]) {
  test(`a flush is silence within 10 ms at ${to} Hz, without a click, and the next turn plays whole`, () => {
    const buffer = new JitterBuffer(to);
    const next = hum(0.3);
    const flushed = 0.5;
    const chunks = arrivals(hum(5), { speed: 3 }).filter(({ at }) => at < flushed);
    const output = listen(buffer, to, 2, [...chunks, { at: flushed, act: (b) => b.flush() }, ...arrivals(next, { from: 0.6 })]);
    if (steepest(output) > smooth) fail(`it clicks: a step of ${steepest(output)}`);
    const end = Math.ceil((flushed * to) / 128) * 128;
    const silent = end + output.subarray(end).findIndex((_, i) => output.subarray(end + i, end + i + 200).every((sample) => sample === 0));
    if (silent - end > 0.01 * to) fail(`${silent - end} frames sound after it`);
    if (output[end + 20] === 0) fail("it does not fade");
    contains(output.subarray(silent), whole(next, to));
    same(buffer.underruns, 0);
  });
}

test("what was flushed counts as passed, and what waits does not", () => {
  const buffer = new JitterBuffer(48_000);
  const chunks = arrivals(noise(2), { speed: 1_000 });
  listen(buffer, 48_000, 1, chunks);
  const late = Math.abs(buffer.position - rate); // the resampler holds 1.5 ms back
  if (late > 0.005 * rate) fail(`after 1 s the position is ${buffer.position}`);
  buffer.flush();
  same(buffer.position, 2 * rate);
});

test("a change of the rate loses nothing", () => {
  const buffer = new JitterBuffer(48_000);
  buffer.push(hum(0.5), rate);
  buffer.push(Int16Array.from({ length: 8_000 }, (_, i) => 16_000 * Math.sin((2 * Math.PI * 100 * i) / 16_000)), 16_000);
  buffer.pause();
  const output = listen(buffer, 48_000, 1.2, []);
  const sounding = output.filter((sample) => sample !== 0).length;
  if (Math.abs(sounding - 48_000) > 400) fail(`${sounding} samples sound`);
  same(buffer.position, 20_000);
});
