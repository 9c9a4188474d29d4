// The page that is measured.

import { connect, preload } from "/livevalet.js";

const asked = new URLSearchParams(location.search);
const config = { outputAudioTranscription: {} };

/** Counts pieces of sound as they leave the worker, on their way to the audio thread. */
let arrived = () => {};
const { postMessage } = Worker.prototype;
Worker.prototype.postMessage = function (message, transfer) {
  if (message.type === "speaker" && asked.has("counts")) {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = ({ data }) => data.type === "play" && arrived();
    [message, transfer] = [{ ...message, port: port2 }, [port2]];
  }
  return postMessage.call(this, message, transfer);
};

globalThis.party = {
  preload,

  start: () => connect({ config }),

  /** Gives what says something, and resolves with how many seconds of the answer were heard. */
  async talk(source) {
    const session = await connect({ config, microphone: { source }, speaker: true });
    return (text) =>
      new Promise((resolve) => {
        session.speaker.addEventListener("heard", ({ detail }) => resolve(detail.ms / 1_000), { once: true });
        session.sendRealtimeInput({ text });
      });
  },

  counted: (count) => (arrived = count),
};

if (asked.has("now")) globalThis.live = party.start().then(() => performance.now());
