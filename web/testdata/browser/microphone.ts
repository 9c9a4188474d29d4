import { connect, type LiveValetError, type MicrophoneOptions, type Session } from "/livevalet.js";
import { Capture, type Mark, type Recorded } from "../../src/sound/capture";
import type { FromMicrophone, Passing } from "../../src/sound/microphone.worklet";
import { within } from "./api";
import { after, fail, rejection, same, test, thrown, until } from "./harness";
import { click, loading, spied } from "./speaker";
import { journal } from "./tokens";

const { mediaDevices } = navigator;
const loudness = new AudioContext();

/** A microphone that hears a tone, or nothing. */
function stream(gain = 0.5, deviceId = "a"): MediaStream {
  const destination = loudness.createMediaStreamDestination();
  const tone = new OscillatorNode(loudness, { frequency: 1_000 });
  tone.connect(new GainNode(loudness, { gain })).connect(destination);
  tone.start();
  const [track] = destination.stream.getAudioTracks();
  Object.assign(track!, { getSettings: () => ({ deviceId }) });
  return destination.stream;
}

type Ask = (audio: MediaTrackConstraints) => Promise<MediaStream>;

/** The browser's microphones, as long as a test runs. */
class Devices {
  asked: MediaTrackConstraints[] = [];
  given: MediaStream[] = [];
  present = ["a"];
  answer: Ask = async () => stream();

  /** Runs a test with them. */
  static async with(use: (devices: Devices) => Promise<void>): Promise<void> {
    const devices = new Devices();
    Object.assign(mediaDevices, {
      getUserMedia: async ({ audio }: { audio: MediaTrackConstraints }) => {
        devices.asked.push(audio);
        const stream = await devices.answer(audio);
        devices.given.push(stream);
        return stream;
      },
      enumerateDevices: async () => [...devices.present.map((deviceId) => ({ kind: "audioinput", deviceId })), { kind: "videoinput", deviceId: "c" }],
    });
    try {
      await use(devices);
    } finally {
      delete (mediaDevices as Partial<MediaDevices>).getUserMedia; // the shim; the browser's is the prototype's
      delete (mediaDevices as Partial<MediaDevices>).enumerateDevices;
    }
  }

  /** Devices come or go, which browsers tell several times. */
  change(present: string[]): void {
    this.present = present;
    for (let i = 0; i < 3; i++) mediaDevices.dispatchEvent(new Event("devicechange"));
  }

  /** The tracks that are open. */
  get live(): number {
    return this.given.flatMap((stream) => stream.getTracks()).filter(({ readyState }) => readyState === "live").length;
  }
}

/** What the engine was given to send: "sound" for any number of pieces, and marks. */
function sent(session: Session): string[] {
  const seen: string[] = [];
  session.addEventListener("message", ({ detail }) => {
    const { realtimeInput: input, clientContent } = (detail as any).echo ?? {};
    const kind = clientContent ? "content" : input?.audio ? "sound" : Object.keys(input ?? {})[0];
    if (kind === "sound") same([input.audio.mimeType, atob(input.audio.data).length], ["audio/pcm;rate=16000", 640]);
    if (kind && (kind !== "sound" || seen.at(-1) !== "sound")) seen.push(kind);
  });
  return seen;
}

const hears = (seen: string[], what: string[]) => until(() => JSON.stringify(seen) === JSON.stringify(what), `${what}, and have ${seen}`);

const mints = async (profile: string) => (await journal()).filter(({ body }) => body?.profile === profile).length;

const refused = (name: string) => () => Promise.reject(new DOMException("as the browser says", name));

test("no token is asked for while the browser asks for the microphone, and then the session hears it", () =>
  Devices.with(async (devices) => {
    let grant!: () => void;
    devices.answer = () => new Promise((resolve) => (grant = () => resolve(stream())));
    const connected = connect({ token: "/token/echo", profile: "asking", microphone: true });
    same(devices.asked.length, 1, "asked in the click");
    await after(500);
    same(await mints("asking"), 0, "tokens");
    grant();
    const session = await connected;
    const seen = sent(session);
    await hears(seen, ["sound"]);
    await until(() => session.microphone.state === "on", "state on");
    await session.close();
    same([session.microphone.state, devices.live], ["off", 0]);
    void session.microphone.start(); // which may be ignored
    same((await rejection(session.microphone.start())).code, "aborted");
    same(await mints("asking"), 1, "tokens");
  }));

