import { Lifeline, type Item, type News } from "../../src/demo/lifeline";
import { Voice } from "../../src/demo/voice";
import { same, test } from "./harness";

type Script = [at: number, type: News["type"], detail?: object][];

/** What becomes of a story, one line an item, in the order of their begins. */
function live(script: Script): { life: Lifeline; lines: string[] } {
  const life = new Lifeline(0);
  for (const [at, type, detail = {}] of script) {
    const flat = type === "voice" || type === "sound";
    life.take((flat ? { type, ...detail } : { type, detail }) as News, at);
  }
  return { life, lines: [...life.items].sort((a, b) => a.begin - b.begin).map(line) };
}

function line({ lane, kind, begin, end, due, label }: Item): string {
  const until = end === begin ? "" : `–${end ?? "…"}`;
  return `${begin}${until} ${lane} ${kind}${due === undefined ? "" : ` due ${due}`}${label === undefined ? "" : ` "${label.replaceAll("\u00a0", " ")}"`}`;
}

const received = (expiresIn = 720_000) => ({ action: "received", profile: "default", model: "models/m", lock: "masked", expiresIn, renewIn: 540_000 });
const opened = { ...received(), action: "opened" };
const resumed = { rung: "handle", restored: "full", replayed: 0, uncertain: 0, lostAudioMs: 0, gapMs: 80, cause: "goaway" };
const start: Script = [
  [0, "status", { state: "connecting", cause: "start" }],
  [20, "token", received()],
  [50, "token", opened],
  [100, "status", { state: "live", cause: "start" }],
];
const begun = ["0–100 connection connecting", "20 token minted", "20–… token token due 720020", "50 token opened"];

function story(name: string, script: Script, want: string[]): void {
  test(`lifeline: ${name}`, () => same(live([...start, ...script]).lines, want));
}

story("a conversation begins", [], [...begun, "100–… connection live"]);

story("goAway tells when the connection ends, and a gap lies between it and the next", [
  [1_000, "message", { sessionResumptionUpdate: { resumable: true } }],
  [1_500, "message", { sessionResumptionUpdate: {} }],
  [2_000, "goaway", { timeLeft: 10_000 }],
  [3_000, "status", { state: "connecting", cause: "goaway" }],
  [3_050, "token", opened],
  [3_080, "status", { state: "live", cause: "goaway" }],
  [3_081, "resumed", { ...resumed, replayed: 2 }],
], [
  ...begun, "100–3000 connection live due 12000", "1000 connection handle", "2000 connection goaway",
  "3000–3080 connection connecting", '3000–3080 connection gap "80 ms"', "3050 token opened",
  "3080–… connection live", "3080 connection replay",
]);

story("after a cut it waits and tries again", [
  [2_000, "status", { state: "waiting", cause: "cut", retryIn: 500 }],
  [2_500, "status", { state: "connecting", cause: "cut" }],
  [2_700, "status", { state: "waiting", cause: "retry", retryIn: 1_000 }],
], [
  ...begun, "100–2000 connection live", "2000–2500 connection waiting due 2500", "2500–2700 connection connecting", "2700–… connection waiting due 3700",
]);

story("a token is renewed before it ends, and the old one lasts until the new one opens a connection", [
  [540_000, "token", received()],
  [650_000, "status", { state: "connecting", cause: "renew" }],
  [650_010, "token", opened],
], [
  "0–100 connection connecting", "20 token minted", "20–650010 token token due 720020", "50 token opened", "100–650000 connection live",
  "540000 token renewed", "540000–… token token due 1260000", "650000–… connection connecting", "650010 token opened",
]);

story("a token that nobody renews expires by itself", [[800_000, "voice", { on: true }]], [
  "0–100 connection connecting", "20 token minted", "20–720020 token token due 720020", "50 token opened", "100–… connection live",
  "720020 token expired", "800000–… you speech",
]);

story("a token that the service refuses has expired, and the next is minted", [
  [5_000, "status", { state: "connecting", cause: "token" }],
  [5_100, "token", received()],
], [
  "0–100 connection connecting", "20 token minted", "20–5000 token token due 720020", "50 token opened", "100–5000 connection live",
  "5000 token expired", "5000–… connection connecting", "5100 token minted", "5100–… token token due 725100",
]);

const model = (text: string, more = {}) => ({ id: "2", who: "model", text, final: false, ...more });
const typed = { id: "1", who: "user", text: "hello", final: true, typed: true };

story("an answer lasts until it is told and played, and its latency is counted from the question", [
  [1_000, "transcript", typed],
  [1_420, "transcript", model("You")],
  [1_500, "sound", { on: true }],
  [2_000, "transcript", model("You said: hello.", { final: true })],
  [2_600, "sound", { on: false }],
], [...begun, "100–… connection live", "1000 you typed", '1000–1420 model latency "420 ms"', "1420–2600 model answer"]);

