// The demo page, on top of the public API and of nothing else.

import { connect, preload, type LiveConnectConfig, type LiveValetError, type MicrophoneMode, type MicrophoneOptions, type Session, type SessionState } from "/livevalet.js";
import { adviceFor } from "./advice";
import { Aloud } from "./aloud";
import { Captions } from "./captions";
import { Chaos, troubles } from "./chaos";
import { LifelineView } from "./draw";
import { follow } from "./follow";
import { Lifeline, type Kind, type News } from "./lifeline";
import { listenToKeys } from "./keys";
import { names, toText, toVTT } from "./record";
import { declarations, ToolCards } from "./tools";
import { Voice } from "./voice";
import { clock, rungs, seconds, short } from "./words";

const element = <T extends HTMLElement = HTMLElement>(id: string) => document.getElementById(id) as T;
const button = (id: string) => element<HTMLButtonElement>(id);

const talkButton = button("connect");
const typingButton = button("typing");
const muteButton = button("mute");
const quietButton = button("quiet");
/** By what they share. */
const sightButtons = { camera: button("camera"), screen: button("screen") };
const textBox = element<HTMLInputElement>("text");
const level = element("level");
const mode = element<HTMLSelectElement>("mode");
const microphones = element<HTMLSelectElement>("microphones");
const speakers = element<HTMLSelectElement>("speakers");
const volume = element<HTMLInputElement>("volume");
const dial = element<HTMLInputElement>("chaos");
const events = element("events");

const aloud = new Aloud(element("aloud"));
const say = (text: string) => aloud.say(text);
const captions = new Captions(element("captions"));
const cards = new ToolCards(captions, say);
const view = new LifelineView(element("lifeline"), element("mark"), button("now"), say);
const chaos = new Chaos((words) => tell({ type: "fault", words }), (words) => note("error", words));
const still = matchMedia("(prefers-reduced-motion: reduce)");
/** As the doctor: of the address. */
const profile = new URLSearchParams(location.search).get("profile") || "default";

/** Sound with captions of both sides; what the profile locks wins. */
const config: LiveConnectConfig = {
  responseModalities: ["AUDIO"],
  inputAudioTranscription: {},
  outputAudioTranscription: {},
  tools: [{ functionDeclarations: declarations }],
};

let life: Lifeline | undefined;
let abort: AbortController | undefined;
let session: Session | undefined;
let voice: Voice | undefined;

// ---- what the page shows ---------------------------------------------------

/** The session's own, and those around it; "elsewhere": another tab has the microphone. */
type State = "idle" | "asking" | "elsewhere" | SessionState;

let state: State = "idle";
let resumes = 0;
/** Unless the visitor does something. */
let hangsUp = false;
let tokenUntil: number | undefined;
let liveSince: number | undefined;
let connectionFor: number | undefined;

const isOn = () => state !== "idle" && state !== "closed" && state !== "elsewhere";
const holds = () => session !== undefined && !isPressed(muteButton) && session.microphone.mode === "push-to-talk";

function showState(next: State, text: string): void {
  state = next;
  const status = element("status");
  if (status.textContent !== text) status.textContent = text;
  if (next !== "idle") aloud.state(text);
  status.dataset.state = next;
  talkButton.dataset.state = level.dataset.state = next;
  talkButton.textContent = state === "elsewhere" ? "Take over" : !isOn() ? "Talk" : !session ? "Cancel" : holds() ? "Hold to speak" : "End";
  typingButton.textContent = !isOn() ? "Type instead" : hangsUp ? "Stay" : "End";
  typingButton.toggleAttribute("data-off", isOn() && !hangsUp && !holds());
  for (const control of [textBox, button("send"), ...Object.values(sightButtons), ...troubleButtons()]) control.disabled = session === undefined;
  muteButton.disabled = !isOn();
  const { name, says } = chaos.dial(Number(dial.value), session !== undefined);
  dial.ariaValueText = name;
  element("chaos-says").textContent = says;
}