test("wishes are asked of the browser, and nothing that a device may not have", () =>
  Devices.with(async (devices) => {
    const [yes, no] = [{ ideal: true }, { ideal: false }];
    await within({ microphone: { echoCancellation: false, deviceId: "a" } }, async () => {});
    await within({ microphone: true }, async () => {});
    same(devices.asked, [
      { echoCancellation: no, noiseSuppression: yes, autoGainControl: yes, deviceId: { ideal: "a" } },
      { echoCancellation: yes, noiseSuppression: yes, autoGainControl: yes },
    ]);
  }));

for (const [name, code] of [
  ["NotAllowedError", "microphone_denied"],
  ["NotFoundError", "microphone_missing"],
  ["OverconstrainedError", "microphone_missing"],
  ["NotReadableError", "microphone_busy"],
  ["AbortError", "microphone_busy"],
]) {
  test(`a browser's ${name} is ${code}, and no token is spent on it`, () =>
    Devices.with(async (devices) => {
      devices.answer = refused(name!);
      const error: LiveValetError = await rejection(connect({ token: "/token/echo", profile: name!, microphone: true }));
      same([error.code, error.phase, await mints(name!)], [code, "setup", 0]);
      await within({}, async ({ microphone }) => {
        same((await rejection(microphone.start())).code, code);
        same(microphone.state, "off");
        devices.answer = async () => stream();
        await microphone.start();
        same(microphone.state, "on");
      });
    }));
}

test("a page that is not secure is told so", async () => {
  Object.defineProperty(navigator, "mediaDevices", { value: undefined, configurable: true });
  Object.defineProperty(globalThis, "isSecureContext", { value: false, configurable: true });
  try {
    const error = await rejection(connect({ token: "/token/echo", profile: "insecure", microphone: true }));
    same([error.code, error.phase, await mints("insecure")], ["insecure_context", "setup", 0]);
  } finally {
    delete (navigator as any).mediaDevices;
    delete (globalThis as any).isSecureContext;
  }
});

test("a connect that is given up while the browser asks leaves no microphone open", () =>
  Devices.with(async (devices) => {
    let grant!: () => void;
    devices.answer = () => new Promise((resolve) => (grant = () => resolve(stream())));
    const abort = new AbortController();
    const connected = connect({ token: "/token/echo", profile: "given up", microphone: true, signal: abort.signal });
    abort.abort();
    const error = await rejection(connected);
    same([error.code, error.phase], ["aborted", "setup"]);
    grant();
    await until(() => devices.given.length === 1 && devices.live === 0, "the track's end");
    same(await mints("given up"), 0);
  }));

const wrong: [string, object][] = [
  ["a mode that is none", { mode: "loud" }],
  ["a device that is none", { deviceId: 1 as any }],
  ["a source that is none", { source: {} }],
  ["a source without sound", { source: new MediaStream() }],
  ["a wish that is none", { echoCancellation: "yes" }],
];
for (const [what, options] of wrong) {
  test(`the microphone's options are checked: ${what}`, async () => {
    same((await rejection(connect({ microphone: options as MicrophoneOptions }))).code, "invalid_request");
  });
}

test("a stream of the page's own is heard, and stays its own", () =>
  Devices.with(async (devices) => {
    const source = stream();
    await within({}, async (session) => {
      const seen = sent(session);
      await session.microphone.start({ source });
      await hears(seen, ["sound"]);
      same([devices.asked.length, (await rejection(session.microphone.use("a"))).code], [0, "invalid_request"]);
      session.microphone.stop();
      same([source.getTracks()[0]!.readyState, session.microphone.state], ["live", "off"]);
      await hears(seen, ["sound", "audioStreamEnd"]);
      await session.microphone.start({ source });
      await hears(seen, ["sound", "audioStreamEnd", "sound"]);
    });
  }));