story("the latency of what was spoken is counted from the end of speech to the first sound", [
  [1_000, "voice", { on: true }],
  [2_000, "voice", { on: false }],
  [2_100, "transcript", { id: "1", who: "user", text: "hello", final: false }],
  [2_750, "sound", { on: true }],
  [2_760, "transcript", model("Hello", { final: true })],
], [...begun, "100–… connection live", "1000–2000 you speech", '2000–2750 model latency "750 ms"', "2750–… model answer"]);

story("who interrupts ends the answer at once, and it is not begun again by what comes late", [
  [1_000, "transcript", typed],
  [1_100, "transcript", model("A long")],
  [1_200, "sound", { on: true }],
  [3_000, "message", { serverContent: { interrupted: true } }],
  [3_005, "sound", { on: false }],
  [3_010, "transcript", model("A long story", { final: true, interrupted: true })],
], [...begun, "100–… connection live", "1000 you typed", '1000–1100 model latency "100 ms"', "1100–3000 model answer", "3000 model barge-in"]);

story("a call lasts until it is answered", [
  [1_000, "toolcall", { id: "c", name: "get_time", state: "called", repeated: false }],
  [1_300, "toolcall", { id: "c", name: "get_time", state: "answered", repeated: false }],
], [...begun, "100–… connection live", "1000–1300 tool call"]);

story("silence, empty turns and lost sound are marked", [
  [9_000, "stalled", { ended: false, waitedMs: 8_000 }],
  [9_500, "stalled", { ended: true, waitedMs: 8_500 }],
  [9_600, "emptyturn", {}],
  [9_700, "dropped", { ms: 340 }],
], [...begun, "100–… connection live", "9000 model silence", "9600 model silence", "9700 you dropped"]);

test("lifeline: the end ends all that goes on, and nothing is taken after it", () => {
  const { life, lines } = live([...start, [1_000, "transcript", model("You")], [2_000, "closed", {}], [3_000, "goaway", { timeLeft: 1 }]]);
  same(lines.filter((line) => line.includes("…")), []);
  same(lines.at(-1), "2000 connection end");
  same(life.end, 2_000);
});

test("lifeline: all that needs no growing words is told as it happens", () => {
  const told: string[] = [];
  const life = new Lifeline(0, ({ kind, words }) => told.push(`${kind}: ${words.replaceAll("\u00a0", " ")}`));
  const script: [number, News][] = [
    [10, { type: "fault", words: "emulator: jitter" }],
    [20, { type: "message", detail: { serverContent: { interrupted: true } } } as News],
    [8_000, { type: "stalled", detail: { ended: false, waitedMs: 8_000 } }],
    [9_000, { type: "emptyturn", detail: { reason: "SAFETY" } }],
  ];
  for (const [at, news] of script) life.take(news, at);
  same(told, ["fault: emulator: jitter", "barge-in: interrupted, while the model said nothing", "silence: no answer for 8.0 s", "silence: the model's turn was empty: SAFETY"]);
});

test("lifeline: what was said is in the words of its mark", () => {
  const { life } = live([
    ...start,
    [1_000, "voice", { on: true }],
    [2_000, "voice", { on: false }],
    [2_100, "transcript", { id: "1", who: "user", text: "my name is Ada", final: true }],
    [2_500, "transcript", model("Hello Ada.", { final: true })],
    [2_500, "sound", { on: true }],
    [2_600, "transcript", model("Hello Ada.", { final: true })],
  ]);
  same(life.items.filter(({ kind }) => kind === "speech" || kind === "answer").map(({ words }) => words), ["you said “my name is Ada”", "the model said “Hello Ada.”"]);
});

test("lifeline: a long conversation keeps its newest marks, and what goes on", () => {
  const { life } = live([...start, ...Array.from({ length: 4_000 }, (_, i): Script[0] => [1_000 + i, "dropped", { ms: 20 }])]);
  same(life.items.length, 1_500);
  same(life.items.at(-1)!.begin, 4_999);
  same(life.items.filter(({ end }) => end === undefined).map(({ kind }) => kind), ["token", "live"]);
});

test("voice: words with short pauses between them are one speech", () => {
  const told: unknown[] = [];
  const voice = new Voice((on, at) => told.push([on, at]));
  const loud = new Set([200, 250, 500, 550]);
  for (let at = 0; at < 1_500; at += 50) voice.hear(loud.has(at) ? 0.1 : 0.001, at);
  same(told, [[true, 200], [false, 550]]);
});
