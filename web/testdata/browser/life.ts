import { connect } from "/livevalet.js";
import { within } from "./api";
import { after, fail, rejection, same, test, until } from "./harness";
import { journal } from "./tokens";

/** All fields of messages with that one. */
function told(session: EventTarget, field: string): any[] {
  const seen: any[] = [];
  session.addEventListener("message", ({ detail }: any) => field in detail && seen.push(detail[field]));
  return seen;
}

for (const [idle, want] of [
  [undefined, undefined],
  [false, { after: -1 }],
  [{ after: 2_000 }, { after: 2_000 }],
  [{ after: 2_000, warn: 500 }, { after: 2_000, warn: 500 }],
] as const) {
  test(`the engine is told when to hang up: ${JSON.stringify(idle)}`, () =>
    within({ idle }, async (session) => {
      const opened = told(session, "opened");
      await until(() => opened.length > 0, "what it was opened with");
      same(opened[0].idle, want);
    }));
}

test("limits that are none are refused", async () => {
  for (const idle of [true, null, { after: 0 }, { after: Infinity }, { warn: "1s" }] as any[]) {
    same((await rejection(connect({ idle }))).code, "invalid_request");
  }
});

test("the application hears the last seconds, and stays", () =>
  within({}, async (session) => {
    const stayed = told(session, "stayed");
    session.addEventListener("idle", ({ detail }) => {
      same(detail, { msLeft: 3_000, ended: false });
      session.stay();
    });
    await session.sendRealtimeInput({ text: `!emit ${JSON.stringify({ type: "idle", msLeft: 3_000, ended: false })}` });
    await until(() => stayed.length === 1, "the engine's word");
  }));

const { mediaDevices } = navigator;
const sound = new AudioContext();

/** What the browser gives to a page that asks for a microphone or a camera. */
async function withDevices(use: (given: MediaStream[]) => Promise<void>): Promise<void> {
  const given: MediaStream[] = [];
  const getUserMedia = async ({ video }: MediaStreamConstraints) => {
    const stream = video ? document.createElement("canvas").captureStream() : sound.createMediaStreamDestination().stream;
    given.push(stream);
    return stream;
  };
  Object.assign(mediaDevices, { getUserMedia });
  try {
    await use(given);
  } finally {
    delete (mediaDevices as Partial<MediaDevices>).getUserMedia; // the shim; the browser's is the prototype's
  }
}

/** What another tab does with the microphone, until it is told to end. */
async function otherTab(options: LockOptions): Promise<{ end(): void; lost: Promise<unknown> }> {
  let end!: () => void;
  const ended = new Promise<void>((resolve) => (end = resolve));
  return new Promise((resolve, reject) => {
    const lost: Promise<unknown> = navigator.locks
      .request("livevalet-microphone", options, (lock) => {
        if (!lock) return reject(new Error("the lock is not free"));
        resolve({ end, lost });
        return ended;
      })
      .then(() => "ended", () => "lost");
  });
}

test("one tab at a time has the microphone, and another may take over", () =>
  withDevices(async (given) => {
    const other = await otherTab({});
    same((await rejection(connect({ token: "/token/echo", microphone: true }))).code, "microphone_elsewhere");
    same(given.map(({ active }) => active), [false]);
    await within({ microphone: { takeOver: true } }, async ({ microphone }) => {
      await microphone.start(); // it has, and is heard soon
      same([await other.lost, microphone.state], ["lost", "on"]);
      const taken = new Promise((resolve) => microphone.addEventListener("taken", resolve));
      const another = await otherTab({ steal: true });
      await taken;
      same([microphone.state, given.some(({ active }) => active)], ["off", false]);
      same((await rejection(microphone.start())).code, "microphone_elsewhere");
      another.end();
      await another.lost;
      await microphone.start();
    });
    const last = await otherTab({}); // the lock is free with the end of a session
    last.end();
    await last.lost;
  }));

test("sessions of one page share the microphone, which may be stopped and started in one task", () =>
  withDevices(() =>
    within({ microphone: true }, (first) =>
      within({ microphone: true }, async (second) => {
        first.microphone.stop();
        await navigator.locks.query(); // A release is on its way before it, if there is one.
        const { held } = await navigator.locks.query();
        same(held!.map(({ name }) => name), ["livevalet-microphone"]);
        await first.microphone.start();
        second.microphone.stop();
        first.microphone.stop();
        await second.microphone.start();
        same([first.microphone.state, second.microphone.state], ["off", "on"]);
        second.microphone.stop();
        const hasty = first.microphone.start();
        first.microphone.stop(); // before the lock was given
        await first.microphone.start();
        same([(await rejection(hasty)).code, first.microphone.state], ["aborted", "on"]);
      }))));

test("the screen stays on while somebody talks", async () => {
  const locks: string[] = [];
  const lock = (n: number) => ({ release: async () => void locks.push(`release ${n}`) });
  let asked = 0;
  const request = async () => (locks.push(`ask ${++asked}`), lock(asked));
  Object.defineProperty(navigator, "wakeLock", { value: { request }, configurable: true });
  try {
    await withDevices(() =>
      within({}, async ({ microphone }) => {
        same(locks, []);
        await microphone.start();
        same(locks, ["ask 1"]);
        document.dispatchEvent(new Event("visibilitychange")); // It was hidden, which ended the lock.
        await until(() => locks.length === 3, "another lock");
        microphone.stop();
        await until(() => locks.length === 4, "its release");
        document.dispatchEvent(new Event("visibilitychange"));
        same(locks, ["ask 1", "ask 2", "release 1", "release 2"]);
      }));
  } finally {
    delete (navigator as any).wakeLock;
  }
});

test("nobody listens or watches while the page is in the cache, and then both go on", () =>
  withDevices((given) =>
    within({ microphone: { mode: "open" } }, async ({ microphone, camera }) => {
      await camera.start();
      dispatchEvent(new PageTransitionEvent("pagehide", { persisted: true }));
      same([microphone.state, camera.state, given.some(({ active }) => active)], ["off", "off", false]);
      await after(0);
      dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }));
      await until(() => microphone.state === "on" && camera.state === "on", "both");
      same([microphone.mode, given.length], ["open", 4]);
      camera.stop();
      dispatchEvent(new PageTransitionEvent("pagehide", { persisted: true }));
      dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }));
      await until(() => microphone.state === "on", "the microphone");
      same(camera.state, "off");
    })));

for (const worker of [true, false]) {
  test(`a page that is left gives its lease back at once, the engine ${worker ? "in a Worker" : "on the page"}`, async () => {
    const lease = `left-${worker}`;
    // An engine that does nothing any more, as in a page that is torn down.
    const session = await connect({ worker, profile: "deaf", token: `/token/grant?lease=${lease}` });
    const released = async () => (await journal()).filter(({ path, body }) => path === "/token/release" && body.leaseId === lease).length;
    dispatchEvent(new PageTransitionEvent("pagehide", { persisted: true }));
    await after(100);
    if ((await released()) !== 0) fail("released by a page that may be come back to");
    dispatchEvent(new PageTransitionEvent("pagehide", { persisted: false }));
    await until(released, "the release");
    await session.close();
  });
}