test("a muted microphone says nothing, and that the sound has ended, once", () =>
  Devices.with(async () => {
    await within({ microphone: true }, async (session) => {
      const { microphone } = session;
      const seen = sent(session);
      let levels = 0;
      microphone.addEventListener("level", () => levels++);
      await until(() => microphone.level.rms > 0.3 && microphone.level.peak > 0.45, "the tone's level");
      const [from, before] = [performance.now(), levels];
      microphone.muted = true;
      same(microphone.level, { rms: 0, peak: 0 });
      await hears(seen, ["sound", "audioStreamEnd"]);
      await after(700);
      same([seen, levels - before], [["sound", "audioStreamEnd"], 1], `after ${performance.now() - from} ms`);
      microphone.muted = false;
      await hears(seen, ["sound", "audioStreamEnd", "sound"]);
    });
  }));

for (const [kind, config, marks] of [
  ["the service finds out who speaks", {}, ["sound", "audioStreamEnd"]],
  ["the page marks who speaks", { realtimeInputConfig: { automaticActivityDetection: { disabled: true } } }, ["activityStart", "sound", "activityEnd"]],
] as const) {
  test(`what is said while the button is held is heard, where ${kind}`, () =>
    Devices.with(async () => {
      await within({ config, microphone: { mode: "push-to-talk" } }, async (session) => {
        const { microphone } = session;
        const seen = sent(session);
        await until(() => microphone.state === "on", "state on");
        await after(200);
        same(seen, []);
        for (const times of [1, 2]) {
          microphone.press();
          await hears(seen, [...marks, ...marks].slice(0, times * marks.length - 1));
          microphone.release();
          await hears(seen, [...marks, ...marks].slice(0, times * marks.length));
        }
        microphone.mode = "open";
        await hears(seen, [...marks, ...marks, "sound"]);
        same(thrown(() => microphone.press()).code, "invalid_request");
      });
    }));
}

test("a history that was announced comes before what was said", () =>
  Devices.with(async () => {
    const config = { historyConfig: { initialHistoryInClientContent: true } };
    await within({ config, microphone: true }, async (session) => {
      const seen = sent(session);
      await until(() => session.microphone.state === "on", "state on");
      await session.sendClientContent({ turns: "I am Ada", turnComplete: false });
      await after(200);
      same(seen, ["content"]);
      await session.sendClientContent({ turns: "Hello" });
      await hears(seen, ["content", "content", "sound"]);
    });
  }));

test("a device that ends is replaced by the chosen one, else by any, and the page asks once", () =>
  Devices.with(async (devices) => {
    await within({ microphone: { deviceId: "b" } }, async (session) => {
      const { microphone } = session;
      let lost = 0;
      session.addEventListener("miclost", () => lost++);
      await until(() => microphone.state === "on", "state on");
      devices.answer = ({ deviceId }) => (deviceId ? refused("NotReadableError")() : Promise.resolve(stream(0.5, "d")));
      const [track] = devices.given[0]!.getTracks();
      track!.stop();
      track!.dispatchEvent(new Event("ended"));
      devices.change(["d"]);
      await until(() => devices.given.length === 2, "another device");
      await after(500);
      same(devices.asked.slice(1).map(({ deviceId }) => deviceId), [{ ideal: "b" }, undefined]);
      same([devices.live, microphone.state, microphone.settings?.deviceId, lost], [1, "on", "d", 0]);

      devices.answer = async () => stream(0.5, "b");
      devices.change(["d", "b"]);
      await until(() => microphone.settings?.deviceId === "b", "the chosen device");
      same(devices.live, 1);
    });
  }));

