// The page's side of the camera and of the screen: asks for it and takes
// pictures, which become JPEGs where the engine runs.

import { endStream, givenUp, mediaDevices, noDevice, refusal } from "../devices";
import { misuse, over } from "../errors";
import type * as api from "/livevalet.js";
import type { Taken } from "./jpeg";

/** Longest edge of a picture in pixels: what the service recommends (documented). */
const defaultSize = 768;

/** The service takes one picture a second (documented). */
const mostPerSecond = 1;

/** Settled when a socket took the picture, or when it gave way to a newer one. */
type Send = (picture: Taken) => Promise<void>;

/** Settled after so many milliseconds, also while the page is hidden, or with the session. */
type Rest = (ms: number) => Promise<void>;

/** From start to stop. */
interface Run {
  options: api.CameraOptions;
  started?: Promise<void>;
  /** Aborted at the end. */
  quit: AbortController;
}

interface Shown {
  stream: MediaStream;
  /** Ours to end. */
  own: boolean;
  track: MediaStreamTrack;
  /** Plays the stream, for pictures to be taken of it. */
  video: HTMLVideoElement;
  gone: AbortController;
}

export interface Camera {
  addEventListener<K extends keyof api.CameraEventMap>(
    type: K,
    listener: ((event: api.CameraEventMap[K]) => void) | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
}

export class Camera extends EventTarget implements api.Camera {
  #send: Send;
  #rest: Rest;
  /** Has the picture that waits not sent. */
  #forget: () => void;
  #closed = false;
  #state: api.CameraState = "off";
  #run: Run | undefined;
  #shown: Shown | undefined;
  /** Settled when the service takes another picture, of whatever it is started with next. */
  #due = Promise.resolve();
  /** Counts what was asked of the browser; only the newest answer is taken. */
  #asked = 0;

  constructor(send: Send, rest: Rest, forget: () => void) {
    super();
    this.#send = send;
    this.#forget = forget;
    this.#rest = (ms) => rest(ms).catch(() => {});
  }

  get state(): api.CameraState {
    return this.#state;
  }

  get preview(): MediaStream | undefined {
    return this.#shown?.stream;
  }

  get settings(): api.CameraSettings | undefined {
    const track = this.#shown?.track;
    if (!track) return undefined;
    const { deviceId, facingMode, width, height } = track.getSettings();
    return { label: track.label, deviceId, facingMode, width, height };
  }

