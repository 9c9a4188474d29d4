// The demo page, on top of the public API and of nothing else.

import { connect, preload, type LiveConnectConfig, type LiveValetError, type Session } from "/livevalet.js";
import { adviceFor } from "./advice";
import { Captions } from "./captions";

const element = <T extends HTMLElement = HTMLElement>(id: string) => document.getElementById(id) as T;

const connectButton = element<HTMLButtonElement>("connect");
const muteButton = element<HTMLButtonElement>("mute");
const textBox = element<HTMLInputElement>("text");
const level = element("level");
const captions = new Captions(element("captions"));

/** Sound with captions of both sides; what the profile locks wins. */
const config: LiveConnectConfig = { responseModalities: ["AUDIO"], inputAudioTranscription: {}, outputAudioTranscription: {} };

/** What the emulator does to every open connection. */
const faults = {
  goaway: { kind: "goaway", session: "*", timeLeft: "10s" },
  cut: { kind: "drop", session: "*" },
  expire: { kind: "expire-token", session: "*" },
};

let abort: AbortController | undefined;
let session: Session | undefined;

// ---- what the page shows ---------------------------------------------------

let state = "idle";
let resumes = 0;
let tokenUntil: number | undefined;
let liveSince: number | undefined;
let connectionFor: number | undefined;

function showState(next: string, text: string): void {
  state = next;
  const status = element("status");
  if (status.textContent !== text) status.textContent = text;
  status.dataset.state = next;
  const on = next === "connecting" || next === "live" || next === "waiting";
  connectButton.toggleAttribute("data-on", on);
  connectButton.textContent = !on ? "Connect" : session ? "Disconnect" : "Cancel";
  for (const control of [textBox, element<HTMLButtonElement>("send"), ...faultButtons()]) {
    control.disabled = session === undefined;
  }
}

function showProblem(text: string): void {
  element("problem").textContent = text;
  element("problem").hidden = text === "";
  captions.follow();
}

function note(kind: string, text: string): void {
  const item = document.createElement("li");
  const time = document.createElement("time");
  const now = new Date();
  item.dataset.kind = kind;
  time.dateTime = now.toISOString();
  time.textContent = now.toLocaleTimeString([], { hour12: false });
  item.append(time, document.createTextNode(text));
  const events = element("events");
  events.prepend(item);
  while (events.childElementCount > 200) events.lastElementChild!.remove();
}

