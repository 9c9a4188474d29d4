import type { EngineEvent } from "../../src/engine";
import { Playback, type FromSpeaker, type SpeakerNews, type ToSpeaker } from "../../src/sound/playback";
import { same, test } from "./harness";

const base64 = (samples: number) => btoa("\0\x01".repeat(samples));
const ms = 24; // samples

/** A host's playback, with a worklet that notes what it is told. */
class Host {
  told: string[] = [];
  pcm: Int16Array[] = [];
  news: SpeakerNews[] = [];
  playback = new Playback((news) => this.news.push(news));
  #port: any;

  attach(copy = false): this {
    this.#port = {
      postMessage: (message: ToSpeaker) => {
        if (message.type === "play") this.pcm.push(message.pcm);
        this.told.push(message.type === "play" ? `${message.pcm.length / ms}${message.rate === 24_000 ? "" : `@${message.rate}`}` : message.type);
      },
      close: () => this.told.push("closed"),
    };
    this.playback.speak(this.#port, copy);
    return this;
  }

  /** What the page sees of it. */
  hear(...contents: object[]): any {
    return contents.map((serverContent) => this.emit({ type: "message", message: { serverContent } })).at(-1)?.message;
  }

  emit(event: EngineEvent): any {
    return this.playback.hear(event);
  }

  /** The worklet has played so far. */
  played(msPlayed: number, more: object = {}): void {
    this.#port.onmessage({ data: { position: msPlayed * ms, underruns: 0, level: 0.5, playing: true, ...more } satisfies FromSpeaker });
  }

  /** It fell silent as it was told to, when it had played so far. */
  flushed(msPlayed: number): void {
    this.#port.onmessage({ data: { flushed: msPlayed * ms } satisfies FromSpeaker });
  }

  get heard(): unknown[] {
    return this.news.flatMap((news) => (news.type === "heard" ? [news.heard] : []));
  }

  /** What was told since the last time. */
  get since(): string {
    return this.told.splice(0).join(" ");
  }
}

const sound = (length: number) => ({ modelTurn: { parts: [{ inlineData: { mimeType: "audio/pcm;rate=24000", data: base64(length * ms) } }] } });
const [interrupted, generated, complete] = [{ interrupted: true }, { generationComplete: true }, { turnComplete: true }];

test("without a speaker messages are as they came", () => {
  const { playback } = new Host();
  const event = { type: "message", message: { serverContent: sound(40) } } as const;
  same(playback.hear(event), event);
});

test("with one they come without the sound, and with all else", () => {
  const host = new Host().attach();
  const parts = [{ text: "a" }, ...sound(40).modelTurn.parts, { inlineData: { mimeType: "image/png", data: "AAAA" } }];
  same(host.hear({ modelTurn: { role: "model", parts }, outputTranscription: { text: "b" } }), {
    serverContent: { modelTurn: { role: "model", parts: [parts[0], parts[2]] }, outputTranscription: { text: "b" } },
  });
  same(host.since, "pause 40");
});

test("a message that is sound and nothing else does not come, and one with more does", () => {
  const host = new Host().attach();
  same(host.hear(sound(40)), undefined);
  same(host.hear({ ...sound(40), ...complete }), { serverContent: complete });
  const counted = { serverContent: sound(40), usageMetadata: { totalTokenCount: 7 } };
  same(host.emit({ type: "message", message: counted }), { type: "message", message: { ...counted, serverContent: {} } });
  same(host.since, "pause 40 40 pause 40");
});

test("a copy is left where it is wanted", () => {
  const host = new Host().attach(true);
  same(host.hear(sound(40)), { serverContent: sound(40) });
  same(host.since, "pause 40");
});

for (const [what, inlineData] of [
  ["no base64", { mimeType: "audio/pcm;rate=24000", data: "*" }],
  ["no rate of sound", { mimeType: "audio/pcm;rate=0", data: "AAAA" }],
  ["another kind of sound", { mimeType: "audio/opus", data: "AAAA" }],
  ["one that is called nearly the same", { mimeType: "audio/pcmu;rate=8000", data: "AAAA" }],
] as const) {
  test(`the page gets what cannot be played: ${what}`, () => {
    const host = new Host().attach();
    same(host.hear({ modelTurn: { parts: [{ inlineData }] } }), { serverContent: { modelTurn: { parts: [{ inlineData }] } } });
    same(host.since, "pause");
  });
}

test("sound has the rate that its type says, 24 kHz if none, and whole samples", () => {
  const host = new Host().attach();
  for (const mimeType of ["audio/pcm", "audio/pcm;rate=8000", "Audio/PCM; channels=1; Rate=16000"]) {
    host.hear({ modelTurn: { parts: [{ inlineData: { mimeType, data: btoa("\0".repeat(49)) } }] } });
  }
  same(host.since, "pause 1 1@8000 1@16000");
});