  start(options?: api.CameraOptions): Promise<void> {
    const checked = cameraOptions(options);
    if (this.#closed) return ignorable(Promise.reject(over()));
    if (this.#run?.started) return this.#run.started;
    const run: Run = { options: checked, quit: new AbortController() };
    this.#run = run;
    this.#set("asking");
    // Now: the click that this may be called in counts only until an await.
    return (run.started = ignorable(this.#begin(run)));
  }

  stop(): void {
    const run = this.#run;
    if (!run) return;
    this.#run = undefined;
    this.#asked++;
    run.quit.abort();
    this.#drop();
    this.#forget();
    this.#set("off");
  }

  /** Stops; gives what starts it again as it was, if it may be without a click. */
  pause(): (() => void) | undefined {
    const options = this.#run?.options;
    this.stop();
    return options && options.source !== "screen" ? () => void this.start(options) : undefined;
  }

  /** The session has ended. */
  close(): void {
    this.#closed = true;
    this.stop();
  }

  async devices(): Promise<MediaDeviceInfo[]> {
    const all = await mediaDevices("camera").enumerateDevices();
    return all.filter(({ kind }) => kind === "videoinput");
  }

  async use(deviceId: string): Promise<void> {
    checkDevice(deviceId);
    const run = this.#run;
    if (!run) throw misuse("the camera is off: give the deviceId to start");
    if ((run.options.source ?? "camera") !== "camera") throw misuse('there is no choice of devices but for source: "camera"');
    await run.started;
    if (run !== this.#run) throw givenUp("camera");
    // Many phones open one camera at a time.
    this.#drop();
    run.options = { ...run.options, deviceId };
    try {
      await this.#acquire(run, { deviceId: { exact: deviceId } });
    } catch (error) {
      if (run === this.#run) this.stop();
      throw error;
    }
    this.#change();
  }

  async #begin(run: Run): Promise<void> {
    const { deviceId, facingMode = "user" } = run.options;
    try {
      if (typeof OffscreenCanvas === "undefined") {
        throw noDevice("unsupported", false, "this browser cannot make pictures of a camera: it needs OffscreenCanvas");
      }
      await this.#acquire(run, deviceId ? { deviceId: { ideal: deviceId } } : { facingMode: { ideal: facingMode } });
    } catch (error) {
      if (run === this.#run) this.stop();
      throw error;
    }
    if (run !== this.#run) throw givenUp("camera");
    this.#set("on");
    void this.#watch(run);
  }

  /** Asks for pictures and shows them in place of those before. */
  async #acquire(run: Run, wishes: MediaTrackConstraints): Promise<void> {
    const asked = ++this.#asked;
    const { source = "camera", maxSize = defaultSize } = run.options;
    let stream: MediaStream;
    try {
      if (source instanceof MediaStream) stream = source;
      else if (source === "screen") stream = await askScreen();
      else stream = await mediaDevices("camera").getUserMedia({ video: { ...wishes, width: { ideal: maxSize } } });
    } catch (error) {
      throw asked === this.#asked ? refusal(source === "screen" ? source : "camera", error) : givenUp("camera");
    }
    const own = stream !== source;
    if (asked === this.#asked) return this.#show(run, stream, own);
    if (own) endStream(stream);
    throw givenUp("camera");
  }

  #show(run: Run, stream: MediaStream, own: boolean): void {
    const track = stream.getVideoTracks()[0]!;
    const video = Object.assign(document.createElement("video"), { muted: true, playsInline: true, srcObject: new MediaStream([track]) });
    const gone = new AbortController();
    void video.play().catch(() => {}); // What does not play has no pictures.
    this.#shown = { stream, own, track, video, gone };
    const end = () => {
      if (run !== this.#run) return;
      this.stop();
      this.dispatchEvent(new Event("ended"));
    };
    track.addEventListener("ended", end, { signal: gone.signal });
  }

  #drop(): void {
    const old = this.#shown;
    this.#shown = undefined;
    if (!old) return;
    old.gone.abort();
    old.video.srcObject = null;
    if (old.own) endStream(old.stream);
  }

  /** Takes a picture when the one before is sent and its time has passed: none waits for another. */
  async #watch({ options, quit: { signal } }: Run): Promise<void> {
    const { maxSize = defaultSize, framesPerSecond = mostPerSecond } = options;
    while (!signal.aborted) {
      await this.#due;
      const taken = this.#shown && (await take(this.#shown, maxSize));
      if (signal.aborted) return taken?.image.close();
      if (taken) {
        const sent = this.#send(taken).catch(() => {});
        this.#due = sent.then(() => this.#rest(1_000 / mostPerSecond));
        await sent;
      }
      await this.#rest(taken ? 1_000 / framesPerSecond : 100);
    }
  }

  #set(state: api.CameraState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#change();
  }

  #change(): void {
    this.dispatchEvent(new Event("change"));
  }
}

/** The picture that is shown, made small; undefined if there is none yet. */
async function take({ video, track }: Shown, maxSize: number): Promise<Taken | undefined> {
  const { videoWidth, videoHeight, readyState } = video;
  if (readyState < video.HAVE_CURRENT_DATA || track.muted) return undefined;
  const scale = Math.min(1, maxSize / Math.max(videoWidth, videoHeight));
  const [width, height] = [Math.max(1, Math.round(videoWidth * scale)), Math.max(1, Math.round(videoHeight * scale))];
  try {
    return { image: await createImageBitmap(video, { resizeWidth: width, resizeHeight: height, resizeQuality: "medium" }), width, height };
  } catch {
    return undefined; // The stream is changing.
  }
}

async function askScreen(): Promise<MediaStream> {
  const devices = mediaDevices("screen");
  if (!devices.getDisplayMedia) throw noDevice("unsupported", false, "this browser does not share screens: use a camera, or a desktop browser");
  try {
    return await devices.getDisplayMedia({ video: true });
  } catch (error) {
    if ((error as DOMException).name === "InvalidStateError") throw misuse("browsers share screens in a click only: call start in one, before any await");
    throw error;
  }
}

/** Raises no "unhandledrejection". */
function ignorable<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}

function cameraOptions(options: api.CameraOptions = {}): api.CameraOptions {
  if (typeof options !== "object" || options === null) throw misuse("the camera's options must be an object");
  const { source = "camera", deviceId, facingMode = "user", framesPerSecond = mostPerSecond, maxSize = defaultSize } = options;
  if (!(source instanceof MediaStream ? source.getVideoTracks()[0]?.readyState === "live" : source === "camera" || source === "screen")) {
    throw misuse('source must be "camera", "screen" or a MediaStream with a video track that has not ended');
  }
  if (deviceId !== undefined) checkDevice(deviceId);
  if (facingMode !== "user" && facingMode !== "environment") throw misuse('facingMode must be "user" or "environment"');
  if (!(framesPerSecond > 0 && framesPerSecond <= mostPerSecond)) throw misuse("framesPerSecond must be above 0 and at most 1, as the service takes no more");
  if (!(Number.isInteger(maxSize) && maxSize > 0)) throw misuse("maxSize must be a whole number of pixels above 0");
  return { ...options };
}

function checkDevice(deviceId: unknown): void {
  if (typeof deviceId !== "string" || deviceId === "") throw misuse("deviceId must be that of one of devices()");
}
