import { connect } from "/livevalet.js";
import type { ConnectOptions, HeardDetail, Session, Speaker } from "/livevalet.js";
import type { FromSpeaker, ToSpeaker } from "../../src/sound/playback";
import { within } from "./api";
import { noise, whole } from "./jitterbuffer";
import { after, fail, rejection, same, test, thrown, until } from "./harness";

/** The contexts that were made meanwhile, and what they were told, in order. */
export async function spied(use: (contexts: AudioContext[], calls: string[]) => Promise<void>): Promise<void> {
  const Own = globalThis.AudioContext;
  const contexts: AudioContext[] = [];
  const calls: string[] = [];
  globalThis.AudioContext = class extends Own {
    constructor(options?: AudioContextOptions) {
      super(options);
      contexts.push(this);
      calls.push("new");
    }
    override resume(): Promise<void> {
      calls.push("resume");
      return super.resume();
    }
  };
  try {
    await use(contexts, calls);
  } finally {
    globalThis.AudioContext = Own;
  }
}

/** What a worklet's file does meanwhile, in place of loading. */
export async function loading(load: (own: () => Promise<void>) => Promise<void>, use: () => Promise<void>): Promise<void> {
  const { prototype } = AudioWorklet;
  const own = prototype.addModule;
  prototype.addModule = function (url) {
    return load(() => own.call(this, url));
  };
  try {
    await use();
  } finally {
    prototype.addModule = own;
  }
}

function heardBy(speaker: Speaker): HeardDetail[] {
  const heard: HeardDetail[] = [];
  speaker.addEventListener("heard", ({ detail }) => heard.push(detail));
  return heard;
}

/** The sound in the messages of a session. */
function soundIn(session: Session): string[] {
  const sound: string[] = [];
  session.addEventListener("message", ({ detail }) => detail.data && sound.push(detail.data));
  return sound;
}

for (const options of [{ speaker: true }, { speaker: { volume: 0.5 }, worker: false }] as ConnectOptions[]) {
  test(`connect makes and resumes the context before anything else: ${JSON.stringify(options)}`, () =>
    spied(async (contexts, calls) => {
      const connecting = connect({ token: "/token/echo", ...options });
      same(calls.slice(0, 2), ["new", "resume"]);
      const session = await connecting;
      await session.close();
      same(calls.filter((call) => call === "new"), ["new"]);
      await until(() => contexts[0]!.state === "closed", "the context is closed");
    }),
  );

  test(`the model is heard, and the page has its words alone: ${JSON.stringify(options)}`, () =>
    within(options, async (session) => {
      const { speaker } = session;
      const [heard, sound, played] = [heardBy(speaker), soundIn(session), [] as boolean[]];
      let loudest = 0;
      speaker.addEventListener("change", () => {
        played.push(speaker.playing);
        loudest = Math.max(loudest, speaker.level);
      });
      await session.sendRealtimeInput({ text: "hello" });
      await until(() => heard.length > 0 && !speaker.playing, "the answer is heard");
      same(heard, [{ utterance: "2", ms: 300, of: 300, interrupted: false }]);
      same([played, sound, speaker.position, speaker.underruns], [[true, false], [], 300, 0]);
      if (!(loudest > 0.05)) fail(`the level was ${loudest}`);
    }));
}

test("what comes before there is a worklet is heard", async () => {
  const { prototype } = AudioWorklet;
  const own = prototype.addModule;
  let load!: () => void;
  const held = new Promise<void>((resolve) => (load = resolve));
  prototype.addModule = async function (url) {
    await held;
    return own.call(this, url);
  };
  try {
    await within({}, async (session) => {
      void session.speaker.start();
      const [heard, transcripts] = [heardBy(session.speaker), [] as boolean[]];
      session.addEventListener("transcript", ({ detail }) => transcripts.push(detail.who === "model" && detail.final));
      await session.sendRealtimeInput({ text: "hello" });
      await until(() => transcripts.includes(true), "the turn is over");
      same([heard, session.speaker.playing], [[], false]);
      load();
      await until(() => heard.length > 0, "the answer is heard");
      same(heard, [{ utterance: "2", ms: 300, of: 300, interrupted: false }]);
    });
  } finally {
    prototype.addModule = own;
  }
});