test("base64 is read where the browser has no function for it", () => {
  const own = Uint8Array.fromBase64;
  Uint8Array.fromBase64 = undefined!;
  try {
    const host = new Host().attach();
    host.hear(sound(40));
    same(host.since, "pause 40");
  } finally {
    Uint8Array.fromBase64 = own!;
  }
});

// Late sound of a turn that was interrupted is not played; that of the next turn is.
for (const [order, messages, wanted] of [
  ["interrupted, turnComplete", [sound(40), interrupted, sound(1), complete], "40 flush pause"],
  ["generationComplete, interrupted, turnComplete", [sound(40), generated, interrupted, sound(1), complete], "40 pause flush pause"],
  ["interrupted, generationComplete, turnComplete", [sound(40), interrupted, generated, sound(1), complete], "40 flush pause pause"],
  ["interrupted with turnComplete", [sound(40), { ...sound(1), ...interrupted, ...complete }], "40 flush pause"],
  ["turnComplete, interrupted", [sound(40), generated, complete, interrupted], "40 pause pause flush"],
  ["interrupted twice", [sound(40), interrupted, sound(1), interrupted, complete], "40 flush pause"],
  ["interrupted before its sound", [{ ...sound(1), ...interrupted }, sound(2), complete], "pause"],
  ["interrupted by nobody, while nothing is said", [interrupted], ""],
  ["interrupted by nobody, between two turns", [sound(40), generated, complete, interrupted, interrupted], "40 pause pause flush"],
  ["turnComplete twice", [sound(40), interrupted, complete, complete], "40 flush pause"],
] as const) {
  test(`the next turn plays after: ${order}`, () => {
    const host = new Host().attach();
    host.since;
    host.hear(...messages);
    same(host.since, wanted);
    host.hear(sound(60), sound(61), generated, complete);
    same(host.since, "60 61 pause pause");
  });
}

test("the next turn plays although the end of the interrupted one was lost with its connection", () => {
  const host = new Host().attach();
  host.hear(sound(40), interrupted);
  host.emit({ type: "status", state: "connecting", cause: "cut" });
  host.since;
  host.hear(sound(60));
  same(host.since, "60");
});

test("the next turn plays although the service forgets the end of the interrupted one", () => {
  const host = new Host().attach();
  const { now } = performance;
  try {
    host.hear(sound(40), interrupted, sound(1));
    host.since;
    performance.now = () => now.call(performance) + 3_001;
    host.hear(sound(60));
    same(host.since, "pause 60");
  } finally {
    performance.now = now;
  }
});

test("what came before a cut is played, and what is said again follows it", () => {
  const host = new Host().attach();
  host.since;
  host.hear(sound(40));
  host.emit({ type: "transcript", id: "8", who: "model", text: "b", final: false });
  host.emit({ type: "transcript", id: "8", who: "model", text: "b", final: true, cut: true });
  host.emit({ type: "status", state: "connecting", cause: "cut" });
  host.emit({ type: "status", state: "live", cause: "cut" });
  host.hear(sound(60), generated, complete);
  same(host.since, "40 pause 60 pause pause");
  host.played(100);
  same(host.heard, [{ utterance: "8", ms: 40, of: 40, interrupted: false }, { ms: 60, of: 60, interrupted: false }]);
});

test("a call of a function may let the turn pause", () => {
  const host = new Host().attach();
  host.since;
  host.hear(sound(40));
  host.emit({ type: "message", message: { toolCall: { functionCalls: [] } } });
  same(host.since, "40 pause");
});

test("what was heard of a turn is told with its utterance, when it was played to its end", () => {
  const host = new Host().attach();
  host.hear(sound(40), sound(40));
  host.emit({ type: "transcript", id: "7", who: "user", text: "a", final: false });
  host.emit({ type: "transcript", id: "8", who: "model", text: "b", final: false });
  host.hear(generated, complete);
  host.played(79);
  same(host.heard, []);
  same(host.news.at(-1), { type: "speaker", level: 0.5, playing: true, underruns: 0, position: 79 });
  host.played(80);
  same(host.heard, [{ utterance: "8", ms: 80, of: 80, interrupted: false }]);
});

test("the page is told how loud it is every 50 ms, and at once when it begins, runs out or ends", () => {
  const host = new Host().attach();
  const own = performance.now;
  let now = 1_000;
  performance.now = () => now;
  try {
    const told: [number, number, boolean, number][] = [];
    for (let i = 1; i <= 9; i++) {
      const [before, at] = [host.news.length, (now += 20)];
      host.played(i, { level: i < 8 ? i % 3 : 0, playing: i < 8, underruns: i < 5 ? 0 : 1 });
      for (const news of host.news.slice(before)) if (news.type === "speaker") told.push([at, news.level, news.playing, news.underruns]);
    }
    same(told, [[1_020, 1, true, 0], [1_080, 2, true, 0], [1_100, 2, true, 1], [1_160, 1, false, 1]]); // the loudest since
  } finally {
    performance.now = own;
  }
});

