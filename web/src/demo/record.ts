// What was said and called, to be kept: as text, or as WebVTT with times from the
// conversation's begin.

export interface Utterance {
  who: "user" | "model" | "tool";
  text: string;
  /** Milliseconds from the conversation's begin. */
  begin: number;
  end: number;
  /** That it was cut short, and how much of it was heard. */
  note?: string;
}

export const names = { user: "You", model: "Model", tool: "Tool" };

export function toText(said: Iterable<Utterance>): string {
  return ordered(said).map((one) => `[${stamp(one.begin).slice(0, -4)}] ${names[one.who]}: ${whole(one)}\n`).join("");
}

export function toVTT(said: Iterable<Utterance>): string {
  const cues = ordered(said).map((one) => {
    // A cue takes up time, and what is shown of it is at least legible.
    const until = Math.max(one.end, one.begin + 1_000);
    return `${stamp(one.begin)} --> ${stamp(until)}\n<v ${names[one.who]}>${escape(whole(one))}\n`;
  });
  return ["WEBVTT\n", ...cues].join("\n");
}

function ordered(said: Iterable<Utterance>): Utterance[] {
  return [...said].filter(({ text }) => text.trim() !== "").sort((a, b) => a.begin - b.begin);
}

function whole({ text, note }: Utterance): string {
  return note ? `${text} [${note}]` : text;
}

/** An empty line would end the cue, and "-->" begin another. */
function escape(text: string): string {
  const lines = text.replaceAll("\0", "\ufffd").split(/[\r\n]+/);
  return lines
    .map((line) => line.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;"))
    .filter((line) => line.trim() !== "")
    .join("\n");
}

function stamp(ms: number): string {
  const whole = Math.max(0, Math.round(ms));
  const part = (of: number, unit: number, digits = 2) => String(Math.floor(whole / unit) % of).padStart(digits, "0");
  return `${part(Infinity, 3_600_000)}:${part(60, 60_000)}:${part(60, 1_000)}.${part(1_000, 1, 3)}`;
}