test("without any device the session goes on, and takes the next that is plugged in", () =>
  Devices.with(async (devices) => {
    await within({ microphone: true }, async (session) => {
      const { microphone } = session;
      const seen = sent(session);
      const told: string[] = [];
      session.addEventListener("miclost", ({ detail }) => told.push(detail.error.code));
      await hears(seen, ["sound"]);
      devices.answer = refused("NotFoundError");
      devices.change([]);
      await until(() => microphone.state === "lost", "state lost");
      devices.change(["video"]);
      await hears(seen, ["sound", "audioStreamEnd"]);
      same([told, devices.live, session.state], [["microphone_missing"], 0, "live"]);
      devices.answer = async () => stream();
      devices.change(["a"]);
      await until(() => microphone.state === "on", "state on");
      await hears(seen, ["sound", "audioStreamEnd", "sound"]);
    });
  }));

test("a microphone that the visitor forbids and allows again starts again, as the error says", () =>
  Devices.with(async (devices) => {
    await within({ microphone: true }, async (session) => {
      const { microphone } = session;
      const seen = sent(session);
      let lost: LiveValetError | undefined;
      session.addEventListener("miclost", ({ detail }) => (lost = detail.error));
      await hears(seen, ["sound"]);
      devices.answer = refused("NotAllowedError");
      const [track] = devices.given[0]!.getTracks();
      track!.stop();
      track!.dispatchEvent(new Event("ended"));
      await until(() => microphone.state === "lost", "state lost");
      same([lost!.code, lost!.message.includes("start it again")], ["microphone_denied", true]);
      devices.answer = async () => stream();
      await microphone.start();
      same([microphone.state, devices.live], ["on", 1]);
      await until(() => microphone.level.rms > 0.3, "the tone's level");
    });
  }));

test("a track that is muted for 3 s is replaced, and one that is muted, too, is waited for", () =>
  Devices.with(async (devices) => {
    await within({ microphone: true }, async (session) => {
      const { microphone } = session;
      await until(() => microphone.state === "on", "state on");
      const mute = (on: boolean) => {
        const track = devices.given.at(-1)!.getTracks()[0]!;
        Object.defineProperty(track, "muted", { value: on, configurable: true });
        track.dispatchEvent(new Event(on ? "mute" : "unmute"));
      };
      mute(true);
      mute(false);
      mute(true);
      devices.answer = async () => {
        const other = stream();
        Object.defineProperty(other.getTracks()[0]!, "muted", { value: true, configurable: true });
        return other;
      };
      await until(() => microphone.state === "lost", "state lost");
      same([devices.asked.length, devices.live], [2, 1]);
      mute(false);
      same(microphone.state, "on");
    });
  }));

test("another device is used at once, and one that does not start changes nothing", () =>
  Devices.with(async (devices) => {
    await within({ microphone: true }, async (session) => {
      const { microphone } = session;
      await until(() => microphone.state === "on", "state on");
      devices.answer = async () => stream(0.5, "b");
      await microphone.use("b");
      same([devices.asked[1]!.deviceId, microphone.settings?.deviceId, devices.live], [{ exact: "b" }, "b", 1]);
      devices.answer = refused("OverconstrainedError");
      same((await rejection(microphone.use("c"))).code, "microphone_missing");
      same([microphone.settings?.deviceId, devices.live, microphone.state], ["b", 1, "on"]);
      same((await microphone.devices()).map(({ deviceId }) => deviceId), ["a"]);
    });
  }));

test("in a context that is made anew the microphone is heard again", () =>
  spied((contexts) =>
    Devices.with(async (devices) => {
      await within({ microphone: true, speaker: true }, async (session) => {
        const { microphone, speaker } = session;
        const seen = sent(session);
        await hears(seen, ["sound"]);
        await until(() => microphone.level.rms > 0.3, "the tone's level");
        await contexts[0]!.suspend();
        await until(() => speaker.blocked, "it is noticed");
        same(microphone.level, { rms: 0, peak: 0 });
        await hears(seen, ["sound", "audioStreamEnd"]);
        click();
        await hears(seen, ["sound", "audioStreamEnd", "sound"]);
        await until(() => microphone.level.rms > 0.3, "the tone's level");
        same([contexts.length, devices.asked.length, devices.live, microphone.state], [2, 1, 1, "on"]);

        devices.answer = refused("NotFoundError"); // and without a microphone
        devices.change([]);
        await until(() => microphone.state === "lost", "state lost");
        await contexts[1]!.suspend();
        await until(() => (click(), contexts.length === 3), "a new context");
        devices.answer = async () => stream();
        devices.change(["a"]);
        await until(() => microphone.level.rms > 0.3, "the tone's level");
      });
    }),
  ));

