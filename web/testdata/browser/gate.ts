import { Gate } from "../../src/sound/gate";
import { fail, same, test } from "./harness";

const pieceLength = 320;
const decibels = (db: number) => 10 ** (db / 20);

/** A generator of noise, the same each time. */
function noise(seed: number): () => number {
  let state = seed;
  return () => ((state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 31) - 1;
}

/** Speech: syllables of 250 ms with soft begins, words of four, and pauses of 300 ms. */
function speech(pieces: number, level: number, seed: number): Float32Array {
  const random = noise(seed);
  const [syllable, word] = [12.5 * pieceLength, 65 * pieceLength];
  return Float32Array.from({ length: pieces * pieceLength }, (_, i) => {
    const at = i % word;
    const loud = at < 4 * syllable ? Math.sin((Math.PI * (at % syllable)) / syllable) ** 2 : 0;
    return random() * Math.sqrt(3) * loud * level * 1.6; // RMS over its words
  });
}

/** The levels of 20 ms, and of the loudest of 400 ms as the speaker tells it. */
function levels(sound: Float32Array): number[] {
  return Array.from({ length: sound.length / pieceLength }, (_, n) => {
    const piece = sound.subarray(n * pieceLength, (n + 1) * pieceLength);
    return Math.sqrt(piece.reduce((sum, x) => sum + x * x, 0) / pieceLength);
  });
}

const sum = (a: Float32Array, b: Float32Array) => a.map((x, i) => x + (b[i] ?? 0));

/** The sound as a room of that coupling gives it back, late by so many ms. */
function echo(sound: Float32Array, coupling: number, late: number): Float32Array {
  const by = 16 * late;
  return sound.map((_, i) => decibels(coupling) * (sound[i - by] ?? 0));
}

/** For each piece that went in, whether it came out as it was. */
function passed(microphone: Float32Array, played: Float32Array): boolean[] {
  const gate = new Gate();
  const loudness = levels(played);
  const samples = Int16Array.from(microphone, (x) => Math.max(-32_768, Math.min(32_767, Math.round(32_768 * x))));
  const pieces = loudness.map((_, n) => samples.slice(n * pieceLength, (n + 1) * pieceLength));
  const before = pieces.map((piece) => piece.slice());
  const out = pieces.flatMap((piece, n) => gate.pass(piece.buffer, Math.max(...loudness.slice(Math.max(0, n - 19), n + 1))));
  out.push(...gate.flush());
  same(out.map((piece) => pieces.findIndex(({ buffer }) => buffer === piece)), pieces.map((_, n) => n), "the order in which pieces come out");
  return before.map((piece, n) => {
    const whole = piece.some(Boolean) && piece.every((x, i) => x === pieces[n]![i]);
    if (!whole && pieces[n]!.some(Boolean)) fail(`piece ${n} is neither whole nor silent`);
    return whole;
  });
}

const count = (whole: boolean[]) => whole.filter(Boolean).length;

for (const coupling of [-40, -20, -10]) {
  for (const late of [0, 70, 200, 380]) {
    test(`an echo of ${coupling} dB that is late by ${late} ms does not pass`, () => {
      const played = speech(500, decibels(-16), 1);
      const room = noise(2);
      const heard = echo(played, coupling, late).map((x) => x + decibels(-60) * room());
      const whole = passed(heard, played);
      // At the end there is nothing left of what was played but its echo.
      same(count(whole.slice(0, 480)), 0);
    });
  }
}

test("speech that is 12 dB louder than the echo passes from its begin to its end", () => {
  const played = speech(500, decibels(-16), 1);
  const heard = echo(played, -20, 70);
  const said = new Float32Array(played.length);
  const [from, to] = [200, 252]; // one word
  said.set(speech(to - from, decibels(-16 - 20 + 12), 3), from * pieceLength);
  const whole = passed(sum(heard, said), played);
  const audible = levels(said).flatMap((level, n) => (level > decibels(-50) ? [n] : []));
  same(audible.filter((n) => !whole[n]), [], "pieces of the word that did not pass");
  same(count(whole.slice(0, from - 6)) + count(whole.slice(to + 20)), 0, "other pieces that did");
});

test("a click does not pass", () => {
  const played = speech(300, decibels(-16), 1);
  const heard = echo(played, -20, 70);
  heard.fill(0.9, 150 * pieceLength, 151 * pieceLength);
  same(count(passed(heard, played)), 0);
});

test("an echo that is louder than any room's is learned", () => {
  const played = speech(1_500, decibels(-16), 1);
  const whole = passed(echo(played, -3, 70), played);
  if (count(whole.slice(0, 100)) === 0) fail("it was known from the begin");
  same(count(whole.slice(-500)), 0);
});

test("with headphones quiet speech passes", () => {
  const played = speech(500, decibels(-16), 1);
  const said = new Float32Array(played.length);
  said.set(speech(52, decibels(-38), 3), 300 * pieceLength);
  const whole = passed(said, played);
  const missed = levels(said).flatMap((level, n) => (level > decibels(-50) && !whole[n] ? [n] : []));
  same(missed, []);
});

for (const [name, floor, replies] of [
  ["the noise of a room", -50, false],
  ["a reply that begins as an answer ends", -65, true],
] as const) {
  test(`${name} is not learned as an echo: who speaks into the next answer is heard`, () => {
    const played = new Float32Array(450 * pieceLength);
    const voice = noise(1);
    for (const [from, to] of [[0, 50], [250, 380]] as const) {
      played.set(speech(to - from, decibels(-16), 1), from * pieceLength);
      const ends = to * pieceLength; // A voice does not end at once.
      for (let i = 0; i < 25 * pieceLength; i++) played[ends + i] = Math.sqrt(3) * decibels(-35 - i / pieceLength) * voice();
    }
    const room = noise(2);
    const said = new Float32Array(played.length);
    const word = speech(52, decibels(-22), 3);
    if (replies) said.set(word.subarray(3 * pieceLength), 80 * pieceLength); // Not all words begin softly.
    said.set(word, 320 * pieceLength);
    const whole = passed(said.map((x) => x + Math.sqrt(3) * decibels(floor) * room()), played);
    const loud = levels(said).flatMap((level, n) => (level > decibels(-26) && !whole[n] ? [n] : []));
    same(loud, [], "loud pieces of words that did not pass");
  });
}

test("while nothing is played everything passes at once", () => {
  const gate = new Gate();
  const piece = new Int16Array(pieceLength).fill(1).buffer;
  same(gate.pass(piece, 0)[0] === piece && new Int16Array(piece)[0], 1);
  same(gate.open, false);
});

test("what is held back comes before the end of what is played", () => {
  const gate = new Gate();
  const quiet = () => new Int16Array(pieceLength).fill(1).buffer;
  same([1, 2, 3, 4, 5, 6, 7].map(() => gate.pass(quiet(), 0.5).length), [0, 0, 0, 0, 0, 1, 1]);
  same(gate.pass(quiet(), 0).map((piece) => new Int16Array(piece)[0]), [0, 0, 0, 0, 0, 1]);
});