function showProblem(text: string): void {
  element("problem").textContent = text;
  element("problem").hidden = text === "";
}

function note(kind: string, text: string): void {
  const item = document.createElement("li");
  const time = document.createElement("time");
  const now = new Date();
  item.dataset.kind = kind;
  time.dateTime = now.toISOString();
  time.textContent = now.toLocaleTimeString([], { hour12: false });
  item.append(time, document.createTextNode(text));
  events.append(item);
  while (events.childElementCount > 200) events.firstElementChild!.remove();
}

/** At each level, and by the clock: a microphone that is muted tells no more levels. */
function hear(): void {
  if (session) voice?.hear(session.microphone.level.rms, performance.now());
}

function tick(): void {
  hear();
  const now = performance.now();
  element("token-left").textContent = tokenUntil === undefined ? "–" : clock(tokenUntil - now);
  const age = liveSince === undefined ? "–" : clock(now - liveSince);
  element("connection-age").textContent = connectionFor && liveSince !== undefined ? `${age} of ${clock(connectionFor)}` : age;
}

let nextFrame: ReturnType<typeof setTimeout> | undefined;

/** From begin to end of a conversation, but not while nobody can see it. */
function animate(): void {
  clearTimeout(nextFrame);
  if (isOn()) nextFrame = setTimeout(() => requestAnimationFrame(animate), still.matches ? 500 : 80);
  const heard = session?.speaker.level ?? 0;
  level.style.setProperty("--voice", loudness(heard));
  level.style.setProperty("--microphone", loudness(session?.microphone.level.rms ?? 0));
  level.dataset.peak = Math.max(heard, Number(level.dataset.peak)).toFixed(3);
  life?.advance(performance.now());
  view.draw();
}

/** Quiet speech is to be seen, too. */
function loudness(rms: number): string {
  return Math.min(1, Math.sqrt(3 * rms)).toFixed(2);
}

// ---- the conversation ------------------------------------------------------

/** Call it in a click or a key: the browser gives microphone and sound only then. */
async function start(spoken: boolean): Promise<void> {
  abort = new AbortController();
  const { signal } = abort;
  const takeOver = state === "elsewhere";
  resumes = 0;
  setPressed(muteButton, !spoken);
  showProblem((soundProblem = ""));
  begin();
  if (spoken) void showAsking(signal);
  try {
    const opened = await connect({
      profile,
      config,
      signal,
      speaker: { muted: isPressed(quietButton), volume: Number(volume.value) },
      ...(spoken && { microphone: microphoneOptions(takeOver) }),
    });
    session = opened;
    captions.clear(performance.now());
    for (const id of ["save-text", "save-vtt"]) button(id).disabled = true;
    listen(opened);
    setMuted(isPressed(muteButton));
    opened.speaker.muted = isPressed(quietButton);
    showState("live", "Live");
    void showDevices();
    if (!spoken) textBox.focus();
  } catch (error) {
    if (abort.signal === signal) stopped(error as LiveValetError);
  }
}

/** What other places tell, or nobody wants to read each time. */
const unsaid = new Set<Kind>(["opened", "handle", "typed"]);

function begin(): void {
  life = new Lifeline(performance.now(), ({ kind, words }) => unsaid.has(kind) || note(kind, words));
  view.show(life);
  showState("connecting", "Connecting …");
  animate();
}

/** While the browser asks the visitor, nothing has begun. Not every browser tells. */
async function showAsking(signal: AbortSignal): Promise<void> {
  const permission = await navigator.permissions?.query({ name: "microphone" as PermissionName }).catch(() => undefined);
  if (permission?.state !== "prompt" || session || signal.aborted || state !== "connecting") return;
  showState("asking", "May the page use the microphone?");
  permission.addEventListener("change", () => state === "asking" && permission.state === "granted" && begin(), { signal });
}

function stop(): void {
  abort?.abort();
  void session?.close();
}