test("a microphone alone tells that the browser holds sound back, and starts at the next click", () =>
  spied((contexts) =>
    Devices.with(async () => {
      const held = async (own: () => Promise<void>) => {
        if (contexts.length === 1) await contexts[0]!.suspend();
        await own();
      };
      await loading(held, () =>
        within({}, async ({ microphone, speaker }) => {
          const events: string[] = [];
          for (const type of ["blocked", "change"]) microphone.addEventListener(type, () => events.push(`${type} ${microphone.blocked} ${microphone.state}`));
          const started = microphone.start();
          await until(() => microphone.blocked, "it is noticed");
          same([events, speaker.blocked], [["change false asking", "blocked true asking"], false]);
          let told = 0;
          speaker.addEventListener("blocked", () => told++);
          void speaker.start();
          same([told, speaker.blocked], [1, true]); // since before
          speaker.stop();
          click();
          same(events.slice(2), ["change false asking"]);
          await started;
          same(events.at(-1), "change false on"); // and blocked in between, where the new context starts slowly
        }));
    }),
  ));

test("the time for which it is blocked is no silence of a microphone", () =>
  spied((contexts) =>
    Devices.with(async (devices) => {
      devices.answer = async () => stream(0);
      await within({ microphone: true }, async ({ microphone }) => {
        await until(() => microphone.state === "on", "state on");
        await contexts[0]!.suspend();
        await until(() => microphone.blocked, "it is noticed");
        const { now } = performance;
        const silent: boolean[] = [];
        try {
          performance.now = () => now.call(performance) + 6_000;
          microphone.addEventListener("level", () => silent.push(microphone.silent));
          click();
          await until(() => silent.length > 1, "the next levels");
        } finally {
          performance.now = now;
        }
        same(silent.includes(true), false);
      });
    }),
  ));

test("a microphone that is not heard in a new context is off and not lost, and starts again", () =>
  spied((contexts) =>
    Devices.with(async (devices) => {
      await within({ microphone: true }, async (session) => {
        const { microphone } = session;
        const told: string[] = [];
        session.addEventListener("miclost", ({ detail }) => told.push(`${detail.error.code}, ${microphone.state}`));
        await until(() => microphone.state === "on", "state on");
        await contexts[0]!.suspend();
        await until(() => contexts[0]!.state === "suspended", "its end");
        await loading(() => Promise.reject(new DOMException("", "AbortError")), async () => {
          await until(() => (click(), contexts.length === 2), "a new context");
          await until(() => told.length > 0, "miclost");
        });
        same([told, devices.live], [["network, off"], 0]);
        await microphone.start();
        same([microphone.state, devices.live], ["on", 1]);
      });
    }),
  ));

test("a context that ends before it has the worklet is no reason to be without a microphone", () =>
  spied((contexts) =>
    Devices.with(async () => {
      let drop!: (error: Error) => void;
      const held = new Promise<void>((_, reject) => (drop = reject));
      await loading((own) => (contexts.length === 1 ? held : own()), () =>
        within({ microphone: true }, async ({ microphone }) => {
          await contexts[0]!.suspend();
          await until(() => (click(), contexts.length === 2), "a new context");
          drop(new DOMException("", "AbortError"));
          await until(() => microphone.state === "on", "state on");
        }));
    }),
  ));