test("sound that runs out in the midst of a turn is told", () =>
  within({ speaker: true }, async (session) => {
    const { speaker } = session;
    const [heard, counts, played] = [heardBy(speaker), [] as number[], [] as boolean[]];
    speaker.addEventListener("change", () => played.push(speaker.playing));
    speaker.addEventListener("underrun", ({ detail }) => counts.push(detail.count));
    const say = (serverContent: object) => session.sendRealtimeInput({ text: `!emit ${JSON.stringify({ type: "message", message: { serverContent } })}` });
    const sound = { modelTurn: { parts: [{ inlineData: { mimeType: "audio/pcm;rate=24000", data: btoa("\0\x01".repeat(4_800)) } }] } };
    await say(sound);
    await until(() => played.length === 2, "it has run out");
    same([played, counts], [[true, false], []]); // it may be the end
    await say(sound);
    await say({ turnComplete: true });
    await until(() => heard.length > 0, "all is heard");
    same([counts, heard], [[1], [{ ms: 400, of: 400, interrupted: false }]]);
  }));

test("a copy of the sound is left where it is asked for", () =>
  within({ speaker: { copy: true } }, async (session) => {
    const [heard, sound] = [heardBy(session.speaker), soundIn(session)];
    await session.sendRealtimeInput({ text: "hello" });
    await until(() => heard.length > 0, "the answer is heard");
    same(sound.length, 1);
  }));

test("a speaker may be started later, and stopped: the page has the sound meanwhile", () =>
  within({}, async (session) => {
    const { speaker } = session;
    const [heard, sound] = [heardBy(speaker), soundIn(session)];
    await session.sendRealtimeInput({ text: "one" });
    await until(() => sound.length === 1, "the sound comes to the page");
    await Promise.all([speaker.start(), speaker.start()]);
    await session.sendRealtimeInput({ text: "two" });
    await until(() => heard.length === 1, "the answer is heard");
    speaker.stop();
    speaker.stop();
    await session.sendRealtimeInput({ text: "three" });
    await until(() => sound.length === 2, "the sound comes to the page again");
    await speaker.start();
    await session.sendRealtimeInput({ text: "four" });
    await until(() => heard.length === 2, "the answer is heard again");
  }));

test("a session that is over cannot be heard any more", async () => {
  const session = await connect({ token: "/token/echo", speaker: true });
  await session.close();
  same((await rejection(session.speaker.start())).code, "aborted");
});

test("connect says that the worklets are not there", async () => {
  const { connect } = await import(`${location.origin}/variant/no-worklets/speaker/livevalet.js`);
  const error = await rejection(connect({ token: "/token/echo", speaker: true }));
  same([error.code, error.phase, error.retryable], ["network", "setup", true]);
  if (!error.message.includes("worklets.js did not load")) fail(error.message);
});

test("a page that gets no context is told so", async () => {
  const Own = globalThis.AudioContext;
  const { stream: source } = new Own().createMediaStreamDestination();
  globalThis.AudioContext = function () {
    throw new DOMException("", "NotSupportedError");
  } as any;
  try {
    const error = await rejection(connect({ token: "/token/echo", speaker: true }));
    same([error.code, error.message.startsWith("the browser lets this page play nothing")], ["unsupported", true]);
    await within({}, async ({ speaker, microphone }) => {
      same((await rejection(speaker.start())).code, "unsupported");
      same((await rejection(microphone.start({ source }))).code, "unsupported");
      globalThis.AudioContext = Own;
      await speaker.start();
    });
  } finally {
    globalThis.AudioContext = Own;
  }
});

test("the context rests while nobody uses it, and is not taken for one that is blocked", () => {
  const { stream: source } = new AudioContext().createMediaStreamDestination();
  return spied(async (contexts) => {
    await within({ speaker: true }, async (session) => {
      const { speaker, microphone } = session;
      const [context] = contexts;
      const [heard, blocked] = [heardBy(speaker), [] as boolean[]];
      await until(() => context!.currentTime > 0 && !speaker.blocked, "the clock runs");
      speaker.addEventListener("blocked", () => blocked.push(true));
      await microphone.start({ source });
      speaker.stop();
      await after(200);
      same(context!.state, "running");
      microphone.stop();
      await until(() => context!.state === "suspended", "it rests");
      await after(1_500); // longer than a clock may stand still
      await speaker.start();
      same(blocked, []);
      await session.sendRealtimeInput({ text: "hello" });
      await until(() => heard.length > 0, "the answer is heard");
      same([contexts.length, context!.state], [1, "running"]);
    });
  });
});

