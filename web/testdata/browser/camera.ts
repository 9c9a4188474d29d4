import type { Session } from "/livevalet.js";
import { within } from "./api";
import { after, rejection, same, test, thrown, until } from "./harness";

const { mediaDevices } = navigator;

/** Something to look at: a colour that changes. */
function scene(width: number, height: number): MediaStream {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d")!;
  let hue = 0;
  const paint = () => {
    context.fillStyle = `hsl(${(hue += 10)} 100% 50%)`;
    context.fillRect(0, 0, width, height);
  };
  paint();
  const painting = setInterval(() => (stream.active ? paint() : clearInterval(painting)), 50);
  const stream = canvas.captureStream();
  return stream;
}

/** What the browser gives, as long as a test runs; and what it was asked for. */
async function withDevices(give: (wishes: any) => Promise<MediaStream>, use: (asked: any[]) => Promise<void>): Promise<void> {
  const asked: any[] = [];
  const answer = (wishes: any) => {
    asked.push(wishes);
    return give(wishes);
  };
  Object.assign(mediaDevices, { getUserMedia: answer, getDisplayMedia: answer });
  try {
    await use(asked);
  } finally {
    delete (mediaDevices as Partial<MediaDevices>).getUserMedia; // the shim; the browser's is the prototype's
    delete (mediaDevices as Partial<MediaDevices>).getDisplayMedia;
  }
}

interface Seen {
  at: number;
  width: number;
  height: number;
}

/** The pictures that the engine was given to send. When so many came the camera is stopped. */
function pictures(session: Session, most = Infinity): Seen[] {
  const seen: Seen[] = [];
  let came = 0;
  session.addEventListener("message", async ({ detail }) => {
    const video = (detail as any).echo?.realtimeInput?.video;
    if (!video) return;
    if (++came === most) session.camera.stop();
    const at = performance.now();
    same([video.mimeType, video.data.slice(0, 4)], ["image/jpeg", "/9j/"]);
    const blob = new Blob([Uint8Array.from(atob(video.data), (char) => char.charCodeAt(0))], { type: "image/jpeg" });
    const { width, height } = await createImageBitmap(blob);
    seen.push({ at, width, height });
  });
  return seen;
}

const live = (stream: MediaStream) => stream.getVideoTracks()[0]!.readyState === "live";

for (const worker of [true, false]) {
  test(`pictures are made small and sent once a second at most, the engine ${worker ? "in a Worker" : "on the page"}`, () =>
    within({ worker }, async (session) => {
      const [seen, source] = [pictures(session, 3), scene(1600, 900)];
      await session.camera.start({ source });
      same([session.camera.state, session.camera.preview === source], ["on", true]);
      await until(() => seen.length === 3, "three pictures");
      for (const { width, height } of seen) same([width, height], [768, 432]);
      for (const [i, { at }] of seen.slice(1).entries()) same(at - seen[i]!.at > 900, true, "a second between them");
      await after(1_200);
      same([seen.length, session.camera.state, session.camera.preview, live(source)], [3, "off", undefined, true]);
    }));
}

for (const [size, maxSize, want] of [[[64, 48], undefined, [64, 48]], [[300, 600], 200, [100, 200]]] as any[]) {
  test(`a picture of ${size} is not made larger than it is, nor larger than asked for: ${maxSize}`, () =>
    within({}, async (session) => {
      const seen = pictures(session);
      await session.camera.start({ source: scene(size[0], size[1]), maxSize });
      await until(() => seen.length > 0, "a picture");
      same([seen[0]!.width, seen[0]!.height], want);
    }));
}

test("a camera that is started anew sends no more pictures than the service takes", () =>
  within({}, async (session) => {
    const [seen, source] = [pictures(session), scene(64, 48)];
    for (const n of [1, 2]) {
      await session.camera.start({ source });
      await until(() => seen.length >= n, "a picture");
      session.camera.stop();
    }
    same(seen[1]!.at - seen[0]!.at > 900, true, "a second between them");
  }));

test("no picture is taken while one waits for a connection", () =>
  within({}, async (session) => {
    const bitmap = globalThis.createImageBitmap;
    let taken = 0;
    globalThis.createImageBitmap = ((...args: Parameters<typeof bitmap>) => (taken++, bitmap(...args))) as typeof bitmap;
    try {
      void session.sendRealtimeInput({ text: "!deaf" });
      await session.camera.start({ source: scene(64, 48) });
      await until(() => taken > 0, "a picture");
      await after(2_200); // in which two more would come
      same(taken, 1);
    } finally {
      globalThis.createImageBitmap = bitmap;
    }
  }));