test("a microphone that is stopped before its worklet is there leaves none", () =>
  Devices.with(async (devices) => {
    const Own = globalThis.AudioWorkletNode;
    const told: string[][] = [];
    globalThis.AudioWorkletNode = class extends Own {
      constructor(...args: ConstructorParameters<typeof Own>) {
        super(...args);
        const seen: string[] = [];
        told.push(seen);
        const { port } = this;
        const post = port.postMessage.bind(port) as (message: any, transfer: any) => void;
        port.postMessage = (message: any, transfer?: any) => (seen.push(message.type), post(message, transfer));
      }
    };
    try {
      await within({}, async ({ microphone }) => {
        void microphone.start().catch(() => {});
        microphone.stop();
        await microphone.start();
        same([devices.given.length, devices.live], [2, 1]);
        microphone.stop();
        same(devices.live, 0);
        await until(() => told.length === 2 && told.every((seen) => seen.at(-1) === "quit"), `all to quit, and have ${JSON.stringify(told)}`);
      });
    } finally {
      globalThis.AudioWorkletNode = Own;
    }
  }));

test("a device that is chosen is asked for at the next start, and not while the microphone is off", () =>
  Devices.with(async (devices) => {
    await within({}, async ({ microphone }) => {
      await microphone.use("b");
      same(devices.asked, []);
      await microphone.start();
      same(devices.asked[0]!.deviceId, { ideal: "b" });
      microphone.stop();
      await microphone.start({ source: stream() });
      microphone.stop();
      await microphone.use("c"); // The stream is not in the way any more.
      await microphone.start();
      await microphone.use(""); // the browser's choice, again
      microphone.stop();
      await microphone.start();
      same(devices.asked.slice(1).map(({ deviceId }) => deviceId), [{ ideal: "c" }, undefined, undefined]);
    });
  }));

test("a device that is chosen while the microphone stops is not opened", () =>
  Devices.with(async (devices) => {
    await within({}, async ({ microphone }) => {
      microphone.addEventListener("change", () => microphone.state === "on" && microphone.stop());
      const started = microphone.start();
      same((await rejection(microphone.use("b"))).code, "aborted");
      await started;
      same([microphone.state, devices.asked.length, devices.live], ["off", 1, 0]);
    });
  }));

test("a microphone that is stopped as the visitor comes back is not lost", () =>
  Devices.with(async (devices) => {
    await within({ microphone: true }, async (session) => {
      const { microphone } = session;
      session.addEventListener("miclost", ({ detail }) => fail(detail.error.message));
      await until(() => microphone.state === "on", "state on");
      dispatchEvent(new PageTransitionEvent("pagehide", { persisted: true }));
      same([microphone.state, devices.live], ["off", 0]);
      dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }));
      same(microphone.state, "asking");
      microphone.stop();
      await until(() => devices.given.length === 2 && devices.live === 0, "the track's end");
    });
  }));

test("a stream of the page's own that has ended is a microphone that is lost", () =>
  within({}, async (session) => {
    const source = stream();
    source.getTracks()[0]!.stop();
    const told: string[] = [];
    session.addEventListener("miclost", ({ detail }) => told.push(detail.error.code));
    await session.microphone.start({ source });
    await until(() => session.microphone.state === "lost", "state lost");
    same(told, ["microphone_missing"]);
  }));

test("a microphone that is dead is told of", () =>
  Devices.with(async (devices) => {
    devices.answer = async () => stream(0);
    await within({ microphone: true }, async ({ microphone }) => {
      await until(() => microphone.state === "on", "state on");
      let changes = 0;
      microphone.addEventListener("change", () => changes++);
      await until(() => microphone.silent, "silent");
      same(changes, 1);
      microphone.muted = true;
      same(microphone.silent, false);
    });
  }));

/** The host's side, what it is given to send, and the worklet's end of its line. */
function capturing(manual: boolean) {
  const dropped: number[] = [];
  const got: any[] = [];
  let heard = 0;
  const duck = (on: boolean) => (heard++, on && fail("nothing is played"));
  const capture = new Capture({ level: 0, duck }, (ms) => dropped.push(ms));
  const line = () => {
    const { port1, port2 } = new MessageChannel();
    capture.listen(port2);
    return port1;
  };
  return { capture, line, dropped, got, heard: () => heard, open: () => capture.open(({ realtimeInput }) => got.push(realtimeInput), manual) };
}

const piece = (value: number) => new Int16Array(320).fill(value).buffer;
const kinds = (got: object[]) => got.map((input) => Object.keys(input)[0]);