test("what is no volume and no option is refused", async () => {
  same((await rejection(connect({ speaker: 1 as any }))).code, "invalid_request");
  same((await rejection(connect({ speaker: { volume: 2 } }))).code, "invalid_request");
  await within({ speaker: { volume: 0.5, muted: true } }, async ({ speaker }) => {
    same([speaker.volume, speaker.muted], [0.5, true]);
    for (const volume of [-0.1, 1.1, NaN, "1" as any]) same(thrown(() => (speaker.volume = volume)).code, "invalid_request");
    same(speaker.volume, 0.5);
  });
});

test("a device that is not there, and a browser that lets nobody choose, are told apart", () =>
  within({ speaker: true }, async ({ speaker }) => {
    same(Array.isArray(await speaker.devices()), true);
    await speaker.use("");
    same((await rejection(speaker.use("nowhere"))).code, "device_unavailable");
    const { prototype } = AudioContext;
    const own = prototype.setSinkId!;
    try {
      prototype.setSinkId = () => Promise.reject(new DOMException("", "NotAllowedError"));
      same((await rejection(speaker.use("secret"))).code, "device_denied");
      prototype.setSinkId = undefined!;
      same((await rejection(speaker.use(""))).code, "unsupported");
    } finally {
      prototype.setSinkId = own;
    }
  }));

/** As if somebody pressed the mouse. */
export function click(active = true): void {
  Object.defineProperty(navigator, "userActivation", { value: { isActive: active }, configurable: true });
  dispatchEvent(new PointerEvent("pointerdown"));
  delete (navigator as any).userActivation;
}

test("a context whose clock stands still is told, and made anew at the next click, with nothing lost", () =>
  spied(async (contexts, calls) => {
    await within({ speaker: true }, async (session) => {
      const { speaker } = session;
      const heard = heardBy(speaker);
      const events: string[] = [];
      await until(() => contexts[0]!.currentTime > 0 && !speaker.blocked, "the clock runs");
      for (const type of ["blocked", "change"]) speaker.addEventListener(type, () => events.push(`${type} ${speaker.blocked}`));
      await contexts[0]!.suspend();
      await until(() => speaker.blocked, "it is noticed");
      same(events, ["blocked true"]);
      await session.sendRealtimeInput({ text: "hello" });
      click(false); // a touch that may become a scroll
      same(contexts.length, 1);
      calls.length = 0;
      click();
      same(calls, ["new", "resume"]); // inside of it
      same([speaker.blocked, contexts.length], [false, 2]);
      await until(() => heard.length > 0, "the answer is heard");
      same(heard, [{ utterance: "2", ms: 300, of: 300, interrupted: false }]);
      same(contexts[0]!.state, "closed");
      click();
      same(contexts.length, 2);
    });
  }));

test("a speaker that finds no worklet in a new context is still blocked, and made anew at the next click", () =>
  spied(async (contexts) => {
    await within({ speaker: true }, async (session) => {
      const { speaker } = session;
      const [heard, told] = [heardBy(speaker), [] as boolean[]];
      await until(() => contexts[0]!.currentTime > 0, "the clock runs");
      await contexts[0]!.suspend();
      await until(() => speaker.blocked, "it is noticed");
      speaker.addEventListener("blocked", () => told.push(speaker.blocked));
      await session.sendRealtimeInput({ text: "hello" });
      await loading(() => Promise.reject(new DOMException("", "AbortError")), async () => {
        click();
        await until(() => told.length > 0, "it is told");
      });
      await until(() => contexts[1]!.currentTime > 0.5, "its clock runs");
      same([told, speaker.blocked], [[true], true]);
      click();
      await until(() => heard.length > 0, "the answer is heard");
      same([heard, contexts.length, speaker.blocked], [[{ utterance: "2", ms: 300, of: 300, interrupted: false }], 3, false]);
    });
  }));

test("a phone call is noticed at once, and so is its end", () =>
  spied(async (contexts) => {
    await within({ speaker: true }, async ({ speaker }) => {
      const [context] = contexts;
      await until(() => context!.currentTime > 0 && !speaker.blocked, "the clock runs");
      Object.defineProperty(context, "state", { value: "interrupted", configurable: true });
      context!.dispatchEvent(new Event("statechange"));
      same(speaker.blocked, true);
      delete (context as any).state;
      await until(() => !speaker.blocked, "it goes on");
      same(contexts.length, 1);
    });
  }));

// ---- the worklet, rendered -------------------------------------------------

const rate = 48_000;

interface Step {
  /** Seconds. */
  at: number;
  tell?: ToSpeaker;
  volume?: number;
  end?: true;
}