test("of a camera that was stopped nothing is sent, neither what waits nor what becomes a picture", () =>
  within({ worker: false }, async (session) => {
    const seen = pictures(session);
    let dropped = 0;
    session.addEventListener("message", ({ detail }) => "pictureDropped" in detail && dropped++);
    const { prototype } = OffscreenCanvas;
    const own = prototype.convertToBlob;
    let encode!: () => void;
    let done: Promise<unknown> | undefined;
    prototype.convertToBlob = function (options) {
      return (done = new Promise<void>((resolve) => (encode = resolve)).then(() => own.call(this, options))) as Promise<Blob>;
    };
    try {
      await session.camera.start({ source: scene(64, 48) });
      await until(() => done !== undefined, "a picture that becomes one");
      session.camera.stop();
      await until(() => dropped === 1, "the engine's word");
      encode();
      await done;
      await after(100);
      same(seen, []);
    } finally {
      prototype.convertToBlob = own;
    }
    await session.camera.start({ source: scene(64, 48) });
    await until(() => seen.length > 0, "a picture");
  }));

test("the camera ends with its track, and with the session", () =>
  withDevices(async () => scene(64, 48), async () => {
    let streams: MediaStream[] = [];
    await within({}, async ({ camera }) => {
      const told: string[] = [];
      for (const type of ["change", "ended"] as const) camera.addEventListener(type, () => told.push(`${type} ${camera.state}`));
      await camera.start();
      const track = camera.preview!.getVideoTracks()[0]!;
      track.stop();
      track.dispatchEvent(new Event("ended")); // as when it is unplugged
      same(told, ["change asking", "change on", "change off", "ended off"]);
      await camera.start();
      streams = [camera.preview!];
    });
    same(streams.map(live), [false]);
  }));

test("the camera is asked for as wished, and another may be used", () =>
  withDevices(async () => scene(64, 48), (asked) =>
    within({}, async ({ camera }) => {
      await camera.start({ facingMode: "environment", maxSize: 640 });
      const first = camera.preview!;
      await camera.use("b");
      same([live(first), camera.state, live(camera.preview!)], [false, "on", true]);
      camera.stop();
      await camera.start({ source: "screen" });
      same(asked, [
        { video: { facingMode: { ideal: "environment" }, width: { ideal: 640 } } },
        { video: { deviceId: { exact: "b" }, width: { ideal: 640 } } },
        { video: true },
      ]);
      same((await rejection(camera.use("b"))).code, "invalid_request");
    })));

test("what was stopped while the browser asks is given back", () => {
  let grant!: () => void;
  const stream = scene(64, 48);
  return withDevices(() => new Promise((resolve) => (grant = () => resolve(stream))), () =>
    within({}, async ({ camera }) => {
      const started = camera.start();
      same(camera.start() === started, true, "the same promise");
      camera.stop();
      grant();
      same((await rejection(started)).code, "aborted");
      same([camera.state, live(stream)], ["off", false]);
    }));
});

for (const [name, source, code] of [
  ["NotAllowedError", "camera", "camera_denied"],
  ["NotFoundError", "camera", "camera_missing"],
  ["OverconstrainedError", "camera", "camera_missing"],
  ["NotReadableError", "camera", "camera_busy"],
  ["NotAllowedError", "screen", "screen_denied"],
  ["InvalidStateError", "screen", "invalid_request"],
] as const) {
  test(`a ${source} that is refused as ${name} is told as ${code}`, () =>
    withDevices(() => Promise.reject(new DOMException("as the browser says", name)), () =>
      within({}, async ({ camera }) => {
        const error = await rejection(camera.start({ source }));
        same([error.name, error.code, camera.state], ["LiveValetError", code, "off"]);
      })));
}

test("a page that is not secure gets no camera, and is told why", () =>
  within({}, async ({ camera }) => {
    Object.defineProperty(navigator, "mediaDevices", { value: undefined, configurable: true });
    Object.defineProperty(globalThis, "isSecureContext", { value: false, configurable: true });
    try {
      same((await rejection(camera.start())).code, "insecure_context");
    } finally {
      delete (navigator as any).mediaDevices;
      delete (globalThis as any).isSecureContext;
    }
  }));

test("the camera's options are checked", async () => {
  let ended: Session["camera"];
  const over = scene(64, 48);
  over.getVideoTracks()[0]!.stop();
  await within({}, async ({ camera }) => {
    ended = camera;
    for (const wrong of [
      { source: "cinema" }, { source: new MediaStream() }, { source: over }, { deviceId: "" }, { facingMode: "up" }, { framesPerSecond: 2 }, { framesPerSecond: 0 }, { maxSize: 1.5 }, null,
    ] as any[]) {
      same(thrown(() => camera.start(wrong)).code, "invalid_request");
    }
    same((await rejection(camera.use("b"))).code, "invalid_request");
  });
  same((await rejection(ended!.start())).code, "aborted");
});