test("until there is a session the newest 10 s are kept, and all marks; what gave way is told", async () => {
  const { capture, line, dropped, got, heard, open } = capturing(true);
  const worklet = line();
  worklet.postMessage("begin");
  for (let i = 0; i < 600; i++) worklet.postMessage(piece(i));
  worklet.postMessage("end");
  await until(() => heard() === 602, "all that was recorded");
  same(dropped, []);
  open();
  open(); // as often as a token comes
  same([got.length, got[0], got.at(-1), dropped], [499, { activityStart: {} }, { activityEnd: {} }, [103 * 20]]);
  same(got.slice(1, -1).map(({ audio }) => atob(audio.data).charCodeAt(0) + 256 * atob(audio.data).charCodeAt(1)), Array.from({ length: 497 }, (_, i) => i + 103));
  capture.close();
});

for (const [manual, want] of [
  [true, ["activityStart", "audio", "audio", "activityEnd"]],
  [false, ["audio", "audioStreamEnd", "audio", "audioStreamEnd"]],
] as const) {
  test(`an activity goes on over a worklet that is lost, and ends once, ${manual ? "marked" : "found out by the service"}`, async () => {
    const { capture, line, got, open } = capturing(manual);
    open();
    const first = line();
    for (const recorded of ["end", "begin", piece(1)] satisfies Recorded[]) first.postMessage(recorded);
    await until(() => kinds(got).includes("audio"), "sound");
    if (manual) await after(1_400); // as long as a service waits
    else await until(() => kinds(got).includes("audioStreamEnd"), "its end");
    const second = line();
    for (const recorded of ["begin", piece(2), "end"] satisfies Recorded[]) second.postMessage(recorded);
    await until(() => got.length === want.length, `${want}, and have ${kinds(got)}`);
    line().postMessage("end");
    await after(100);
    same(kinds(got), want);
    capture.close();
  });
}

test("sound that waited for a busy host has not stayed away", async () => {
  const { capture, line, got, open } = capturing(false);
  open();
  const worklet = line();
  const { now } = performance;
  try {
    worklet.postMessage(piece(1));
    await until(() => got.length === 1, "sound");
    performance.now = () => now.call(performance) + 2_000;
    await after(300); // The host looks before it takes the next piece.
    worklet.postMessage(piece(2));
    await until(() => kinds(got).includes("audioStreamEnd"), "the end");
    same(kinds(got), ["audio", "audio", "audioStreamEnd"]);
  } finally {
    performance.now = now;
    capture.close();
  }
});

test("the voice is lowered while somebody speaks over it, and not after the microphone was muted", async () => {
  const ducked: boolean[] = [];
  const capture = new Capture({ level: 0.01, duck: (on) => ducked.at(-1) !== on && ducked.push(on) }, () => fail("nothing waits"));
  capture.gated = true;
  const { port1, port2 } = new MessageChannel();
  capture.listen(port2);
  for (let i = 0; i < 5; i++) port1.postMessage(new Int16Array(320).fill(10_000).buffer);
  await until(() => ducked.at(-1), "the voice is lowered");
  await until(() => ducked.at(-1) === false, "it is not any more");
  same(ducked, [false, true, false]);
  capture.close();
});

test("a connect that fails lets go of the microphone", () =>
  Devices.with(async (devices) => {
    const error = await rejection(connect({ token: "/token/echo", profile: "refused", microphone: true }));
    same([error.code, devices.given.length, devices.live], ["quota", 1, 0]);
  }));

// ---- the worklet -----------------------------------------------------------

type Act = [at: number, what: Passing, mark?: Mark];

