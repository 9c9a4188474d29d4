// What a page does that is made like Google's samples of Live in browsers: a worklet
// captures at 16 kHz and posts pieces to the page, which encodes them and gives them to
// the SDK; what the SDK hands out is decoded by atob and scheduled, one
// AudioBufferSourceNode after the other.

import { GoogleGenAI, Modality } from "@google/genai";

const asked = new URLSearchParams(location.search);

const worklet = `registerProcessor("capture", class extends AudioWorkletProcessor {
  #length;
  #piece;
  #filled = 0;

  constructor({ processorOptions }) {
    super();
    this.#length = processorOptions.length;
    this.#piece = new Int16Array(this.#length);
  }

  process([[samples = []]]) {
    for (const x of samples) {
      this.#piece[this.#filled++] = Math.max(-1, Math.min(1, x)) * 32767;
      if (this.#filled < this.#length) continue;
      this.port.postMessage(this.#piece.buffer, [this.#piece.buffer]);
      this.#piece = new Int16Array(this.#length);
      this.#filled = 0;
    }
    return true;
  }
});`;

function toBase64(buffer) {
  const bytes = new Uint8Array(buffer);
  let binary = "";
  for (let i = 0; i < bytes.length; i++) binary += String.fromCharCode(bytes[i]);
  return btoa(binary);
}

function fromBase64(data) {
  if (asked.has("native")) return new Int16Array(Uint8Array.fromBase64(data).buffer);
  const binary = atob(data);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return new Int16Array(bytes.buffer);
}

async function connect(onmessage) {
  const { token, model } = await (await fetch("/v1/token", { method: "POST" })).json();
  const ai = new GoogleGenAI({ apiKey: token, httpOptions: { baseUrl: location.origin, apiVersion: "v1alpha" } });
  const config = { responseModalities: [Modality.AUDIO], outputAudioTranscription: {} };
  return ai.live.connect({ model, config, callbacks: { onmessage } });
}

class Player {
  #context = new AudioContext({ sampleRate: 24_000 });
  #next = 0;
  seconds = 0;

  play(pcm) {
    const buffer = this.#context.createBuffer(1, pcm.length, 24_000);
    const samples = buffer.getChannelData(0);
    for (let i = 0; i < pcm.length; i++) samples[i] = pcm[i] / 32768;
    const node = this.#context.createBufferSource();
    node.buffer = buffer;
    node.connect(this.#context.destination);
    this.#next = Math.max(this.#next, this.#context.currentTime + 0.1);
    node.start(this.#next);
    this.#next += buffer.duration;
    this.seconds += buffer.duration;
  }
}

async function record(source, length, heard) {
  const context = new AudioContext({ sampleRate: 16_000 });
  const url = URL.createObjectURL(new Blob([worklet], { type: "text/javascript" }));
  await context.audioWorklet.addModule(url);
  const node = new AudioWorkletNode(context, "capture", { processorOptions: { length } });
  node.port.onmessage = ({ data }) => heard(data);
  context.createMediaStreamSource(source).connect(node);
}

let arrived = () => {};

globalThis.party = {
  async preload() {},

  start: () => connect(() => {}),

  /** With pieces of that many frames. */
  async talk(source, length) {
    const player = new Player();
    let completed = () => {};
    const session = await connect(({ serverContent }) => {
      for (const { inlineData } of serverContent?.modelTurn?.parts ?? []) {
        if (!inlineData) continue;
        const pcm = fromBase64(inlineData.data);
        arrived();
        if (!asked.has("counts")) player.play(pcm);
      }
      if (serverContent?.turnComplete) completed(player.seconds);
    });
    await record(source, length, (buffer) =>
      session.sendRealtimeInput({ audio: { data: toBase64(buffer), mimeType: "audio/pcm;rate=16000" } }),
    );
    return (text) =>
      new Promise((resolve) => {
        completed = resolve;
        session.sendRealtimeInput({ text });
      });
  },

  counted: (count) => (arrived = count),
};

if (asked.has("now")) globalThis.live = party.start().then(() => performance.now());