function stopped(error?: LiveValetError): void {
  if (life?.end === undefined) tell({ type: "closed", detail: error && error.code !== "aborted" ? { error } : {} });
  session = undefined;
  tokenUntil = liveSince = undefined;
  hangsUp = false;
  setPressed(muteButton, false);
  if (error && error.code !== "aborted") showProblem(adviceFor(error));
  if (error?.code === "microphone_elsewhere") showState("elsewhere", "In use in another tab");
  else showState("closed", "Disconnected");
  showSight();
  tick();
  animate();
}

function tell(news: News, at = performance.now()): void {
  life?.take(news, at);
}

function listen(session: Session): void {
  const retold = ["status", "token", "goaway", "resumed", "message", "transcript", "toolcall", "stalled", "emptyturn", "dropped", "closed"] as const;
  for (const type of retold) {
    session.addEventListener(type, (event) => tell({ type, detail: (event as CustomEvent).detail } as News));
  }
  cards.serve(session);

  session.addEventListener("status", ({ detail: { state, cause, retryIn } }) => {
    if (state === "closed") return; // The event closed says more.
    const wait = retryIn === undefined || retryIn < 100 ? "" : `, next try in ${seconds(retryIn)}`;
    if (state !== "live") note("status", `${state} (${cause})${wait}`);
    if (state === "connecting") showState(state, `Reconnecting (${cause}) …`);
    if (state === "waiting") showState(state, wait ? `Waiting${wait}` : "Waiting …");
    if (state === "live") {
      liveSince = performance.now();
      showState(state, resumes === 0 ? "Live" : "Live, resumed");
    }
    tick();
  });
  session.addEventListener("token", ({ detail }) => {
    element("profile").textContent = detail.profile;
    element("model").textContent = element("model").title = detail.model.replace(/^models\//, "");
    // A fresh token counts from the connection that it opens.
    if (detail.action === "opened" || tokenUntil === undefined) tokenUntil = performance.now() + detail.expiresIn;
    connectionFor = detail.connectionFor;
    tick();
  });
  session.addEventListener("resumed", ({ detail: { rung, restored, gapMs } }) => {
    resumes++;
    const memory = { full: "", transcript: ", told again", none: ", memory lost" }[restored];
    showState("live", `Live, resumed ${resumes > 1 ? `${resumes} times, last ` : ""}with ${rungs[rung]} after ${short(gapMs)}${memory}`);
  });
  session.addEventListener("transcript", ({ detail }) => {
    captions.show(detail, performance.now());
    if (detail.final && !detail.typed && detail.text) say(`${names[detail.who]}: ${detail.text}`);
    for (const id of ["save-text", "save-vtt"]) button(id).disabled = false;
  });
  session.addEventListener("toolcall", ({ detail: { name, state, error } }) => note("status", `${name} ${state}${error ? `: ${error.message}` : ""}`));
  session.addEventListener("stalled", ({ detail: { ended, waitedMs } }) => ended && note("status", `the model goes on after ${seconds(waitedMs)}`));
  session.addEventListener("sessioncap", ({ detail }) => note("error", `the service ends this session in ${clock(detail.msLeft)}`));
  session.addEventListener("idle", ({ detail: { msLeft, ended } }) => {
    hangsUp = !ended;
    showState("live", ended ? "Live" : `Still there? Hangs up in ${Math.ceil(msLeft / 1_000)}\u00a0s`);
  });
  session.addEventListener("miclost", ({ detail }) => showProblem(adviceFor(detail.error)));
  session.addEventListener("closed", ({ detail }) => stopped(detail.error));

  const { speaker, microphone, camera } = session;
  speaker.addEventListener("heard", ({ detail }) => {
    level.dataset.heardMs = String(Number(level.dataset.heardMs) + Math.round(detail.ms));
    captions.heard(detail, performance.now());
  });
  speaker.addEventListener("underrun", ({ detail }) => note("error", `sound ran out, ${detail.count === 1 ? "once" : `${detail.count} times`} so far`));
  let playing = false;
  speaker.addEventListener("change", () => {
    if (speaker.playing !== playing) tell({ type: "sound", on: (playing = speaker.playing) });
    showSound();
  });
  speaker.addEventListener("blocked", showSound);
  microphone.addEventListener("change", showSound);
  microphone.addEventListener("taken", () => {
    setMuted(true);
    note("status", "another tab took the microphone");
  });
  voice = new Voice((on, at) => tell({ type: "voice", on }, at));
  microphone.addEventListener("level", hear);
  camera.addEventListener("change", () => showSight());
  showSound();
}

let soundProblem = "";

/** What keeps speaker or microphone from working, if it goes away by what the visitor does. */
function showSound(): void {
  if (!session) return;
  const { speaker, microphone } = session;
  const problem =
    speaker.blocked ? "The browser holds the sound back. Click anywhere, or press a key."
    : microphone.state === "lost" ? "The microphone is gone. Plug one in, or type."
    : microphone.silent && !microphone.muted ? "The microphone is silent. Check that it is switched on, or choose another under Sound."
    : "";
  if (problem !== soundProblem) showProblem((soundProblem = problem));
}

async function send(text: string): Promise<void> {
  try {
    await session!.sendRealtimeInput({ text });
  } catch (error) {
    note("error", `not sent: ${(error as LiveValetError).message}`);
  }
}

// ---- microphone and speaker ------------------------------------------------

function isPressed(toggle: HTMLElement): boolean {
  return toggle.ariaPressed === "true";
}

function setPressed(toggle: HTMLElement, pressed: boolean): void {
  toggle.ariaPressed = String(pressed);
}

function microphoneOptions(takeOver = false): MicrophoneOptions {
  return { mode: mode.value as MicrophoneMode, takeOver, ...(microphones.value && { deviceId: microphones.value }) };
}

/** Who began by typing is asked for the microphone now. */
function setMuted(muted: boolean): void {
  setPressed(muteButton, muted);
  const microphone = session?.microphone;
  if (!microphone) return;
  microphone.muted = muted;
  if (!muted && microphone.state === "off") {
    void attempt(microphone.start(microphoneOptions())).then((started) => (started ? void showDevices() : setMuted(true)));
  }
  showState(state, element("status").textContent);
}

/** What came of an earlier attempt is forgotten. */
async function attempt(what: Promise<void>): Promise<boolean> {
  showProblem(soundProblem);
  try {
    await what;
    return true;
  } catch (error) {
    const failure = error as LiveValetError;
    if (failure.code !== "aborted") showProblem(adviceFor(failure));
    return false;
  }
}

function press(): void {
  if (!holds()) return;
  session!.microphone.press();
  talkButton.toggleAttribute("data-held", true);
}

function release(): void {
  if (talkButton.hasAttribute("data-held") && session) session.microphone.release();
  talkButton.removeAttribute("data-held");
}

async function showDevices(): Promise<void> {
  if (!session) return;
  const { microphone, speaker } = session;
  fill(microphones, await microphone.devices());
  fill(speakers, await speaker.devices());
}

function fill(select: HTMLSelectElement, devices: MediaDeviceInfo[]): void {
  const chosen = select.value;
  const named = devices.filter(({ deviceId, label }) => label !== "" && deviceId !== "default" && deviceId !== "");
  select.replaceChildren(select.options[0]!, ...named.map(({ label, deviceId }) => new Option(label, deviceId)));
  select.value = named.some(({ deviceId }) => deviceId === chosen) ? chosen : "";
}

// ---- camera and screen -----------------------------------------------------

type Sight = keyof typeof sightButtons;

let sight: Sight | undefined;

/** Only one of both is shared; sharing what is shared ends it. Call it in a click. */
async function share(source: Sight): Promise<void> {
  const { camera } = session!;
  const ends = sight === source && camera.state !== "off";
  camera.stop();
  if (ends) return;
  sight = source;
  await attempt(camera.start({ source }));
}

function showSight(): void {
  const { state, preview = null } = session?.camera ?? {};
  const video = element<HTMLVideoElement>("preview");
  for (const [source, choice] of Object.entries(sightButtons)) setPressed(choice, source === sight && state !== undefined && state !== "off");
  video.hidden = preview === null;
  if (video.srcObject !== preview) video.srcObject = preview;
}

// ---- the service -----------------------------------------------------------

async function showService(): Promise<void> {
  const service = element("service");
  try {
    const { upstream, version, emulator } = await (await fetch("/version")).json();
    service.textContent = { emulator: "Emulator", google: "Google" }[upstream as string] ?? upstream;
    service.title = `livevalet ${version}`;
    element("emulator").hidden = !emulator;
    element("emulator").toggleAttribute("data-known", true);
  } catch {
    service.textContent = "unknown";
    note("error", "/version did not answer: is the server running?");
  }
}

function troubleButtons(): HTMLButtonElement[] {
  return Object.keys(troubles).map(button);
}

// ---- wiring ----------------------------------------------------------------

function toggle(): void {
  if (!isOn()) void start(true);
  else if (!holds()) stop();
}

function save(type: string, name: string, text: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

talkButton.addEventListener("click", toggle);
talkButton.addEventListener("pointerdown", press);
for (const type of ["pointerup", "pointercancel", "blur"]) addEventListener(type, release);
typingButton.addEventListener("click", () => {
  if (!isOn()) void start(false);
  else if (hangsUp) session?.stay();
  else stop();
});
muteButton.addEventListener("click", () => setMuted(!isPressed(muteButton)));
quietButton.addEventListener("click", () => {
  setPressed(quietButton, !isPressed(quietButton));
  if (session) session.speaker.muted = isPressed(quietButton);
});

for (const [source, choice] of Object.entries(sightButtons)) choice.addEventListener("click", () => void share(source as Sight));

mode.addEventListener("change", () => {
  release();
  if (session) session.microphone.mode = mode.value as MicrophoneMode;
  showState(state, element("status").textContent);
});
volume.addEventListener("input", () => session && (session.speaker.volume = Number(volume.value)));
microphones.addEventListener("change", () => session && void attempt(session.microphone.use(microphones.value)));
speakers.addEventListener("change", () => session && void attempt(session.speaker.use(speakers.value)));
element("settings").addEventListener("toggle", () => void showDevices());

element<HTMLFormElement>("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = textBox.value.trim();
  if (text === "" || !session) return;
  textBox.value = "";
  void send(text);
});
button("save-text").addEventListener("click", () => save("text/plain", "conversation.txt", toText(captions.said)));
button("save-vtt").addEventListener("click", () => save("text/vtt", "conversation.vtt", toVTT(captions.said)));

for (const choice of document.querySelectorAll<HTMLButtonElement>("[data-span]")) {
  choice.addEventListener("click", () => {
    for (const other of document.querySelectorAll<HTMLButtonElement>("[data-span]")) setPressed(other, other === choice);
    view.span = Number(choice.dataset.span);
  });
}
new ResizeObserver(() => view.draw()).observe(element("lifeline"));

for (const trouble of troubleButtons()) {
  trouble.title = troubles[trouble.id]!.words;
  trouble.addEventListener("click", () => void chaos.strike(trouble.id));
}
dial.addEventListener("input", () => showState(state, element("status").textContent));

listenToKeys({
  talk: { isOn, holds, toggle, press, release, stop },
  mute: () => muteButton.click(),
  type: () => textBox.focus(),
  help: () => element("keys").togglePopover(),
});

sightButtons.screen.hidden = !navigator.mediaDevices?.getDisplayMedia;
element("profile").textContent = profile;
if (profile !== "default") element<HTMLAnchorElement>("doctor").search = location.search;
follow(events);
void preload();
void showService();
setInterval(tick, 500);