test("what was heard of a turn is told when it is interrupted", () => {
  const host = new Host().attach();
  host.emit({ type: "transcript", id: "8", who: "model", text: "b", final: false }); // before its sound, on older models
  host.hear(sound(40), sound(40));
  host.played(50);
  host.hear(interrupted);
  host.hear(complete, sound(40));
  host.emit({ type: "transcript", id: "8", who: "model", text: "b", final: true });
  host.played(60); // said before it was flushed, and read late
  same(host.heard, []);
  host.flushed(70);
  same(host.heard, [{ utterance: "8", ms: 70, of: 80, interrupted: true }]);
  host.hear(interrupted);
  host.flushed(90);
  same(host.heard.slice(1), [{ ms: 10, of: 40, interrupted: true }]);
});

for (const [what, end] of [
  ["another takes its place", (host: Host) => void host.attach()],
  ["the speaker is stopped", (host: Host) => host.playback.silence()],
] as const) {
  test(`what a worklet heard last is told if it never says when it fell silent: ${what}`, () => {
    const host = new Host().attach();
    host.hear(sound(80));
    host.played(50);
    host.hear(interrupted, complete, sound(40));
    same(host.heard, []);
    end(host);
    same(host.heard[0], { ms: 50, of: 80, interrupted: true });
  });
}

test("a turn that is interrupted before its words come is not taken for the one before", () => {
  const host = new Host().attach();
  const words = (id: string, final: boolean) => host.emit({ type: "transcript", id, who: "model", text: "b", final });
  host.hear(sound(40));
  words("8", false);
  host.hear(complete);
  words("8", true);
  host.played(40);
  host.hear(sound(40), interrupted, complete);
  host.flushed(60);
  words("9", false); // they trail it
  host.hear(sound(40));
  words("9", true);
  host.hear(interrupted);
  host.flushed(90);
  same(host.heard.map(({ utterance }: any) => utterance), ["8", undefined, undefined]);
});

test("another worklet gets what the one before it has not played", () => {
  const host = new Host().attach();
  host.hear(sound(40), sound(40), sound(40), generated);
  host.played(50, { underruns: 2 });
  host.pcm = [];
  host.since;
  host.attach();
  same(host.since, "closed 30 40 pause");
  same([host.pcm[0]!, host.pcm[1]!].map((pcm) => [0, 60, 120].map((i) => pcm[i])), [[0, 128, 256], [256, 256, 256]], "it swells within 5 ms");
  host.played(70, { underruns: 1 });
  host.hear(complete);
  same(host.heard, [{ ms: 120, of: 120, interrupted: false }]);
  same((host.news.at(-2) as any).underruns, 3);
});

test("sound that nobody hears is kept up to 10 minutes, and what is lost beyond is told", () => {
  const host = new Host().attach();
  const minute = { modelTurn: { parts: sound(60_000).modelTurn.parts } };
  for (let i = 0; i < 12; i++) host.hear(minute);
  host.hear(complete);
  same(host.since, "pause" + " 60000".repeat(11) + " pause");
  host.played(660_000);
  same(host.heard, [{ ms: 660_000, of: 720_000, interrupted: false }]);
  host.hear(sound(40));
  same(host.since, "40");
});

test("a speaker that is stopped tells what was heard, and leaves the sound to the page", () => {
  const host = new Host().attach();
  host.hear(sound(40));
  host.played(30);
  host.playback.silence();
  same(host.heard, [{ ms: 30, of: 40, interrupted: false }]);
  same(host.hear(sound(40)), { serverContent: sound(40) });
});

test("the level is the loudest of the last 400 ms, and nothing once nothing is reported", () => {
  const host = new Host().attach();
  const { now } = performance;
  try {
    same(host.playback.level, 0);
    for (let i = 0; i < 30; i++) host.played(i, { level: 0.5 });
    same(host.playback.level, 0.5);
    for (let i = 0; i < 19; i++) host.played(i, { level: 0.1 });
    same(host.playback.level, 0.5);
    host.played(0, { level: 0.1 });
    same(host.playback.level, 0.1);
    performance.now = () => now.call(performance) + 2_500;
    same(host.playback.level, 0);
  } finally {
    performance.now = now;
  }
});

test("whoever ducks it is told to the worklet once, and to the next worklet", () => {
  const host = new Host().attach();
  host.playback.duck(true);
  host.playback.duck(true);
  same(host.since, "pause duck");
  host.attach();
  same(host.since, "closed duck pause");
});