/** What the worklet plays. Each step is taken between two pieces, however late the threads are. */
async function render(seconds: number, steps: Step[], tell = (_: FromSpeaker) => {}): Promise<Float32Array> {
  const context = new OfflineAudioContext(1, seconds * rate, rate);
  await Promise.all([context.audioWorklet.addModule("/worklets.js"), context.audioWorklet.addModule("/echo.js")]);
  const speaker = new AudioWorkletNode(context, "livevalet-speaker", { numberOfInputs: 0, outputChannelCount: [1] });
  const echo = new AudioWorkletNode(context, "echo");
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = ({ data }) => tell(data);
  speaker.port.postMessage(port2, [port2]);
  speaker.connect(context.destination);
  const arrived = () => new Promise((resolve) => ((echo.port.onmessage = resolve), echo.port.postMessage("")));
  for (const at of new Set(steps.map((step) => step.at))) {
    void context.suspend(at).then(async () => {
      await arrived(); // the port
      for (const { tell, volume, end } of steps.filter((step) => step.at === at)) {
        if (tell) port1.postMessage(tell);
        if (volume !== undefined) speaker.parameters.get("volume")!.value = volume;
        if (end) speaker.port.postMessage("end");
      }
      await arrived();
      await context.resume();
    });
  }
  return (await context.startRendering()).getChannelData(0);
}

const play = (at: number, pcm: Int16Array<ArrayBuffer>): Step => ({ at, tell: { type: "play", pcm, rate: 24_000 } });
const level = (sound: Float32Array) => Math.sqrt(sound.reduce((sum, sample) => sum + sample * sample, 0) / sound.length);

test("the worklet plays what it is sent, sample for sample", async () => {
  const samples = noise(1);
  const steps: Step[] = [];
  for (let i = 0; i < samples.length; i += 1_440) steps.push(play(Math.round(i / 1_440) * 0.02, samples.subarray(i, i + 1_440)));
  const output = await render(2, [...steps, { at: 0.5, tell: { type: "pause" } }]);
  const wanted = whole(samples, rate);
  const lag = output.findIndex((sample) => sample !== 0) - wanted.findIndex((sample) => sample !== 0);
  same(wanted.findIndex((sample, i) => output[lag + i] !== sample), -1, "the first sample that differs");
});

test("it falls silent within 10 ms of a flush, tells how much was played, and plays the next turn", async () => {
  const next = noise(0.2, 2);
  const flushed: number[] = [];
  const output = await render(1, [play(0, noise(5)), { at: 0.4, tell: { type: "flush" } }, play(0.6, next), { at: 0.6, tell: { type: "pause" } }],
    (news) => "flushed" in news && flushed.push(news.flushed / 24_000));
  await until(() => flushed.length > 0, "it is told");
  if (flushed.length !== 1 || Math.abs(flushed[0]! - 0.4) > 0.005) fail(`it played ${flushed} s`);
  if (level(output.subarray(0.38 * rate, 0.4 * rate)) < 0.1) fail("it did not play");
  same(output.subarray(0.41 * rate, 0.6 * rate).findIndex((sample) => sample !== 0), -1, "sound after the flush");
  const wanted = whole(next, rate);
  const lag = output.findIndex((sample, i) => i > 0.5 * rate && sample !== 0) - wanted.findIndex((sample) => sample !== 0);
  same(wanted.findIndex((sample, i) => output[lag + i] !== sample), -1, "the first sample that differs");
});

test("volume and ducking are smooth, and the host can duck by 12 dB", async () => {
  const output = await render(1, [
    play(0, noise(5)), { at: 0.2, volume: 0.5 }, { at: 0.4, volume: 1 }, { at: 0.6, tell: { type: "duck", on: true } }, { at: 0.8, tell: { type: "duck", on: false } },
  ]);
  const full = level(output.subarray(0.1 * rate, 0.2 * rate));
  for (const [at, wanted] of [[0.3, 0.5], [0.5, 1], [0.7, 0.25], [0.9, 1]] as const) {
    const part = level(output.subarray(at * rate, (at + 0.1) * rate)) / full;
    if (Math.abs(part / wanted - 1) > 0.05) fail(`after ${at} s it is ${part} times as loud, want ${wanted}`);
  }
});

test("a node that is let go of fades and then does nothing", async () => {
  const output = await render(0.6, [play(0, noise(5)), { at: 0.4, end: true }, play(0.5, noise(1))]);
  same(output.subarray(0.41 * rate).findIndex((sample) => sample !== 0), -1, "sound after its end");
});
