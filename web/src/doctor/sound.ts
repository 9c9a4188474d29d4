// What the microphone gives and at which rates sound goes in and out.

import { broken, type Check, type Finding } from "./examine";
import type { Visit } from "./visit";

/** Of the wire, in Hz: less in the device is lost. */
const wire = { microphone: 16_000, speaker: 24_000 };

/** A microphone that is on, in a room that is not empty, is heard within that time. */
const listening = { least: 1_500, most: 5_000 };

/** 1 is full scale. */
export function decibels(level: number): string {
  return level > 0 ? `${(20 * Math.log10(level)).toFixed(0)} dB` : "silence";
}

const microphone: Check<Visit> = {
  id: "microphone",
  name: "Microphone",
  about: "It is allowed, there, free, and not silent.",
  needs: [],
  limit: 600_000, // people read before they answer
  late: "Answer the browser's question, then run the checks again.",
  async run(visit, _, note) {
    if (!isSecureContext || !navigator.mediaDevices) return refused("insecure_context", "Serve the page over HTTPS, or open it on its own machine as http://localhost.");
    note("Allow the microphone when the browser asks.");
    let stream: MediaStream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true } });
    } catch (error) {
      return refusal(error);
    }
    try {
      const { sampleRate, echoCancellation } = stream.getAudioTracks()[0]!.getSettings();
      visit.rate = sampleRate;
      note("Say something.");
      const peak = await loudest(visit.context, stream);
      const measured = `Allowed; peak ${decibels(peak)}; echo cancellation ${echoCancellation ? "on" : "off"}.`;
      if (visit.context.state !== "running") return { state: "warning", measured: "Allowed; its level was not measured.", advice: "The browser holds sound back: run the checks again with a click." };
      if (peak === 0) return { state: "warning", measured, advice: "Nothing but digital silence: switch the microphone on, at itself and in the system, or choose another." };
      if (!echoCancellation) return { state: "warning", measured, advice: "The model may hear itself: use headphones, or push-to-talk." };
      return { state: "ok", measured };
    } finally {
      for (const track of stream.getTracks()) track.stop();
    }
  },
};

async function loudest(context: AudioContext, stream: MediaStream): Promise<number> {
  const analyser = new AnalyserNode(context, { fftSize: 4_096 });
  const source = new MediaStreamAudioSourceNode(context, { mediaStream: stream });
  source.connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  let peak = 0;
  for (let waited = 0; waited < listening.least || (peak === 0 && waited < listening.most); waited += 50) {
    await new Promise((resolve) => setTimeout(resolve, 50)); // less than the samples last
    analyser.getFloatTimeDomainData(samples);
    for (const sample of samples) peak = Math.max(peak, Math.abs(sample));
  }
  source.disconnect();
  return peak;
}

/** Typing goes on without a microphone, so none of these is the end. */
function refused(code: string, advice: string): Finding {
  return { state: "warning", measured: `Error ${code}.`, advice };
}

/** The codes are those that the library's microphone rejects with. */
function refusal(error: unknown): Finding {
  switch ((error as DOMException).name) {
    case "NotAllowedError":
    case "SecurityError":
      return refused("microphone_denied", "Allow the microphone for this page in the browser's settings, and for the browser in the system's. If nobody is asked, the page's Permissions-Policy must have microphone=(self).");
    case "NotFoundError":
    case "OverconstrainedError":
      return refused("microphone_missing", "Plug a microphone in, then run the checks again.");
    case "NotReadableError":
    case "AbortError":
      return refused("microphone_busy", "Close other programs that use the microphone, then run the checks again.");
    default:
      return { ...broken(error), state: "warning" };
  }
}

const rates: Check<Visit> = {
  id: "rates",
  name: "Sample rates",
  about: "The devices keep what the model hears and says.",
  needs: [],
  async run({ context, rate }) {
    const measured = `Speaker ${context.sampleRate} Hz; microphone ${rate ? `${rate} Hz` : "unknown"}.`;
    if (context.sampleRate < wire.speaker || (rate && rate < wire.microphone)) {
      return { state: "warning", measured, advice: "A headset in its telephone mode sounds dull: use another microphone beside it, or a cable." };
    }
    return { state: "ok", measured };
  },
};

export const soundChecks = [microphone, rates];