function clock(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

function tick(): void {
  const now = performance.now();
  element("token-left").textContent = tokenUntil === undefined ? "–" : clock(tokenUntil - now);
  const age = liveSince === undefined ? "–" : clock(now - liveSince);
  element("connection-age").textContent = connectionFor && liveSince !== undefined ? `${age} of ${clock(connectionFor)}` : age;
}

function drawLevel(): void {
  const { level: loudness = 0 } = session?.speaker ?? {};
  level.style.setProperty("--level", loudness.toFixed(3));
  level.dataset.peak = Math.max(loudness, Number(level.dataset.peak)).toFixed(3);
  requestAnimationFrame(drawLevel);
}

// ---- the conversation ------------------------------------------------------

async function start(): Promise<void> {
  abort = new AbortController();
  resumes = 0;
  showProblem("");
  showState("connecting", "Connecting …");
  try {
    const opened = await connect({ config, signal: abort.signal, speaker: { muted: isMuted() } });
    opened.speaker.muted = isMuted();
    session = opened;
    captions.clear();
    listen(opened);
    showState("live", "Live");
  } catch (error) {
    stopped(error as LiveValetError);
  }
}

function isMuted(): boolean {
  return muteButton.ariaPressed === "true";
}

function stop(): void {
  abort?.abort();
  void session?.close();
}

function stopped(error?: LiveValetError): void {
  session = undefined;
  tokenUntil = liveSince = undefined;
  if (!error || error.code === "aborted") {
    note("status", "disconnected");
    showState("closed", "Disconnected");
  } else {
    note("error", `ended: ${error.code}`);
    showProblem(adviceFor(error));
    showState("closed", "Disconnected");
  }
  tick();
}

function listen(session: Session): void {
  session.addEventListener("status", ({ detail: { state, cause, retryIn } }) => {
    if (state === "closed") return; // The event closed says more.
    note("status", retryIn === undefined ? `${state} (${cause})` : `${state} (${cause}), next try in ${seconds(retryIn)}`);
    if (state === "connecting") showState(state, `Reconnecting (${cause}) …`);
    if (state === "waiting") showState(state, retryIn === undefined ? "Waiting …" : `Waiting, next try in ${seconds(retryIn)}`);
    if (state === "live") {
      liveSince = performance.now();
      showState(state, resumes === 0 ? "Live" : "Live, resumed");
    }
    tick();
  });
  session.addEventListener("token", ({ detail }) => {
    note("token", detail.action === "received" ? `token received, good for ${clock(detail.expiresIn)}` : "token opened a connection");
    element("profile").textContent = detail.profile;
    element("model").textContent = element("model").title = detail.model.replace(/^models\//, "");
    // A fresh token counts from the connection that it opens.
    if (detail.action === "opened" || tokenUntil === undefined) tokenUntil = performance.now() + detail.expiresIn;
    connectionFor = detail.connectionFor;
    tick();
  });
  session.addEventListener("resumed", ({ detail: { rung, restored, gapMs, cause } }) => {
    resumes++;
    const memory = { full: "", transcript: ", told again", none: ", memory lost" }[restored];
    const how = { handle: "the same token", token: "a new token", restart: "a new session" }[rung];
    const gap = `${Math.round(gapMs)}\u00a0ms`;
    note("resumed", `resumed after ${cause}: rung ${rung} (${how}), gap ${gap}${memory}`);
    showState("live", `Live, resumed ${resumes > 1 ? `${resumes} times, last ` : ""}with ${how} after ${gap}${memory}`);
  });
  session.addEventListener("transcript", ({ detail }) => captions.show(detail));
  session.addEventListener("emptyturn", ({ detail }) => note("error", `the model said nothing${detail.reason ? `: ${detail.reason}` : ""}`));
  session.addEventListener("stalled", ({ detail: { ended, waitedMs } }) =>
    note(ended ? "status" : "error", ended ? `the model goes on after ${seconds(waitedMs)}` : `no answer for ${seconds(waitedMs)}`),
  );
  session.addEventListener("sessioncap", ({ detail }) => note("error", `the service ends this session in ${clock(detail.msLeft)}`));
  session.addEventListener("goaway", ({ detail }) => note("goaway", `goAway: connection ends in ${seconds(detail.timeLeft)}`));
  session.addEventListener("dropped", ({ detail }) => note("error", `${Math.round(detail.ms)} ms of sound dropped`));
  session.addEventListener("closed", ({ detail }) => stopped(detail.error));
  session.speaker.addEventListener("heard", ({ detail: { ms, of, interrupted } }) => {
    level.dataset.heardMs = String(Number(level.dataset.heardMs) + Math.round(ms));
    if (interrupted) note("status", `interrupted after ${seconds(ms)} of ${seconds(of)}`);
  });
  session.speaker.addEventListener("underrun", ({ detail }) => note("error", `sound ran out ${detail.count} times`));
  session.speaker.addEventListener("blocked", showBlocked);
  session.speaker.addEventListener("change", showBlocked);
  showBlocked();
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(ms < 10_000 ? 1 : 0)}\u00a0s`;
}

function showBlocked(): void {
  if (session) showProblem(session.speaker.blocked ? "The browser holds the sound back. Click anywhere, or press a key." : "");
}

async function say(text: string): Promise<void> {
  try {
    await session!.sendRealtimeInput({ text });
  } catch (error) {
    note("error", `not sent: ${(error as LiveValetError).message}`);
  }
}

// ---- the service -----------------------------------------------------------

async function showService(): Promise<void> {
  const service = element("service");
  try {
    const { upstream, version, emulator } = await (await fetch("/version")).json();
    service.textContent = { emulator: "Emulator", google: "Google" }[upstream as string] ?? upstream;
    service.title = `livevalet ${version}`;
    element("emulator").hidden = !emulator;
  } catch {
    service.textContent = "unknown";
    note("error", "/version did not answer: is the server running?");
  }
}

function faultButtons(): HTMLButtonElement[] {
  return Object.keys(faults).map((id) => element<HTMLButtonElement>(id));
}

async function strike(id: keyof typeof faults): Promise<void> {
  const { kind } = faults[id];
  try {
    const answer = await fetch("/__emulator/fault", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(faults[id]),
    });
    note(answer.ok ? "fault" : "error", answer.ok ? `emulator: ${kind}` : `emulator refused ${kind} (${answer.status})`);
  } catch {
    note("error", `emulator did not answer ${kind}: is the server running?`);
  }
}

// ---- wiring ----------------------------------------------------------------

connectButton.addEventListener("click", () => {
  if (state === "idle" || state === "closed") void start();
  else stop();
});
element<HTMLFormElement>("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = textBox.value.trim();
  if (text === "" || !session) return;
  textBox.value = "";
  void say(text);
});
muteButton.addEventListener("click", () => {
  muteButton.ariaPressed = String(!isMuted());
  if (session) session.speaker.muted = isMuted();
});
for (const button of faultButtons()) {
  button.addEventListener("click", () => void strike(button.id as keyof typeof faults));
}

void preload();
void showService();
setInterval(tick, 500);
requestAnimationFrame(drawLevel);