/** What the worklet gives and tells of sound. Each act of the page's is done between two pieces, however late the threads are. */
async function recorded(seconds: number, acts: Act[], sound?: (context: OfflineAudioContext) => AudioNode) {
  const context = new OfflineAudioContext(1, seconds * 48_000, 48_000);
  await Promise.all([context.audioWorklet.addModule("/worklets.js"), context.audioWorklet.addModule("/echo.js")]);
  const node = new AudioWorkletNode(context, "livevalet-microphone", { numberOfOutputs: 0, channelCountMode: "max" });
  const echo = new AudioWorkletNode(context, "echo");
  const arrived = () => new Promise((resolve) => ((echo.port.onmessage = resolve), echo.port.postMessage("")));
  const [told, heard]: [FromMicrophone[], Recorded[]] = [[], []];
  const { port1, port2 } = new MessageChannel();
  node.port.onmessage = ({ data }) => told.push(data);
  port1.onmessage = ({ data }) => heard.push(data);
  node.port.postMessage({ type: "host", port: port2 }, [port2]);
  sound?.(context).connect(node);
  for (const [at, what, mark] of acts) {
    void context.suspend(at).then(async () => {
      node.port.postMessage({ type: "pass", what, mark });
      await arrived();
      await context.resume();
    });
  }
  await context.startRendering();
  await arrived();
  const pieces = heard.filter((one) => typeof one !== "string").map((pcm) => new Int16Array(pcm));
  return { told, marks: heard.map((one) => (typeof one === "string" ? one : "sound")), pieces };
}

/** Sound of which each sample tells when it was heard: it grows to full scale in 2 s. */
function ramp(context: BaseAudioContext): ConstantSourceNode {
  const source = new ConstantSourceNode(context, { offset: 0 });
  source.offset.setValueAtTime(0, 0).linearRampToValueAtTime(1, 2);
  source.start();
  return source;
}

const momentOf = (sample: number) => (2 * sample) / 32_767;

test("who begins to speak as the button goes down is heard from 200 ms before, and nothing of earlier", async () => {
  const { marks, pieces } = await recorded(2, [[0, "soon", "end"], [0.9, "all", "begin"], [1.4, "soon", "end"], [1.5, "all", "begin"]], ramp);
  same(marks.filter((mark, i) => mark !== marks[i - 1]), ["end", "begin", "sound", "end", "begin", "sound"]);
  const times = marks.slice(0, marks.lastIndexOf("end")).filter((mark) => mark === "sound").length;
  const [first, second] = [pieces.slice(0, times - 1), pieces.slice(times)]; // The last one is filled with silence.
  const [from, to] = [momentOf(first[0]![0]!), momentOf(first.at(-1)!.at(-1)!)];
  if (!(from > 0.9 - 0.205 && from < 0.9 - 0.175 && to > 1.37 && to < 1.4)) fail(`it was heard from ${from} to ${to} s`);
  const whole = Int16Array.from(first.flatMap((samples) => [...samples]));
  same(whole.findIndex((sample, i) => i > 0 && Math.abs(sample - whole[i - 1]!) > 3), -1, "the first sample after a gap");
  const again = momentOf(second[0]![0]!);
  if (!(again > 1.39 && again < 1.43)) fail(`the next speech begins at ${again} s`); // not with what was sent already
});

test("who leaves push-to-talk is heard from then on, and no button lets earlier sound through", async () => {
  const { marks, pieces } = await recorded(1.5, [[0, "soon", "end"], [0.9, "all"]], ramp);
  same(marks.filter((mark, i) => mark !== marks[i - 1]), ["end", "sound"]);
  const after10ms = momentOf(pieces[0]![160]!);
  if (!(after10ms > 0.9 && after10ms < 0.92)) fail(`10 ms after it was heard, it was ${after10ms} s`);
});

test("what a microphone heard before it went away is not sent when the button goes down", async () => {
  const sound = (context: BaseAudioContext) => {
    const source = ramp(context);
    source.stop(0.5);
    return source;
  };
  const { marks, pieces } = await recorded(1.5, [[0, "soon", "end"], [1, "all", "begin"]], sound);
  same(marks.includes("begin"), true);
  same(pieces.filter((samples) => samples.some((sample) => sample !== 0)).length, 0, "pieces with sound");
});

test("silence that has no channels, as in Firefox, is told like any other", async () => {
  const { told, pieces } = await recorded(1, [[0, "all", "stop"]]);
  same(told.slice(0, 2), ["flows", { rms: 0, peak: 0 }]);
  same([told.length, pieces.length], [20, 0]);
});
